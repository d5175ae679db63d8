"""Record: what is kept of each run in the state folder: its steps, their artifacts, and what of it can be removed.
Beside it, in the user's own folder, notes of which state folder was run from where.

May import the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.pipeline.record.artifact import Artifact, collection, path_of
    from pellucid.pipeline.record.curve_log import collected, log
    from pellucid.pipeline.record.garbage_collection import collect
    from pellucid.pipeline.record.live_output import LiveOutput, read_live
    from pellucid.pipeline.record.private_contents import note_private, private_paths, private_result, private_source, was_read
    from pellucid.pipeline.record.run_history import runs, stored_run
    from pellucid.pipeline.record.run_list import ListedRun, RunQuery, list_runs, metric_names, pipelines
    from pellucid.pipeline.record.run_metrics import (
        MOST_POINTS,
        Point,
        curves_of,
        note_curve,
        numbers_of,
        point,
    )
    from pellucid.pipeline.record.run_record import Record, StepRecord
    from pellucid.pipeline.record.run_report import Progress, Run, StepReport, metrics_of
    from pellucid.pipeline.record.run_tags import RunTags, tags_of_runs, write_tags
    from pellucid.pipeline.record.source_digest import file_digest
    from pellucid.pipeline.record.use_lock import in_use
    from pellucid.pipeline.record.user_folder import (
        accounts_elsewhere,
        keys_folder,
        known_states,
        note_account,
        note_run,
        notes_folder,
        state_run_from_here,
    )

__all__ = [
    "MOST_POINTS",
    "Artifact",
    "ListedRun",
    "LiveOutput",
    "Point",
    "Progress",
    "Record",
    "Run",
    "RunQuery",
    "RunTags",
    "StepRecord",
    "StepReport",
    "accounts_elsewhere",
    "collect",
    "collected",
    "collection",
    "curves_of",
    "file_digest",
    "in_use",
    "keys_folder",
    "known_states",
    "list_runs",
    "log",
    "metric_names",
    "metrics_of",
    "note_account",
    "note_curve",
    "note_private",
    "note_run",
    "notes_folder",
    "numbers_of",
    "path_of",
    "pipelines",
    "point",
    "private_paths",
    "private_result",
    "private_source",
    "read_live",
    "runs",
    "state_run_from_here",
    "stored_run",
    "tags_of_runs",
    "was_read",
    "write_tags",
]

__getattr__ = lazy_names(
    __name__,
    {
        "artifact": (
            "Artifact",
            "collection",
            "curves_of",
            "path_of",
        ),
        "curve_log": ("collected", "log"),
        "garbage_collection": ("collect",),
        "live_output": ("LiveOutput", "read_live"),
        "run_list": ("ListedRun", "RunQuery", "list_runs", "metric_names", "pipelines"),
        "run_metrics": (
            "MOST_POINTS",
            "Point",
            "curves_of",
            "note_curve",
            "numbers_of",
            "point",
        ),
        "run_tags": ("RunTags", "tags_of_runs", "write_tags"),
        "private_contents": ("note_private", "private_paths", "private_result", "private_source", "was_read"),
        "run_record": (
            "Record",
            "StepRecord",
        ),
        "run_report": (
            "Progress",
            "Run",
            "StepReport",
            "metrics_of",
        ),
        "run_history": (
            "runs",
            "stored_run",
        ),
        "user_folder": (
            "accounts_elsewhere",
            "keys_folder",
            "known_states",
            "note_account",
            "note_run",
            "notes_folder",
            "state_run_from_here",
        ),
        "source_digest": ("file_digest",),
        "use_lock": ("in_use",),
    },
)
