"""Runs of the past as values: found by name in a state folder, and opened like the run that has just ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pellucid.pipeline.record.run_record import Record
from pellucid.pipeline.record.run_report import Run, StepReport
from pellucid.store import Label, Level, home_for


def stored_run(home: Path, wanted: str = "last") -> Run:
    """The run of that name (see `Record.find`), its steps as they were. Raises UsageError where there is none."""
    record = Record(home)
    try:
        return _opened(record, record.find(wanted))
    finally:
        record.close()


def runs(home: Path | str | None = None, limit: int = 20) -> list[Run]:
    """The latest runs of a state folder, newest first: of `home`, else of PELLUCID_HOME, else of .pellucid in the working folder."""
    record = Record(Path(home) if home is not None else home_for(None))
    try:
        return [_opened(record, found) for found in record.runs(limit)]
    finally:
        record.close()


def _opened(record: Record, found: dict[str, Any]) -> Run:
    steps = {}
    for step in record.steps(found["run"]):
        if "[" in step.step:  # one branch of a step
            continue
        action = "ran" if step.action == "fanned" else step.action
        level = next(level for level in Level if level.word == step.label)
        steps[step.step] = StepReport(step.step, Label(level), action, step.outputs, step.seconds, message=step.message)
    order = {node["step"]: at for at, node in enumerate(found["graph"])}
    ordered = dict(sorted(steps.items(), key=lambda pair: order.get(pair[0], len(order))))
    return Run(found["run"], found["status"], record.home, found["pipeline"], ordered, found["seconds"] or 0.0)
