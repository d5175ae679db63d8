"""Run a pipeline that is not open in the process of a test: what a test patches is then what runs. No user can: see test_in_process.py."""

from __future__ import annotations

import os
from pathlib import Path

from pellucid.pipeline.declaration import Pipeline
from pellucid.pipeline.record import Run
from pellucid.pipeline.running import run
from pellucid.pipeline.running.executors import InProcess


class Here(InProcess):
    """Takes also what is not open: these tests have nothing to leak, and no open step."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline, self._done = pipeline, []
        self.hash_seed = os.environ.get("PYTHONHASHSEED") or "random"


def run_here(pipeline: Pipeline, *, home: Path) -> Run:
    """The run of a pipeline, its steps in this process."""
    return run(pipeline, home=home, engine=Here(pipeline))
