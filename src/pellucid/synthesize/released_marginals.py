"""What a released table of marginals says: the columns with their cells, and the noised counts of each marginal.

The table may come from a stranger's package, so nothing of it is taken on trust: each marginal must have each of its cells once, in
whatever order, the edges of bins must follow on each other, each column must have a marginal of its own, and the others make no circle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError

if TYPE_CHECKING:
    import polars
    import pyarrow as pa
    from numpy.typing import NDArray

Place = tuple[int, ...]  # the columns of a marginal, by their numbers; the target last
MOST_COLUMNS = 60
MOST_ROWS = 50_000_000
EXACT = 1 << 53  # counts beyond it are none


@dataclass(frozen=True)
class ReleasedColumn:
    """A column of the rows to make: the `values` of its cells, or for bins their `edges` (one more than there are cells)."""

    name: str
    shown: str  # the column of the release that tells which cell a row is of
    values: pa.Array | None
    edges: NDArray[Any] | None

    @property
    def size(self) -> int:
        """How many cells it has."""
        return len(self.values) if self.values is not None else len(self.edges) - 1  # type: ignore[arg-type]

    def codes(self, rows: polars.DataFrame) -> NDArray[Any]:
        """The cell of each row, -1 for none (int64)."""
        import numpy as np
        import pyarrow.compute as pc

        if self.values is not None:
            return np.asarray(pc.index_in(rows[self.shown].to_arrow(), value_set=self.values).fill_null(-1)).astype(np.int64)
        edges, starts = self.edges, rows[self.shown].to_numpy()
        assert edges is not None
        found = np.searchsorted(edges, starts)
        return np.where(edges[np.minimum(found, len(edges) - 1)] == starts, found, -1).astype(np.int64)


@dataclass(frozen=True)
class ReleasedMarginals:
    """`single` are the marginals of one column each (with a target: of one and the target), `joint` those of two (and the target)."""

    columns: tuple[ReleasedColumn, ...]
    target: int | None
    single: dict[Place, NDArray[Any]]
    joint: dict[Place, NDArray[Any]]


def released_marginals(table: Any) -> ReleasedMarginals:
    """Read a release of `pl.privacy.marginals`. Raises DataError for what is none, or whose marginals cannot be joined."""
    import polars

    rows = polars.DataFrame(table)
    if not {"marginal", "count"} <= set(rows.columns) or len(rows.columns) < 4 or not rows.height:
        raise _unreadable("it has no columns `marginal` and `count`, or no rows")
    if len(rows.columns) > 2 + 2 * MOST_COLUMNS or rows.height > MOST_ROWS:
        raise _unreadable(f"it has more than {MOST_COLUMNS} columns or {MOST_ROWS:,} rows")
    for name in ("marginal", "count"):
        if not rows[name].dtype.is_integer() or rows[name].null_count():
            raise _unreadable(f"its column `{name}` is not of whole numbers")
    if rows.select((polars.col("count").abs() > EXACT).any()).item():
        raise _unreadable("a count is too large to be one")
    columns = _columns(rows)
    if rows["marginal"].n_unique() > 2 * len(columns):
        raise _unreadable("it has more marginals than a tree of its columns")
    read = [_marginal(part, columns) for part in rows.partition_by("marginal", maintain_order=True)]
    width = len(read[0][0])
    target = _target(read, len(columns)) if width == 2 else None
    single: dict[Place, NDArray[Any]] = {}
    joint: dict[Place, NDArray[Any]] = {}
    for place, counts in read:
        order = (*(at for at in place if at != target), *(() if target is None else (target,)))
        into = single if len(place) == width else joint
        if order in into:
            raise _unreadable("it has two marginals of the same columns")
        into[order] = counts.transpose([place.index(at) for at in order])
    if width > 2 or any(len(place) != width + 1 for place in joint) or len(single) != len(columns) - (target is not None):
        raise _unreadable("a column has no marginal of its own")
    if target is not None and any(place[-1] != target or target in place[:-1] for place in (*single, *joint)):
        raise _unreadable("its marginals have no target in common")
    _refuse_circle(joint, len(columns))
    return ReleasedMarginals(tuple(columns), target, single, joint)


def _columns(rows: polars.DataFrame) -> list[ReleasedColumn]:
    import numpy as np

    names, columns = [name for name in rows.columns if name not in ("marginal", "count")], []
    for name in names:
        stem = name.removesuffix("_from")
        if stem != name and f"{stem}_to" in names:
            both = rows.select(name, f"{stem}_to").drop_nulls().unique().sort(name)
            if not all(both[end].dtype.is_numeric() for end in both.columns):
                raise _unreadable(f"the bins of {stem} are not of numbers")
            low, high = (both[end].to_numpy().astype(np.float64) for end in both.columns)
            edges = np.append(low, high[-1:])
            if not np.array_equal(low[1:], high[:-1]) or not np.all(np.isfinite(edges)) or np.any(np.diff(edges) <= 0):
                raise _unreadable(f"the bins of {stem} do not follow on each other")
            columns.append(ReleasedColumn(stem, name, None, edges))
        elif not (name.endswith("_to") and f"{name.removesuffix('_to')}_from" in names):
            columns.append(ReleasedColumn(name, name, rows[name].drop_nulls().unique(maintain_order=True).to_arrow(), None))
    if any(column.size == 0 for column in columns):
        raise _unreadable("a column has no cells")
    return columns


def _marginal(part: polars.DataFrame, columns: list[ReleasedColumn]) -> tuple[Place, NDArray[Any]]:
    """The places of a marginal's columns, ascending, and its counts."""
    import numpy as np

    place = tuple(at for at, column in enumerate(columns) if part[column.shown].null_count() < part.height)
    shape = tuple(columns[at].size for at in place)
    if not 1 <= len(place) <= 3 or part.height != math.prod(shape):
        raise _unreadable("a marginal has not a row for each of its cells")
    codes = [columns[at].codes(part) for at in place]
    if any((code < 0).any() for code in codes):
        raise _unreadable("a row of a marginal is of no cell")
    cells = np.ravel_multi_index(tuple(codes), shape)
    if len(np.unique(cells)) != part.height:
        raise _unreadable("a marginal has a cell twice")
    counts = np.empty(part.height)
    counts[cells] = part["count"].to_numpy()
    return place, counts.reshape(shape)


def _target(read: list[tuple[Place, Any]], columns: int) -> int:
    common = set(range(columns)).intersection(*(place for place, _ in read))
    if not common:
        raise _unreadable("its marginals have no target in common")
    return max(common)


def _refuse_circle(joint: dict[Place, Any], columns: int) -> None:
    part = list(range(columns))
    for one, other in (place[:2] for place in joint):
        if part[one] == part[other]:
            raise _unreadable("its marginals of two columns make a circle")
        part = [part[one] if of == part[other] else of for of in part]


def _unreadable(why: str) -> DataError:
    return DataError("these are not marginals that rows can be made of", why=why, fix="Give it a release of pl.privacy.marginals")
