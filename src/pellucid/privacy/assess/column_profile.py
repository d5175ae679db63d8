"""What a column looks like, from one pass over the rows in bounded memory: counts, never values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pellucid.privacy.assess import patterns

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_SKETCH = 4096  # smallest hashes kept a column: so many different values are counted exactly, more within some 5 %
_KEY = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Profile:
    """A column in numbers. `distinct` is exact up to 4,096, an estimate (within some 5 %) above.

    `letters` is the mean length of text, `spaces` the mean number of spaces in it, `names` how many cells hold a name by kind, `low`
    and `high` the range of numbers (never shown; for telling times from other numbers).
    """

    column: str
    type: str
    rows: int
    missing: int
    distinct: int
    letters: float = 0.0
    spaces: float = 0.0
    names: dict[str, int] = field(default_factory=dict)
    low: float | None = field(default=None, repr=False)
    high: float | None = field(default=None, repr=False)

    @property
    def filled(self) -> int:
        return self.rows - self.missing


def profiles(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, more: Callable[[Any], dict[str, int]] | None = None
) -> list[Profile]:
    """The profile of each column. `more` counts further kinds of names in a list of texts (see presidio.py)."""
    seen = [_Column(f.name, f.type, more) for f in schema]
    for batch in batches:
        for column, values in zip(seen, batch.columns, strict=True):
            column.add(values)
    return [column.profile() for column in seen]


class _Column:
    """One column as it is being read."""

    def __init__(self, name: str, kind: pa.DataType, more: Callable[[Any], dict[str, int]] | None) -> None:
        import numpy as np
        import pyarrow as pa

        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        self.name, self.kind, self.more = name, kind, more
        self.is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        self.is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        self.rows = self.missing = self.letters = self.spaces = 0
        self.names: dict[str, int] = {}
        self.low: float | None = None
        self.high: float | None = None
        self.hashes: NDArray[Any] = np.empty(0, dtype=np.uint64)

    def add(self, values: Any) -> None:
        import numpy as np
        import polars
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        self.rows += len(values)
        self.missing += values.null_count
        values = values.drop_null()
        if not len(values):
            return
        if not pa.types.is_nested(self.kind):
            frame = polars.Series("", polars.from_arrow(values.unique()))
            fresh = frame.hash(_KEY).to_numpy()
            self.hashes = np.unique(np.concatenate([self.hashes, fresh]))[:_SKETCH]
        if self.is_number:
            least = pc.min_max(values).as_py()
            if least["min"] is not None and least["min"] == least["min"]:
                self.low = least["min"] if self.low is None else min(self.low, least["min"])
                self.high = least["max"] if self.high is None else max(self.high, least["max"])
        if self.is_text:
            values = values.cast(pa.large_string())
            self.letters += pc.sum(pc.utf8_length(values)).as_py()
            self.spaces += pc.sum(pc.count_substring(values, " ")).as_py()
            found = patterns.count(values)
            if self.more is not None:
                found |= self.more(values.to_pylist())
            self.names = {kind: self.names.get(kind, 0) + count for kind, count in found.items()}

    def profile(self) -> Profile:
        distinct = len(self.hashes)
        if distinct == _SKETCH:  # the k-th smallest of n uniform hashes lies at about k/n
            distinct = round((_SKETCH - 1) / (float(self.hashes[-1]) / 2.0**64))
        filled = max(1, self.rows - self.missing)
        return Profile(
            self.name,
            str(self.kind),
            self.rows,
            self.missing,
            min(distinct, self.rows - self.missing),
            self.letters / filled,
            self.spaces / filled,
            {kind: count for kind, count in self.names.items() if count},
            self.low,
            self.high,
        )
