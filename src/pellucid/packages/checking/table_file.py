"""A Parquet file that another version of its library wrote: whether all it says beside its rows follows from them.

Readers trust statistics: a forged smallest or largest value makes an honest filter leave rows out. So each is computed again.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

NOTES = {b"ARROW:schema"}
_WRITER = re.compile(r"parquet-cpp-arrow version [0-9.]{1,20}")


def refused(path: Path) -> str | None:
    """Why the file is refused, "" where it is not; None for one that this library wrote, whose bytes are compared instead."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            if file.metadata.created_by == f"parquet-cpp-arrow version {pa.__version__}":
                return None
            if not _WRITER.fullmatch(file.metadata.created_by or ""):
                return f"{path.name} was not written by pellucid, but by {file.metadata.created_by!r:.60}"
            notes = set(file.metadata.metadata or {}) - NOTES
            if notes:
                return f"{path.name} holds notes beside its rows: {min(notes).decode(errors='replace')!r:.60}"
            for group in range(file.num_row_groups):
                if why := _statistics(file, group):
                    return f"{path.name}: {why}"
    except (pa.ArrowException, OSError, ValueError) as error:
        return f"{path.name} cannot be read ({type(error).__name__})"
    return ""


def _statistics(file: Any, group: int) -> str:
    """What a row group says of a column that is not so, "" where all is."""
    import pyarrow.compute as pc

    known = file.metadata.row_group(group)
    rows = file.read_row_group(group)
    if rows.num_rows != known.num_rows:
        return "it states another number of rows"
    for at in range(known.num_columns):
        column = known.column(at)
        if column.has_offset_index or column.has_column_index:
            return f"it holds an index of {column.path_in_schema!r:.60}, which pellucid does not write"
        stated = column.statistics
        if stated is None or "." in column.path_in_schema:
            continue
        values = rows.column(column.path_in_schema)
        if stated.has_null_count and stated.null_count != values.null_count:
            return f"it states another number of nulls in {column.path_in_schema!r:.60}"
        if stated.has_min_max:
            found = pc.min_max(values)
            if [stated.min, stated.max] != [found["min"].as_py(), found["max"].as_py()]:
                return f"it states another range of {column.path_in_schema!r:.60}"
    return ""
