"""What a released table of marginals says: the columns with their cells, and the noised counts of each marginal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

Place = tuple[int, ...]  # the columns of a marginal, by their numbers; the target last


@dataclass(frozen=True)
class ReleasedColumn:
    """A column of the rows to make: the `values` of its cells, or for bins their `edges` (one more than there are cells)."""

    name: str
    values: pa.Array | None
    edges: NDArray[Any] | None

    @property
    def size(self) -> int:
        """How many cells it has."""
        return len(self.values) if self.values is not None else len(self.edges) - 1  # type: ignore[arg-type]


@dataclass(frozen=True)
class ReleasedMarginals:
    """`single` are the marginals of one column each (with a target: of one and the target), `joint` those of two (and the target)."""

    columns: tuple[ReleasedColumn, ...]
    target: int | None
    single: dict[Place, NDArray[Any]]
    joint: dict[Place, NDArray[Any]]


def released_marginals(table: Any) -> ReleasedMarginals:
    """Read a release of `pl.privacy.marginals`. Raises DataError for what is none, or whose marginals cannot be joined."""
    import numpy as np
    import polars

    rows = polars.DataFrame(table)
    if not {"marginal", "count"} <= set(rows.columns) or len(rows.columns) < 4 or not rows.height:
        raise _unreadable("it has no columns `marginal` and `count`, or no rows")
    names = [name for name in rows.columns if name not in ("marginal", "count")]
    columns, held = _columns(rows, names)
    parts = rows.partition_by("marginal", maintain_order=True)
    places: list[tuple[Place, NDArray[Any]]] = []
    for part in parts:
        place = tuple(at for at, name in enumerate(held) if part[name].null_count() < part.height)
        shape = tuple(columns[at].size for at in place)
        if not 1 <= len(place) <= 3 or part.height != int(np.prod(shape)):
            raise _unreadable("a marginal has not a row for each of its cells")
        places.append((place, part["count"].to_numpy().astype(np.float64).reshape(shape)))
    width = len(places[0][0])
    target = _target(places, len(columns)) if width == 2 else None
    single: dict[Place, NDArray[Any]] = {}
    joint: dict[Place, NDArray[Any]] = {}
    for place, counts in places:
        order = (*(at for at in place if at != target), *(() if target is None else (target,)))
        (single if len(place) == width else joint)[order] = counts.transpose([place.index(at) for at in order])
    if len(single) != len(columns) - (target is not None) or any(len(place) != width + 1 for place in joint):
        raise _unreadable("a column has no marginal of its own")
    return ReleasedMarginals(tuple(columns), target, single, joint)


def _columns(rows: Any, names: list[str]) -> tuple[list[ReleasedColumn], list[str]]:
    """The columns, and of each the column of the release that tells whether a marginal has it."""
    import numpy as np

    columns, held = [], []
    for name in names:
        stem = name.removesuffix("_from")
        if stem != name and f"{stem}_to" in names:
            both = rows.select(name, f"{stem}_to").drop_nulls().unique(maintain_order=True)
            low, high = both[name].to_numpy(), both[f"{stem}_to"].to_numpy()
            if not np.array_equal(low[1:], high[:-1]):
                raise _unreadable(f"the bins of {stem} leave a gap")
            columns.append(ReleasedColumn(stem, None, np.append(low, high[-1:])))
            held.append(name)
        elif not (name.endswith("_to") and f"{name.removesuffix('_to')}_from" in names):
            columns.append(ReleasedColumn(name, rows[name].drop_nulls().unique(maintain_order=True).to_arrow(), None))
            held.append(name)
    if any(column.size == 0 for column in columns):
        raise _unreadable("a column has no cells")
    return columns, held


def _target(places: list[tuple[Place, Any]], columns: int) -> int:
    common = set(range(columns))
    for place, _ in places:
        common &= set(place)
    if not common:
        raise _unreadable("its marginals have no target in common")
    return max(common)


def _unreadable(why: str) -> DataError:
    return DataError("these are not marginals that rows can be made of", why=why, fix="Give it a release of pl.privacy.marginals")
