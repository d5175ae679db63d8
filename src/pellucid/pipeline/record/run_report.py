"""What a run tells: each step's outcome, and its artifacts as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.errors import DamagedError, UsageError, suggest
from pellucid.pipeline.record.artifact import Artifact
from pellucid.store import Label, Objects, kinds


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


@dataclass(frozen=True)
class Run:
    """A finished run. `run["model"]` loads an artifact; `steps` has a report for each step."""

    id: str
    status: str
    home: Path
    pipeline: str
    steps: Mapping[str, StepReport]
    seconds: float

    def __getitem__(self, artifact: str) -> Any:
        for report in self.steps.values():
            if artifact in report.outputs:
                return load_artifact(Objects(self.home), report.outputs[artifact])
        known = [name for report in self.steps.values() for name in report.outputs]
        raise UsageError(f'this run has no artifact "{artifact}"', fix=suggest(artifact, known))

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
