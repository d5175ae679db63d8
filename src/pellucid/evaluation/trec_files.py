"""Runs and relevance judgements in the files that retrieval research exchanges.

- A run (TREC): lines of `query Q0 document rank score tag`. Documents are taken by falling score, equal scores by falling document
  id, as trec_eval does; the rank column is not believed.
- Judgements (TREC "qrels"): lines of `query iteration document grade`; a grade of 0 or below is not relevant.
- Judgements as the SMART collections have them: `query document code` (Cranfield: code 1 is best, grade = 5 - code, and -1 has no
  documentation: `minus_one` says which grade it gets) and `query document 0 0.0` (CISI: every line is relevant).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pellucid.errors import DataError, UsageError

Run = Mapping[str, Sequence[str]]  # by query: documents, best first
Judgements = Mapping[str, Mapping[str, int]]  # by query: the grade of each judged document

QRELS_FORMATS = ("trec", "cranfield", "cisi")
_MOST = 10_000_000  # lines


def read_run(path: Path) -> dict[str, list[str]]:
    """The ranking of each query, in the file's order of queries. Raises DataError for a line that is none, or a document twice."""
    scored: dict[str, dict[str, float]] = {}
    for at, cells in _lines(path, "a run"):
        if len(cells) != 6:
            raise DataError(
                f"line {at}: not a line of a run", where=str(path), fix="Lines hold: query Q0 document rank score tag"
            )
        query, document = cells[0], cells[2]
        try:
            score = float(cells[4])
        except ValueError:
            score = math.nan
        if not math.isfinite(score):
            raise DataError(f'line {at}: the score "{cells[4]}" is not a number', where=str(path))
        found = scored.setdefault(query, {})
        if document in found:
            raise DataError(f"line {at}: document {document} stands twice for query {query}", where=str(path))
        found[document] = score
    return {query: sorted(sorted(found, reverse=True), key=lambda one: -found[one]) for query, found in scored.items()}


def write_run(path: Path, rows: Iterable[tuple[str, Sequence[tuple[str, float]]]], tag: str = "pellucid") -> int:
    """Write a run; how many queries it has. `rows`: each query with its documents and scores, best first.

    Tools break ties in their own ways, some after rounding to single precision. So each score is written at least 0.00001 below
    the one before it, and every tool reads the same order.
    """
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for query, ranked in rows:
            last = math.inf
            for rank, (document, score) in enumerate(ranked, 1):
                last = min(round(score, 6), round(last - 1e-5, 6))
                file.write(f"{_word(query)} Q0 {_word(document)} {rank} {last:.6f} {tag}\n")
            count += 1
    return count


def _word(text: str) -> str:
    if not text or re.search(r"\s", text):
        raise DataError(f'the id "{text}" cannot stand in a run', why="its columns are divided by white space", fix="Rename it")
    return text


def read_judgements(path: Path, format: str | None = None, minus_one: int = 1) -> dict[str, dict[str, int]]:
    """The judgements of each query. `format`: one of `QRELS_FORMATS`, or None to tell it from the columns.

    `minus_one`: the grade, 0 to 4, of Cranfield's unexplained code -1.
    """
    if format not in (None, *QRELS_FORMATS):
        raise UsageError(f'there is no format "{format}" of judgements', fix=f"It is one of {', '.join(QRELS_FORMATS)}")
    if minus_one not in range(5):
        raise UsageError(f"the grade of code -1 must be 0 to 4, not {minus_one}")
    kind = format or format_of(path)
    judged: dict[str, dict[str, int]] = {}
    for at, cells in _lines(path, "judgements"):
        query, document, grade = _judgement(cells, kind, minus_one, path, at)
        found = judged.setdefault(query, {})
        if found.get(document, grade) != grade:
            raise DataError(f"line {at}: document {document} is judged again, differently", where=str(path), why=f"query {query}")
        found[document] = grade
    return judged


def format_of(path: Path) -> str:
    """The format of a file of judgements, told from its columns."""
    rows = [cells for _, (_, cells) in zip(range(1000), _lines(path, "judgements"), strict=False)]
    if all(len(cells) == 3 for cells in rows):
        return "cranfield"
    if all(len(cells) == 4 and cells[2] == "0" and re.fullmatch(r"0\.0+", cells[3]) for cells in rows):
        return "cisi"
    return "trec"


def minus_ones(path: Path) -> int:
    """How many judgements of a Cranfield file carry the code -1."""
    return sum(cells[2:] == ["-1"] for _, cells in _lines(path, "judgements"))


def _judgement(cells: list[str], format: str, minus_one: int, path: Path, at: int) -> tuple[str, str, int]:
    try:
        if format == "trec" and len(cells) == 4:
            return cells[0], cells[2], int(cells[3])
        if format == "cisi" and len(cells) == 4:
            return cells[0], cells[1], 1
        if format == "cranfield" and len(cells) == 3 and (code := int(cells[2])) in (-1, 1, 2, 3, 4, 5):
            return cells[0], cells[1], 5 - code if code > 0 else minus_one
    except ValueError:
        pass
    fix = {
        "trec": "Lines hold: query iteration document grade",
        "cisi": "Lines hold: query document 0 0.0",
        "cranfield": "Lines hold: query document code, codes 1 to 5 or -1",
    }
    raise DataError(f"line {at}: not a judgement", where=str(path), fix=fix[format])


def _lines(path: Path, what: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that is not blank, with its number."""
    seen = False
    try:
        with path.open(encoding="utf-8-sig") as file:
            for at, line in enumerate(file, 1):
                if cells := line.split():
                    seen = True
                    yield at, cells
                if at >= _MOST:
                    raise DataError(f"more than {_MOST:,} lines", where=str(path))
    except FileNotFoundError:
        raise UsageError("there is no such file", where=str(path)) from None
    except IsADirectoryError:
        raise UsageError("it is a folder", where=str(path), fix=f"Name the file that holds {what}") from None
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8 text", where=str(path), why=str(error)) from error
    if not seen:
        raise DataError(f"holds no lines of {what}", where=str(path))
