"""Where two stored values part, and by how much.

Equal means equal canonical digests: the encoding of the file does not count. The figures `max_abs` and `max_rel` are there only
when every differing cell is a floating-point number on both sides; None says that no tolerance can cover the difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.store.difference.deviation import Difference, DifferenceCounts, Sizes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def compare(kind: str, a: Path, b: Path) -> Difference | None:
    """None, or the difference between two files of one kind."""
    return {"table": _tables, "array": _arrays, "metrics": _metrics, "model": _models, "file": _files}[kind](a, b)


def _other_shape(where: str, detail: str) -> Difference:
    return Difference(where, 0, None, None, detail)


def _names(where: str, a: Iterable[str], b: Iterable[str]) -> Difference | None:
    """A difference between two sets of names."""
    only_a, only_b = sorted(set(a) - set(b)), sorted(set(b) - set(a))
    if not only_a and not only_b:
        return None
    sides = [
        f"only the {side} has {', '.join(map(repr, names))}" for side, names in (("first", only_a), ("second", only_b)) if names
    ]
    return _other_shape(where, "; ".join(sides))


def _tables(a: Path, b: Path) -> Difference | None:
    from pellucid.store.canonical_form import normal_schema
    from pellucid.store.table import Table, digests

    (whole_a, parts_a), (whole_b, parts_b) = digests(a), digests(b)
    if whole_a == whole_b:
        return None
    first, second = Table(a), Table(b)
    if found := _names("columns", parts_a, parts_b):
        return found
    schema, other = normal_schema(first.schema), normal_schema(second.schema)
    for name in schema.names:
        if schema.field(name).type != other.field(name).type:
            detail = f"the first is {schema.field(name).type}, the second {other.field(name).type}"
            return _other_shape(f"column {name!r}", detail)
    if first.num_rows != second.num_rows:
        return _other_shape("rows", f"the first has {first.num_rows:,} rows, the second {second.num_rows:,}")
    parting = [name for name in schema.names if parts_a[name] != parts_b[name]]
    tally = DifferenceCounts(places=[f"column {name!r}" for name in parting])
    typical = _typical(first, second, parting)
    for x, y in zip(_aligned(first, parting), _aligned(second, parting), strict=True):
        for name in parting:
            _columns(x.column(name).combine_chunks(), y.column(name).combine_chunks(), tally, typical.get(name, 0.0))
    return tally.difference(first.num_rows * len(schema), "columns")


def _typical(first: Any, second: Any, names: list[str]) -> dict[str, float]:
    """The typical size of a cell of each of these columns that holds floating-point numbers: the smaller of both tables."""
    from pyarrow import types

    floating = [name for name in names if types.is_floating(first.schema.field(name).type)]
    sizes = [{name: Sizes() for name in floating} for _ in range(2)]
    for table, of in zip((first, second), sizes, strict=True):
        for batch in _aligned(table, floating) if floating else ():
            for name in floating:
                of[name].add(batch.column(name).combine_chunks().drop_null().to_numpy(zero_copy_only=False))
    return {name: min(of[name].typical for of in sizes) for name in floating}


def _aligned(table: Any, names: list[str]) -> Iterator[pa.Table]:
    """The rows of some columns, cut at the same places whatever the file."""
    import pyarrow as pa

    from pellucid.store.canonical_form import normal_batches, normal_schema

    schema = normal_schema(table.schema)
    chosen = pa.schema([schema.field(name) for name in names])
    return normal_batches((batch.select(names) for batch in table.batches()), chosen)


def _columns(x: pa.Array, y: pa.Array, tally: DifferenceCounts, typical: float) -> None:
    import numpy as np
    import pyarrow.compute as pc
    from pyarrow import types

    if types.is_nested(x.type):
        _cells(x.to_pylist(), y.to_pylist(), tally)
        return
    gone_x, gone_y = (side.is_null().to_numpy(zero_copy_only=False) for side in (x, y))
    present = ~gone_x & ~gone_y
    one_sided = int((gone_x != gone_y).sum())
    tally.cells += one_sided
    tally.exact |= one_sided > 0
    if types.is_floating(x.type):
        left, right = (side.to_numpy(zero_copy_only=False)[present] for side in (x, y))
        _numbers(left, right, tally, typical)
    elif not types.is_null(x.type):
        unequal = int(np.sum(pc.fill_null(pc.not_equal(x, y), False).to_numpy(zero_copy_only=False)))
        tally.cells += unequal
        tally.exact |= unequal > 0


def _numbers(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], tally: DifferenceCounts, typical: float) -> None:
    """Take in two float or complex arrays of one shape; NaN equals NaN."""
    import numpy as np

    differ = (x != y) & ~(np.isnan(x) & np.isnan(y))
    tally.cells += int(differ.sum())
    tally.floats(x[differ], y[differ], typical)


def _cells(xs: list[Any], ys: list[Any], tally: DifferenceCounts) -> None:
    """Take in nested cells, one by one."""
    for x, y in zip(xs, ys, strict=True):
        pairs = list(_unequal(x, y))
        tally.cells += bool(pairs)
        for one, two in pairs:
            if isinstance(one, float) and isinstance(two, float) and not (math.isnan(one) or math.isnan(two)):
                gap, larger = abs(one - two), max(abs(one), abs(two))
                tally.max_abs = max(tally.max_abs, gap)
                relative = gap / larger if math.isfinite(larger) else math.inf
                tally.max_rel, tally.max_scaled = max(tally.max_rel, relative), max(tally.max_scaled, relative)
            else:
                tally.exact = True


def _unequal(x: Any, y: Any) -> Iterator[tuple[Any, Any]]:
    """The leaves at which two nested cells differ."""
    if isinstance(x, dict) and isinstance(y, dict) and x.keys() == y.keys():
        for name in x:
            yield from _unequal(x[name], y[name])
    elif isinstance(x, list | tuple) and isinstance(y, list | tuple) and len(x) == len(y):
        for one, two in zip(x, y, strict=True):
            yield from _unequal(one, two)
    elif x != y and not (x != x and y != y):
        yield x, y


def _array_pair(where: str, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], tally: DifferenceCounts) -> Difference | None:
    """Take in two arrays; a difference at once when their dtype or shape differ."""
    if x.dtype != y.dtype:
        return _other_shape(where, f"the first has dtype {x.dtype}, the second {y.dtype}")
    if x.shape != y.shape:
        return _other_shape(where, f"the first has shape {x.shape}, the second {y.shape}")
    before = tally.cells
    if x.dtype.kind in "fc":
        _numbers(x.reshape(-1), y.reshape(-1), tally, min(Sizes().add(side).typical for side in (x, y)))
    else:
        tally.cells += int((x != y).sum())
        tally.exact |= tally.cells > before
    if tally.cells > before:
        tally.places.append(where)
    return None


def _arrays(a: Path, b: Path) -> Difference | None:
    from pellucid.store import array

    x, y = array.read(a), array.read(b)
    tally = DifferenceCounts()
    if found := _array_pair("array", x, y, tally):
        return found
    return tally.difference(x.size, "arrays") if tally.cells else None


def _models(a: Path, b: Path) -> Difference | None:
    from pellucid.store import model

    if model.digest(a) == model.digest(b):
        return None
    x, y = model.read(a), model.read(b)
    if x.kind != y.kind:
        return _other_shape("kind", f"the first is {x.kind!r}, the second {y.kind!r}")
    if found := _names("settings", x.settings, y.settings) or _names("arrays", x.arrays, y.arrays):
        return found
    for name in sorted(x.settings):
        if repr(x.settings[name]) != repr(y.settings[name]):
            return _other_shape(f"setting {name!r}", f"the first has {x.settings[name]!r}, the second {y.settings[name]!r}")
    tally = DifferenceCounts()
    for name in sorted(x.arrays):
        if found := _array_pair(f"array {name!r}", x.arrays[name], y.arrays[name], tally):
            return found
    return tally.difference(sum(array.size for array in x.arrays.values()), "arrays")


def _metrics(a: Path, b: Path) -> Difference | None:
    from pellucid.store import metrics

    if metrics.digest(a) == metrics.digest(b):
        return None
    x: Mapping[str, int | float] = metrics.read(a)
    y: Mapping[str, int | float] = metrics.read(b)
    if found := _names("metrics", x, y):
        return found
    tally = DifferenceCounts()
    for name in sorted(x):
        before = tally.cells
        one, two = x[name], y[name]
        if type(one) is not type(two):
            tally.cells += 1
            tally.exact = True
        else:
            _cells([one], [two], tally)
        if tally.cells > before:
            tally.places.append(f"metric {name!r}")
    found = tally.difference(len(x), "metrics")
    first = tally.places[0].removeprefix("metric ")
    one, two = next((x[name], y[name]) for name in sorted(x) if repr(name) == first)
    detail = f"{one!r} and {two!r}; {found.detail}"
    return Difference(found.where, found.cells, found.max_abs, found.max_rel, detail, found.max_scaled)


def _files(a: Path, b: Path) -> Difference | None:
    size_a, size_b = a.stat().st_size, b.stat().st_size
    at = 0
    with a.open("rb") as first, b.open("rb") as second:
        while True:
            x, y = first.read(1 << 20), second.read(1 << 20)
            if x != y:
                at += next((i for i, (one, two) in enumerate(zip(x, y, strict=False)) if one != two), min(len(x), len(y)))
                return _other_shape(f"byte {at:,}", f"the first has {size_a:,} bytes, the second {size_b:,}")
            if not x:
                return None
            at += len(x)
