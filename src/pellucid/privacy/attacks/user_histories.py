"""Who holds which items, as a sparse matrix: what attacks on interaction logs work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, suggest

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Histories:
    """`matrix` (scipy csr, people x items, 0 or 1), the people's and the items' values in sorted order (pyarrow arrays)."""

    matrix: Any
    people: pa.Array
    items: pa.Array

    @property
    def sizes(self) -> Any:
        """How many items each person holds."""
        import numpy as np

        return np.diff(self.matrix.indptr)

    @property
    def support(self) -> Any:
        """How many people hold each item."""
        import numpy as np

        return np.bincount(self.matrix.indices, minlength=self.matrix.shape[1])

    def rows(self, places: Any) -> Histories:
        """These people alone."""
        import pyarrow as pa

        return Histories(self.matrix[places], self.people.take(pa.array(places)), self.items)


def histories(table: Any, unit: str, item: str, items: Any = None) -> Histories:
    """The histories in a table (anything that speaks Arrow, or a table handle); repeats count once.

    `items` fixes the columns (other items are left out). Raises DataError where a column is missing or has nulls.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from scipy.sparse import csr_array

    from pellucid.privacy.private_tables import plain_type
    from pellucid.store import rows_of

    data = rows_of(table.polars() if hasattr(table, "polars") and hasattr(table, "path") else table).read_all()
    for name in (unit, item):
        if name not in data.column_names:
            near = suggest(name, data.column_names, f"Its columns are {', '.join(data.column_names)}")
            raise DataError(f"the data has no column {name!r}", fix=near)
        if data.column(name).null_count:
            raise DataError(f"column {name!r} has rows without a value", fix="Drop or fill them first")
    held, who = (data.column(name).cast(plain_type(data.column(name).type)).combine_chunks() for name in (item, unit))
    people = pc.unique(who).sort()
    known = pc.unique(held).sort() if items is None else pa.array(items).cast(held.type)
    rows, columns = pc.index_in(who, value_set=people), pc.index_in(held, value_set=known)
    there = np.asarray(pc.is_valid(columns))
    pairs = np.unique(
        np.asarray(rows).astype(np.int64)[there] * max(1, len(known)) + np.asarray(columns.drop_null()).astype(np.int64)
    )
    matrix = csr_array(
        (np.ones(len(pairs)), (pairs // max(1, len(known)), pairs % max(1, len(known)))), shape=(len(people), len(known))
    )
    matrix.sort_indices()
    return Histories(matrix, people, known)
