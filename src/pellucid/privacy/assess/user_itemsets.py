"""A user-item log as sets: which items each person has, and which people each item has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError
from pellucid.privacy.assess.column_codes import columns_of, encode_all

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Histories:
    """Distinct (person, item) pairs twice over: by person and by item, items and people numbered from 0 by first appearance.

    The items of person p are `items[starts[p]:starts[p + 1]]`, rising; the people of item i are `people[item_starts[i]:...]`, rising.
    """

    starts: NDArray[Any]
    items: NDArray[Any]
    item_starts: NDArray[Any]
    people: NDArray[Any]

    @property
    def persons(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[Any]:
        import numpy as np

        return np.diff(self.starts)

    def of(self, person: int) -> NDArray[Any]:
        return self.items[self.starts[person] : self.starts[person + 1]]

    def who(self, item: int) -> NDArray[Any]:
        return self.people[self.item_starts[item] : self.item_starts[item + 1]]

    def matrix(self) -> Any:
        """People x items, ones (scipy CSR, int64)."""
        import numpy as np
        from scipy import sparse

        shape = (self.persons, len(self.item_starts) - 1)
        return sparse.csr_array((np.ones(len(self.items), dtype=np.int64), self.items, self.starts), shape=shape)


def histories(data: Any, unit: str, item: str) -> Histories:
    """The histories of a log (a path or anything that holds rows). Raises DataError for no rows or missing values."""
    import numpy as np

    if unit == item:
        raise UsageError(f'"{unit}" cannot be unit and item at once')
    columns = columns_of(data, [unit, item])
    for name, column in zip([unit, item], columns, strict=True):
        if column.null_count:
            raise DataError(f'column "{name}" has rows without a value', fix="Drop or fill them first")
    who, what = encode_all(columns)
    if not len(who.of):
        raise DataError("the log has no rows, so there is nothing to assess")
    pairs = np.unique(who.of * what.size + what.of)
    people, items = pairs // what.size, pairs % what.size
    order = np.argsort(items, kind="stable")
    starts = np.r_[0, np.cumsum(np.bincount(people, minlength=who.size))]
    item_starts = np.r_[0, np.cumsum(np.bincount(items, minlength=what.size))]
    return Histories(starts, items, item_starts, people[order])
