"""A folder of Markdown, HTML, text and PDF files, a row each: `id` (the path in the folder), `title`, `text`, `kind`, `problem`.

Files are read in the order of their paths, by a child process (`extraction_process`). A file that cannot be read is a row without text that
says why in `problem`; the search index counts such rows by that name. Hidden files and folders are left alone; links are not followed,
and say so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.data import column_options, extraction_process
from pellucid.data.text_extraction import KINDS
from pellucid.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

OPTIONS = {"columns": column_options.COLUMNS}
FOLDERS = True
BATCH = 200  # rows
MOST_FILES = 1_000_000


def read(path: Path, options: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The rows. Raises DataError for a folder without files that can be read, UsageError where a library for one is missing."""
    import pyarrow as pa

    files = _files(path)
    kinds = {kind for _, kind in files}
    if not kinds & set(KINDS.values()):
        raise DataError("holds no page", where=str(path), fix=f"Pages end in {', '.join(KINDS)}")
    extraction_process.checked(kinds)
    schema = pa.schema([(name, pa.string()) for name in ("id", "title", "text", "kind", "problem")])
    return column_options.chosen(pa.RecordBatchReader.from_batches(schema, _batches(path, files, schema)), path, options)


def shown_name(path: str) -> str:
    """A path as an id: what cannot be shown or is no text is written as an escape."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def _files(folder: Path) -> list[tuple[str, str]]:
    """The path of each file in the folder and its kind: one of `KINDS`, or the problem that it has."""
    found: list[tuple[str, str]] = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if os.path.islink(os.path.join(here, name))]
        for name in sorted([*names, *links]):
            if name.startswith("."):
                continue
            place = os.path.join(here, name)
            kind = KINDS.get(os.path.splitext(name)[1].lower(), "another kind of file")
            regular = os.path.isfile(place)
            found.append(
                (os.path.relpath(place, folder), "a link" if os.path.islink(place) else kind if regular else "not readable")
            )
            if len(found) > MOST_FILES:
                raise DataError(f"holds more than {MOST_FILES:,} files", where=str(folder), fix="Read a part of it")
    return sorted(found)


def _batches(folder: Path, files: list[tuple[str, str]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    extraction = extraction_process.Extraction()
    try:
        for start in range(0, len(files), BATCH):
            rows = []
            for name, kind in files[start : start + BATCH]:
                known = kind in KINDS.values()
                told = extraction.file(kind, os.path.join(folder, name)) if known else {"problem": kind}
                rows.append({"id": shown_name(name), "title": "", "text": "", **told, "kind": kind if known else ""})
            yield pa.RecordBatch.from_pylist(rows, schema)
    finally:
        extraction.close()
