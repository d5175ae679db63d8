"""The Gram matrix in long form: columns `item_a`, `item_b` (a <= b) and `count`, exact or released with noise; or `weight` in place of
`count`, where every person's part was scaled to one length (equal_norm_gram.py). Then a cell of the diagonal is released at half the scale
of a pair's, and is doubled here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


class Matrix(NamedTuple):
    """`items`, sorted (integers or text), and the symmetric matrix of `counts` (float64); pairs not listed count 0.

    `weighted`: the cells are sums of weights, not counts.
    """

    items: NDArray[Any]
    counts: NDArray[Any]
    weighted: bool = False


def matrix_of(gram: Any) -> Matrix:
    """The matrix in a long-form table (anything that speaks the Arrow PyCapsule interface); DataError if it is not one."""
    import numpy as np

    table = arrow_of(gram)
    weighted = "weight" in table.column_names and "count" not in table.column_names
    for column in ("item_a", "item_b", "weight" if weighted else "count"):
        if column not in table.column_names:
            raise DataError(f"a Gram table has the columns item_a, item_b and count; {column!r} is missing")
        if table.column(column).null_count:
            raise DataError(f"column {column!r} of the Gram table has rows without a value")
    first, second = _keys(table.column("item_a")), _keys(table.column("item_b"))
    items, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    a, b = places[: len(first)], places[len(first) :]
    if len(np.unique(np.minimum(a, b) * len(items) + np.maximum(a, b))) != len(a):
        raise DataError("the Gram table lists a pair more than once")
    counts = np.zeros((len(items), len(items)))
    counts[a, b] = np.asarray(table.column("weight" if weighted else "count").to_numpy(), dtype=np.float64)
    counts[b, a] = counts[a, b]
    if weighted:
        counts[np.diag_indices(len(items))] *= 2
    return Matrix(items, counts, weighted)


def noise_level(counts: NDArray[Any]) -> float:
    """The standard deviation of the noise in a released matrix, estimated from the matrix alone; 0 for an exact one.

    True counts are never negative, so a negative cell off the diagonal is noise; most pairs of items are held by hardly anyone,
    so these cells are close to the lower half of the noise. Their root mean square was within 5% of sigma on msweb.
    """
    import numpy as np

    cells = counts[np.triu_indices(len(counts), 1)]
    negative = cells[cells < 0]
    return math.sqrt(float(np.mean(negative**2))) if len(negative) else 0.0


def private_gram(table: Any, item: str, unit: str) -> pa.Table:
    """The exact Gram matrix of all histories, unbounded and without noise: PRIVATE. For the ceiling no release can pass.

    Long form, pairs held by nobody left out.
    """
    import numpy as np
    import pyarrow as pa
    from scipy.sparse import csr_array, triu

    rows = arrow_of(table).select([unit, item]).group_by([unit, item]).aggregate([]).combine_chunks()
    for column in (unit, item):
        if rows.column(column).null_count:
            raise DataError(f"column {column!r} has rows without a value", fix="Drop or fill them while ingesting")
    items = _plain(rows.column(item)).unique().sort()
    columns = np.asarray(_index(_plain(rows.column(item)), items))
    people = np.asarray(_plain(rows.column(unit)).dictionary_encode().indices)
    shape = (int(people.max()) + 1 if len(people) else 0, len(items))
    histories = csr_array((np.ones(len(people), dtype=np.int64), (people, columns)), shape=shape)
    cells = triu(histories.T @ histories).tocoo()
    order = np.lexsort((cells.col, cells.row))
    first, second = pa.array(cells.row[order]), pa.array(cells.col[order])
    return pa.table({"item_a": items.take(first), "item_b": items.take(second), "count": cells.data[order]})


def histories_of(table: Any, item: str, unit: str) -> tuple[NDArray[Any], Any]:
    """`items`, sorted, and who holds which: people (in order of their ids) x items, ones (scipy `csr_array`, float64).

    As private as the table.
    """
    import numpy as np
    from scipy.sparse import csr_array

    rows = arrow_of(table).select([unit, item])
    for column in (unit, item):
        if rows.column(column).null_count:
            raise DataError(f"column {column!r} has rows without a value", fix="Drop or fill them while ingesting")
    if not rows.num_rows:
        raise DataError("the table has no rows", fix="Fit on the people's interactions")
    rows = rows.group_by([unit, item]).aggregate([]).combine_chunks()
    items, places = item_places(rows.column(item))
    _, people = np.unique(_keys(rows.column(unit)), return_inverse=True)
    held = csr_array((np.ones(len(places)), (people, places)), shape=(int(people.max()) + 1, len(items)))
    held.sort_indices()
    return items, held


def item_places(column: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """The items of a column, sorted, and the place of each row's."""
    import numpy as np

    items, places = np.unique(_keys(column), return_inverse=True)
    return items, places


def arrow_of(table: Any) -> pa.Table:
    """The table in Arrow's form: of anything that speaks its PyCapsule interface, or has `.arrow()`."""
    import pyarrow as pa

    return table if isinstance(table, pa.Table) else pa.table(table.arrow() if hasattr(table, "arrow") else table)


def _plain(column: Any) -> Any:
    import pyarrow as pa

    array = column.combine_chunks()
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _index(values: Any, items: Any) -> Any:
    import pyarrow.compute as pc

    return pc.index_in(values, value_set=items)


def _keys(column: Any) -> NDArray[Any]:
    """Items as a numpy array that a model file can hold: integers as they are, all else as text."""
    import numpy as np
    import pyarrow as pa

    array = _plain(column)
    if pa.types.is_integer(array.type):
        return np.asarray(array)
    return np.array([str(value) for value in array.to_pylist()] or [], dtype=str)
