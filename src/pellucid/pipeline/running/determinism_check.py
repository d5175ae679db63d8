"""Is every step deterministic? Run each twice, in fresh processes, with other hash seeds and working folders, and compare."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.pipeline.declaration import Pipeline
from pellucid.pipeline.keys import Closure
from pellucid.pipeline.record import Record
from pellucid.pipeline.running import source_labels
from pellucid.pipeline.running.execution import run
from pellucid.pipeline.running.pipeline_file import environment_of
from pellucid.pipeline.running.task import Outcome, Task
from pellucid.pipeline.running.worker_pool import Workers
from pellucid.store import home_for, kinds

SEEDS = ("0", "4242")  # the first is that of every run; per-unit steps take people in another order under the second


@dataclass(frozen=True)
class Determinism:
    """For each step (or branch of one) an empty text, or the first thing that came out differently."""

    run: str
    status: str
    steps: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        steps = {name: {"deterministic": not detail, "detail": detail} for name, detail in self.steps.items()}
        return {"run": self.run, "status": self.status, "steps": steps}


class _Double:
    """An engine that hands each task to two others, and passes on the first one's outcome once both are in."""

    hash_seed = "two"

    def __init__(
        self, pipeline: Pipeline, file: Path, settings: Mapping[str, Any], slots: int, scratch: Path, private: Iterable[Path]
    ) -> None:
        self.slots, self.pipeline = slots, pipeline
        told: dict[str, Any] = {"environment": environment_of(pipeline), "private": list(private)}
        self.engines = [Workers(file, settings, slots=slots, hash_seed=seed, **told) for seed in SEEDS]
        self.scratch, self.tasks, self.blas = scratch, dict[int, tuple[Task, Path]](), list[dict[str, Any]]()
        self.found: dict[str, str] = {}
        self.others: dict[int, Outcome] = {}
        for engine in self.engines:
            engine.start()

    def submit(self, ticket: int, task: Task, closure: Closure) -> None:
        self.engines[0].submit(ticket, task, closure)
        other = Path(tempfile.mkdtemp(dir=self.scratch, prefix="another-place-"))
        self.tasks[ticket] = task, other
        self.engines[1].submit(ticket, replace(task, scratch=str(other)), closure)

    def wait(self, timeout: float | None = None) -> tuple[int, Outcome] | None:
        first = self.engines[0].wait(timeout)
        if first is None:
            return None
        ticket, outcome = first
        while ticket not in self.others:
            arrived = self.engines[1].wait()
            assert arrived is not None
            self.others[arrived[0]] = arrived[1]
        task, other = self.tasks.pop(ticket)
        found = _difference(outcome, Path(task.scratch), self.others.pop(ticket), other)
        if found and not self.pipeline.steps[task.name].outspoken:
            found = "its two results differ"  # how they do is as private as they are
        self.found[task.shown] = found
        return ticket, outcome

    def printed(self) -> list[tuple[int, str]]:
        """Nothing: here only differences are told."""
        return []

    def close(self) -> None:
        for engine in self.engines:
            engine.close()


def _difference(a: Outcome, one: Path, b: Outcome, other: Path) -> str:
    """What differs first between two outcomes of one task, which lie in the folders `one` and `other`; empty when nothing does."""
    if a.failure or b.failure:
        same = a.failure and b.failure and a.failure.type == b.failure.type
        return "" if same else f"one of two calls failed: {(a.failure or b.failure).public}"  # type: ignore[union-attr]
    for left, right in zip(a.made, b.made, strict=True):
        name = Path(left.leaves[0].file).stem if left.leaves else "its output"
        if len(left.leaves) != len(right.leaves):
            return f"{name}: {len(left.leaves)} elements, then {len(right.leaves)}"
        for x, y in zip(left.leaves, right.leaves, strict=True):
            if x.digest != y.digest and _plain(x.file) and _plain(y.file):
                kind = next(kind.name for kind in kinds.KINDS.values() if kind.suffix == Path(x.file).suffix)
                found = kinds.compare(kind, one / x.file, other / y.file)
                return f"{name}: {found.detail if found else 'its elements are in another order'}"
            if x.label != y.label:
                return f"{name}: its elements are in another order"
    return ""


def _plain(name: str) -> bool:
    """Whether a worker named a file of its own folder."""
    return bool(name) and "/" not in name and name not in (".", "..")


def twice(
    pipeline: Pipeline,
    *,
    settings: Mapping[str, Any] | None = None,
    home: Path | None = None,
    seed: int | None = None,
    only: Iterable[str] = (),
    jobs: int = 1,
) -> Determinism:
    """Run every wanted step two times on the same inputs. Releases are drawn under one spend, with one stream: they must agree too."""
    if pipeline.file is None:
        raise UsageError("workers need a pipeline file to load", fix="Write the pipeline into a file")
    record = Record(Path(home).absolute() if home is not None else home_for(pipeline.file))
    private = source_labels.private_places(pipeline, record)
    record.close()
    with tempfile.TemporaryDirectory(prefix="pellucid-twice-") as scratch:
        engine = _Double(pipeline, pipeline.file, dict(settings or {}), jobs, Path(scratch), private)
        try:
            done = run(
                pipeline,
                settings=settings,
                home=home,
                seed=seed,
                only=only,
                again=list(pipeline.steps),
                engine=engine,
                check=False,
            )
        finally:
            engine.close()
    found = dict(engine.found)
    found.update({name: f"it failed: {report.message}" for name, report in done.steps.items() if report.action == "failed"})
    return Determinism(done.id, done.status, found)
