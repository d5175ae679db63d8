"""Values as small whole numbers: what makes an assessment of a million rows a matter of milliseconds.

A column becomes codes 0..n-1 (Arrow's dictionary encoding), several columns become one number by mixed radix, and the rows of one
equivalence class are those with the same number. A missing value counts as a value of its own: people without one look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_DENSE = 1 << 20  # up to this many possible codes (or a few per row) an array of counts is cheaper than a hash


@dataclass(frozen=True)
class Codes:
    """A column as codes (int64, one a row) below `size`, and the value each code stands for (the last one, if any, is null)."""

    of: NDArray[Any]
    size: int
    values: Any

    def ordered(self) -> Codes:
        """The same with codes that rise with the values: numbers by size, text by its letters, dates by time, null last."""
        import numpy as np
        import pyarrow.compute as pc

        order = np.asarray(pc.array_sort_indices(self.values, order="ascending", null_placement="at_end"))
        rank = np.empty(self.size, dtype=np.int64)
        rank[order] = np.arange(self.size)
        return Codes(rank[self.of], self.size, self.values.take(order))


def columns_of(data: Any, names: Sequence[str]) -> list[pa.ChunkedArray]:
    """Some columns of a table: a path (read by the readers), or anything that holds rows. Raises DataError for a missing one."""
    import pyarrow as pa

    names = list(names)
    if not names:
        raise UsageError("no column is named", fix="Say which columns identify people, such as age, sex and postcode")
    if len(set(names)) < len(names):
        raise UsageError("a column is named twice", fix="Name each once")
    if isinstance(data, str | Path):
        from pellucid.data import open_table

        return list(open_table(Path(data), options={"columns": names}).read_all().columns)
    if not isinstance(data, pa.Table):
        from pellucid.store import Table, rows_of

        if isinstance(data, Table) and (there := set(names)) <= set(data.columns):
            data = data.polars().select(list(there))
        data = rows_of(data).read_all()
    for name in names:
        if name not in data.column_names:
            raise DataError(f'there is no column "{name}"', fix=f"Its columns are: {', '.join(data.column_names)}")
    return [data.column(name) for name in names]


def encode(column: pa.ChunkedArray) -> Codes:
    """A column as codes in order of first appearance, null last."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(column.type):
        column = pc.add(column, pa.scalar(0.0, column.type))  # -0.0 is 0.0
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)  # a dictionary may hold a value twice
    try:
        found = column.dictionary_encode().combine_chunks()
    except pa.ArrowNotImplementedError as error:
        raise DataError(f"a column of type {column.type} cannot be assessed", fix="Name plain columns") from error
    if isinstance(found, pa.ChunkedArray):
        found = found.chunk(0) if found.num_chunks else pa.array([], column.type).dictionary_encode()
    values, indices = found.dictionary, found.indices
    if indices.null_count:
        indices = pc.fill_null(indices, len(values))
        values = pa.concat_arrays([values, pa.nulls(1, values.type)])
    return Codes(np.asarray(indices).astype(np.int64), len(values), values)


def encode_all(columns: Sequence[pa.ChunkedArray]) -> list[Codes]:
    """All columns, side by side (Arrow lets the interpreter go while it hashes)."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(encode, columns))


def dense(code: NDArray[Any], bound: int) -> tuple[NDArray[Any], int]:
    """The same partition with numbers 0..n-1, rising as before; and n. `code` is int64 below `bound`."""
    import numpy as np

    if bound <= max(_DENSE, 8 * len(code)):
        rank = np.zeros(bound, dtype=np.int64)
        rank[code] = 1
        rank = np.cumsum(rank) - 1
        return rank[code], int(rank[-1]) + 1 if bound else 0
    import pyarrow as pa

    found = pa.array(code).dictionary_encode()
    values = np.asarray(found.dictionary)
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(values)] = np.arange(len(values))
    return rank[np.asarray(found.indices)], len(values)


def mixed(codes: Sequence[Codes]) -> tuple[NDArray[Any], int]:
    """One number for each combination of values (int64), and a bound on them; made dense on the way where it would overflow."""
    joined, bound = codes[0].of, codes[0].size
    for more in codes[1:]:
        if bound * more.size > max(_DENSE, 8 * len(joined)):
            joined, bound = dense(joined, bound)
        joined, bound = joined * more.size + more.of, bound * more.size
    return joined, bound


def classes(codes: Sequence[Codes]) -> tuple[NDArray[Any], int]:
    """The class of each row (rows alike in all columns), numbered from 0, and how many classes there are."""
    return dense(*mixed(codes))


def class_sizes(codes: Sequence[Codes]) -> NDArray[Any]:
    """Rows in each class."""
    import numpy as np

    joined, bound = mixed(codes)
    if bound > max(_DENSE, 8 * len(joined)):
        joined, bound = dense(joined, bound)
    counts = np.bincount(joined, minlength=bound)
    return counts[counts > 0]


def pairs(of_class: NDArray[Any], sensitive: Codes) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """(class, code, rows) for each sensitive value that occurs in a class, sorted by class, then code."""
    import numpy as np

    joined = of_class * sensitive.size + sensitive.of
    bound = (int(of_class.max()) + 1) * sensitive.size if len(of_class) else 0
    if bound <= max(_DENSE, 8 * len(joined)):
        counts = np.bincount(joined, minlength=bound)
        places = np.flatnonzero(counts)
        counts = counts[places]
    else:
        places, counts = np.unique(joined, return_counts=True)
    return places // sensitive.size, places % sensitive.size, counts
