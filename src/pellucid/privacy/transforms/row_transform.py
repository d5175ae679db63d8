"""Rows that can be read more than once: what transforms take and give, so that chains stream and two passes need no copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pellucid.errors import DataError, UsageError, suggest

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Rows:
    """A schema, and a function that reads the batches from the start."""

    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]

    def map(self, change: Callable[[pa.RecordBatch], pa.RecordBatch], schema: pa.Schema | None = None) -> Rows:
        """The rows changed batch by batch."""
        return Rows(schema or self.schema, lambda: map(change, self.batches()))

    def with_column(self, name: str, kind: pa.DataType, change: Callable[[Any], Any]) -> Rows:
        """The rows with one column replaced; `change` gets an Arrow array (never a dictionary) and gives one of type `kind`."""
        import pyarrow as pa

        at = self.index(name)
        schema = self.schema.set(at, pa.field(name, kind))

        def changed(batch: pa.RecordBatch) -> pa.RecordBatch:
            column = batch.column(at)
            if pa.types.is_dictionary(column.type):
                column = column.dictionary_decode()
            columns = list(batch.columns)
            columns[at] = change(column)
            return pa.RecordBatch.from_arrays(columns, schema=schema)

        return self.map(changed, schema)

    def index(self, name: str) -> int:
        """Where a column is. Raises DataError when it is not there."""
        if name not in self.schema.names:
            near = suggest(name, self.schema.names, f"The columns are: {', '.join(self.schema.names)}")
            raise DataError(f'there is no column "{name}" to transform', fix=near)
        return int(self.schema.get_field_index(name))

    def kind(self, name: str) -> pa.DataType:
        """The type of a column's values."""
        import pyarrow as pa

        kind = self.schema.field(self.index(name)).type
        return kind.value_type if pa.types.is_dictionary(kind) else kind

    def reader(self) -> pa.RecordBatchReader:
        """The rows as one Arrow stream."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self.schema, self.batches())


class Transform(Protocol):
    """One change of a table: a frozen dataclass of its settings.

    `own_rows`: whether what becomes of a row depends on nothing but the rows of the same unit. Then rows still belong to one person
    and a later release can bound what each adds; otherwise the unit is lost, and nothing made of it can be released.
    """

    name: ClassVar[str]
    own_rows: ClassVar[bool]

    def apply(self, rows: Rows, key: bytes) -> Rows:
        """The transformed rows; `key` (32 bytes) drives what must be secret. Raises DataError, which quotes no value."""
        ...

    def parameters(self) -> dict[str, Any]:
        """All that defines the transform, as JSON."""
        ...

    def merges(self, column: str) -> bool:
        """Whether different values of this column may come out the same: it can then no longer be the unit."""
        ...


def rows_from(data: Any) -> Rows:
    """Rows of a path, a stored table, or anything in memory that holds rows (a stream is read into memory once)."""
    from pellucid.store import Table, rows_of

    if isinstance(data, Rows):
        return data
    if isinstance(data, str | Path):
        from pellucid.data import open_table

        path = Path(data)
        return Rows(open_table(path).schema, lambda: iter(open_table(path)))
    if isinstance(data, Table):
        return Rows(data.schema, data.batches)
    try:
        table = rows_of(data).read_all()
    except TypeError as error:
        raise UsageError("this is not a table", why=str(error)) from error
    return Rows(table.schema, lambda: iter(table.to_batches(max_chunksize=65536)))
