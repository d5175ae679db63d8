"""Work under way: a step with its branches, a call for each that has to run, and the rows that tell the record of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.pipeline.declaration import Bound, Grant
from pellucid.pipeline.record import Artifact, StepRecord, StepReport
from pellucid.pipeline.running.plan import Branch
from pellucid.pipeline.running.task import Outcome


@dataclass
class Job:
    """A step under way: its branches, and what each gave so far."""

    bound: Bound
    branches: list[Branch]
    done: dict[int, list[Artifact]] = field(default_factory=dict)
    ran: int = 0
    seconds: float = 0.0
    cutting: bool = False
    why: tuple[str, ...] = ()

    def row(self, report: StepReport) -> StepRecord:
        """A row for a step that was taken from the record, or for a fan-out as a whole (its branches have their own)."""
        first = self.branches[0] if len(self.branches) == 1 and not self.bound.fanned else None
        return StepRecord(
            step=self.bound.name,
            kind=self.bound.kind,
            label=report.label.level.word,
            key=first.key if first else "",
            parts=first.parts if first else {f"branch {branch.shown}": branch.key for branch in self.branches},
            action="reused" if report.action == "reused" else "fanned",
            outputs=report.outputs,
            seconds=self.seconds,
        )


@dataclass
class Call:
    """One branch to run, or running."""

    job: Job
    at: int
    attempts: int = 0
    grant: Grant | None = None
    scratch: Path | None = None

    @property
    def branch(self) -> Branch:
        return self.job.branches[self.at]

    @property
    def shown(self) -> str:
        return self.branch.of(self.job.bound.name)

    def row(self, action: str, outcome: Outcome, outputs: Mapping[str, Artifact], message: str = "") -> StepRecord:
        """A row for what came of it."""
        trace = outcome.failure.trace if outcome.failure else ""
        return StepRecord(
            step=self.shown,
            kind=self.job.bound.kind,
            label=self.job.bound.label.level.word,
            key=self.branch.key,
            parts=self.branch.parts,
            action=action,
            outputs=outputs,
            seconds=outcome.seconds,
            attempts=self.attempts,
            confined=outcome.confined,
            message=message,
            private="\n".join(part for part in (outcome.log.rstrip(), trace.rstrip()) if part),
        )
