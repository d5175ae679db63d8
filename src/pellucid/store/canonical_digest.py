"""The canonical digest: what a table, an array or a record of numbers *is*, whatever file holds it.

A table's digest is SHA-256 over a format tag, the number of rows and of columns, and, sorted by name, each column's name and
digest. A column's digest covers its type, length, null positions and content, all length-prefixed, so that no two tables share
one. Content is hashed in streams that do not depend on how the rows were cut: values, and for strings and lists the lengths
apart from the bytes or elements. Equal: other row groups, compression, chunks, dictionary encoding, column-file format, column
order. Different: a changed cell, name, type, or order of rows; null is not NaN. -0.0 is 0.0, and all NaN are one.

Only the normal form (canonical_form.py) is digested. Memory is bounded by the batches; columns are hashed in parallel, since hashlib
lets go of the interpreter lock. The recipe is frozen by FORMAT: change either only together.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

FORMAT = "pellucid-digest-1"
_BLOCK = 1 << 15  # float values normalised at a time: stays in the processor's cache
_WORTH_A_THREAD = 1 << 20  # bytes


def framed(*parts: bytes) -> bytes:
    """SHA-256 of parts, each preceded by its length: no two lists of parts give the same bytes to hash."""
    total = hashlib.sha256()
    for part in parts:
        total.update(struct.pack("<q", len(part)))
        total.update(part)
    return total.digest()


def feed_values(stream: hashlib._Hash, values: np.ndarray[Any, Any]) -> None:
    """Hash a flat, contiguous, little-endian array of numbers; floats with one zero and one NaN."""
    import numpy as np

    if values.dtype.kind != "f":
        stream.update(values.view(np.uint8).data)
        return
    zero, scratch = values.dtype.type(0), np.empty(min(_BLOCK, values.size), values.dtype)
    with np.errstate(invalid="ignore"):
        for start in range(0, values.size, _BLOCK):
            source = values[start : start + _BLOCK]
            block = np.add(source, zero, out=scratch[: source.size])  # -0.0 + 0.0 is 0.0
            if np.isnan(block.min()):
                block[np.isnan(block)] = np.nan
            stream.update(block.view(np.uint8).data)


class _Column:
    """The digest of one column in progress. `update` takes arrays of one normal type, in order; `finish` gives 32 bytes."""

    tag = ""

    def __init__(self) -> None:
        self.length = 0
        self.null_count = 0
        self.nulls = hashlib.sha256()

    def update(self, array: pa.Array) -> None:
        import numpy as np

        missing = None
        if array.null_count:
            missing = array.is_null().to_numpy(zero_copy_only=False)
            self.nulls.update((np.flatnonzero(missing) + self.length).astype("<i8").data)
            self.null_count += array.null_count
        if len(array):
            self.feed(array, missing)
        self.length += len(array)

    def feed(self, array: pa.Array, missing: np.ndarray[Any, Any] | None) -> None:
        raise NotImplementedError

    def content(self) -> list[bytes]:
        raise NotImplementedError

    def finish(self) -> bytes:
        counts = struct.pack("<qq", self.length, self.null_count)
        return framed(self.tag.encode(), counts, self.nulls.digest(), *self.content())


class _Nulls(_Column):
    """The null type: nothing but a length."""

    tag = "null"

    def update(self, array: pa.Array) -> None:
        self.length += len(array)

    def content(self) -> list[bytes]:
        return []


class _Fixed(_Column):
    """Cells of one width: numbers, booleans (a byte each), dates, times, decimals, fixed-size binary. Null is zero."""

    def __init__(self, kind: pa.DataType) -> None:
        from pyarrow import types

        super().__init__()
        self.tag = _fixed_tag(kind)
        self.bool = types.is_boolean(kind)
        self.width = 1 if self.bool else kind.bit_width // 8
        self.cell = (
            f"<f{self.width}"
            if types.is_floating(kind)
            else f"<u{self.width}"
            if self.width in (1, 2, 4, 8)
            else f"V{self.width}"
        )
        self.values = hashlib.sha256()

    def feed(self, array: pa.Array, missing: np.ndarray[Any, Any] | None) -> None:
        import numpy as np
        import pyarrow as pa

        if not self.width:
            return
        if self.bool:
            array = array.cast(pa.uint8())
        cells = np.frombuffer(array.buffers()[1], self.cell)[array.offset : array.offset + len(array)]
        if missing is not None:
            cells = cells.copy()
            cells[missing] = np.zeros((), self.cell)
        feed_values(self.values, cells)

    def content(self) -> list[bytes]:
        return [self.values.digest()]


def _fixed_tag(kind: pa.DataType) -> str:
    """The name of a type in digests: our own, since pyarrow is free to rename what it prints."""
    from pyarrow import types

    if types.is_boolean(kind):
        return "bool"
    if types.is_floating(kind):
        return f"float{kind.bit_width}"
    if types.is_integer(kind):
        return f"{'int' if types.is_signed_integer(kind) else 'uint'}{kind.bit_width}"
    if types.is_decimal(kind):
        return f"decimal{kind.bit_width}({kind.precision},{kind.scale})"
    if types.is_fixed_size_binary(kind):
        return f"binary[{kind.byte_width}]"
    if types.is_date32(kind):
        return "date[day]"
    name = "timestamp" if types.is_timestamp(kind) else "duration" if types.is_duration(kind) else "time"
    return f"{name}[{kind.unit}]" + (f" {kind.tz}" if types.is_timestamp(kind) and kind.tz else "")


class _Bytes(_Column):
    """Strings and binaries: the lengths (int64, null is 0) and the bytes one after the other, as two streams."""

    def __init__(self, tag: str) -> None:
        super().__init__()
        self.tag = tag
        self.lengths, self.bytes = hashlib.sha256(), hashlib.sha256()

    def feed(self, array: pa.Array, missing: np.ndarray[Any, Any] | None) -> None:
        import numpy as np

        offsets = np.frombuffer(array.buffers()[1], "<i4")[array.offset : array.offset + len(array) + 1]
        lengths = np.diff(offsets).astype("<i8")
        if missing is not None and lengths[missing].any():  # bytes hidden under a null: legal in Arrow, and not content
            array = array.fill_null("" if self.tag == "string" else b"")
            offsets = np.frombuffer(array.buffers()[1], "<i4")[array.offset : array.offset + len(array) + 1]
            lengths = np.diff(offsets).astype("<i8")
        self.lengths.update(lengths.data)
        if offsets[-1] > offsets[0]:
            self.bytes.update(memoryview(array.buffers()[2])[int(offsets[0]) : int(offsets[-1])])

    def content(self) -> list[bytes]:
        return [self.lengths.digest(), self.bytes.digest()]


class _List(_Column):
    """Lists and maps: the lengths (int64, null is 0) and, as a column of their own, the elements."""

    def __init__(self, tag: str, element: pa.DataType) -> None:
        super().__init__()
        self.tag = tag
        self.element = column_digest(element)
        self.lengths = hashlib.sha256()

    def feed(self, array: pa.Array, missing: np.ndarray[Any, Any] | None) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.tag == "map":
            array = array.cast(pa.list_(pa.struct([("key", array.type.key_type), ("value", array.type.item_type)])))
        lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
        self.lengths.update(lengths.astype("<i8").data)
        self.element.update(array.flatten())

    def content(self) -> list[bytes]:
        return [self.lengths.digest(), self.element.finish()]


class _Struct(_Column):
    """Structs: each field a column of its own, null where the struct is; order and names of the fields matter."""

    tag = "struct"

    def __init__(self, kind: pa.DataType) -> None:
        super().__init__()
        self.fields = [(field.name, column_digest(field.type)) for field in kind]

    def feed(self, array: pa.Array, missing: np.ndarray[Any, Any] | None) -> None:
        for (_, column), child in zip(self.fields, array.flatten(), strict=True):
            column.update(child)

    def content(self) -> list[bytes]:
        return [part for name, column in self.fields for part in (name.encode(), column.finish())]


def column_digest(kind: pa.DataType) -> _Column:
    """An empty column digest for a normal Arrow type."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_null(kind):
        return _Nulls()
    if types.is_string(kind) or types.is_binary(kind):
        return _Bytes("string" if types.is_string(kind) else "binary")
    if types.is_map(kind):
        return _List("map", pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
    if types.is_list(kind):
        return _List("list", kind.value_type)
    if types.is_struct(kind):
        return _Struct(kind)
    return _Fixed(kind)


class TableDigest:
    """The digest of a table in progress, at bounded memory. `schema` and the tables given are in normal form."""

    def __init__(self, schema: pa.Schema) -> None:
        self.rows = 0
        self.columns = {field.name: column_digest(field.type) for field in schema}
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: list[Future[None]] = []

    def start(self, table: pa.Table) -> None:
        """Begin to hash the next rows; large ones in the background, so that the caller can write them meanwhile."""
        self.wait()
        self.rows += table.num_rows
        if table.nbytes < _WORTH_A_THREAD:
            for name, column in self.columns.items():
                _update(column, table.column(name).chunks)
            return
        self._pool = self._pool or ThreadPoolExecutor(min(len(self.columns), os.cpu_count() or 1), "digest")
        for name, column in self.columns.items():
            self._waiting.append(self._pool.submit(_update, column, table.column(name).chunks))

    def wait(self) -> None:
        """Until all that was started is hashed."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.result()

    def finish(self) -> tuple[str, dict[str, bytes]]:
        """The digest ("table:<hex>") and the digest of each column by name."""
        self.wait()
        if self._pool:
            self._pool.shutdown()
            self._pool = None
        by_name = {name: column.finish() for name, column in self.columns.items()}
        parts = [part for name in sorted(by_name, key=str.encode) for part in (name.encode(), by_name[name])]
        total = framed(FORMAT.encode(), b"table", struct.pack("<qq", self.rows, len(by_name)), *parts)
        return f"table:{total.hex()}", by_name


def _update(column: _Column, chunks: Iterable[pa.Array]) -> None:
    for chunk in chunks:
        column.update(chunk)


def table_digest(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> tuple[str, dict[str, bytes]]:
    """The digest of a stream of record batches of `schema` (any Arrow types), and that of each column."""
    from pellucid.store.canonical_form import normal_batches, normal_schema

    normal = normal_schema(schema)
    digest = TableDigest(normal)
    for table in normal_batches(batches, normal):
        digest.start(table)
    return digest.finish()


def array_digest(array: np.ndarray[Any, Any]) -> bytes:
    """32 bytes for an array of numbers or fixed-width text: dtype, shape and values in C order, little-endian."""
    import numpy as np

    stream = hashlib.sha256()
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.size:
        feed_values(stream, flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat)
    shape = struct.pack(f"<{array.ndim}q", *array.shape)
    return framed(FORMAT.encode(), b"array", array.dtype.str.encode(), shape, stream.digest())
