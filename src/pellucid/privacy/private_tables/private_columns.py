"""The columns of a private table as mechanisms read them: checked, in plain types, with the unit as one column.

A unit that is not one column's value is one column all the same while it is bounded: a person's day is the person's value, as bytes,
and the number of the UTC day after the last `@`, so that no two are alike; a row is its number, which serves to tell rows
apart and nothing else (a unit of one row has nothing to draw among).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.errors import DataError, PrivacyError, suggest
from pellucid.store import Unit, unit_of

if TYPE_CHECKING:
    import pyarrow as pa

PORTION = 1 << 17  # rows of a batch
Ranges = dict[str, tuple[int, int]]
DAYS = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}  # a day, in each unit of time


def checked_columns(path: Path, unit: str | Unit, keys: list[str], numbers: list[str] | None = None) -> Ranges:
    """The smallest and the largest value of each column of whole numbers among the unit and the keys. Private.

    Refuse, by name and without showing a value, columns that are missing, of an unusable type, or (unit, keys) with nulls.

    `keys` (and the unit) must be whole numbers, text, bytes, truth values, dates or times, for which equality is plain; `numbers`
    must be numeric. A release calls this before it spends.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    schema, owner = schema_of(path), unit_of(unit)
    for column in [*owner.columns, *keys, *(numbers or [])]:
        if column not in schema.names:
            near = suggest(column, schema.names, f"Its columns are {', '.join(schema.names)}")
            raise PrivacyError(f"the data has no column {column!r}", fix=near)
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
    ranges: Ranges = {}
    for batch in raw_batches(path, [*owner.columns, *keys]):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if column.null_count:
                raise PrivacyError(f"column {name!r} has rows without a value", fix="Drop or fill them while ingesting")
            _check_text(name, column)
            if pa.types.is_integer(column.type) and len(column):
                found = pc.min_max(column).as_py()
                low, high = ranges.get(name, (found["min"], found["max"]))
                ranges[name] = min(low, found["min"]), max(high, found["max"])
    return ranges


def _check_text(name: str, column: pa.Array) -> None:
    """Refuse text that is none: the sort for contribution bounding would take other bytes for it."""
    import pyarrow as pa

    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:  # its text may quote the value
        raise PrivacyError(
            f"column {name!r} has a text that is not valid UTF-8", fix="Decode it while ingesting, or declare it as bytes"
        ) from None


def narrowed(kind: pa.DataType, low: int, high: int) -> pa.DataType:
    """The smallest type of whole numbers that holds all from `low` to `high`: less to sort, in the same order."""
    import pyarrow as pa

    for other in (pa.uint8(), pa.uint16(), pa.uint32()) if low >= 0 else (pa.int8(), pa.int16(), pa.int32()):
        bits = other.bit_width
        least, most = (0, (1 << bits) - 1) if low >= 0 else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        if least <= low and high <= most and bits < kind.bit_width:
            return other
    return kind


def _check_time(owner: Unit, kind: pa.DataType) -> None:
    from pyarrow import types

    if types.is_date(kind) or types.is_timestamp(kind) or (types.is_integer(kind) and owner.clock):
        if owner.clock and not types.is_integer(kind):
            raise PrivacyError(f"column {owner.time!r} is of type {kind}", why="a clock is declared", fix="Leave clock= out")
        return
    why = "it takes a clock to tell the day" if types.is_integer(kind) else "a day is told from a date or a time stamp"
    raise PrivacyError(f"column {owner.time!r} is of type {kind}", why=why, fix='Convert it, or declare clock="s" or "ms"')


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values: a dictionary's value type, else the type itself; string and binary views as their plain forms."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind


def schema_of(path: Path) -> pa.Schema:
    """The schema of a Parquet file. Raises DataError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError("the table cannot be read as Parquet", where=str(path), why=type(error).__name__) from None


def plain_schema(path: Path, columns: list[str]) -> pa.Schema:
    """The columns with their plain types."""
    import pyarrow as pa

    schema = schema_of(path)
    return pa.schema([(name, plain_type(schema.field(name).type)) for name in columns])


def raw_batches(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The columns in portions, in plain types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = plain_schema(path, columns)
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=PORTION, columns=columns):
            yield pa.RecordBatch.from_arrays(
                [batch.column(batch.schema.get_field_index(field.name)).cast(field.type) for field in schema], schema=schema
            )


def unit_type(path: Path, unit: str | Unit) -> pa.DataType:
    """The type of the unit as one column."""
    import pyarrow as pa

    owner = unit_of(unit)
    if owner.is_person:
        return plain_type(schema_of(path).field(owner.column).type)
    return pa.int64() if owner.column is None else pa.binary()


def batches(path: Path, unit: str | Unit, columns: list[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The unit, as one column, and the columns."""
    import pyarrow as pa

    owner, rows = unit_of(unit), 0
    for batch in raw_batches(path, list(dict.fromkeys([*owner.columns, *columns]))):
        if owner.column is None:
            whose = pa.array(range(rows, rows + batch.num_rows), pa.int64())
        else:
            whose = batch.column(owner.column)
            if owner.time is not None:
                whose = days_of(whose, batch.column(owner.time), owner.clock)
        rows += batch.num_rows
        found = [whose, *(batch.column(name) for name in columns)]
        yield pa.RecordBatch.from_arrays(
            [column.cast(field.type) for column, field in zip(found, schema, strict=True)], schema=schema
        )


def days_of(people: pa.Array, times: pa.Array, clock: str) -> pa.Array:
    """Each row's person and UTC day as bytes: the person's value, then `@` and the day's number.

    Whatever a time is, its day is a whole number of 64 bits: none wraps onto another, and none makes a release fail.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    days = _days(times, clock)
    if pa.types.is_temporal(people.type):
        people = people.cast(pa.int32() if people.type.bit_width == 32 else pa.int64())
    if not (pa.types.is_binary(people.type) or pa.types.is_large_binary(people.type)):
        people = people.cast(pa.string())
    numbers = pc.utf8_lpad(days.cast(pa.string()), 11, " ")
    return pc.binary_join_element_wise(people.cast(pa.binary()), numbers.cast(pa.binary()), pa.scalar(b"@", pa.binary()))


def _days(times: pa.Array, clock: str) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    kind = times.type
    if types.is_date(kind):
        counted, a_day = (times.cast(pa.int32()), 1) if kind.bit_width == 32 else (times.cast(pa.int64()), DAYS["ms"])
    elif types.is_timestamp(kind):
        counted, a_day = times.cast(pa.int64()), DAYS[kind.unit]
    else:  # beyond 2^63 lies no day that anybody means
        counted = pc.min_element_wise(times, pa.scalar((1 << 63) - 1, pa.uint64())) if kind == pa.uint64() else times
        a_day = DAYS[clock]
    counted = counted.cast(pa.int64())
    whole = pc.divide(counted, a_day)  # towards 0
    return pc.subtract(whole, pc.less(counted, pc.multiply(whole, a_day)).cast(pa.int64()))


def _is_plain(kind: pa.DataType) -> bool:
    from pyarrow import types

    kind = plain_type(kind)
    tests = (types.is_integer, types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(test(kind) for test in (*tests, types.is_boolean, types.is_date, types.is_timestamp))


def _is_number(kind: pa.DataType) -> bool:
    from pyarrow import types

    # half floats cannot be sorted for contribution bounding: refused here, before anything is spent
    return bool(types.is_integer(kind) or types.is_float32(kind) or types.is_float64(kind) or types.is_boolean(kind))
