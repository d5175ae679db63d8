"""Running: from a pipeline file to a finished run. `execution` plans and schedules, `worker` runs one call, `zygote` forks the workers.

May import the sandbox and every other room of the pipeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.pipeline.running.determinism_check import twice
    from pellucid.pipeline.running.dry_run import foresee
    from pellucid.pipeline.running.execution import chosen, described, downstream, run
    from pellucid.pipeline.running.pipeline_file import load
    from pellucid.pipeline.running.plan import Branch, Plan
    from pellucid.pipeline.running.scheduler import Scheduler
    from pellucid.pipeline.running.source_labels import refuse_private_loading
    from pellucid.pipeline.running.worker_pool import Workers
    from pellucid.pipeline.running.zygote import WARM

__all__ = [
    "WARM",
    "Branch",
    "Plan",
    "Scheduler",
    "Workers",
    "chosen",
    "described",
    "downstream",
    "foresee",
    "load",
    "refuse_private_loading",
    "run",
    "twice",
]

__getattr__ = lazy_names(
    __name__,
    {
        "determinism_check": ("twice",),
        "dry_run": ("foresee",),
        "execution": (
            "chosen",
            "described",
            "downstream",
            "run",
        ),
        "pipeline_file": ("load",),
        "plan": ("Branch", "Plan"),
        "scheduler": ("Scheduler",),
        "source_labels": ("refuse_private_loading",),
        "worker_pool": ("Workers",),
        "zygote": ("WARM",),
    },
)
