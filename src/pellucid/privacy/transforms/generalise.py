"""Generalisation: values made coarser, along a hierarchy, or by keeping a code's beginning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from pellucid.errors import UsageError
from pellucid.privacy.parameters import checked_count, checked_name
from pellucid.privacy.transforms.hierarchy import TOP, Hierarchy
from pellucid.privacy.transforms.row_transform import Rows


@dataclass(frozen=True)
class Generalise:
    """Replace each value of `column` by what its hierarchy says at `level`; the column becomes text."""

    column: str
    hierarchy: Hierarchy = field(repr=False)
    level: int

    name: ClassVar[str] = "generalise"
    own_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_name("column", self.column)
        if type(self.hierarchy) is not Hierarchy:  # one of a project could map a value by what it is of
            raise UsageError(f"hierarchy= takes a Hierarchy, not a {type(self.hierarchy).__name__}", where="Generalise")
        checked_count("level", self.level, 0, self.hierarchy.levels - 1)

    def parameters(self) -> dict[str, Any]:
        digest = self.hierarchy.digest
        return {"transform": self.name, "version": 1, "column": self.column, "level": self.level, "hierarchy": digest}

    def merges(self, column: str) -> bool:
        return column == self.column

    def apply(self, rows: Rows, key: bytes) -> Rows:
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = pa.array(self.hierarchy.at(self.level), pa.string())

        def change(column: Any) -> Any:
            return pc.take(texts, pa.array(self.hierarchy.places_of(column, self.column)))

        return rows.with_column(self.column, pa.string(), change)


@dataclass(frozen=True)
class Mask:
    """Keep the first `keep` characters of `column` (the last, if `end`), and put * for each other one; the column becomes text."""

    column: str
    keep: int
    end: bool = False

    name: ClassVar[str] = "mask"
    own_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_name("column", self.column)
        checked_count("keep", self.keep, 0, 1000)

    def parameters(self) -> dict[str, Any]:
        return {"transform": self.name, "version": 1, **vars(self)}

    def merges(self, column: str) -> bool:
        return column == self.column

    def apply(self, rows: Rows, key: bytes) -> Rows:
        import pyarrow as pa
        import pyarrow.compute as pc

        def masked(text: str) -> str:
            hidden = TOP * max(0, len(text) - self.keep)
            return hidden + text[len(hidden) :] if self.end else text[: self.keep] + hidden

        def change(column: Any) -> Any:
            found = column.cast(pa.string()).dictionary_encode()
            return pc.take(pa.array([masked(t) for t in found.dictionary.to_pylist()], pa.string()), found.indices)

        return rows.with_column(self.column, pa.string(), change)
