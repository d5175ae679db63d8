"""Work under way: a step with its branches, a call for each that has to run, and the rows that tell the record of them."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.pipeline.declaration import Bound, Grant, Source, Step
from pellucid.pipeline.record import Artifact, StepRecord, StepReport
from pellucid.pipeline.running.plan import Branch
from pellucid.pipeline.running.task import Input, Outcome, Task
from pellucid.store import Unit


@dataclass
class Job:
    """A step under way: its branches, what each gave so far, and what is said of those that failed, by their names."""

    bound: Bound
    branches: list[Branch]
    done: dict[int, list[Artifact]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    ran: int = 0
    seconds: float = 0.0
    cutting: bool = False
    why: tuple[str, ...] = ()

    @property
    def goes_on(self) -> bool:
        """Whether its other branches run on when one has failed. Not where they see what is not open: which branches fail, of many, would
        tell as much as a message."""
        return self.bound.fanned and self.bound.outspoken

    def failure(self, said: str) -> str:
        """What to say of it as a whole when no branch is under way any more, after one failed with `said`."""
        if not self.goes_on:
            return said
        first, why = next(iter(self.failed.items()))
        more = f", and {', '.join(list(self.failed)[1:8])}" if len(self.failed) > 1 else ""
        return f"{len(self.failed)} of {len(self.branches)} branches failed: {first}: {why}{more}{' ...' if len(self.failed) > 8 else ''}"

    def row(self, report: StepReport) -> StepRecord:
        """A row for a step that was taken from the record, or for a fan-out as a whole (its branches have their own)."""
        first = self.branches[0] if len(self.branches) == 1 and not self.bound.fanned else None
        return StepRecord(
            step=self.bound.name,
            kind=self.bound.kind,
            label=report.label.level.word,
            key=first.key if first else "",
            parts=first.parts if first else {f"branch {branch.shown}": branch.key for branch in self.branches},
            action="fanned" if report.action == "ran" else report.action,
            outputs=report.outputs,
            seconds=self.seconds,
            message=report.message,
            private="\n".join(f"{name}: {said}" for name, said in self.failed.items()),
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

    def task(
        self,
        inputs: Mapping[str, Input],
        code: Iterable[Path],
        unit: str | Unit | None,
        seed: int,
        secret: bytes | None,
    ) -> Task:
        """What a worker is told to do: the call's inputs, the files it may read (with those of its `code`), and a release's `secret`."""
        node, branch = self.job.bound.node, self.branch
        read = [path for given in inputs.values() for path in given.paths] + [str(path) for path in code]
        if isinstance(node, Source):
            read.append(str(node.path))
        return Task(
            name=self.job.bound.name,
            shown=self.shown,
            inputs=inputs,
            scratch=str(self.scratch),
            seed=seed,
            element=branch.element,
            partition=node.by if isinstance(node, Step) and self.job.cutting else None,
            unit=unit,
            threads=node.threads if isinstance(node, Step) else 1,
            timeout=node.timeout if isinstance(node, Step) else None,
            read=tuple(read),
            secret=secret,
        )

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


class Waiting:
    """Calls that wait: for a free slot in their order, or for their time when they are to be tried again."""

    def __init__(self) -> None:
        self._queue: deque[Call] = deque()
        self._later: list[tuple[float, int, Call]] = []
        self._number = itertools.count()

    def __bool__(self) -> bool:
        return bool(self._queue or self._later)

    def add(self, call: Call, pause: float = 0.0) -> None:
        """A call to go out, after a pause in seconds."""
        if pause:
            heapq.heappush(self._later, (time.monotonic() + pause, next(self._number), call))
        else:
            self._queue.append(call)

    def next(self) -> Call | None:
        """The next call whose time has come."""
        while self._later and self._later[0][0] <= time.monotonic():
            self._queue.append(heapq.heappop(self._later)[2])
        return self._queue.popleft() if self._queue else None

    def pause(self) -> float | None:
        """Seconds until the next call's time comes; None where none waits for its time."""
        return max(0.0, self._later[0][0] - time.monotonic()) if self._later else None

    def keep(self, job: Job | None) -> None:
        """Drop every call but those of `job`."""
        self._queue = deque(call for call in self._queue if call.job is job)
        self._later = sorted(one for one in self._later if one[2].job is job)

    def has(self, job: Job) -> bool:
        return any(call.job is job for call in [*self._queue, *(one[2] for one in self._later)])
