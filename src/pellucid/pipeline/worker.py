"""One call of one step: load its inputs, call it under the determinism settings, save what it returns.

The same code runs in process and in a confined worker; what guards it is put around it by the engine.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pellucid.errors import DataError, PellucidError
from pellucid.pipeline import sources
from pellucid.pipeline.artifact import Artifact, collection
from pellucid.pipeline.graph import Bound
from pellucid.pipeline.guard import explain
from pellucid.pipeline.step import Output, Source, Step, proved_per_unit
from pellucid.pipeline.task import Failure, Input, Made, Outcome, Task
from pellucid.store import kinds
from pellucid.store.labels import person_column, unit_of


class TimedOut(BaseException):
    """Raised inside a step that takes too long, where it cannot be killed; no `except Exception` of its own stops it."""


class WrongResultError(PellucidError):
    """A step returned something else than it declares."""

    exit_code = 1


def perform(bound: Bound, task: Task, confined: AbstractContextManager[None]) -> Outcome:
    """Do a task inside `confined`. Never raises for what the step did: a failure is part of the outcome. KeyboardInterrupt and
    TimedOut pass."""
    started = time.perf_counter()
    known = set(sys.modules)
    try:
        with confined:  # saving too: a lazy result is computed while it is saved
            saved = _save_all(bound, task, _call(bound, task))
    except (KeyboardInterrupt, TimedOut):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic in Rust and sys.exit() are no Exceptions, and fail a step all the same
        return Outcome(failure=_failure(bound, task, error), seconds=time.perf_counter() - started)
    return Outcome(made=tuple(saved), seconds=time.perf_counter() - started, imported=_imported(known))


def _imported(known: set[str]) -> dict[str, str]:
    """Digest of each project module that the call imported on its own."""
    found = {}
    there = {id(sys.modules.get(name)) for name in known}  # multiprocessing gives the main module a second name, __mp_main__
    for name in sorted(set(sys.modules) - known):
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None) if id(module) not in there else None
        if file and sources.is_project_file(file):
            found[name] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return found


def _failure(bound: Bound, task: Task, error: BaseException) -> Failure:
    trace = "".join(traceback.format_exception(error))
    undeclared = explain(error, lambda path: path if bound.outspoken else _as_written(path, bound, task))
    if undeclared:
        public, retry = undeclared, False
    elif isinstance(error, PellucidError) and bound.outspoken:
        public, retry = str(error), False
    elif isinstance(error, PellucidError) and not _by_project(error):
        public, retry = str(_without_data(error)), False
    else:
        named = bound.outspoken or _is_declared(type(error))
        public, retry = f"it raised {type(error).__name__ if named else 'an error'}{_place(bound, error)}", True
    return Failure(type(error).__name__, str(error), trace, public, retry)


def _as_written(path: str, bound: Bound, task: Task) -> str:
    """A path as far as it stands in the code, in a setting or on the way to something declared: a step on private data may make up
    the rest from the data (`f"{name}.txt"`)."""
    known = {part for declared in [*task.read, task.scratch] for part in Path(declared).parts}
    texts = [Path(declared).read_text(errors="replace") for declared in task.read if declared.endswith(".py")]
    written = "\n".join([*texts, *map(repr, bound.settings.values())])
    shown: list[str] = []
    for part in Path(path).parts:
        if part not in known and part not in written:
            return "/".join([*shown, "…"]).replace("//", "/")
        shown.append(part)
    return path


def _without_data(error: PellucidError) -> PellucidError:
    """The error without what it may quote of the data: `why` says which cell could not be read, or what a step returned instead."""
    quotes = isinstance(error, DataError | WrongResultError)
    return PellucidError(error.what, where=error.where, fix=error.fix) if quotes else error


def _by_project(error: BaseException) -> bool:
    """Whether the project's own code raised it: its text is then a text like any other, and may hold anything."""
    trace, file = error.__traceback__, ""
    while trace is not None:
        file, trace = trace.tb_frame.f_code.co_filename, trace.tb_next
    return bool(file) and sources.is_project_file(file)


def _is_declared(cls: type) -> bool:
    """Whether a class stands in its module by its name; one that a step makes up may be named after anything."""
    at: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        at = getattr(at, name, None)
    return at is cls


def _place(bound: Bound, error: BaseException) -> str:
    """Where in the project it was raised: a file and a line say nothing of the data."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if sources.is_project_file(file):
            place = f" in {Path(file).name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _seed(value: int) -> None:
    """Give the global generators a known state, for code that draws from them. The step's own `seed` is the better way."""
    random.seed(value)
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed(value % 2**32)


def _call(bound: Bound, task: Task) -> Any:
    node = bound.node
    if isinstance(node, Source):
        return _read(bound, node)
    if task.partition is not None:
        return _partitions(task)
    arguments: dict[str, Any] = {name: _load(given) for name, given in task.inputs.items()}
    for name, value in bound.settings.items():
        arguments.setdefault(name, value)
    if task.element is not None:
        name, index = task.element
        arguments[name] = bound.settings[name][index]
    if bound.seeded:
        arguments["seed"] = task.seed
    _seed(task.seed)
    if node.gate is not None:
        assert task.secret is not None
        assert task.unit is not None
        return node.gate.perform(arguments, unit=task.unit, key=task.secret, scratch=Path(task.scratch))
    if node.protection is not None:
        assert task.secret is not None
        return node.protection.perform(arguments, task.secret)
    if node.per_unit:
        if not proved_per_unit(node.fn):
            return _one_by_one(bound, node, task, arguments)
        arguments["unit"] = person_column(task.unit)
    return node.fn(**arguments)


def _load(given: Input) -> Any:
    loaded = [kinds.load(Path(path), given.kind) for path in given.paths]
    return loaded if given.many else loaded[0]


def _read(bound: Bound, node: Source) -> Any:
    if node.format == "file":
        return node.path
    from pellucid.data import open_table

    reader = open_table(node.path, format=node.format, options=dict(node.options))
    for column in unit_of(node.label.unit).columns if node.label.unit is not None else ():
        if column not in reader.schema.names:
            raise PellucidError(
                f'there is no column "{column}" to be the unit',
                where=f'source "{bound.name}" ({node.path.name})',
                fix=f"Its columns are: {', '.join(reader.schema.names)}",
            )
    return reader


def _partitions(task: Task) -> Any:
    from pellucid.pipeline.partition import partition

    (given,) = task.inputs.values()
    assert task.partition is not None
    return partition(kinds.load(Path(given.paths[0]), "table"), task.partition, Path(task.scratch))


def _one_by_one(bound: Bound, node: Step, task: Task, arguments: Mapping[str, Any]) -> Any:
    from pellucid.pipeline.per_unit import one_by_one

    assert task.unit is not None
    closed = next(name for name in task.inputs if name in bound.closed)
    return one_by_one(node.fn, arguments, closed, person_column(task.unit), [output.name for output in node.outputs])


def _save_all(bound: Bound, task: Task, returned: Any) -> list[Made]:
    node = bound.node
    folder = Path(task.scratch)
    if isinstance(node, Source):
        return [_save(bound.name, returned, bound.outputs[0][1], folder, bound.name)]
    if task.partition is not None:
        return [_save_many("", "table", returned, folder, bound.name)]
    where = f'step "{task.shown}"'
    made = []
    for output, value in zip(node.outputs, _split(node.outputs, returned, where), strict=True):
        name = output.name or bound.name
        if output.many:
            pairs = list(value.items()) if isinstance(value, Mapping) else [(str(i), v) for i, v in enumerate(value)]
            made.append(_save_many(name, output.kind, pairs, folder, where))
        else:
            made.append(_save(name, value, output.kind, folder, where))
    return made


def _split(outputs: tuple[Output, ...], returned: Any, where: str) -> list[Any]:
    """A step's return value as one value for each declared output."""
    if len(outputs) == 1 and not outputs[0].name:
        if outputs[0].many and not isinstance(returned, list | tuple | Mapping):
            raise WrongResultError(f"it returned a {type(returned).__name__}, and declares a list", where=where)
        return [returned]
    names = [output.name for output in outputs]
    if isinstance(returned, Mapping):
        if sorted(returned) != sorted(names):
            given = ", ".join(map(str, returned)) or "nothing"
            raise WrongResultError(f"it did not return its outputs {', '.join(names)}", where=where, why=f"it returned {given}")
        return [returned[name] for name in names]
    if isinstance(returned, tuple) and len(returned) == len(names):
        return list(returned)
    raise WrongResultError(f"it returned a {type(returned).__name__}, and declares the outputs {', '.join(names)}", where=where)


def _save(name: str, value: Any, kind: str, folder: Path, where: str) -> Made:
    try:
        saved = kinds.save(value, kind, folder, name)
    except TypeError as error:
        said = f"it returned a {type(value).__name__} that cannot be kept as the {kind} it declares"
        raise WrongResultError(said, where=where, why=str(error)) from error
    artifact = Artifact(kind, saved.digest, saved.sha256, saved.path.suffix, saved.size)
    return Made(name, artifact, {saved.sha256: os.fspath(saved.path)})


def _save_many(name: str, kind: str, pairs: list[tuple[str, Any]], folder: Path, where: str) -> Made:
    items: list[tuple[str, Artifact]] = []
    files: dict[str, str] = {}
    for at, (label, value) in enumerate(pairs):
        made = _save(f"{name or 'part'}-{at}", value, kind, folder, where)
        items.append((str(label), made.artifact))
        files.update(made.files)
    return Made(name, collection(kind, items), files)
