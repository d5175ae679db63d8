"""What a run tells: each step's outcome, and its artifacts as values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pellucid import html_display
from pellucid.errors import DamagedError, UsageError, suggest
from pellucid.pipeline.record import private_contents
from pellucid.pipeline.record.artifact import Artifact
from pellucid.store import Label, Objects, Table, kinds


@dataclass(frozen=True)
class StepReport:
    """One step of a run: `action` is ran, reused, failed, or skipped; `why` says which parts of its key made it run. `failed` names the
    branches of a failed step that did not come to a result; the others did."""

    step: str
    label: Label
    action: str
    outputs: Mapping[str, Artifact] = field(default_factory=dict)
    seconds: float = 0.0
    branches: int = 0
    message: str = ""
    why: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def digest(self) -> str | None:
        """The digest of the step's first output; None when it gave none."""
        return next(iter(self.outputs.values())).digest if self.outputs else None


WITHHELD = "withheld: not open"
Progress = Callable[[str, StepReport], None]


def load_artifact(objects: Objects, artifact: Artifact) -> Any:
    """An artifact as a value; a list for a collection.

    Raises DamagedError for bytes that are not what was stored; the damaged file is moved aside, and the next run makes it anew.
    """
    if artifact.items is not None:
        return [load_artifact(objects, item) for _, item in artifact.items]
    try:
        return kinds.load(objects.open(artifact.sha256, artifact.suffix), artifact.kind)
    except DamagedError:
        objects.quarantine(artifact.sha256, artifact.suffix)
        raise


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run. `run["model"]` loads an artifact; `steps` has a report for each step; `compare` holds it against another run."""

    id: str
    status: str
    home: Path
    pipeline: str
    steps: Mapping[str, StepReport]
    seconds: float

    def __getitem__(self, artifact: str) -> Any:
        for report in self.steps.values():
            if artifact in report.outputs:
                if not report.label.is_open:
                    private_contents.note_read()
                value = load_artifact(Objects(self.home), report.outputs[artifact])
                return replace(value, is_open=True) if report.label.is_open and isinstance(value, Table) else value
        known = [name for report in self.steps.values() for name in report.outputs]
        raise UsageError(f'this run has no artifact "{artifact}"', fix=suggest(artifact, known))

    def __repr__(self) -> str:
        """A few lines: each step with its label, what it did, and, where it is open, what came of it."""
        rows = list(_rows(self))
        widths = [max((len(row[at]) for row in rows), default=0) for at in range(3)]
        told = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]]).rstrip() for row in rows]
        return "\n  ".join([f"run {self.id} of {self.pipeline}: {self.status} in {self.seconds:.2f} s", *told])

    def _repr_html_(self) -> str:
        """The same as a table, with the pictures among its open files."""
        head = f"Run {self.id} of {self.pipeline}: {self.status} in {self.seconds:.2f} s"
        shown = html_display.table(head, ["step", "label", "action", "result"], _rows(self))
        objects = Objects(self.home)
        for report in self.steps.values():
            for name, artifact in report.outputs.items() if report.label.is_open else ():
                if artifact.kind == "file" and artifact.items is None:
                    shown += html_display.picture(objects.open(artifact.sha256, artifact.suffix).read_bytes(), name)
        return shown

    @property
    def curves(self) -> dict[str, list[tuple[int, float | None]]]:
        """What open steps logged with `pl.log`: (step, value) by STEP.METRIC, in order; None for a value that was no finite number."""
        from pellucid.pipeline.record.run_metrics import curves_of
        from pellucid.pipeline.record.run_record import Record

        record = Record(self.home)
        try:
            return curves_of(record.db, self.id)
        finally:
            record.close()

    def compare(self, other: Run, *, private: bool = False) -> dict[str, Any]:
        """This run beside another one of the same state folder: see `pellucid.pipeline.keys.compare_runs`."""
        from pellucid.pipeline.keys import compare_runs
        from pellucid.pipeline.record.run_record import Record

        record = Record(self.home)
        try:
            return compare_runs(record, [record.find(self.id), record.find(other.id)], private=private)
        finally:
            record.close()

    def to_json(self, *, private: bool = False) -> dict[str, Any]:
        """The run as `pellucid run --json` prints it. Metrics that are not open are left out unless `private` (for the steward)."""
        objects = Objects(self.home)
        return {
            "run": self.id,
            "status": self.status,
            "pipeline": self.pipeline,
            "seconds": round(self.seconds, 4),
            "steps": {name: _step_json(objects, report, private) for name, report in self.steps.items()},
        }


def metrics_of(objects: Objects, outputs: Mapping[str, Artifact]) -> dict[str, Any]:
    """The values of all metrics among the outputs: flat when the step gives one, by output name when it gives more."""
    found = {name: dict(load_artifact(objects, a)) for name, a in outputs.items() if a.kind == "metrics" and a.items is None}
    return next(iter(found.values())) if len(found) == 1 and len(outputs) == 1 else found


def _step_json(objects: Objects, report: StepReport, private: bool) -> dict[str, Any]:
    quiet = not (report.label.is_open or private)  # a digest confirms a guess; a number of branches is a number of values
    shown: dict[str, Any] = {
        "digest": None if quiet else report.digest,
        "label": report.label.level.word,
        "action": report.action,
        "seconds": round(report.seconds, 4),
    }
    if len(report.outputs) > 1:
        shown["outputs"] = {name: None if quiet else artifact.digest for name, artifact in report.outputs.items()}
    if report.branches and not quiet:
        shown["branches"] = report.branches
    if report.message:
        shown["message"] = report.message
    if report.why:
        shown["why"] = list(report.why)
    if any(artifact.kind == "metrics" for artifact in report.outputs.values()):
        if report.label.is_open or private:
            shown["metrics"] = metrics_of(objects, report.outputs)
        else:
            shown["metrics"] = None
            shown["withheld"] = f"{report.label.level.word}: its steward may ask with --private, to publish it release it"
    return shown


def _rows(run: Run) -> Iterator[tuple[str, str, str, str]]:
    objects = Objects(run.home)
    for name, report in run.steps.items():
        yield name, report.label.level.word, report.action, _result(objects, report)


def _result(objects: Objects, report: StepReport) -> str:
    if report.message:
        return report.message
    if not report.outputs:
        return ""
    if not report.label.is_open:
        return WITHHELD
    if (
        any(artifact.kind == "metrics" and artifact.items is None for artifact in report.outputs.values())
        and len(report.outputs) == 1
    ):
        return ", ".join(f"{name} {value:.6g}" for name, value in metrics_of(objects, report.outputs).items())
    return ", ".join(
        f"{name}: {artifact.kind}" + (f" ×{len(artifact.items)}" if artifact.items is not None else "")
        for name, artifact in report.outputs.items()
    )
