"""Tables: Parquet files that are scanned, not loaded.

Written from the normal form (canonical_form.py) with fixed settings, so that the same rows give the same bytes with the same pyarrow
(Parquet names the version of its writer in the file; across versions compare digests, not bytes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid import html_display
from pellucid.errors import DamagedError, DataError, UsageError
from pellucid.store.atomic_write import RECOMPUTE, writing

if TYPE_CHECKING:
    import duckdb
    import polars
    import pyarrow as pa
    import pyarrow.parquet as pq

SUFFIX = ".parquet"
FIRST_ROWS = 10  # that an open table shows of itself


@dataclass(frozen=True, repr=False)
class Table:
    """A handle on the rows of a Parquet file: read-only, and cheap to pass on.

    It speaks the Arrow PyCapsule interface, so `polars.DataFrame(table)` or `pyarrow.table(table)` work; for tables larger than
    memory use `polars()` (lazy), `duckdb()` or `batches()`. Rows come in the order in which they were written.
    """

    path: Path
    is_open: bool = field(default=False, compare=False)  # whether its rows may show themselves

    def __repr__(self) -> str:
        """Columns with their types, and of an open table how many rows it has and the first of them."""
        columns = ", ".join(f"{one.name} {one.type}" for one in self.schema)
        if not self.is_open:
            return f"Table of {columns} (rows withheld: not known to be open)"
        return f"Table of {self.num_rows:,} rows: {columns}\n{self._head()}"

    def _repr_html_(self) -> str:
        columns = [f"{one.name} ({one.type})" for one in self.schema]
        if not self.is_open:
            return html_display.table("Table", columns, [], "Rows withheld: not known to be open.")
        rows = [row.values() for row in self._head().to_dicts()]
        return html_display.table(f"Table of {self.num_rows:,} rows", columns, map(list, rows))

    def _head(self) -> polars.DataFrame:
        return self.polars().head(FIRST_ROWS).collect()

    def pandas(self) -> Any:
        """All rows as a pandas frame, in memory. Raises UsageError where pandas is not installed."""
        try:
            return self.arrow().to_pandas()
        except ImportError as error:
            raise UsageError("pandas is not installed", fix="Install it, or use polars(), arrow() or duckdb()") from error

    def arrow(self) -> pa.Table:
        """All rows, in memory."""
        import pyarrow as pa

        with self._file() as file:
            return pa.Table.from_batches(file.iter_batches(1 << 17), self._schema(file))

    def polars(self) -> polars.LazyFrame:
        """A lazy scan: polars reads only the columns and rows that are asked for."""
        import polars

        return polars.scan_parquet(self.path, glob=False)

    def duckdb(self) -> duckdb.DuckDBPyRelation:
        """A duckdb relation over the file, on a connection of its own, which the relation keeps alive."""
        import glob

        import duckdb

        return duckdb.connect().read_parquet(glob.escape(str(self.path)))

    def batches(self, rows: int = 65536) -> Iterator[pa.RecordBatch]:
        """The rows as record batches of at most `rows` rows; memory is bounded by one row group."""
        with self._file() as file:
            yield from file.iter_batches(rows)

    @property
    def schema(self) -> pa.Schema:
        with self._file() as file:
            return self._schema(file)

    @property
    def columns(self) -> list[str]:
        return list(self.schema.names)

    @property
    def num_rows(self) -> int:
        with self._file() as file:
            return int(file.metadata.num_rows)

    def __len__(self) -> int:
        return self.num_rows

    def __bool__(self) -> bool:
        return True  # a handle; an empty table is one, too

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        import pyarrow as pa

        reader = pa.RecordBatchReader.from_batches(self.schema, self.batches(1 << 17))
        return reader.__arrow_c_stream__(requested_schema)

    @contextmanager
    def _file(self) -> Iterator[pq.ParquetFile]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(self.path, pre_buffer=False)  # else what was read of the whole file stays in memory
        except pa.ArrowInvalid as error:
            raise DamagedError("not a whole Parquet file", where=str(self.path), why=str(error), fix=RECOMPUTE) from error
        with file:
            yield file

    @staticmethod
    def _schema(file: pq.ParquetFile) -> pa.Schema:
        return file.schema_arrow.remove_metadata()


def write(value: Any, path: Path) -> str:
    """Write the rows of `value` (see row_iteration.py) to `path` as a stream; return the canonical digest, computed on the way."""
    import pyarrow.parquet as pq

    from pellucid.store.canonical_digest import TableDigest
    from pellucid.store.canonical_form import ROW_GROUP, normal_batches, normal_schema
    from pellucid.store.row_iteration import rows_of

    reader = rows_of(value)
    try:
        schema = normal_schema(reader.schema)
    except TypeError as error:
        raise TypeError(f"returned a table that cannot be stored: {error}") from None
    _refuse_hollow(schema)
    digest = TableDigest(schema)
    texts = {field.name: leaves for field in schema if (leaves := _texts(field.name, field.type))}
    with writing(path):
        writer = pq.ParquetWriter(
            path,
            schema,
            version="2.6",
            compression="zstd",
            compression_level=1,
            use_dictionary=[leaf for leaves in texts.values() for leaf in leaves],
            write_statistics=True,
            store_schema=True,
        )
    try:
        for table in normal_batches(reader, schema):
            _refuse_bytes_as_text(table, texts)
            digest.start(table)  # the hash runs beside the encoder
            with writing(path):
                writer.write_table(table, ROW_GROUP)
            digest.wait()
        with writing(path):
            writer.close()
    except BaseException:
        _abandon(writer)
        raise
    finally:
        name, _ = digest.finish()
    return name


def _texts(path: str, kind: pa.DataType) -> list[str]:
    """The Parquet columns that hold text or binary: the ones worth a dictionary. Trying one on numbers makes writing five times
    slower and files of identifiers larger (measured)."""
    from pyarrow import types

    if types.is_string(kind) or types.is_binary(kind):
        return [path]
    if types.is_map(kind):
        return _texts(f"{path}.key_value.key", kind.key_type) + _texts(f"{path}.key_value.value", kind.item_type)
    if types.is_list(kind):
        return _texts(f"{path}.list.element", kind.value_type)
    if types.is_struct(kind):
        return [leaf for field in kind for leaf in _texts(f"{path}.{field.name}", field.type)]
    return []


def _refuse_bytes_as_text(table: pa.Table, names: Iterable[str]) -> None:
    """Arrow takes any bytes for text, and what reads them later fails or mixes up rows. Raises DataError, without the value."""
    import pyarrow as pa

    for name in names:
        try:
            table.column(name).validate(full=True)
        except pa.ArrowInvalid:
            raise DataError(
                f"column {name!r} holds text that is not valid UTF-8", fix="Read it with its own encoding, or make it bytes"
            ) from None


def _refuse_hollow(schema: pa.Schema) -> None:
    """Parquet has no struct without fields."""
    from pyarrow import types

    def hollow(kind: pa.DataType) -> bool:
        if types.is_struct(kind) and not kind.num_fields:
            return True
        return any(hollow(kind.field(i).type) for i in range(kind.num_fields)) if types.is_nested(kind) else False

    for column in schema:
        if hollow(column.type):
            raise TypeError(f"returned a table that cannot be stored: column {column.name!r} holds structs without fields")


def _abandon(writer: pq.ParquetWriter) -> None:
    """Let go of the file behind a writer that failed; its footer may fail to be written for the same reason."""
    import pyarrow as pa

    with suppress(OSError, pa.ArrowException):
        writer.close()


def read(path: Path) -> Table:
    """The handle on a stored table."""
    return Table(path)


def digest(path: Path) -> str:
    """The canonical digest, from the rows in the file, at bounded memory."""
    return digests(path)[0]


def digests(path: Path) -> tuple[str, dict[str, bytes]]:
    """The canonical digest and that of each column."""
    from pellucid.store.canonical_digest import table_digest

    table = Table(path)
    return table_digest(table.batches(1 << 17), table.schema)
