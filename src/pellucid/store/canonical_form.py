"""The normal form of a table: one Arrow type for each kind of cell, and row groups of one size.

The same rows reach the store as categoricals, string views, extension types, in ten-row batches or in one chunk of ten million.
Digest and file must not depend on that, so both are made from the normal form:

- dictionary (categorical) and run-end encoded columns hold their decoded values, Arrow's own extension types their storage (others, such
  as pandas' periods, would lose their meaning and are refused);
- string, large_string and string_view are `string`, the three binaries `binary`, every list type (also of fixed size, which
  Parquet cannot keep where it has nulls) is `list`;
- seconds become milliseconds in timestamp and time32, date64 becomes date32: what Parquet does to them anyway. Other units and
  the time zone are part of the type, as are the widths of numbers;
- decimals up to 38 digits are decimal128, wider ones decimal256;
- names and nullability of inner list fields, and all metadata, are dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 1 << 17  # rows in a row group of every file we write


def normal_type(kind: pa.DataType) -> pa.DataType:
    """The normal form of an Arrow type. Raises TypeError for types that have none (unions, intervals, foreign extension types)."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return normal_type(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        if not kind.extension_name.startswith("arrow."):
            known = f"{kind.extension_name}, of which only {kind.storage_type} would be kept"
            raise TypeError(f"columns of the type {known}; convert them to times, text, numbers or lists first")
        return normal_type(kind.storage_type)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_map(kind):
        return pa.map_(normal_type(kind.key_type), normal_type(kind.item_type))
    if _is_list(kind):
        return pa.list_(pa.field("element", normal_type(kind.value_type)))
    if types.is_struct(kind):
        return pa.struct([pa.field(field.name, normal_type(field.type)) for field in kind])
    if types.is_timestamp(kind):
        return pa.timestamp("ms" if kind.unit == "s" else kind.unit, kind.tz)
    if types.is_time32(kind):
        return pa.time32("ms")
    if types.is_date64(kind):
        return pa.date32()
    if types.is_decimal(kind):
        return (pa.decimal128 if kind.precision <= 38 else pa.decimal256)(kind.precision, kind.scale)
    if (types.is_primitive(kind) or types.is_fixed_size_binary(kind) or types.is_null(kind)) and not types.is_interval(kind):
        return kind
    raise TypeError(f"columns of Arrow type {kind} cannot be stored; convert them to numbers, strings, lists or structs first")


def _is_list(kind: pa.DataType) -> bool:
    from pyarrow import types

    return any(
        test(kind)
        for test in (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)
    )


def normal_schema(schema: pa.Schema) -> pa.Schema:
    """The normal form of a schema, in the same column order. Raises TypeError for a name used twice or an unusable type."""
    import pyarrow as pa

    twice = sorted(name for name, count in Counter(schema.names).items() if count > 1)
    if twice:
        raise TypeError(f"the table has more than one column named {twice[0]!r}; names must differ")
    fields = []
    for field in schema:
        try:
            fields.append(pa.field(field.name, normal_type(field.type)))
        except TypeError as error:
            raise TypeError(f"column {field.name!r}: {error}") from None
    return pa.schema(fields)


def _entries(kind: pa.DataType) -> pa.DataType:
    """A map as the list of its entries."""
    import pyarrow as pa

    return pa.list_(pa.field("element", pa.struct([("key", kind.key_type), ("value", kind.item_type)])))


def normal_array(array: pa.Array, target: pa.DataType) -> pa.Array:
    """`array` in the normal form `target` of its type; without a copy where it has it already."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    if array.type.equals(target):
        return array
    if types.is_dictionary(array.type):
        return normal_array(array.dictionary, target).take(array.indices)
    if types.is_run_end_encoded(array.type):
        return normal_array(pc.run_end_decode(array), target)
    if isinstance(array.type, pa.BaseExtensionType):
        return normal_array(array.storage, target)
    # Arrow's own casts of nested types give broken offsets where views or fixed sizes meet nulls (seen with 25.0): rebuild them
    if types.is_struct(target):
        fields = [normal_array(child, field.type) for child, field in zip(array.flatten(), target, strict=True)]
        return pa.StructArray.from_arrays(fields, fields=list(target), mask=array.is_null())
    if types.is_map(target):
        entries = normal_array(array.cast(_entries(array.type)), _entries(target))
        keys, items = entries.values.flatten()
        return pa.MapArray.from_arrays(entries.offsets, keys, items, type=target, mask=array.is_null())
    if types.is_list(target):
        lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        values = normal_array(pc.list_flatten(array), target.value_type)
        return pa.ListArray.from_arrays(offsets, values, type=target, mask=array.is_null())
    if types.is_large_string(array.type) or types.is_large_binary(array.type):
        return _narrow(array, target)
    try:
        return array.cast(target)
    except pa.ArrowNotImplementedError as error:
        raise TypeError(f"Arrow type {array.type} cannot be stored: {error}") from error


def _narrow(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Text with 64-bit offsets as the same text with 32-bit ones. Arrow's cast fails where a short slice lies beyond 2 GiB."""
    import numpy as np
    import pyarrow as pa

    valid, positions, data = array.buffers()
    if not len(array):
        return pa.array([], target)
    offsets = np.frombuffer(positions, "<i8")[array.offset : array.offset + len(array) + 1]
    start, size = int(offsets[0]), int(offsets[-1] - offsets[0])
    if size >= 1 << 31:
        raise pa.ArrowInvalid("more than 2 GiB of text")
    if valid is not None:
        present = array.is_valid().to_numpy(zero_copy_only=False)
        valid = pa.py_buffer(np.packbits(present, bitorder="little"))
    narrow = pa.py_buffer((offsets - start).astype("<i4"))
    return pa.Array.from_buffers(target, len(array), [valid, narrow, data.slice(start, size) if data else pa.py_buffer(b"")])


def _normal_pieces(piece: pa.RecordBatch, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """A batch in normal form, cut in halves where a column of it holds more text than one array can."""
    import pyarrow as pa

    try:
        columns = [normal_array(column, field.type) for column, field in zip(piece.columns, schema, strict=True)]
    except (pa.ArrowInvalid, pa.ArrowCapacityError):
        if piece.num_rows < 2:
            raise
        half = piece.num_rows // 2
        yield from _normal_pieces(piece.slice(0, half), schema)
        yield from _normal_pieces(piece.slice(half), schema)
    else:
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def normal_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int = ROW_GROUP) -> Iterator[pa.Table]:
    """Re-chunk a stream: tables of exactly `rows` rows (the last one shorter) in the normal form `schema`, in order.

    Holds at most one such table and one incoming batch. Each table has one chunk per column, unless its strings exceed 2 GiB.
    """
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, rows - count)
            start += piece.num_rows
            count += piece.num_rows
            held.extend(_normal_pieces(piece, schema))
            if count == rows:
                yield pa.Table.from_batches(held, schema).combine_chunks()
                held, count = [], 0
    if count:
        yield pa.Table.from_batches(held, schema).combine_chunks()
