"""JSON lines: one object per line, streamed by blocks; also gzip or zstandard compressed.

The first block (8 MB) fixes columns and types; a later row that does not fit is an error that names line and column. Text that
looks like ISO 8601 times becomes timestamps. Whole numbers stay exact: where the first block holds some above 2^63 the column is uint64,
and what no 64-bit integer holds is refused. Declare with `types` what the first block does not show: a column that comes later,
an integer column that later holds fractions ("float64"), times that are to stay text ("string").
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.data import column_options
from pellucid.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

OPTIONS = {"columns": column_options.COLUMNS, "types": column_options.TYPES}
FOLDERS = False

_BLOCK = 8 << 20  # bytes parsed at a time; also the longest row


def read(path: Path, options: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The rows in file order; a key that a row lacks is null. Raises DataError, for a later row when the stream gets there."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    types = column_options.declared(path, options)

    def opened() -> Any:
        return arrow_json.open_json(
            pa.input_stream(str(path), compression="detect"),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=_BLOCK),
            parse_options=arrow_json.ParseOptions(explicit_schema=pa.schema(list(types.items())) if types else None),
        )

    try:
        stream = opened()
        if any(_has_float(field.type) for field in stream.schema if field.name not in types):
            large = _large_whole_numbers(path, types)
            if large:
                types |= dict.fromkeys(large, pa.uint64())
                stream = opened()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _explained(path, error, None, 0) from error

    def batches() -> Iterator[pa.RecordBatch]:
        rows = 0
        try:
            for batch in stream:
                batch.validate(full=True)  # pyarrow does not look whether the text is UTF-8
                rows += batch.num_rows
                yield batch
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _explained(path, error, stream.schema, rows) from error

    return column_options.chosen(pa.RecordBatchReader.from_batches(stream.schema, batches()), path, options)


def _has_float(kind: pa.DataType) -> bool:
    from pyarrow import types

    if types.is_nested(kind):
        return any(_has_float(kind.field(at).type) for at in range(kind.num_fields))
    return bool(types.is_floating(kind))


def _large_whole_numbers(path: Path, types: Mapping[str, pa.DataType]) -> list[str]:
    """The columns whose numbers in the first block are all whole, some of them above the largest int64: pyarrow would round them to floats.

    Raises DataError for those that no uint64 holds either, or that stand within lists or objects.
    """
    import pyarrow as pa

    whole: dict[str, bool] = {}  # by column, or place within one: are all its numbers whole
    extremes: dict[str, tuple[int, int]] = {}

    def look(place: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                look(f"{place}.{name}", inner)
        elif isinstance(value, list):
            for inner in value:
                look(f"{place}[]", inner)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            whole[place] = whole.get(place, True) and isinstance(value, int)
            if isinstance(value, int):
                low, high = extremes.get(place, (value, value))
                extremes[place] = min(low, value), max(high, value)

    columns: dict[str, str] = {}
    with pa.input_stream(str(path), compression="detect") as file:
        for line in file.read(_BLOCK).split(b"\n"):
            try:
                row = json.loads(line)
            except ValueError:  # the block's last line, or one that pyarrow names
                continue
            for name, value in row.items() if isinstance(row, dict) else ():
                if name not in types:
                    columns[name] = name
                    look(name, value)
    found = []
    for place, (low, high) in sorted(extremes.items()):
        if not whole[place] or -(1 << 63) <= low <= high < 1 << 63:
            continue
        if place not in columns or low < 0 or high >= 1 << 64:
            raise DataError(
                f"column {place!r} holds whole numbers that are too large for it",
                where=str(path),
                why="as floats different numbers would become one",
                fix="Write them as text, in quotes",
            )
        found.append(place)
    return found


def _explained(path: Path, error: Exception, schema: pa.Schema | None, rows: int) -> DataError:
    """The DataError for what pyarrow found; the line is looked for again, since pyarrow counts within a block."""
    text = str(error).strip().partition("\n")[0]
    if "Empty JSON" in text:
        return DataError("holds no rows", where=str(path), fix="Check how it was written or copied")
    if "straddling" in text:
        return DataError(f"has a row longer than {_BLOCK >> 20} MB", where=str(path))
    try:
        found = _first_misfit(path, schema, rows)
    except OSError as broken:  # a compressed file that breaks off
        return DataError("cannot be read", where=str(path), why=str(broken))
    fix = 'If a column is not what it seems, say its type, such as types={"code": "string"}'
    return found or DataError("cannot be read as JSON lines", where=str(path), why=text, fix=fix)


def _first_misfit(path: Path, schema: pa.Schema | None, rows: int) -> DataError | None:
    """The first line, after `rows` good ones, that is no JSON object or does not fit `schema` (or the lines before it)."""
    import pyarrow as pa

    where = str(path)
    seen: dict[str, str] = {}
    known = {field.name: _word(field.type) for field in schema} if schema else seen
    objects = 0
    with pa.input_stream(where, compression="detect") as file:
        for number, line in enumerate(_lines(file), 1):
            if not line.strip():
                continue
            objects += 1
            if objects <= rows:
                continue
            try:
                row = json.loads(line)
            except UnicodeDecodeError:
                return DataError(f"line {number}: not UTF-8 text", where=where, fix="Convert the file to UTF-8")
            except ValueError as error:
                return DataError(
                    f"line {number}: not JSON", where=where, why=str(error), fix="Each line must be one whole object"
                )
            if not isinstance(row, dict):
                return DataError(f"line {number}: not a JSON object", where=where, fix="Each line must be one whole object")
            for name, value in row.items():
                word = _JSON[type(value)]
                if word == "integer" and known.get(name) == "integer" and not _fits(value, schema, name):
                    fix = f'If none is below 0, say types={{"{name}": "uint64"}}; else write them as text, in quotes'
                    why = "a whole number too large for the column"
                    return DataError(f"line {number}: column {name!r} does not fit", where=where, why=why, fix=fix)
                if schema is None:
                    seen.setdefault(name, word)
                if name not in known:
                    fix = f'Say its type, such as types={{"{name}": "string"}}'
                    return DataError(
                        f"line {number}: column {name!r} is not in the first {_BLOCK >> 20} MB", where=where, fix=fix
                    )
                if word not in (known[name], "null") and not (word == "integer" and known[name] == "number"):
                    fix = (
                        f'Say its type, such as types={{"{name}": "float64"}}' if word == "number" else "Make the column one type"
                    )
                    why = f"{word} where the rows before have {known[name]}"
                    return DataError(f"line {number}: column {name!r} does not fit", where=where, why=why, fix=fix)
    return None


def _fits(value: int, schema: pa.Schema | None, name: str) -> bool:
    from pyarrow import types

    kind = schema.field(name).type if schema is not None else None
    if kind is None or not types.is_integer(kind):
        return True
    width = int(kind.bit_width)
    if types.is_signed_integer(kind):
        return -(1 << width - 1) <= value < 1 << width - 1
    return 0 <= value < 1 << width


def _lines(file: Any) -> Iterator[bytes]:
    held = b""
    while block := file.read(1 << 20):
        *lines, held = (held + block).split(b"\n")
        yield from lines
    yield held


_JSON = {bool: "boolean", int: "integer", float: "number", str: "text", list: "list", dict: "object", type(None): "null"}


def _word(kind: pa.DataType) -> str:
    """What JSON calls the values of an Arrow type."""
    from pyarrow import types

    tests = {
        "boolean": types.is_boolean,
        "integer": types.is_integer,
        "number": types.is_floating,
        "list": types.is_list,
        "object": types.is_struct,
        "null": types.is_null,
    }
    return next((word for word, test in tests.items() if test(kind)), "text")
