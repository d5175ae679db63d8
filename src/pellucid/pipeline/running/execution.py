"""Run a pipeline: every step whose key is new, in an order the graph allows, as many at once as the engine has slots."""

from __future__ import annotations

import json
import time
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from pellucid import traces
from pellucid.errors import PellucidError, StepError, UsageError, suggest
from pellucid.pipeline.declaration import Pipeline, Step
from pellucid.pipeline.keys import environment
from pellucid.pipeline.record import Artifact, Progress, Record, Run, RunTags, note_run, write_tags
from pellucid.pipeline.running import source_labels
from pellucid.pipeline.running.executors import Engine, InProcess
from pellucid.pipeline.running.pipeline_file import environment_of
from pellucid.pipeline.running.plan import Plan
from pellucid.pipeline.running.scheduler import Scheduler
from pellucid.pipeline.running.worker_pool import Workers
from pellucid.store import home_for


def run(
    pipeline: Pipeline,
    *,
    settings: Mapping[str, Any] | None = None,
    home: Path | str | None = None,
    seed: int | None = None,
    only: Iterable[str] = (),
    again: Iterable[str] = (),
    jobs: int = 1,
    confined: bool = False,
    check: bool = True,
    progress: Progress | None = None,
    engine: Engine | None = None,
    git_status: bool = False,
    given: Mapping[str, Artifact] | None = None,
    tags: RunTags | None = None,
) -> Run:
    """Run `pipeline` and return its run; see `Run` for what it tells.

    `settings` maps "step.setting" to values. `home` is the state folder (by default `.pellucid` beside the pipeline file,
    or `PELLUCID_HOME`). `only` names steps or outputs to bring up to date, with what they need; `again` names steps to run
    again with all that follows, though nothing changed. `confined` runs each step in a worker, up to `jobs` at once, and so is
    every pipeline run in which anything is not open; the pipeline must then come from `load`. Otherwise steps run in this
    process. `given` names artifacts (present in the store) that every step takes as they are, instead of waiting for the step
    that makes them; a step that is chosen runs all the same. `check` raises StepError when a step failed. Other errors
    (UsageError, DataError, BudgetError, StoreError) are raised before or instead of the step
    they stand for. `tags` is what people call the run.
    """
    pipeline = pipeline.with_settings(settings or {})
    folder = pipeline.file.parent if pipeline.file else Path.cwd()
    place = Path(home).absolute() if home is not None else home_for(pipeline.file)
    seed = pipeline.seed if seed is None else seed
    record = Record(place)
    own = engine is None
    source_labels.refuse_private_loading(pipeline, record)
    engine = engine or _engine(pipeline, settings or {}, record, jobs=jobs, confined=confined)
    lock = environment.find_lock(folder)
    plan = Plan(pipeline, record, lock, seed=seed, hash_seed=engine.hash_seed)
    wanted, forced = chosen(pipeline, only, given or {}), downstream(pipeline, again)
    plan.look_up_models(wanted)
    surroundings = {
        **environment.machine(),
        "lock": plan.environment["lock"],
        "lock_file": lock.name,
        "drift": environment.drift(lock),
    }
    name = record.start(
        pipeline=pipeline.name,
        file=pipeline.file,
        seed=seed,
        settings={
            key: value if isinstance(value, str) else json.dumps(value, default=str) for key, value in (settings or {}).items()
        },
        environment=surroundings,
        git=environment.git_commit(folder, status=git_status),
        graph=described(pipeline),
    )
    if tags is not None:
        write_tags(record.db, name, tags)
    note_run(place)
    source_labels.note_private_sources(pipeline.steps.values(), record)
    scheduler = Scheduler(pipeline, record, plan, engine, name, wanted=wanted, forced=forced, progress=progress, given=given)
    started, began = time.perf_counter(), time.time()
    status = "interrupted"
    try:
        status = scheduler.go()
    except PellucidError as error:
        status = "failed"
        error.run = Run(name, status, place, pipeline.name, scheduler.reports, time.perf_counter() - started)
        raise
    finally:
        try:
            seen = scheduler.seen | ({"blas": engine.blas} if scheduler.seen else {})
            scheduler.output.close()
            record.finish(name, status, time.perf_counter() - started, surroundings | seen)
            _trace(pipeline, scheduler, name, status, began, time.perf_counter() - started)
        finally:  # also where the disk is full
            if own:
                engine.close()
                scheduler.abandon()
            record.close()
    finished = Run(name, status, place, pipeline.name, scheduler.reports, time.perf_counter() - started)
    if check and status == "failed":
        report = next(report for report in scheduler.reports.values() if report.action == "failed")
        raise StepError(f'step "{report.step}" failed', why=report.message, fix=f"See: pellucid show {name}")
    return finished


def _trace(pipeline: Pipeline, scheduler: Scheduler, run: str, status: str, began: float, seconds: float) -> None:
    reports = scheduler.reports.items()
    steps = [
        traces.TracedStep(name, report.label.level.word, report.action, report.seconds, pipeline.steps[name].outspoken)
        for name, report in reports
    ]
    traces.note_run(pipeline.name, run, status, began, seconds, steps)


def _engine(pipeline: Pipeline, settings: Mapping[str, Any], record: Record, *, jobs: int, confined: bool) -> Engine:
    if pipeline.is_open and not confined:
        return InProcess(pipeline)
    if pipeline.file is None or pipeline.loading is None:
        fix = "Write it into a file, and run: pellucid run FILE (in Python: load the file, and run what it gives)"
        raise UsageError("workers need a pipeline that was loaded from its file", where=f'pipeline "{pipeline.name}"', fix=fix)
    private = source_labels.private_places(pipeline, record)
    opened = [path for path, _ in pipeline.loading.files]
    return Workers(pipeline.file, settings, slots=jobs, environment=environment_of(pipeline), private=private, opened=opened)


def chosen(pipeline: Pipeline, only: Iterable[str], given: Container[str] = ()) -> set[str]:
    """The nodes to bring up to date: those named (by step or output; all when none is), and what they need that is not given."""
    by_output = {artifact: name for name, bound in pipeline.steps.items() for artifact, _, _ in bound.outputs}
    wanted = [_known(name, pipeline, by_output) for name in only] or list(pipeline.steps)
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            wanted.extend(edge.node for edge in pipeline.steps[name].edges if edge.output not in given)
    return found


def downstream(pipeline: Pipeline, again: Iterable[str]) -> set[str]:
    """The named steps and every step that uses them, directly or not."""
    by_output = {artifact: name for name, bound in pipeline.steps.items() for artifact, _, _ in bound.outputs}
    found = {_known(name, pipeline, by_output) for name in again}
    for name, bound in pipeline.steps.items():
        if any(edge.node in found for edge in bound.edges):
            found.add(name)
    return found


def _known(name: str, pipeline: Pipeline, by_output: Mapping[str, str]) -> str:
    if name in pipeline.steps:
        return name
    if name in by_output:
        return by_output[name]
    raise UsageError(f'there is no step "{name}"', fix=suggest(name, [*pipeline.steps, *by_output]))


def described(pipeline: Pipeline) -> list[dict[str, Any]]:
    """The graph as recorded: each node with its inputs, outputs, label and kind, in running order."""
    return [
        {
            "step": name,
            "kind": bound.kind,
            "label": bound.label.level.word,
            "inputs": {edge.parameter: edge.output for edge in bound.edges},
            "outputs": [[artifact, kind, many] for artifact, kind, many in bound.outputs],
            "tolerance": bound.node.tolerance if isinstance(bound.node, Step) else None,
        }
        for name, bound in pipeline.steps.items()
    ]
