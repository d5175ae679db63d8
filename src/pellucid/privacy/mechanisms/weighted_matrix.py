"""The sums of weights of the equal-norm Gram matrix: whole numbers for each number of items that a unit kept, summed over units."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


def weight_table(cap: int, digits: int) -> tuple[tuple[int, int], ...]:
    """(A(m), W(m)) for m = 1 .. cap, in whole numbers only; W(1) is 0, for it is used by nobody."""
    most, found = 4**digits, []
    for m in range(1, cap + 1):
        pairs = m * (m - 1) // 2
        under = 2 * m + 4 * m * (m - 1)
        a = math.isqrt(2 * most // under)
        w = math.isqrt(8 * most // under) if pairs else 0
        while pairs and m * a * a + pairs * (w + 1) ** 2 <= most:
            w += 1
        while m * (a + 1) ** 2 + pairs * w * w <= most:
            a += 1
        found.append((a, w))
    return tuple(found)


def kept_items(units: NDArray[Any]) -> NDArray[Any]:
    """How many items its unit kept, for each row of a block of bounded pairs (a unit's rows are all in one block)."""
    import numpy as np

    _, place, count = np.unique(units, return_inverse=True, return_counts=True)
    return np.asarray(count[place])


def weighted_diagonal(pairs: Path, weights: tuple[tuple[int, int], ...]) -> tuple[pa.Array, NDArray[Any]]:
    """The items of the bounded pairs, sorted, and the sum of A(m) over the units that hold each (before noise: private)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    own = np.array([0, *(a for a, _ in weights)], dtype=np.int64)
    total = None
    with pq.ParquetFile(pairs, pre_buffer=False) as file:
        kind = file.schema_arrow.field("item").type
        for group in range(file.num_row_groups):
            block = file.read_row_group(group, columns=["unit", "item"])
            sums = own[kept_items(np.asarray(block.column("unit")))]
            part = pa.table({"item": block.column("item"), "sum": sums})
            part = (part if total is None else pa.concat_tables([total, part])).group_by("item").aggregate([("sum", "sum")])
            total = part.rename_columns(["item", "sum"]).combine_chunks()
    if total is None:
        return pa.array([], kind), np.zeros(0, dtype=np.int64)
    total = total.sort_by("item").combine_chunks()
    return total.column("item").combine_chunks(), np.asarray(total.column("sum")).astype(np.int64)


def weighted_cells(pairs: Path, kept: pa.Array, weights: tuple[tuple[int, int], ...]) -> NDArray[Any]:
    """The sum of W(m) over the units that hold both of each pair of the kept items (before noise: private): square, int64, symmetric.

    m counts all the items that a unit kept, also those that are not among `kept`.
    """
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from scipy.sparse import csr_array

    own = np.array([0, *(w for _, w in weights)], dtype=np.int64)
    cells = np.zeros((len(kept), len(kept)), dtype=np.int64)
    with pq.ParquetFile(pairs, pre_buffer=False) as file:
        for group in range(file.num_row_groups):
            block = file.read_row_group(group, columns=["unit", "item"])
            units = np.asarray(block.column("unit"))
            places = pc.index_in(block.column("item"), value_set=kept)
            held = np.asarray(pc.is_valid(places))
            columns = np.asarray(places.drop_null()).astype(np.int32)
            if not len(columns):
                continue
            _, rows = np.unique(units[held], return_inverse=True)
            shape = (int(rows.max()) + 1, len(kept))
            ones = csr_array((np.ones(len(rows), dtype=np.int64), (rows, columns)), shape=shape)
            weighted = csr_array((own[kept_items(units)[held]], (rows, columns)), shape=shape)
            part = (ones.T @ weighted).tocoo()
            cells[part.row, part.col] += part.data
    return cells
