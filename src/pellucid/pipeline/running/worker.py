"""One call of one step: load its inputs, call it under the determinism settings, save what it returns.

The same code runs in process and in a confined worker; what guards it is put around it by the engine.
"""

from __future__ import annotations

import random
import re
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pellucid.errors import DataError, PellucidError, suggest
from pellucid.pipeline.declaration import Bound, Output, Source, Step, proved_per_unit, source_code
from pellucid.pipeline.record import collected
from pellucid.pipeline.running.task import Failure, Input, Leaf, Made, Outcome, Task
from pellucid.sandbox import explain, refusal
from pellucid.store import kinds, person_column, unit_of


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
    with collected() as points:
        try:
            with confined:  # saving too: a lazy result is computed while it is saved
                saved = _save_all(bound, task, _call(bound, task))
        except (KeyboardInterrupt, TimedOut):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic in Rust and sys.exit() are no Exceptions, and fail a step all the same
            return Outcome(failure=_failure(bound, error), seconds=time.perf_counter() - started, points=tuple(points))
    return Outcome(made=tuple(saved), seconds=time.perf_counter() - started, imported=_imported(known), points=tuple(points))


def _imported(known: set[str]) -> tuple[str, ...]:
    """The project modules that the call imported on its own."""
    found = []
    there = {id(sys.modules.get(name)) for name in known}  # multiprocessing gives the main module a second name, __mp_main__
    for name in sorted(set(sys.modules) - known):
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None) if id(module) not in there else None
        if source_code.is_project_module(name, file):
            found.append(name)
    return tuple(found)


def _failure(bound: Bound, error: BaseException) -> Failure:
    """The failure as this process sees it. Who may see which part of it is decided by the main process."""
    trace = "".join(traceback.format_exception(error))
    refused = refusal(error)
    reason, path = refused or ("result" if isinstance(error, WrongResultError) else "error", "")
    if refused:
        public, retry = explain(reason, path) + (_place(error) if reason == "missing" else ""), False
    elif isinstance(error, PellucidError):
        public, retry = str(error if bound.outspoken else _without_data(error)), False
    else:
        public, retry = f"it raised {type(error).__name__}{_place(error)}", True
    return Failure(type(error).__name__, str(error), trace, public, retry, reason, path)


def _without_data(error: PellucidError) -> PellucidError:
    """The error without what it may quote of the data: `why` says which cell could not be read, or what a step returned instead."""
    quotes = isinstance(error, DataError | WrongResultError)
    return PellucidError(error.what, where=error.where, fix=error.fix) if quotes else error


def _place(error: BaseException) -> str:
    """Where in the project it was raised, for steps whose result is open."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if source_code.is_project_file(file):
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
                fix=suggest(column, reader.schema.names, f"Its columns are: {', '.join(reader.schema.names)}"),
            )
    return reader


def _partitions(task: Task) -> Any:
    from pellucid.store import partition

    (given,) = task.inputs.values()
    assert task.partition is not None
    return partition(kinds.load(Path(given.paths[0]), "table"), task.partition, Path(task.scratch))


def _one_by_one(bound: Bound, node: Step, task: Task, arguments: Mapping[str, Any]) -> Any:
    from pellucid.pipeline.running.per_unit import one_by_one

    assert task.unit is not None
    closed = next(name for name in task.inputs if name in bound.closed)
    return one_by_one(node.fn, arguments, closed, person_column(task.unit), [output.name for output in node.outputs])


def _save_all(bound: Bound, task: Task, returned: Any) -> list[Made]:
    node = bound.node
    folder = Path(task.scratch)
    if isinstance(node, Source):
        return [Made((_save(bound.name, returned, bound.outputs[0][1], folder, bound.name),))]
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
            made.append(Made((_save(name, value, output.kind, folder, where),)))
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


def _save(name: str, value: Any, kind: str, folder: Path, where: str, label: str = "") -> Leaf:
    try:
        saved = kinds.save(value, kind, folder, name)
    except TypeError as error:
        said = f"it returned a {type(value).__name__} that cannot be kept as the {kind} it declares"
        why = re.sub(r"^returned [^:]*, declared (an? )?\w+: ", "", str(error))  # that has been said
        raise WrongResultError(said, where=where, why=why) from error
    return Leaf(label, saved.path.name, saved.digest)


def _save_many(name: str, kind: str, pairs: list[tuple[str, Any]], folder: Path, where: str) -> Made:
    leaves = [_save(f"{name or 'part'}-{at}", value, kind, folder, where, str(label)) for at, (label, value) in enumerate(pairs)]
    return Made(tuple(leaves), many=True)
