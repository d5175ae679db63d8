"""Contribution bounding: how much of the data one unit may hold, out of core and independent of row order.

Which rows of a unit are kept is drawn by a keyed function of that unit's value and the row's own content. So for every fixed key
a unit's kept rows depend on nothing but its own rows: adding or removing a unit changes no other unit's part. That, and not
the quality of the draw, is what the sensitivity of every mechanism rests on; the key makes the draw fair and unpredictable.
The draw: HMAC-SHA256 of the unit and of the row, 64 bits of each as one AES-256 block; smallest first. (A collision of 64 bits
would tie two draws together; it changes no bound.)
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, PrivacyError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MEMORY = "512MiB"  # for sorting; what does not fit is spilled to the scratch folder
ROWS = 1 << 19  # a block


def checked_columns(path: Path, unit: str, keys: list[str], numbers: list[str] | None = None) -> None:
    """Refuse, by name and without showing a value, columns that are missing, of an unusable type, or (unit, keys) with nulls.

    `keys` (and the unit) must be whole numbers, text, bytes, truth values, dates or times, for which equality is plain; `numbers`
    must be numeric. A release calls this before it spends.
    """
    schema = _schema(path)
    for column in [unit, *keys, *(numbers or [])]:
        if column not in schema.names:
            raise PrivacyError(f"the data has no column {column!r}", fix=f"Its columns are {', '.join(schema.names)}")
        if schema.names.count(column) > 1:
            raise PrivacyError(f"the data has more than one column {column!r}")
    if unit in keys or unit in (numbers or []):
        raise PrivacyError(f"column {unit!r} names the unit and cannot be released")
    for column in [unit, *keys]:
        if not _is_plain(schema.field(column).type):
            raise PrivacyError(
                f"column {column!r} is of type {schema.field(column).type}",
                why="units and items must be whole numbers, text, bytes, truth values, dates or times",
                fix="Convert it while ingesting",
            )
    for column in numbers or []:
        if not _is_number(schema.field(column).type):
            raise PrivacyError(f"column {column!r} is of type {schema.field(column).type}, not a number")
    names = [unit, *keys]
    for batch in _batches(path, names):
        for name, column in zip(names, batch.columns, strict=True):
            if column.null_count:
                raise PrivacyError(f"column {name!r} has rows without a value", fix="Drop or fill them while ingesting")


def bounded_pairs(path: Path, unit: str, item: str, cap: int, key: bytes, scratch: Path) -> Path:
    """A Parquet file in `scratch` of the distinct (unit, item) pairs, at most `cap` of each unit; the caller removes it.

    Columns `unit` (int64, an ordinal without meaning) and `item`; sorted; every unit lies within one row group. The same for
    any order of the input's rows and any number of threads. `key`: 32 bytes.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    checked_columns(path, unit, [item])
    target = _private_file(scratch, "bounded.parquet")
    kind = plain_type(_schema(path).field(item).type)
    schema = pa.schema([("unit", pa.int64()), ("item", kind)])
    ordinal = 0
    with pq.ParquetWriter(target, schema, compression="lz4", use_dictionary=True) as writer:
        for block in _sorted_blocks(path, unit, [item], scratch):
            units, items = codes(block.column(0)), codes(block.column(1))
            fresh = np.zeros(len(units), dtype=bool)
            fresh[np.unique(units * (int(items.max()) + 1) + items, return_index=True)[1]] = True
            block, units = block.filter(pa.array(fresh)), units[fresh]
            keep = _drawn(units, keyed(block.column(0), key), keyed(block.column(1), key), cap, key)
            pairs = [pa.array(units[keep] + ordinal), block.column(1).filter(pa.array(keep)).cast(kind)]
            ordinal += int(units[-1]) + 1
            writer.write_table(pa.Table.from_arrays(pairs, schema=schema), row_group_size=max(1, int(keep.sum())))
    return target


def bounded_rows(path: Path, unit: str, columns: list[str], key: bytes, scratch: Path, grid: Any) -> Iterator[NDArray[Any]]:
    """Blocks of one row per unit, drawn by the key among that unit's rows, as integers (rows x columns, int64).

    `grid` maps each block's values (a list of float64 arrays, NaN for null) to integers before the draw, so that equal integers
    are equal rows.
    """
    import numpy as np
    import pyarrow as pa

    checked_columns(path, unit, [], columns)
    for block in _sorted_blocks(path, unit, columns, scratch):
        units = codes(block.column(0))
        values = [np.asarray(column.cast(pa.float64()).fill_null(float("nan"))) for column in block.columns[1:]]
        rows = np.ascontiguousarray(grid(values), dtype="<i8")
        repeated = np.bincount(units)[units] > 1
        keep = ~repeated
        if repeated.any():
            some = block.column(0).filter(pa.array(repeated))
            contents = np.array([_hash(row.tobytes(), key) for row in rows[repeated]], dtype=np.uint64)
            keep[repeated] = _drawn(codes(some), keyed(some, key), contents, 1, key)
        yield rows[keep]


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values: a dictionary's value type, else the type itself; string and binary views as their plain forms."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind


def codes(column: Any) -> NDArray[Any]:
    """A number for each value, by first appearance (int64)."""
    import numpy as np
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(array.dictionary_encode().indices).astype(np.int64)


def keyed(column: Any, key: bytes) -> NDArray[Any]:
    """64 bits of HMAC-SHA256 of each value (uint64): a function of the value and the key alone."""
    import numpy as np
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = array.dictionary_encode()
    hashes: NDArray[Any] = np.array([_hash(data, key) for data in _bytes_of(encoded.dictionary)], dtype=np.uint64)
    return np.asarray(hashes[np.asarray(encoded.indices)])


def _hash(data: bytes, key: bytes) -> int:
    return int.from_bytes(hmac.digest(key, data, "sha256")[:8], "big")


def _bytes_of(values: pa.Array) -> list[bytes]:
    import pyarrow as pa

    kind = values.type
    if pa.types.is_temporal(kind):
        values = values.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    return [value if isinstance(value, bytes) else str(value).encode() for value in values.to_pylist()]


def _drawn(units: NDArray[Any], unit_hash: NDArray[Any], row_hash: NDArray[Any], cap: int, key: bytes) -> NDArray[Any]:
    """Which rows are kept: of each run of `units` (0, 1, 2 ... in order) the `cap` with the smallest draw."""
    import numpy as np
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    blocks = np.stack([unit_hash, row_hash], axis=1).astype("<u8")
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # a keyed function of one block, no cipher text
    drawn = np.frombuffer(encryptor.update(blocks.tobytes()), dtype="<u8").reshape(-1, 2)[:, 0]
    order = np.lexsort((drawn, units))  # stable: equal draws stay in the order of the rows' values
    starts = np.flatnonzero(np.r_[True, units[1:] != units[:-1]])
    place = np.arange(len(units)) - np.repeat(starts, np.diff(np.r_[starts, len(units)]))
    keep = np.zeros(len(units), dtype=bool)
    keep[order[place < cap]] = True
    return keep


def _sorted_blocks(path: Path, unit: str, columns: list[str], scratch: Path) -> Iterator[pa.Table]:
    """The rows sorted by unit, then by the columns, in blocks that never part a unit; sorted on disk when they do not fit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with _database(scratch) as db:
        reader = pa.RecordBatchReader.from_batches(_plain_schema(path, [unit, *columns]), _batches(path, [unit, *columns]))
        db.register("rows", reader)
        names = ", ".join(f"c{index}" for index in range(len(columns) + 1))
        carried: pa.Table | None = None
        last_unit: Any = None
        for batch in db.sql(f"SELECT {names} FROM rows ORDER BY {names}").to_arrow_reader(ROWS):
            if not batch.num_rows:
                continue
            table = pa.Table.from_batches([batch])
            before = last_unit if last_unit is not None else table.column(0)[0]
            ordered = pa.concat_arrays([pa.array([before], table.column(0).type), *table.column(0).chunks])
            # every bound rests on the order, so it is not taken on trust
            if not pc.all(pc.less_equal(ordered[:-1], ordered[1:])).as_py():
                raise PrivacyError("the sort for contribution bounding returned rows out of order", fix="Report this as a bug")
            last_unit = ordered[-1]
            if carried is not None:
                table = pa.concat_tables([carried, table]).combine_chunks()
            last = _first_of_last(table.column(0))
            carried = table.slice(last)
            if last:
                yield table.slice(0, last)
        if carried is not None and carried.num_rows:
            yield carried


def _first_of_last(column: Any) -> int:
    import numpy as np

    units = codes(column)
    return int(np.argmax(units == units[-1])) if len(units) else 0


@contextmanager
def _database(scratch: Path) -> Iterator[Any]:
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "temp_directory": str(scratch / "spill"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    db = duckdb.connect(":memory:", config=settings)
    try:
        db.execute("SET enable_progress_bar = false")
        yield db
    except duckdb.Error as error:  # its text may quote data
        raise PrivacyError(
            "the data could not be sorted for contribution bounding",
            where=str(scratch),
            why=type(error).__name__,
            fix="Check the free space of the scratch folder",
        ) from None
    finally:
        db.close()


def _private_file(scratch: Path, name: str) -> Path:
    import os

    target = scratch / name
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return target


def _schema(path: Path) -> pa.Schema:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError("the table cannot be read as Parquet", where=str(path), why=type(error).__name__) from None


def _plain_schema(path: Path, columns: list[str]) -> pa.Schema:
    import pyarrow as pa

    schema = _schema(path)
    return pa.schema([(f"c{index}", plain_type(schema.field(name).type)) for index, name in enumerate(columns)])


def _batches(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _plain_schema(path, columns)
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS // 4, columns=columns):
            yield pa.RecordBatch.from_arrays(
                [
                    batch.column(batch.schema.get_field_index(name)).cast(field.type)
                    for name, field in zip(columns, schema, strict=True)
                ],
                schema=schema,
            )


def _is_plain(kind: pa.DataType) -> bool:
    from pyarrow import types

    kind = plain_type(kind)
    tests = (types.is_integer, types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(test(kind) for test in (*tests, types.is_boolean, types.is_date, types.is_timestamp))


def _is_number(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))
