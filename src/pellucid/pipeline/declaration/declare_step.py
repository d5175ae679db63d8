"""What declares a step: `step`, and how its outputs follow from the annotations of its function."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pellucid.errors import UsageError
from pellucid.pipeline.declaration.nodes import Output, Step
from pellucid.store import kind_of

KIND_NAMES = "pl.Table, pl.Array, pl.Model, pl.Metrics, pl.File, a NamedTuple of these, or list[one of these]"


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
    written = inspect.unwrap(target)
    try:
        return typing.get_type_hints(written)
    except (NameError, TypeError, AttributeError) as error:
        return _hints_one_by_one(written, error)


def _hints_one_by_one(fn: Callable[..., Any], error: Exception) -> dict[str, Any]:
    """The annotations that can be evaluated. One that cannot be belongs to a parameter with a default: then any value fits it."""
    known = dict(getattr(fn, "__globals__", {}))
    with_default = {name for name, spec in inspect.signature(fn).parameters.items() if spec.default is not spec.empty}
    found = {}
    for name, written in getattr(fn, "__annotations__", {}).items():
        try:
            found[name] = typing.get_type_hints(types.SimpleNamespace(__annotations__={name: written}), known)[name]
        except (NameError, TypeError, AttributeError):
            if name not in with_default:
                raise UsageError(
                    f"the annotation of {'what it returns' if name == 'return' else repr(name)} cannot be read",
                    where=f"step {getattr(fn, '__name__', repr(fn))}",
                    why=str(error),
                    fix="Import what it names at the top of the file, outside of `if TYPE_CHECKING:`",
                ) from error
    return found


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
