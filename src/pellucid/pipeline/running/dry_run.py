"""What a run would do, and why, without doing it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pellucid.errors import DataError, PellucidError, StoreError, UsageError, suggest
from pellucid.pipeline.declaration import Bound, GateRequest, Pipeline, Source, Step
from pellucid.pipeline.keys import environment
from pellucid.pipeline.record import Artifact, Record, collection
from pellucid.pipeline.running.execution import chosen, downstream
from pellucid.pipeline.running.plan import Branch, Plan, reasons
from pellucid.pipeline.running.task import verify
from pellucid.store import Objects, home_for, unit_of

LARGE = 64 << 20  # bytes: the types of a larger file are not looked up beforehand


@dataclass(frozen=True)
class Foreseen:
    """One step: `action` is reuse, run, may run (an input will be made anew, and may come out the same), or fail: why it cannot run."""

    step: str
    action: str
    why: tuple[str, ...] = ()


def foresee(
    pipeline: Pipeline,
    *,
    settings: Mapping[str, Any] | None = None,
    home: Path | None = None,
    seed: int | None = None,
    only: Iterable[str] = (),
    again: Iterable[str] = (),
) -> list[Foreseen]:
    """The wanted steps in running order. Takes the hash seed of workers, as `pellucid run` does. Errors as for `run`."""
    pipeline = pipeline.with_settings(settings or {})
    record = Record(home or home_for(pipeline.file))
    folder = pipeline.file.parent if pipeline.file else Path.cwd()
    plan = Plan(
        pipeline,
        record,
        environment.find_lock(folder),
        seed=pipeline.seed if seed is None else seed,
        hash_seed=environment.DETERMINISM["PYTHONHASHSEED"],
    )
    objects = Objects(record.home)
    wanted, forced = chosen(pipeline, only), downstream(pipeline, again)
    artifacts: dict[str, Artifact] = {}
    lines = []
    for name, bound in pipeline.steps.items():
        if name not in wanted:
            continue
        wrong = _cannot_be_read(bound, plan) or _refused(bound, plan, record, objects, artifacts)
        if wrong:
            lines.append(Foreseen(name, "fail", (wrong,)))
            continue
        unknown = sorted({edge.output for edge in bound.edges} - artifacts.keys())
        if unknown:
            lines.append(Foreseen(name, "may run", (f"waits for {', '.join(unknown)}",)))
            continue
        branches, known = _branches(bound, plan, record, objects, artifacts)
        found = [None if name in forced else _stored(record, objects, branch) for branch in branches]
        if known and all(stored is not None for stored in found):
            for position, (output, kind, _) in enumerate(bound.outputs):
                made = [stored[position] for stored in found if stored is not None]
                items = [(branch.name, artifact) for branch, artifact in zip(branches, made, strict=True)]
                artifacts[output] = collection(kind, items) if bound.fanned else made[0]
            lines.append(Foreseen(name, "reuse"))
        elif name in forced:
            lines.append(Foreseen(name, "run", ("asked for",)))
        else:
            fresh = next((branch for branch, stored in zip(branches, found, strict=True) if stored is None), None)
            lines.append(Foreseen(name, "run", reasons(record, pipeline.name, name, fresh, forced=False) if fresh else ("new",)))
    record.close()
    return lines


def _cannot_be_read(bound: Bound, plan: Plan) -> str:
    """What is wrong with a source, as far as its file's beginning tells: no file, an option its reader has not, a missing column,
    a model that is not there.

    Of data that are not open no value is told: an error's reason may quote one and is left out.
    """
    node = bound.node
    if not isinstance(node, Source):
        return ""
    if node.model is not None:
        try:
            plan.branches(bound, {})
        except PellucidError as error:
            return str(error)
        return ""
    try:
        if not node.path.exists():
            raise DataError("there is no such file", where=str(node.path), fix="Check the path")
        columns = _columns(node)
        if columns is None:
            return ""
        there = columns.names
        unit = unit_of(bound.label.unit) if bound.label.unit is not None else None
        for column in unit.columns if unit is not None else ():
            if column not in there:
                raise DataError(f'there is no column "{column}" to be the unit', where=str(node.path), fix=suggest(column, there))
    except (DataError, UsageError) as error:
        return str(error) if bound.label.is_open else str(type(error)(error.what, where=error.where, fix=error.fix))
    return ""


def _refused(bound: Bound, plan: Plan, record: Record, objects: Objects, artifacts: Mapping[str, Artifact]) -> str:
    """What is wrong with a release, as far as the names and types of its columns and its account tell; no row is read."""
    if not isinstance(bound.node, Step) or bound.node.gate is None:
        return ""
    import pyarrow.parquet as pq

    (edge,) = bound.edges
    source, known = plan.pipeline.steps[edge.node], artifacts.get(edge.output)
    if known is not None:
        request = plan.request(bound, artifacts)
    else:
        request = GateRequest(record.home, bound.name, plan.pipeline.name, source.label, "", bound.settings, plan.budgets)
    with tempfile.TemporaryDirectory(prefix="pellucid-columns-") as folder:
        try:
            if known is not None:
                schema = pq.read_schema(objects.path(known.sha256, known.suffix))
            elif isinstance(source.node, Source):
                schema = _columns(source.node)
            else:
                schema = None
            if schema is not None:
                request = replace(request, path=Path(folder) / "columns.parquet")
                pq.write_table(schema.empty_table(), request.path)
            return bound.node.gate.refusal(request)
        except (DataError, UsageError):
            return ""  # said of the source


def _columns(source: Source) -> Any:
    """The names and types of a source's columns, by its file; None where they are not looked up beforehand."""
    from pellucid.data import is_file, open_table

    if is_file(source.format) or not source.path.exists() or (source.path.is_file() and source.path.stat().st_size > LARGE):
        return None
    return open_table(source.path, format=source.format, options=source.options).schema


def _branches(
    bound: Bound, plan: Plan, record: Record, objects: Objects, artifacts: Mapping[str, Artifact]
) -> tuple[list[Branch], bool]:
    """A step's branches, and whether they are all known (those over partitions are known once the table has been cut)."""
    if isinstance(bound.node, Step) and bound.node.by is not None:
        cut = plan.partition(bound, artifacts)
        stored = _stored(record, objects, cut)
        if stored is None:
            return [cut], False
        edge = next(edge for edge in bound.edges if edge.parameter == bound.node.over)
        return plan.branches(bound, {**artifacts, edge.output: stored[0]}), True
    return plan.branches(bound, artifacts), True


def _stored(record: Record, objects: Objects, branch: Branch) -> list[Artifact] | None:
    found = [branch.stored] if branch.stored is not None else record.result(branch.key)
    try:
        for leaf in [leaf for artifact in found or () for leaf in artifact.leaves]:
            verify(leaf, objects, record)
    except StoreError:
        return None
    return found
