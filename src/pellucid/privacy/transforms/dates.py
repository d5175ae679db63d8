"""Date coarsening: the second of a visit singles a person out, the month rarely does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pellucid.errors import DataError, PrivacyError
from pellucid.privacy.parameters import checked_name
from pellucid.privacy.transforms.row_transform import Rows

UNITS = ("hour", "day", "week", "month", "quarter", "year")
_EPOCHS = {"seconds": "s", "milliseconds": "ms"}


@dataclass(frozen=True)
class Coarsen:
    """Times of `column` become the beginning of their `unit` (hour, day, week from Monday, month, quarter, year), in UTC if without zone.

    `epoch` ("seconds" or "milliseconds") says that the column holds whole numbers since 1970; they stay such numbers.
    """

    column: str
    unit: str
    epoch: str | None = None

    name: ClassVar[str] = "coarsen"
    own_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_name("column", self.column)
        if self.unit not in UNITS:
            raise PrivacyError(f"{self.unit!r} is not a unit of time", fix=f"Units are: {', '.join(UNITS)}")
        if self.epoch is not None and self.epoch not in _EPOCHS:
            raise PrivacyError(f"epoch must be seconds or milliseconds, not {self.epoch!r}")

    def parameters(self) -> dict[str, Any]:
        return {"transform": self.name, "version": 1, **vars(self)}

    def merges(self, column: str) -> bool:
        return column == self.column

    def apply(self, rows: Rows, key: bytes) -> Rows:
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = rows.kind(self.column)
        if self.epoch is None and not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            raise DataError(
                f'column "{self.column}" is of type {kind}, not a time', fix='Give epoch="seconds" for numbers since 1970'
            )
        if self.epoch is not None and not pa.types.is_integer(kind):
            raise DataError(f'column "{self.column}" is of type {kind}, not whole numbers since 1970')
        if pa.types.is_date(kind) and self.unit == "hour":
            raise DataError(f'column "{self.column}" holds dates, which have no hour')

        def change(column: Any) -> Any:
            if self.epoch is None:
                return pc.floor_temporal(column, unit=self.unit).cast(kind)
            times = column.cast(pa.int64()).cast(pa.timestamp(_EPOCHS[self.epoch]))
            return pc.floor_temporal(times, unit=self.unit).cast(pa.int64()).cast(kind)

        return rows.with_column(self.column, kind, change)
