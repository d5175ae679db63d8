"""Columns asked for by name, and types declared by word: options that several readers share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError, suggest

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = "columns to keep, in this order; all must be there"
ROW_NUMBER = "row_number"
NUMBERED = "the name of a first column to add, that numbers the rows from 1"
TYPES = 'types by column, such as {"code": "string"}'


def wanted(options: Mapping[str, Any]) -> list[str] | None:
    """The `columns` option: a list of names, or None for all. Raises UsageError for anything else."""
    columns = options.get("columns")
    if columns is None:
        return None
    if not isinstance(columns, list | tuple) or not columns or not all(isinstance(name, str) for name in columns):
        raise UsageError(f"columns must be a list of names, not {columns!r}")
    return list(columns)


def checked(path: Path, asked: Sequence[str] | None, there: Sequence[str]) -> list[str]:
    """The names to read. Raises DataError, listing the columns there are, when one is missing or named twice."""
    twice = sorted({name for name in there if there.count(name) > 1}) if len(set(there)) < len(there) else []
    if twice:
        raise DataError(f"has more than one column {twice[0]!r}", where=str(path), fix="Rename one in the file")
    for name in asked or ():
        if name not in there:
            near = suggest(name, there, f"Its columns: {', '.join(there)}")
            raise DataError(f"there is no column {name!r}", where=str(path), fix=near)
    return list(there if asked is None else asked)


def declared(path: Path, options: Mapping[str, Any], there: Sequence[str] | None = None) -> dict[str, pa.DataType]:
    """The `types` option as Arrow types. Raises UsageError for a word that is no type, DataError for a column not `there`."""
    import pyarrow as pa

    types = options.get("types") or {}
    if not isinstance(types, Mapping):
        raise UsageError(f'types must be given by column, such as {{"code": "string"}}, not {types!r}', where=str(path))
    found: dict[str, pa.DataType] = {}
    for name, word in types.items():
        try:
            found[name] = pa.type_for_alias(word)
        except (ValueError, TypeError, KeyError):
            raise UsageError(
                f"column {name!r}: {word!r} is not a type",
                where=str(path),
                fix="Use string, int64, float64, bool, date32, timestamp[ms] or another Arrow name",
            ) from None
    if there is not None:
        checked(path, list(found), there)
    return found


def chosen(reader: pa.RecordBatchReader, path: Path, options: Mapping[str, Any]) -> pa.RecordBatchReader:
    """A stream narrowed to the `columns` option."""
    import pyarrow as pa

    asked = wanted(options)
    if asked is None:
        return reader
    names = checked(path, asked, reader.schema.names)

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            yield batch.select(names)

    return pa.RecordBatchReader.from_batches(pa.schema([reader.schema.field(name) for name in names]), batches())


def numbered(reader: pa.RecordBatchReader, path: Path, name: object) -> pa.RecordBatchReader:
    """A stream with a first column `name` that numbers the rows from 1. Raises DataError where there is a column of that name."""
    import numpy as np
    import pyarrow as pa

    if not isinstance(name, str) or not name:
        raise UsageError(f"{ROW_NUMBER} must be the name of a column, not {name!r}", where=str(path))
    if name in reader.schema.names:
        raise DataError(f"there is a column {name!r} already", where=str(path), fix=f"Give {ROW_NUMBER} another name")
    schema = pa.schema([pa.field(name, pa.int64()), *reader.schema])

    def batches() -> Iterator[pa.RecordBatch]:
        done = 0
        for batch in reader:
            numbers = pa.array(np.arange(done + 1, done + batch.num_rows + 1, dtype=np.int64))
            yield pa.record_batch([numbers, *batch.columns], schema=schema)
            done += batch.num_rows

    return pa.RecordBatchReader.from_batches(schema, batches())
