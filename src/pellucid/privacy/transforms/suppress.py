"""Suppression: columns and rows that are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import DataError, PrivacyError
from pellucid.privacy.parameters import checked_count, checked_name
from pellucid.privacy.transforms.row_transform import Rows

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True)
class Drop:
    """Leave out columns."""

    columns: tuple[str, ...]

    name: ClassVar[str] = "drop"
    own_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", _names(self.columns))

    def parameters(self) -> dict[str, Any]:
        return {"transform": self.name, "version": 1, "columns": list(self.columns)}

    def merges(self, column: str) -> bool:
        return column in self.columns

    def apply(self, rows: Rows, key: bytes) -> Rows:
        import pyarrow as pa

        for column in self.columns:
            rows.index(column)
        kept = [name for name in rows.schema.names if name not in self.columns]
        if not kept:
            raise DataError("every column would be dropped", fix="Keep one")
        return rows.map(lambda batch: batch.select(kept), pa.schema([rows.schema.field(name) for name in kept]))


@dataclass(frozen=True)
class SuppressSmall:
    """Leave out the rows that share their values in `columns` with fewer than `k` - 1 others: what is left is k-anonymous in them.

    Whether a row stays depends on other people's rows, so the result has no unit.
    """

    columns: tuple[str, ...]
    k: int

    name: ClassVar[str] = "suppress_small"
    own_rows: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", _names(self.columns))
        checked_count("k", self.k, 2, 1_000_000)

    def parameters(self) -> dict[str, Any]:
        return {"transform": self.name, "version": 1, "columns": list(self.columns), "k": self.k}

    def merges(self, column: str) -> bool:
        return False

    def apply(self, rows: Rows, key: bytes) -> Rows:
        import polars

        return _kept(rows, list(self.columns), polars.col("").sum() >= self.k, None)


@dataclass(frozen=True)
class DropRare:
    """Leave out the rows whose `item` fewer than `people` different people (values of `unit`) have.

    A rare item names its people. Whether a row stays depends on other people's rows, so the result has no unit.
    """

    item: str
    unit: str
    people: int

    name: ClassVar[str] = "drop_rare"
    own_rows: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checked_name("item", self.item)
        checked_name("unit", self.unit)
        checked_count("people", self.people, 2, 1_000_000_000)

    def parameters(self) -> dict[str, Any]:
        return {"transform": self.name, "version": 1, **vars(self)}

    def merges(self, column: str) -> bool:
        return False

    def apply(self, rows: Rows, key: bytes) -> Rows:
        import polars

        return _kept(rows, [self.item], polars.len() >= self.people, self.unit)


def _names(columns: object) -> tuple[str, ...]:
    if isinstance(columns, str) or not isinstance(columns, list | tuple) or not columns:
        raise PrivacyError(f"columns must be a list of names, not {columns!r:.60}")
    return tuple(checked_name("columns", name) for name in columns)


def _kept(rows: Rows, columns: list[str], enough: polars.Expr, unit: str | None) -> Rows:
    """The rows whose values in `columns` are held by enough rows, or, with `unit`, by enough different units.

    Two passes; in memory are the distinct combinations only, which are counted batch by batch.
    """
    from collections.abc import Iterator

    import polars
    import pyarrow as pa

    for column in [*columns, *([unit] if unit else [])]:
        rows.index(column)
    counted = [*columns, *([unit] if unit and unit not in columns else [])]

    def held(batch: pa.RecordBatch) -> polars.DataFrame:
        frame = polars.from_arrow(pa.table(batch.select(counted)))
        assert isinstance(frame, polars.DataFrame)
        return frame.with_columns(polars.col(polars.Categorical, polars.Enum).cast(polars.String))

    def batches() -> Iterator[pa.RecordBatch]:
        known: polars.DataFrame | None = None
        for batch in rows.batches():
            fresh = held(batch).group_by(counted).agg(polars.len().alias(""))
            known = fresh if known is None else polars.concat([known, fresh]).group_by(counted).agg(polars.col("").sum())
        if known is None:
            return
        stay = known.group_by(columns).agg(enough.alias(" stays")).filter(polars.col(" stays"))
        for batch in rows.batches():
            found = held(batch).select(columns).join(stay, on=columns, how="left", nulls_equal=True, maintain_order="left")
            yield batch.filter(pa.array(found[" stays"].fill_null(False).to_numpy()))

    return Rows(rows.schema, batches)
