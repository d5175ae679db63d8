"""Test collections in SMART format: Cranfield 1400 (C. W. Cleverdon, 1967) and CISI (from the University of Glasgow).

Three parts: documents, queries, and judgements of which document answers which query.

`query_id` counts the queries from 1 in the order of their file, because that is what the judgements mean: Cranfield's query file
prints other numbers (1 … 365 with gaps), its judgements use 1 … 225. The printed number is kept as `number`.

Relevance is `grade`, larger is better, 0 is not relevant; the code as written is kept as `code`.
- Cranfield, three columns, Cleverdon's codes: 1 "a complete answer" … 4 "of minimum interest", 5 "of no interest". So a lower
  code is more relevant, and grade = 5 - code (1..4 give 4..1, 5 gives 0). 225 rows, one for each query, carry -1, which no
  documentation explains; they are kept with grade 0, so that they count neither as relevant nor are lost.
- CISI, four columns (query, document, 0, 0.0): every row is relevant, grade 1, code null.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.data import column_options
from pellucid.errors import DataError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

OPTIONS = {"part": "docs, queries or judgements", "columns": column_options.COLUMNS}
FOLDERS = True

_FILES = {
    "docs": re.compile(r"(cran\.all.*|.*\.all)", re.IGNORECASE),
    "queries": re.compile(r".*\.qry", re.IGNORECASE),
    "judgements": re.compile(r"(.*qrel|.*\.rel)", re.IGNORECASE),
}
_FIELDS = {"T": "title", "A": "author", "B": "source", "W": "text"}
_BEGIN = re.compile(r"\.I\s+(\d+)\s*")
_MARK = re.compile(r"\.([A-Z])\s*")
_ROWS = 4096


def read(path: Path, options: Mapping[str, Any]) -> pa.RecordBatchReader:
    """One part, from the collection's folder or from the file itself.

    docs: doc_id int64, title, author, source, text. queries: query_id int64, number int64, text. judgements: query_id, doc_id,
    grade, code, all int64. Line breaks within a field become spaces; a field that is given twice is joined.
    """
    import pyarrow as pa

    part = options.get("part")
    if part not in _FILES:
        problem = "say which part to read" if part is None else f"there is no part {part!r}"
        raise UsageError(problem, where=str(path), fix=f"part= is one of {', '.join(_FILES)}")
    file = _file_of(path, part)
    rows, names = _PARTS[part]
    schema = pa.schema([(name, pa.int64() if name in _NUMBERS else pa.string()) for name in names])

    def batches() -> Iterator[pa.RecordBatch]:
        held: list[dict[str, Any]] = []
        for row in rows(file):
            held.append(row)
            if len(held) == _ROWS:
                yield pa.RecordBatch.from_pylist(held, schema)
                held = []
        yield pa.RecordBatch.from_pylist(held, schema)

    return column_options.chosen(pa.RecordBatchReader.from_batches(schema, batches()), path, options)


def _file_of(path: Path, part: str) -> Path:
    if not path.is_dir():
        return path
    found = sorted(file for file in path.iterdir() if _FILES[part].fullmatch(file.name))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise DataError(
            f"cannot tell which file holds the {part}", where=str(path), why=f"candidates: {names}", fix="Name the file"
        )
    return found[0]


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        with file.open(encoding="utf-8") as text:
            yield from enumerate(text, 1)
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8 text", where=str(file), why=str(error)) from error


def _entries(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The printed number and the fields, by letter, of each entry."""
    number, mark = 0, ""
    fields: dict[str, list[str]] = {}
    for at, line in _lines(file):
        if begin := _BEGIN.fullmatch(line):
            if number:
                yield number, {letter: _text(lines) for letter, lines in fields.items()}
            number, mark, fields = int(begin[1]), "", {}
        elif found := _MARK.fullmatch(line):
            mark = found[1]
            fields.setdefault(mark, [])
        elif number and mark:
            fields[mark].append(line)
        elif line.strip():
            raise DataError(
                f"line {at}: text before the first entry or field", where=str(file), fix="SMART entries begin with '.I 1'"
            )
    if not number:
        raise DataError("holds no entries", where=str(file), fix="SMART entries begin with '.I 1'")
    yield number, {letter: _text(lines) for letter, lines in fields.items()}


def _text(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def _docs(file: Path) -> Iterator[dict[str, Any]]:
    for number, fields in _entries(file):
        yield {"doc_id": number, **{name: fields.get(letter, "") for letter, name in _FIELDS.items()}}


def _queries(file: Path) -> Iterator[dict[str, Any]]:
    for order, (number, fields) in enumerate(_entries(file), 1):
        yield {"query_id": order, "number": number, "text": fields.get("W", "")}


def _judgements(file: Path) -> Iterator[dict[str, Any]]:
    for at, line in _lines(file):
        cells = line.split()
        if not cells:
            continue
        try:
            query, doc = int(cells[0]), int(cells[1])
            code = int(cells[2]) if len(cells) == 3 else None
        except (ValueError, IndexError):
            raise DataError(f"line {at}: not a judgement", where=str(file), fix="Lines hold query, document and code") from None
        if len(cells) not in (3, 4) or code not in (None, -1, 1, 2, 3, 4, 5):
            raise DataError(
                f"line {at}: not a judgement", where=str(file), fix="Codes are 1 to 5, or -1; or four columns without a code"
            )
        grade = 1 if code is None else max(0, 5 - code) if code > 0 else 0
        yield {"query_id": query, "doc_id": doc, "grade": grade, "code": code}


_NUMBERS = {"doc_id", "query_id", "number", "grade", "code"}
_PARTS = {
    "docs": (_docs, ["doc_id", *_FIELDS.values()]),
    "queries": (_queries, ["query_id", "number", "text"]),
    "judgements": (_judgements, ["query_id", "doc_id", "grade", "code"]),
}
