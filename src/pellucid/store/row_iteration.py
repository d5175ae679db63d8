"""Anything that holds rows, as one Arrow stream.

A step may return whatever speaks the Arrow PyCapsule interface. What arrives as a stream stays one: a record-batch reader, a
duckdb relation and a polars LazyFrame are never in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_WAY_OUT = (
    "a pl.Table may be a pyarrow Table, RecordBatch or RecordBatchReader, a polars or pandas frame, a duckdb relation, "
    "or anything else with __arrow_c_stream__; of a list of dictionaries make one with polars.DataFrame(rows)"
)


def rows_of(value: Any) -> pa.RecordBatchReader:
    """`value` as a stream of record batches. Raises TypeError, in one line, for what is not a table.

    Of a pandas frame the index is kept where it has a name; row numbers without a name are dropped, other values without one refused.
    """
    import pyarrow as pa

    home = type(value).__module__.partition(".")[0]
    try:
        if isinstance(value, pa.RecordBatchReader):
            return value
        if home == "polars" and type(value).__name__ == "LazyFrame":
            return _lazy(value)
        if hasattr(value, "__arrow_c_stream__"):
            reader = pa.RecordBatchReader.from_stream(value)
            return _without_unnamed_index(reader) if home == "pandas" else reader
        if hasattr(value, "__arrow_c_array__"):
            batch = pa.record_batch(value)
            return pa.RecordBatchReader.from_batches(batch.schema, [batch])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise TypeError(f"returned {named_type(value)} without rows ({error}), declared a table: {_WAY_OUT}") from error
    raise TypeError(f"returned {named_type(value)}, declared a table: {_WAY_OUT}")


def named_type(value: Any) -> str:
    """The type of a value as people write it: `list`, `numpy.ndarray`, `nothing (None)`."""
    if value is None:
        return "nothing (None)"
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"


def _without_unnamed_index(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Without the row numbers that pandas carries along after a filter or a sort. An index with a name is a column, and stays.

    Raises TypeError for an index without a name whose values are no row numbers: `describe()` has "mean" and "std" there.
    """
    import pyarrow as pa

    kept = [name for name in reader.schema.names if not (name.startswith("__index_level_") and name.endswith("__"))]
    dropped = [reader.schema.field(name) for name in reader.schema.names if name not in kept]
    if not dropped:
        return reader
    if len(dropped) > 1 or not pa.types.is_integer(dropped[0].type):
        raise TypeError(
            "its index has values but no name, so they would be lost: "
            'name it (frame.rename_axis("name")) or drop it (frame.reset_index(drop=True))'
        )
    schema = pa.schema([reader.schema.field(name) for name in kept])
    return pa.RecordBatchReader.from_batches(schema, (batch.select(kept) for batch in reader))


def _lazy(frame: Any) -> pa.RecordBatchReader:
    """A LazyFrame run by polars' streaming engine, its rows in order."""
    import warnings

    import pyarrow as pa

    schema = pa.schema(frame.collect_schema().to_frame().to_arrow().schema)

    def batches() -> Iterator[pa.RecordBatch]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # polars calls collect_batches unstable; its rows are what we rely on, and test
            frames = frame.collect_batches(maintain_order=True)
        for part in frames:
            yield from part.to_arrow().cast(schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())
