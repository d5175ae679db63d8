"""JSON lines: one object per line, streamed by blocks; also gzip or zstandard compressed.

The first block (8 MB) fixes columns and types; a later row that does not fit is an error that names line and column. Text that
looks like ISO 8601 times becomes timestamps. Declare with `types` what the first block does not show: a column that comes later,
an integer column that later holds fractions ("float64"), times that are to stay text ("string").
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.data import columns
from pellucid.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

OPTIONS = {"columns": columns.COLUMNS, "types": columns.TYPES}
FOLDERS = False

_BLOCK = 8 << 20  # bytes parsed at a time; also the longest row


def read(path: Path, options: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The rows in file order; a key that a row lacks is null. Raises DataError, for a later row when the stream gets there."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    types = columns.declared(path, options)
    try:
        stream = arrow_json.open_json(
            pa.input_stream(str(path), compression="detect"),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=_BLOCK),
            parse_options=arrow_json.ParseOptions(explicit_schema=pa.schema(list(types.items())) if types else None),
        )
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

    return columns.chosen(pa.RecordBatchReader.from_batches(stream.schema, batches()), path, options)


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
