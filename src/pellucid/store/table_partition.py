"""Cut a table into partitions by the values of a column, streaming: only one batch is in memory at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pellucid.errors import DataError, suggest
from pellucid.store.table import Table

MOST = 1000  # each partition keeps a file open while the table streams by


def partition(table: Table, column: str, folder: Path) -> list[tuple[str, Table]]:
    """(value as text, partition) for each distinct value of `column`, ordered by value with nulls last; rows keep their order.

    Raises DataError when there is no such column, or more than `MOST` distinct values.
    """
    import polars
    import pyarrow.parquet as pq

    if column not in table.columns:
        raise DataError(f'there is no column "{column}" to partition by', fix=suggest(column, table.columns))
    writers: dict[Any, tuple[Path, Any]] = {}
    place = folder / "partitions"
    place.mkdir()
    try:
        for batch in table.batches():
            frame = polars.DataFrame(batch)
            for (value,), rows in frame.partition_by(column, as_dict=True, maintain_order=True).items():
                if value not in writers:
                    if len(writers) == MOST:
                        raise DataError(
                            f'column "{column}" has more than {MOST} values',
                            fix="Partition by a column with fewer, or a bucket of it",
                        )
                    path = place / f"{len(writers)}.parquet"
                    writers[value] = (path, pq.ParquetWriter(path, table.schema))
                writers[value][1].write_table(rows.to_arrow().cast(table.schema))
    finally:
        for _, writer in writers.values():
            writer.close()
    ordered = sorted(writers, key=lambda value: (value is None, value))
    return [(str(value), Table(writers[value][0])) for value in ordered]
