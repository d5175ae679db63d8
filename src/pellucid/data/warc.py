"""A WARC file (ISO 28500), plain or gzip, a row for each page that was answered with 200.

Columns: `id` (its address), `title`, `text`, `url`, `date`, `problem`.

A record that is cut off, or a file that ends inside one, is a row that says "truncated": nothing is lost in silence. Of an address that was
fetched again the index keeps the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.data import column_options, extraction_process

if TYPE_CHECKING:
    import pyarrow as pa

OPTIONS = {"columns": column_options.COLUMNS}
FOLDERS = False
BATCH = 200  # rows


def read(path: Path, options: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The rows. Raises UsageError where warcio or selectolax is missing."""
    import pyarrow as pa

    extraction_process.checked({"warc", "html"})
    schema = pa.schema([(name, pa.string()) for name in ("id", "title", "text", "url", "date", "problem")])
    return column_options.chosen(pa.RecordBatchReader.from_batches(schema, _batches(path, schema)), path, options)


def _batches(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    extraction = extraction_process.Extraction()
    rows: list[dict[str, Any]] = []
    try:
        for one in extraction.warc(str(path)):
            rows.append({"title": "", "text": "", "url": "", "date": "", **one, "id": one.get("url", "")})
            if len(rows) >= BATCH:
                yield pa.RecordBatch.from_pylist(rows, schema)
                rows = []
        yield pa.RecordBatch.from_pylist(rows, schema)
    finally:
        extraction.close()
