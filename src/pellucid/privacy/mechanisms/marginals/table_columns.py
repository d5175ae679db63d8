"""The columns of a table as they are declared: their cells are public, and every row falls into one cell of each.

A column has listed values, groups of values (one level of a hierarchy), or bins of a declared range. Nothing is read off the data: what
lies outside a range counts in its first or last bin, null and NaN in the first; a value that is not listed counts as `other`, or is
refused before anything is spent.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError
from pellucid.privacy.parameters import checked_bounds, checked_count, checked_name
from pellucid.privacy.private_tables.bounding import bounded_rows, private_file
from pellucid.privacy.private_tables.private_columns import checked_columns, plain_schema, raw_batches
from pellucid.privacy.private_tables.public_partitions import check_public_keys, checked_public_keys, public_keys_as
from pellucid.store import Unit, unit_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MAX_CELLS = 10_000  # of one column
KINDS = ("values", "groups", "bins")


@dataclass(frozen=True)
class Bins:
    """A declared range, cut at `edges` (ascending, at least two); a bin holds its lower edge."""

    edges: tuple[float, ...]


def bins(lower: float, upper: float, count: int) -> Bins:
    """`count` bins of one width from `lower` to `upper`."""
    low, high = checked_bounds(lower, upper)
    checked_count("count", count, 1, MAX_CELLS)
    return Bins((*(low + (high - low) * at / count for at in range(count)), high))


@dataclass(frozen=True)
class Column:
    """One declared column: `cells` are values, (group, values) or edges, by its `kind`."""

    name: str
    kind: str
    cells: tuple[Any, ...]
    other: str = ""

    @property
    def size(self) -> int:
        """How many cells it has."""
        return len(self.cells) - 1 if self.kind == "bins" else len(self.cells) + bool(self.other)

    @property
    def keys(self) -> tuple[Any, ...]:
        """The values that are listed; none for bins."""
        if self.kind == "groups":
            return tuple(value for _, values in self.cells for value in values)
        return () if self.kind == "bins" else self.cells

    def codes(self, values: pa.Array) -> NDArray[Any]:
        """The cell of each value (int64). Raises PrivacyError for one that is not listed, where there is no `other`."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.kind == "bins":
            numbers = np.asarray(values.cast(pa.float64(), safe=False).fill_null(float("nan")))
            numbers = np.where(np.isnan(numbers), self.cells[0], numbers)
            return np.searchsorted(np.array(self.cells[1:-1]), numbers, side="right").astype(np.int64)
        places = pc.index_in(values, value_set=public_keys_as(values.type, self.name, self.keys))
        if places.null_count and not self.other:
            raise PrivacyError(f"column {self.name!r} has a value that is not declared", fix="The data changed: run again")
        found = np.asarray(places.fill_null(len(self.keys))).astype(np.int64)
        return np.append(self._cell_of_key(), len(self.cells))[found]

    def _cell_of_key(self) -> NDArray[Any]:
        import numpy as np

        if self.kind == "groups":
            return np.repeat(np.arange(len(self.cells)), [len(values) for _, values in self.cells])
        return np.arange(len(self.cells))

    def shown(self, codes: NDArray[Any] | None, rows: int) -> dict[str, pa.Array]:
        """The cells as public columns, one, or for bins two (`NAME_from`, `NAME_to`); null everywhere for no codes."""
        import pyarrow as pa

        if self.kind == "bins":
            ends = {"from": self.cells[:-1], "to": self.cells[1:]}
            columns = {f"{self.name}_{end}": pa.array(edges, pa.float64()) for end, edges in ends.items()}
        else:
            labels = [cell[0] if self.kind == "groups" else cell for cell in self.cells] + [self.other] * bool(self.other)
            columns = {self.name: pa.array(labels, pa.string() if isinstance(labels[0], str) else pa.int64())}
        if codes is None:
            return {name: pa.nulls(rows, cells.type) for name, cells in columns.items()}
        return {name: cells.take(pa.array(codes)) for name, cells in columns.items()}


def declared(columns: Mapping[str, object], other: str) -> tuple[tuple[str, str, tuple[Any, ...]], ...]:
    """What people write of the columns, in the one form that is kept: (name, kind, cells). Raises PrivacyError."""
    found: list[tuple[str, str, tuple[Any, ...]]] = []
    for name, given in columns.items():
        if isinstance(given, Bins):
            found.append((name, "bins", tuple(given.edges)))
        elif isinstance(given, Mapping):
            groups: dict[Any, list[Any]] = {}
            for value, group in given.items():
                groups.setdefault(group, []).append(value)
            found.append((name, "groups", tuple((group, tuple(values)) for group, values in groups.items())))
        elif isinstance(given, Sequence) and not isinstance(given, str | bytes):
            found.append((name, "values", tuple(given)))
        else:
            raise PrivacyError(
                f"column {name!r} is declared by {type(given).__name__}",
                fix="Give a list of its values, a mapping of its values to groups, or pl.privacy.bins(lower, upper, count)",
            )
    checked(found, other)
    return tuple(found)


def checked(columns: Sequence[Any], other: str) -> tuple[Column, ...]:
    """The declared columns. Raises PrivacyError for names, kinds or cells that cannot be used."""
    if not isinstance(columns, Sequence) or not 2 <= len(columns) <= 60:
        raise PrivacyError("columns must declare 2 to 60 columns")
    found = []
    for given in columns:
        if not isinstance(given, Sequence) or len(given) != 3 or given[1] not in KINDS:
            raise PrivacyError("a column is declared by its name, values, groups or bins, and the cells of these")
        name, kind, cells = checked_name("columns", given[0]), str(given[1]), _tuples(given[2])
        if kind == "bins":
            cells = _checked_edges(name, cells)
        elif kind == "groups":
            _check_groups(name, cells)
        first = cells[0][1][0] if kind == "groups" else cells[0]
        one = Column(name, kind, cells, other if kind != "bins" and isinstance(first, str) else "")
        if kind != "bins":
            checked_public_keys(one.keys, one.other)
            labels = tuple(group for group, _ in cells) if kind == "groups" else one.keys
            checked_public_keys(labels, one.other, MAX_CELLS)
            _check_storable(name, (*one.keys, *labels, other))
        if not 2 <= one.size <= MAX_CELLS:
            raise PrivacyError(f"column {name!r} has {one.size} cells", fix=f"Declare 2 to {MAX_CELLS:,}, or leave it out")
        found.append(one)
    names = {one.name for one in found if one.kind != "bins"}
    ends = next((name.removesuffix("_from") for name in sorted(names) if f"{name.removesuffix('_from')}_to" in names), None)
    if ends is not None and f"{ends}_from" in names:
        raise PrivacyError(
            f"{ends}_from and {ends}_to would be read as the bins of a column {ends!r}", fix="Rename one before the release"
        )
    shown = ["marginal", "count", *(label for one in found for label in one.shown(None, 0))]
    twice = next((label for label in shown if shown.count(label) > 1), None)
    if twice is not None:
        raise PrivacyError(f"two columns of the release would be called {twice!r}", fix="Rename one before the release")
    return tuple(found)


def check_table(path: Path, unit: str | Unit, columns: Sequence[Column]) -> None:
    """Raise PrivacyError, before anything is spent, for data that do not fit what is declared; no value is shown."""
    checked_columns(path, unit, [c.name for c in columns if c.kind != "bins"], [c.name for c in columns if c.kind == "bins"])
    for column in columns:
        if column.kind != "bins":
            check_public_keys(path, column.name, column.keys, column.other)


def bounded_codes(path: Path, unit: str | Unit, columns: Sequence[Column], key: bytes, scratch: Path) -> Iterator[NDArray[Any]]:
    """Blocks of one row per unit as cell numbers (rows x columns, int64), drawn by the key among the unit's rows (bounding.py)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    owner = list(dict.fromkeys(unit_of(unit).columns))
    names = [name for name in (f"cell {at}" for at in range(len(columns) + len(owner))) if name not in owner][: len(columns)]
    schema = pa.schema([*plain_schema(path, owner), *((name, pa.int64()) for name in names)])
    target = private_file(scratch, "cells.parquet")
    try:
        with pq.ParquetWriter(target, schema, compression="lz4") as writer:
            for batch in raw_batches(path, list(dict.fromkeys([*owner, *(column.name for column in columns)]))):
                arrays = [batch.column(name) for name in owner]
                arrays += [pa.array(column.codes(batch.column(column.name))) for column in columns]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
        yield from bounded_rows(target, unit, names, key, scratch, lambda values: np.stack(values, axis=1))
    finally:
        target.unlink()


def _tuples(cells: object) -> tuple[Any, ...]:
    if not isinstance(cells, Sequence) or isinstance(cells, str | bytes) or not cells:
        raise PrivacyError("the cells of a column must be listed")
    return tuple(_tuples(cell) if isinstance(cell, list | tuple) else cell for cell in cells)


def _check_groups(name: str, cells: tuple[Any, ...]) -> None:
    for cell in cells:
        if not isinstance(cell, tuple) or len(cell) != 2 or not isinstance(cell[1], tuple) or not cell[1]:
            raise PrivacyError(f"the groups of column {name!r} must each list its values")


def _check_storable(name: str, values: tuple[Any, ...]) -> None:
    """Raise PrivacyError for values that no column can hold: whole numbers beyond 64 bits, text with half a character."""
    for value in values:
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise PrivacyError(f"column {name!r} declares a whole number beyond 64 bits")
        try:
            str(value).encode()
        except UnicodeEncodeError:
            raise PrivacyError(f"column {name!r} declares a text that is not valid Unicode") from None


def _checked_edges(name: str, edges: tuple[Any, ...]) -> tuple[float, ...]:
    numbers = all(isinstance(edge, int | float) and not isinstance(edge, bool) and math.isfinite(edge) for edge in edges)
    if not numbers or len(edges) < 3 or any(low >= high for low, high in itertools.pairwise(edges)):
        raise PrivacyError(
            f"the edges of column {name!r} must be at least three numbers, ascending",
            fix="Use pl.privacy.bins(lower, upper, count)",
        )
    checked_bounds(edges[0], edges[-1])
    exact = tuple(float(edge) for edge in edges)
    if any(low >= high for low, high in itertools.pairwise(exact)):
        raise PrivacyError(f"the edges of column {name!r} are too close to each other for numbers of 64 bits")
    return exact
