"""Documents as a table: `id`, `title`, `text` (all text) and whatever other columns are to be shown or filtered by.

Whatever a file calls them, one document is one row, ids are unique, and rows are sorted by id, so that the order of a file's rows does
not matter. What cannot be taken is counted by kind and never silently dropped:
- `repeated`: a later document of an id that was there already; the first one stays;
- `empty`: neither title nor text, so that no query can find it;
- `nameless`: without an id;
- what a column `problem` says of a row, as the readers of pages and of WARC files do: "truncated", "cannot be parsed".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError, suggest

if TYPE_CHECKING:
    import pyarrow as pa

ID = ("id", "doc_id", "docid", "docno", "document_id", "_id")
TITLE = ("title", "name", "heading")
TEXT = ("text", "body", "content", "abstract", "contents", "description")
PROBLEM = "problem"  # why a row is no document
LONGEST_TEXT = 1_000_000  # characters of a document that are looked at


@dataclass(frozen=True)
class Documents:
    """`table`: id, title, text and the other columns, sorted by id. `left_out`: how many documents of which kind are not in it."""

    table: pa.Table
    left_out: dict[str, int]


def documents_of(
    table: Any, id: str | None = None, title: str | None = None, text: str | None = None, others: Sequence[str] = ()
) -> Documents:
    """The documents in a table (anything that speaks the Arrow PyCapsule interface).

    `id`, `title`, `text`: the columns that hold them; None looks for the usual names. A table may lack a title or a text, not both.
    `others`: columns to keep beside them. Raises DataError where a column is not there.
    """
    import pyarrow as pa

    rows = table if isinstance(table, pa.Table) else pa.table(table.arrow() if hasattr(table, "arrow") else table)
    id_column = _column(rows, id, ID, "id")
    title_column, text_column = _column(rows, title, TITLE, "title"), _column(rows, text, TEXT, "text")
    if id_column is None or (title_column is None and text_column is None):
        lacks = "an id" if id_column is None else "a title or a text"
        raise DataError(
            f"the table has no column for {lacks}", fix=f"Say which of its columns it is: {', '.join(rows.column_names)}"
        )
    reserved = {"id", "title", "text"}
    for name in others:
        if name not in rows.column_names:
            raise DataError(f'the table has no column "{name}"', fix=suggest(name, rows.column_names))
        if name in reserved:
            raise UsageError(f'"{name}" cannot be kept beside the documents', why="that name is taken", fix="Rename the column")
    ids = _strings(rows, id_column)
    titles, texts = _strings(rows, title_column), _strings(rows, text_column)
    kept: dict[str, int] = {}
    left_out = {"repeated": 0, "empty": 0, "nameless": 0}
    problems = _strings(rows, PROBLEM if PROBLEM in rows.column_names else None)
    for place, one in enumerate(ids):
        if problems[place]:
            left_out[problems[place]] = left_out.get(problems[place], 0) + 1
        elif not one:
            left_out["nameless"] += 1
        elif one in kept:
            left_out["repeated"] += 1
        elif not titles[place] and not texts[place]:
            left_out["empty"] += 1
        else:
            kept[one] = place
    if not kept:
        raise DataError("there is not one document in it", why=_said(left_out))
    names = sorted(kept)
    order = [kept[name] for name in names]
    columns = {
        "id": pa.array(names, pa.string()),
        "title": pa.array([titles[place] for place in order], pa.string()),
        "text": pa.array([_without_title(texts[place], titles[place]) for place in order], pa.string()),
    }
    taken = rows.select(list(others)).take(pa.array(order)) if others else None
    for name in others:
        columns[name] = taken.column(name)  # type: ignore[union-attr]
    return Documents(pa.table(columns), {kind: count for kind, count in left_out.items() if count})


def read_documents(path: Path, format: str | None = None, others: Sequence[str] = ()) -> Documents:
    """The documents of a file: `jsonl`, `csv`, `parquet`, `smart`, `trec`, `warc`, a folder of `pages`; None: told from the file."""
    import pyarrow as pa

    kind = format or detect_format(path)
    if kind == "trec":
        from pellucid.search.trec_collection import documents

        return documents_of(pa.Table.from_pylist(list(documents(path))), others=others)
    if kind == "smart":
        return documents_of(_read(path, "smart", {"part": "docs"}), others=others)
    return documents_of(_read(path, FORMATS[kind], {}), others=others)


def read_queries(path: Path, format: str | None = None) -> list[tuple[str, str]]:
    """The queries of a file, `(id, text)` in its order. A query that is given twice is refused."""
    kind = format or detect_format(path)
    if kind == "trec":
        from pellucid.search.trec_collection import topics

        found = list(topics(path))
    elif kind == "smart":
        rows = _read(path, "smart", {"part": "queries"})
        found = list(zip(_strings(rows, "query_id"), _strings(rows, "text"), strict=True))
    else:
        rows = _read(path, FORMATS[kind], {})
        id_column = _column(rows, None, ("query_id", "qid", "num", *ID), "id")
        text_column = _column(rows, None, ("query", "title", *TEXT), "text")
        if id_column is None or text_column is None:
            fix = f"Name them query_id and text; its columns are {', '.join(rows.column_names)}"
            raise DataError("the queries have no id or no text", where=str(path), fix=fix)
        found = list(zip(_strings(rows, id_column), _strings(rows, text_column), strict=True))
    seen: set[str] = set()
    for name, _ in found:
        if name in seen:
            raise DataError(f'query "{name}" is given twice', where=str(path))
        seen.add(name)
    if not found:
        raise DataError("holds no queries", where=str(path))
    return found


FORMATS = {
    "jsonl": "jsonlines", "csv": "csv", "parquet": "parquet", "smart": "smart", "trec": "trec", "pages": "pages", "warc": "warc",
}  # fmt: skip


def detect_format(path: Path) -> str:
    """The format of a file of documents or queries, by its name, and for SMART and TREC by its first line."""
    from pellucid.data import detect

    if not path.exists():
        raise UsageError("there is no such file", where=str(path))
    reader = detect(path)
    for known, name in FORMATS.items():
        if reader == name:
            return known
    if path.is_dir() and (reader is None or reader not in FORMATS.values()):
        return "pages"
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(4096).lstrip()
        if head.startswith(b".I "):
            return "smart"
        if head[:6].lower().startswith((b"<doc>", b"<top>")):
            return "trec"
    raise UsageError("cannot tell how to read it", where=str(path), fix=f"Say it: --format {', '.join(FORMATS)}")


def _read(path: Path, reader: str, options: dict[str, Any]) -> pa.Table:
    from pellucid.data import open_table

    return open_table(path, format=reader, options=options).read_all()


def _column(rows: pa.Table, named: str | None, usual: Sequence[str], what: str) -> str | None:
    if named is not None:
        if named not in rows.column_names:
            raise DataError(f'the table has no column "{named}" for the {what}', fix=suggest(named, rows.column_names))
        return named
    lower = {name.lower(): name for name in reversed(rows.column_names)}
    return next((lower[name] for name in usual if name in lower), None)


def _strings(rows: pa.Table, column: str | None) -> list[str]:
    """A column as text without white space around it or in rows; "" where there is none."""
    if column is None:
        return [""] * rows.num_rows
    import pyarrow as pa

    values = rows.column(column)
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        raise DataError(f'column "{column}" holds {values.type}, not text')
    return [" ".join(_clean(str(value)[:LONGEST_TEXT]).split()) if value is not None else "" for value in values.to_pylist()]


def _clean(text: str) -> str:
    """Without control characters, which no page can show; and without halves of surrogate pairs, which no file can hold."""
    if text.isprintable():
        return text
    return "".join(" " if (not one.isprintable() and ord(one) < 0xA0) or 0xD800 <= ord(one) < 0xE000 else one for one in text)


def _without_title(text: str, title: str) -> str:
    """A text that begins with its own title, as in many collections, would count the title's words once more."""
    return text[len(title) :].lstrip(" .") if title and text.startswith(title) else text


def _said(left_out: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in left_out.items() if count) or "it has no rows"
