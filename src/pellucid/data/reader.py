"""The readers there are, and the door to them."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from pellucid.data import column_options
from pellucid.errors import DataError, UsageError, suggest

if TYPE_CHECKING:
    import pyarrow as pa


class Reader(Protocol):
    """What a reader module has.

    `OPTIONS`: what each option means, by name; options are JSON values, since they become part of keys. `FOLDERS`: whether it
    also reads a folder. `read`: the rows of `path` as a stream; raises DataError, at once or while the stream is read.
    """

    OPTIONS: Mapping[str, str]
    FOLDERS: bool

    def read(self, path: Path, options: Mapping[str, Any]) -> pa.RecordBatchReader: ...


READERS: dict[str, str] = {
    "csv": "pellucid.data.csv",
    "jsonlines": "pellucid.data.jsonlines",
    "mattermost": "pellucid.data.mattermost",
    "movielens": "pellucid.data.movielens",
    "pages": "pellucid.data.pages",
    "parquet": "pellucid.data.parquet",
    "smart": "pellucid.data.smart",
    "warc": "pellucid.data.warc",
}
"""Reader modules by name."""

FILE = "file"  # the format that is not read at all: the bytes are kept as they are

_SUFFIXES = {
    ".csv": "csv",
    ".jsonl": "jsonlines",
    ".ndjson": "jsonlines",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".tsv": "csv",
    ".warc": "warc",
}


def is_file(format: str | None) -> bool:
    """Whether a format means that the input is kept as bytes."""
    return format == FILE


def detect(path: Path) -> str | None:
    """The format a file's name suggests, or None. `.gz` and `.zst` at the end are looked through for text formats."""
    if path.name == "mmdata.json":
        return "mattermost"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in (".gz", ".zst"):
        found = _SUFFIXES.get(suffixes[-2]) if len(suffixes) > 1 else None
        return None if found == "parquet" else found
    return _SUFFIXES.get(suffixes[-1]) if suffixes else None


def reader(format: str) -> Reader:
    """The reader of that name. Raises UsageError when there is none."""
    if format in READERS:
        return cast(Reader, import_module(READERS[format]))
    from importlib.metadata import entry_points

    for point in entry_points(group="pellucid.readers", name=format):
        return cast(Reader, point.load())
    raise UsageError(
        f"there is no reader named {format!r}", fix=f"Readers are: {', '.join(sorted(READERS))}; 'file' keeps the bytes"
    )


def open_table(path: Path, *, format: str | None = None, options: Mapping[str, Any] | None = None) -> pa.RecordBatchReader:
    """The rows of `path` as a stream of record batches.

    Without `format` the suffix decides. `options` are those of the reader (`OPTIONS` of its module), and `row_number`, which every reader
    takes: the name of a first column to add, that numbers the rows from 1. Raises DataError for input
    that cannot be read, UsageError for a format or option there is not.
    """
    path = Path(path)
    options = dict(options or {})
    number = options.pop(column_options.ROW_NUMBER, None)
    name = format or detect(path)
    if name is None:
        raise UsageError(
            "the name does not tell the format",
            where=str(path),
            fix=f"Say format= (to init: --format), one of {', '.join(sorted(READERS))}; format='file' keeps the bytes",
        )
    if is_file(name):
        raise UsageError("is kept as bytes, not read as a table", where=str(path), fix="Take it as a pl.File")
    chosen = reader(name)
    for option in options:
        if option not in chosen.OPTIONS:
            known = {**chosen.OPTIONS, column_options.ROW_NUMBER: column_options.NUMBERED}
            there = ", ".join(f"{one} ({meaning})" for one, meaning in known.items())
            near = suggest(option, known, f"Its options: {there}")
            raise UsageError(f"the {name} reader has no option {option!r}", where=str(path), fix=near)
    _check(path, chosen.FOLDERS)
    rows = chosen.read(path, options)
    return rows if number is None else column_options.numbered(rows, path, number)


def _check(path: Path, folders: bool) -> None:
    """That there is something at `path` that a reader can begin with."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            if not folders:
                raise DataError("is a folder, not a file", where=str(path), fix="Name the file in it")
            return
        with path.open("rb") as file:
            first = file.read(1)
    except OSError as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise DataError(why, where=str(path), fix="Check the path") from error
    if not first:
        raise DataError("the file is empty", where=str(path), fix="Check how it was written or copied")
