"""Top- and bottom-coding: extreme numbers become the bound, because extremes single people out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pellucid.errors import DataError, PrivacyError
from pellucid.privacy.parameters import checked_name
from pellucid.privacy.transforms.row_transform import Rows


@dataclass(frozen=True)
class Clip:
    """Numbers of `column` below `bottom` become `bottom`, above `top` become `top`. The bounds are declared, never looked up in the data.

    NaN becomes missing, since it is no number to bound.
    """

    column: str
    bottom: float | None = None
    top: float | None = None

    name: ClassVar[str] = "clip"
    own_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_name("column", self.column)
        bounds = [b for b in (self.bottom, self.top) if b is not None]
        if (
            not bounds
            or any(isinstance(b, bool) or not isinstance(b, int | float) or b != b for b in bounds)
            or bounds != sorted(bounds)
        ):
            raise PrivacyError(f'column "{self.column}" needs a bottom, a top, or both, with bottom <= top')

    def parameters(self) -> dict[str, Any]:
        return {"transform": self.name, "version": 1, **vars(self)}

    def merges(self, column: str) -> bool:
        return column == self.column

    def apply(self, rows: Rows, key: bytes) -> Rows:
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = rows.kind(self.column)
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise DataError(f'column "{self.column}" is of type {kind}, not a number')
        whole = pa.types.is_integer(kind)
        for bound in (self.bottom, self.top):
            if whole and bound is not None and bound != int(bound):
                raise DataError(f'column "{self.column}" holds whole numbers, and its bound is none', fix="Give a whole number")

        def bounded(column: Any, bound: float | None, beyond: Any) -> Any:
            if bound is None:
                return column
            try:
                limit = pa.scalar(int(bound) if whole else float(bound), kind)
            except (pa.ArrowInvalid, OverflowError) as error:
                raise DataError(f'a bound of column "{self.column}" does not fit its type, {kind}') from error
            return pc.if_else(beyond(column, limit), limit, column)

        def change(column: Any) -> Any:
            if not whole:
                column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
            return bounded(bounded(column, self.bottom, pc.less), self.top, pc.greater)

        return rows.with_column(self.column, kind, change)
