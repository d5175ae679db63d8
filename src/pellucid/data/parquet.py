"""Parquet files, streamed by row group; only the chosen columns are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.data import column_options
from pellucid.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

OPTIONS = {"columns": column_options.COLUMNS}
FOLDERS = False


def read(path: Path, options: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The rows in file order, without pandas or other metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            "is not a whole Parquet file", where=str(path), why=_one_line(error), fix="Copy or write it again"
        ) from error
    schema = file.schema_arrow.remove_metadata()
    names = column_options.checked(path, column_options.wanted(options), schema.names)

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for batch in file.iter_batches(65536, columns=names):
                yield batch.select(names).replace_schema_metadata(None)
        except (pa.ArrowException, OSError) as error:
            raise DataError("is damaged", where=str(path), why=_one_line(error), fix="Copy or write it again") from error

    return pa.RecordBatchReader.from_batches(pa.schema([schema.field(name) for name in names]), batches())


def _one_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(". ")
