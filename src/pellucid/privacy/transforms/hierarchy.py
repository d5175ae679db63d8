"""Generalisation hierarchies: for each value, what it becomes at level 1, 2, ...; read from a file or made from a rule."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from pellucid.errors import DataError, UsageError

TOP = "*"


@dataclass(frozen=True)
class Hierarchy:
    """Rows of (value, level 1, level 2, ...), each level coarser than the one before: what is equal stays equal."""

    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if not self.rows or not self.rows[0]:
            raise UsageError("a hierarchy needs at least one row")
        if len({len(row) for row in self.rows}) > 1:
            raise UsageError("a hierarchy's rows differ in length", fix="Give each value as many levels as the others")
        values = [row[0] for row in self.rows]
        if len(set(values)) < len(values):
            raise UsageError("a hierarchy has a value twice", fix="Give each value one row")
        for level in range(1, len(self.rows[0])):
            parent: dict[str, str] = {}
            for row in self.rows:
                if parent.setdefault(row[level - 1], row[level]) != row[level]:
                    raise UsageError(
                        f"a hierarchy is not nested: values that are equal at level {level - 1} differ at level {level}",
                        fix="Make each level coarser than the one before",
                    )

    @property
    def levels(self) -> int:
        """How many levels there are, level 0 (the values themselves) included."""
        return len(self.rows[0])

    @cached_property
    def places(self) -> dict[str, int]:
        """Row of each value."""
        return {row[0]: at for at, row in enumerate(self.rows)}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the rows, which stands for them where they would be too long."""
        return hashlib.sha256(repr(self.rows).encode()).hexdigest()

    def at(self, level: int) -> list[str]:
        """What each row's value becomes at a level."""
        return [row[level] for row in self.rows]

    def codes(self, level: int) -> tuple[Any, int]:
        """The same as numbers (int64, by first appearance), and how many there are."""
        import numpy as np

        seen: dict[str, int] = {}
        found = [seen.setdefault(text, len(seen)) for text in self.at(level)]
        return np.array(found, dtype=np.int64), len(seen)

    def places_of(self, column: Any, name: str) -> Any:
        """The hierarchy's row for each value of an Arrow array (int64). Raises DataError where it does not know some."""
        import numpy as np
        import pyarrow as pa

        found = column.dictionary_encode()
        if isinstance(found, pa.ChunkedArray):
            found = found.combine_chunks()
        texts = found.dictionary.cast(pa.string()).to_pylist()
        if found.null_count:
            raise DataError(
                f'column "{name}" has rows without a value', fix="Drop or fill them, for a hierarchy has no place for them"
            )
        unknown = sum(text not in self.places for text in texts)
        if unknown:
            raise DataError(
                f'column "{name}" has values that its hierarchy does not know', why=f"{unknown:,} of them", fix="Add them to it"
            )
        return (
            np.array([self.places[text] for text in texts], dtype=np.int64)[np.asarray(found.indices)]
            if texts
            else np.empty(0, int)
        )


def read_hierarchy(path: str | Path, *, delimiter: str = ";") -> Hierarchy:
    """A hierarchy from a CSV file without header: value, level 1, level 2, ... (the form that ARX uses). Raises DataError, UsageError."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = tuple(tuple(row) for row in csv.reader(file, delimiter=delimiter) if row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError("the hierarchy cannot be read", where=str(path), why=str(error)) from error
    try:
        return Hierarchy(rows)
    except UsageError as error:
        raise UsageError(error.what, where=str(path), fix=error.fix) from error


def intervals(low: int, high: int, widths: Sequence[int]) -> Hierarchy:
    """A hierarchy of the whole numbers from `low` to `high`: intervals of each width from `low` on, then everything.

    Each width must be a multiple of the one before. Raises UsageError.
    """
    if high < low or high - low > 1_000_000:
        raise UsageError("an interval hierarchy needs low <= high, and at most a million values")
    if not widths or any(w < 2 for w in widths) or any(b % a or b == a for a, b in pairwise(widths)):
        raise UsageError("the widths of intervals must rise, each a multiple of the one before", fix="Such as [5, 10, 20]")

    def shown(value: int, width: int) -> str:
        start = low + (value - low) // width * width
        return f"{start}-{min(start + width - 1, high)}"

    return Hierarchy(tuple((str(v), *(shown(v, w) for w in widths), TOP) for v in range(low, high + 1)))


def masks(values: Sequence[str], *, keep: Sequence[int]) -> Hierarchy:
    """A hierarchy of codes such as postcodes: their first `keep` characters with the rest masked by *, for each number in `keep`
    (falling), then everything. Raises UsageError."""
    if any(b >= a for a, b in pairwise(keep)) or any(n < 0 for n in keep):
        raise UsageError("the numbers of characters to keep must fall", fix="Such as [4, 3, 1]")
    rows = [(v, *(v[:n] + TOP * max(0, len(v) - n) for n in keep), TOP * 2) for v in sorted(set(values))]
    return Hierarchy(tuple(rows))
