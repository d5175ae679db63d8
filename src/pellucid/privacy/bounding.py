"""Contribution bounding: how much of the data one unit may hold, out of core and independent of row order.

Which rows of a unit are kept is drawn by a keyed function of that unit's value and the row's own content. So for every fixed key
a unit's kept rows depend on nothing but its own rows: adding or removing a unit changes no other unit's part. That, and not
the quality of the draw, is what the sensitivity of every mechanism rests on; the key makes the draw fair and unpredictable.
The draw: HMAC-SHA256 of the unit and of the row, 64 bits of each as one AES-256 block; smallest first. (A collision of 64 bits
would tie two draws together; it changes no bound.)

A unit that is not one column's value is one column all the same while it is bounded: a person's day is the person's value, as bytes,
and the number of the UTC day in twelve fixed characters, so that no two are alike; a row is its number, which serves to tell rows
apart and nothing else (a unit of one row has nothing to draw among).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, PrivacyError
from pellucid.store.labels import Unit, unit_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MEMORY = "512MiB"  # for sorting; what does not fit is spilled to the scratch folder
ROWS = 1 << 19  # a block


def checked_columns(path: Path, unit: str | Unit, keys: list[str], numbers: list[str] | None = None) -> None:
    """Refuse, by name and without showing a value, columns that are missing, of an unusable type, or (unit, keys) with nulls.

    `keys` (and the unit) must be whole numbers, text, bytes, truth values, dates or times, for which equality is plain; `numbers`
    must be numeric. A release calls this before it spends.
    """
    schema, owner = _schema(path), unit_of(unit)
    for column in [*owner.columns, *keys, *(numbers or [])]:
        if column not in schema.names:
            raise PrivacyError(f"the data has no column {column!r}", fix=f"Its columns are {', '.join(schema.names)}")
        if schema.names.count(column) > 1:
            raise PrivacyError(f"the data has more than one column {column!r}")
    if owner.column in keys or owner.column in (numbers or []):
        raise PrivacyError(f"column {owner.column!r} names the unit and cannot be released")
    if owner.time is not None:
        _check_time(owner, schema.field(owner.time).type)
    for column in [*owner.columns, *keys]:
        if not _is_plain(schema.field(column).type):
            raise PrivacyError(
                f"column {column!r} is of type {schema.field(column).type}",
                why="units and items must be whole numbers, text, bytes, truth values, dates or times",
                fix="Convert it while ingesting",
            )
    for column in numbers or []:
        if not _is_number(schema.field(column).type):
            raise PrivacyError(f"column {column!r} is of type {schema.field(column).type}, not a number")
    for batch in _raw_batches(path, [*owner.columns, *keys]):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if column.null_count:
                raise PrivacyError(f"column {name!r} has rows without a value", fix="Drop or fill them while ingesting")


def _check_time(owner: Unit, kind: pa.DataType) -> None:
    from pyarrow import types

    if types.is_date(kind) or types.is_timestamp(kind) or (types.is_integer(kind) and owner.clock):
        if owner.clock and not types.is_integer(kind):
            raise PrivacyError(f"column {owner.time!r} is of type {kind}", why="a clock is declared", fix="Leave clock= out")
        return
    why = "it takes a clock to tell the day" if types.is_integer(kind) else "a day is told from a date or a time stamp"
    raise PrivacyError(f"column {owner.time!r} is of type {kind}", why=why, fix='Convert it, or declare clock="s" or "ms"')


def bounded_pairs(
    path: Path, unit: str | Unit, item: str, cap: int, key: bytes, scratch: Path, *, second: str | None = None, times: int = 1
) -> Path:
    """A Parquet file in `scratch` of the distinct (unit, item) pairs, at most `cap` of each unit; the caller removes it.

    Columns `unit` (int64, an ordinal without meaning), `item`, and `second` where an item is a pair of columns' values, and `times`
    (int64, how many rows hold the pair, at most `times`) where that is above 1; sorted; every unit lies within one row group. The same for
    any order of the input's rows and any number of threads. `key`: 32 bytes.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [item] if second is None else [item, second]
    checked_columns(path, unit, names)
    target = _private_file(scratch, "bounded.parquet")
    kinds = [plain_type(_schema(path).field(name).type) for name in names]
    schema = pa.schema([("unit", pa.int64()), *zip(("item", "second"), kinds, strict=False)])
    if times > 1:
        schema = schema.append(pa.field("times", pa.int64()))
    ordinal = 0
    with pq.ParquetWriter(target, schema, compression="lz4", use_dictionary=True) as writer:
        for block in _sorted_blocks(path, unit, names, scratch):
            units, items = codes(block.column(0)), codes(block.column(1))
            if second is not None:
                others = codes(block.column(2))
                items = np.unique(items * (int(others.max()) + 1) + others, return_inverse=True)[1].astype(np.int64)
            firsts, counts = np.unique(units * (int(items.max()) + 1) + items, return_index=True, return_counts=True)[1:]
            order = np.argsort(firsts)
            fresh, held = firsts[order], np.minimum(counts[order], times)
            block, units = block.take(pa.array(fresh)).combine_chunks(), units[fresh]
            hashes = keyed(block.column(1), key)
            if second is not None:
                hashes = _both(hashes, keyed(block.column(2), key), key)
            keep = _drawn(units, keyed(block.column(0), key), hashes, cap, key)
            pairs = [pa.array(units[keep] + ordinal)]
            pairs += [block.column(1 + at).filter(pa.array(keep)).cast(kind) for at, kind in enumerate(kinds)]
            if times > 1:
                pairs.append(pa.array(held[keep].astype(np.int64)))
            ordinal += int(units[-1]) + 1
            writer.write_table(pa.Table.from_arrays(pairs, schema=schema), row_group_size=max(1, int(keep.sum())))
    return target


def bounded_rows(
    path: Path, unit: str | Unit, columns: list[str], key: bytes, scratch: Path, grid: Any, cap: int = 1
) -> Iterator[NDArray[Any]]:
    """Blocks of at most `cap` rows per unit, drawn by the key among that unit's rows, as integers (rows x columns, int64).

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
        repeated = np.bincount(units)[units] > cap
        keep = ~repeated
        if repeated.any():
            some = block.column(0).filter(pa.array(repeated))
            contents = np.array([_hash(row.tobytes(), key) for row in rows[repeated]], dtype=np.uint64)
            keep[repeated] = _drawn(codes(some), keyed(some, key), contents, cap, key)
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


def _both(first: NDArray[Any], second: NDArray[Any], key: bytes) -> NDArray[Any]:
    """64 bits of each two hashes, by AES under a key of its own."""
    import numpy as np
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    blocks = np.stack([first, second], axis=1).astype("<u8")
    encryptor = Cipher(algorithms.AES(hmac.digest(key, b"two columns", "sha256")), modes.ECB()).encryptor()
    return np.frombuffer(encryptor.update(blocks.tobytes()), dtype="<u8").reshape(-1, 2)[:, 0].astype(np.uint64)


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


def _sorted_blocks(path: Path, unit: str | Unit, columns: list[str], scratch: Path) -> Iterator[pa.Table]:
    """The rows sorted by unit, then by the columns, in blocks that never part a unit; sorted on disk when they do not fit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with _database(scratch) as db:
        schema = _plain_schema(path, columns).insert(0, pa.field("c0", _unit_type(path, unit)))
        schema = pa.schema([(f"c{index}", field.type) for index, field in enumerate(schema)])
        reader = pa.RecordBatchReader.from_batches(schema, _batches(path, unit, columns, schema))
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
    return pa.schema([(name, plain_type(schema.field(name).type)) for name in columns])


def _raw_batches(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _plain_schema(path, columns)
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS // 4, columns=columns):
            yield pa.RecordBatch.from_arrays(
                [batch.column(batch.schema.get_field_index(field.name)).cast(field.type) for field in schema], schema=schema
            )


def _unit_type(path: Path, unit: str | Unit) -> pa.DataType:
    import pyarrow as pa

    owner = unit_of(unit)
    if owner.is_person:
        return plain_type(_schema(path).field(owner.column).type)
    return pa.int64() if owner.column is None else pa.binary()


def _batches(path: Path, unit: str | Unit, columns: list[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The unit, as one column, and the columns."""
    import pyarrow as pa

    owner, rows = unit_of(unit), 0
    for batch in _raw_batches(path, list(dict.fromkeys([*owner.columns, *columns]))):
        if owner.column is None:
            whose = pa.array(range(rows, rows + batch.num_rows), pa.int64())
        else:
            whose = batch.column(owner.column)
            if owner.time is not None:
                whose = _days_of(whose, batch.column(owner.time), owner.clock)
        rows += batch.num_rows
        yield pa.RecordBatch.from_arrays([whose, *(batch.column(name) for name in columns)], schema=schema)


def _days_of(people: pa.Array, times: pa.Array, clock: str) -> pa.Array:
    """Each row's person and UTC day as bytes: the person's value, then `@` and the day's number in eleven characters."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(times.type):
        times = times.cast(pa.int64()).cast(pa.timestamp(clock))
    days = times.cast(pa.timestamp("us"), safe=False) if pa.types.is_date(times.type) else times
    days = pc.floor_temporal(days.cast(pa.timestamp(days.type.unit)), unit="day").cast(pa.date32()).cast(pa.int32())
    if pa.types.is_temporal(people.type):
        people = people.cast(pa.int32() if people.type.bit_width == 32 else pa.int64())
    if not (pa.types.is_binary(people.type) or pa.types.is_large_binary(people.type)):
        people = people.cast(pa.string())
    numbers = pc.utf8_lpad(days.cast(pa.string()), 11, " ")
    return pc.binary_join_element_wise(people.cast(pa.binary()), numbers.cast(pa.binary()), pa.scalar(b"@", pa.binary()))


def _is_plain(kind: pa.DataType) -> bool:
    from pyarrow import types

    kind = plain_type(kind)
    tests = (types.is_integer, types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(test(kind) for test in (*tests, types.is_boolean, types.is_date, types.is_timestamp))


def _is_number(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))
