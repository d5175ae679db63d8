"""What a pipeline is written with: sources, steps, and the gate that makes a step a release.

A declaration says what a step needs and gives; it does nothing by itself. A parameter named like a source, a step or one of a
step's named outputs is an edge, any other is a setting. The return annotation says how the value is kept: one kind
(`pl.Table`, `pl.Array`, `pl.Model`, `pl.Metrics`, `pl.File`), a `NamedTuple` of kinds (named outputs), or `list[kind]`
(a collection, which another step can be fanned out over).
"""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.pipeline.about import checked_licence
from pellucid.pipeline.gate import Budget, Gate, GateRequest, Grant, Protection
from pellucid.store.kinds import kind_of
from pellucid.store.labels import ADD_REMOVE, REPLACE, Label, Level, Unit, unit_of

__all__ = [
    "Budget",
    "Gate",
    "GateRequest",
    "Grant",
    "Node",
    "Output",
    "OutputOf",
    "Protection",
    "Row",
    "Source",
    "Step",
    "UserDay",
    "keeps_units_apart",
    "source",
    "step",
]

KIND_NAMES = "pl.Table, pl.Array, pl.Model, pl.Metrics, pl.File, a NamedTuple of these, or list[one of these]"


@dataclass(frozen=True)
class Output:
    """One value a step gives: its name ("" for a step's only output), its kind, and whether it is a list of them."""

    name: str
    kind: str
    many: bool = False


@dataclass(frozen=True, eq=False)
class Source:
    """Data that comes from outside: a path, how to read it, and its label. See `source`."""

    path: Path
    label: Label
    name: str | None
    format: str | None
    options: Mapping[str, Any]
    budget: Budget
    account: str | None
    licence: str | None = None
    credit: str = ""
    origin: Path | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """A pure function with declared inputs, settings and outputs. See `step`."""

    fn: Callable[..., Any]
    name: str | None
    outputs: tuple[Output, ...]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    over: str | Mapping[str, Sequence[Any]] | None = None
    by: str | None = None
    per_unit: bool = False
    kind: str = "step"
    retries: int = 0
    backoff: float = 1.0
    timeout: float | None = None
    threads: int = 1
    tolerance: float | None = None
    gate: Gate | None = None
    protection: Protection | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, outside of any pipeline (for tests and notebooks)."""
        return self.fn(*args, **kwargs)

    def __getattr__(self, name: str) -> OutputOf:
        if not name.startswith("_") and name != "outputs" and any(output.name == name for output in self.outputs):
            return OutputOf(self, name)
        raise AttributeError(f"step has no attribute or output {name!r}")


@dataclass(frozen=True, eq=False)
class OutputOf:
    """One named output of a step, as `people.train`."""

    step: Step
    output: str


Node = Source | Step


def keeps_units_apart(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Mark one of pellucid's own functions as per-unit by construction, with the argument in its docstring and a test.

    It is called once with the whole table instead of once per unit, and gets the unit column's name as `unit`. Functions of a project
    cannot be so marked: they are called person by person.
    """
    fn.__keeps_units_apart__ = True  # type: ignore[attr-defined]
    return fn


def proved_per_unit(fn: Any) -> bool:
    """Whether a function is one of pellucid's own that `keeps_units_apart`."""
    home = fn if inspect.isroutine(fn) else type(fn)
    return bool(getattr(fn, "__keeps_units_apart__", False)) and str(getattr(home, "__module__", "")).startswith("pellucid.")


def UserDay(column: str, *, time: str, clock: str = "") -> Unit:  # noqa: N802 a unit is declared like a value
    """The unit "one person's rows of one UTC day": for `pl.source(unit=...)`.

    `time` names a column of dates or time stamps (those without a zone count as UTC), or of whole numbers since 1970 in `clock`, "s"
    or "ms". A person who is there on several days is protected on each of them apart, so the loss adds up over their days.
    """
    if clock not in ("", "s", "ms"):
        raise UsageError(
            f"{clock!r} is not a clock", where="UserDay", fix='Use "s" or "ms", or leave it out for dates and time stamps'
        )
    if not all(isinstance(name, str) and name for name in (column, time)) or column == time:
        raise UsageError("a person's column and another one with the time are needed", where="UserDay")
    return Unit(column, time, clock)


def Row() -> Unit:  # noqa: N802 a unit is declared like a value
    """The unit "one row": for `pl.source(unit=...)`, where each row is another person's or is all that is to be protected."""
    return Unit(None)


def _caller_folder(depth: int) -> Path:
    """The folder of the file that called the public function `depth` frames up; the current folder in a console."""
    file = sys._getframe(depth + 1).f_globals.get("__file__")
    return Path(file).absolute().parent if file else Path.cwd()


def source(
    path: str | Path,
    *,
    label: str | None = None,
    unit: str | Unit | None = None,
    relation: str = ADD_REMOVE,
    name: str | None = None,
    format: str | None = None,
    budget: Budget | None = None,
    account: str | None = None,
    licence: str | None = None,
    credit: str = "",
    origin: str | Path | None = None,
    **options: Any,
) -> Source:
    """Declare data that enters a pipeline.

    `path` is relative to the pipeline file. `label` is "private" (about people), "protected" (transformed, no proof) or "open";
    there is no default, because a wrong guess cannot be taken back. `unit` names the column that says whose row it is, or is
    `pl.UserDay(column, time=...)` or `pl.Row()`; a release needs it. `relation` says which data a release must not tell apart: those
    with and without one unit ("add-remove"), or those where one unit is another ("replace": the number of units is no secret).
    `format` is a reader's name ("csv", "parquet", "jsonlines", "mattermost", "smart", "movielens", or "file"
    for bytes kept as they are); by default the file's ending decides. Other options go to the reader. `budget` caps what
    releases of this data may spend together, in the `account` (by default the source's name). `licence` (an SPDX expression) and
    `credit` (whom to name, and where it comes from) go with open data when they are published; `origin` names the file that
    `pellucid import` wrote, when they come from a package. Raises UsageError.
    """
    shown = str(path)
    words = {level.word: level for level in Level}
    if label is None:
        raise UsageError(
            "this source has no label",
            where=f'source("{shown}")',
            fix='Say whether it is about people: label="private" (with unit=...), label="protected" or label="open"',
        )
    if label not in words:
        raise UsageError(f'"{label}" is not a label', where=f'source("{shown}")', fix="Use private, protected or open")
    if words[label] is Level.OPEN and unit:
        raise UsageError(
            "an open source has no unit to protect",
            where=f'source("{shown}")',
            fix="Remove unit=, or label it private",
        )
    if relation not in (ADD_REMOVE, REPLACE):
        raise UsageError(f"{relation!r} is not a relation", where=f'source("{shown}")', fix="Use add-remove or replace")
    if relation == REPLACE and unit is not None:
        unit = replace(unit_of(unit), relation=REPLACE)
    from pellucid.data import detect

    place = Path(_caller_folder(1), Path(path).expanduser())
    return Source(
        path=place,
        label=Label(words[label], unit),
        name=name,
        format=format or detect(place) or "file",
        options=options,
        budget=budget or Budget(),
        account=account,
        licence=None if licence is None else checked_licence(licence, f'source("{shown}")'),
        credit=credit,
        origin=None if origin is None else Path(_caller_folder(1), origin),
    )


def outputs_of(fn: Callable[..., Any], returns: Any) -> tuple[Output, ...]:
    """Read a step's outputs from its return annotation. Raises UsageError where it names no kind."""
    shown = getattr(fn, "__name__", repr(fn))
    if isinstance(returns, type) and issubclass(returns, tuple) and hasattr(returns, "_fields"):
        hints = typing.get_type_hints(returns)
        found = []
        for name in returns._fields:
            kind = kind_of(hints.get(name))
            if kind is None:
                raise UsageError(f'output "{name}" has no kind', where=f"step {shown}", fix=f"Annotate it with {KIND_NAMES}")
            found.append(Output(name, kind))
        return tuple(found)
    many = typing.get_origin(returns) is list
    kind = kind_of(typing.get_args(returns)[0]) if many else kind_of(returns)
    if kind is None:
        raise UsageError("its return annotation names no kind", where=f"step {shown}", fix=f"Annotate it: -> {KIND_NAMES}")
    return (Output("", kind, many),)


@functools.lru_cache(maxsize=4096)
def hints_of(fn: Callable[..., Any]) -> dict[str, Any]:
    """The evaluated annotations of a function, partial, bound method or callable object."""
    target: Any = fn
    while isinstance(target, functools.partial):
        target = target.func
    if "__annotations__" in getattr(target, "__dict__", {}) and hasattr(target, "__signature__"):
        return dict(target.__annotations__)  # a function made by pellucid, which says its own types
    if not inspect.isroutine(target):
        target = type(target).__call__
    try:
        return typing.get_type_hints(inspect.unwrap(target))
    except (NameError, TypeError) as error:
        shown = getattr(target, "__name__", repr(target))
        raise UsageError("an annotation cannot be read", where=f"step {shown}", why=str(error)) from error


def step(
    fn: Callable[..., Any] | Step | None = None,
    /,
    *,
    name: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    over: str | Mapping[str, Sequence[Any]] | None = None,
    by: str | None = None,
    per_unit: bool = False,
    kind: str = "step",
    retries: int = 0,
    backoff: float = 1.0,
    timeout: float | None = None,
    threads: int = 1,
    tolerance: float | None = None,
) -> Any:
    """Make a function a step: `@pl.step`, `@pl.step(retries=2)`, or `pl.step(function, name="again", settings={...})`.

    `inputs` wires a parameter to a node of another name; `settings` gives values to parameters. `over` fans the step out: over
    a list of values (`over={"regularization": [10.0, 100.0]}`), over the elements of a collection (`over="shards"`), or over the
    partitions of a table (`over="visits", by="area"`); its output is then a collection, in a fixed order.
    `per_unit` calls the function once for each unit (person) of its one private table, so that no row of the result can depend
    on another person's rows; only such a result can be released. `retries` runs a failed step again, waiting `backoff` seconds,
    then twice that, and so on; `timeout` is in seconds, for each try. `threads` above 1 lets BLAS and the table engines use as
    many, and then `tolerance` must say by how much (relative) two runs may differ. Raises UsageError.
    """
    if fn is None:
        options = {key: value for key, value in locals().items() if key != "fn"}
        return lambda function: step(function, **options)
    if isinstance(fn, Step):
        fn = fn.fn
    shown = name or getattr(fn, "__name__", repr(fn))
    if not callable(fn):
        raise UsageError("a step is made of a function", where=f"step {shown}")
    if threads < 1 or (threads > 1 and tolerance is None):
        raise UsageError(
            f"threads={threads} needs a tolerance",
            where=f"step {shown}",
            why="sums over several threads may differ in the last digits from run to run",
            fix="Give tolerance=1e-9 or so, or leave threads at 1",
        )
    if tolerance is not None and not 0 <= tolerance < 1:  # also NaN
        raise UsageError(f"a tolerance is from 0 to less than 1, not {tolerance}", where=f"step {shown}", why="it is relative")
    if retries < 0 or backoff < 0 or (timeout is not None and timeout <= 0):
        raise UsageError("retries and backoff cannot be negative, timeout must be above 0", where=f"step {shown}")
    if by is not None and not isinstance(over, str):
        raise UsageError("by= goes with over=<a table input>", where=f"step {shown}")
    return Step(
        fn=fn,
        name=name,
        outputs=outputs_of(fn, hints_of(fn).get("return")),
        inputs=dict(inputs or {}),
        settings=dict(settings or {}),
        over=over,
        by=by,
        per_unit=per_unit,
        kind=kind,
        retries=retries,
        backoff=backoff,
        timeout=timeout,
        threads=threads,
        tolerance=tolerance,
    )
