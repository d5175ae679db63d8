"""CIFF, the Common Index File Format (Lin and others, "Supporting Interoperability Between Open-Source Search Engines with the Common Index
File Format", 2020): an inverted index that Anserini, PISA, Terrier, JASS and others read and write.

A file is a header, a postings list for each term in the order of terms, and a record for each document. Documents are numbered from 0; in a
list each number is the gap to the one before. The format knows one field and no positions: title and text are one, and what is read from it
ranks by words and meaning, not by nearness. Terms are written as the index has them, stemmed; whoever asks must stem alike (the
description says how).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError
from pellucid.search.exchange.protobuf import delimited, field, fields, read_delimited
from pellucid.search.text_analysis import checked_language
from pellucid.store import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_TOKENS = 200_000_000  # of a file that is read
HEADER, POSTINGS, RECORD = range(3)


def write_ciff(index: Model, path: Path) -> None:
    """Write an index. The same index gives the same bytes. Raises UsageError where the file is there already."""
    import numpy as np

    if path.exists():
        raise UsageError("it is there already", where=str(path), fix="Remove it, or name another file")
    terms, tokens, ends = index.arrays["terms"].tolist(), index.arrays["tokens"], index.arrays["tokens.ends"]
    names = index.arrays["id"].tolist()
    lengths = np.diff(ends[::2])
    documents = np.repeat(np.arange(len(names)), lengths)
    pairs, counts = np.unique(tokens.astype(np.int64) * max(1, len(names)) + documents, return_counts=True)
    bounds = np.searchsorted(pairs, np.arange(len(terms) + 1) * max(1, len(names)))
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            said = (
                f"Pellucid; title and text as one; {index.settings['language']}: lower case, Snowball stems, without stop words"
            )
            head: list[int | float | bytes] = [
                1,
                len(terms),
                len(names),
                len(terms),
                len(names),
                int(lengths.sum()),
                float(lengths.mean()),
                said.encode(),
            ]
            file.write(delimited(b"".join(field(number, value) for number, value in enumerate(head, 1))))
            for at, term in enumerate(terms):
                there = pairs[bounds[at] : bounds[at + 1]] % max(1, len(names))
                gaps, held = np.diff(there, prepend=0).tolist(), counts[bounds[at] : bounds[at + 1]]
                postings = b"".join(field(4, field(1, gap) + field(2, tf)) for gap, tf in zip(gaps, held.tolist(), strict=True))
                file.write(delimited(field(1, term.encode()) + field(2, len(gaps)) + field(3, int(held.sum())) + postings))
            for number, (name, length) in enumerate(zip(names, lengths.tolist(), strict=True)):
                file.write(delimited(field(1, number) + field(2, name.encode()) + field(3, int(length))))
        draft.replace(path)
    except OSError as error:
        raise DataError("it cannot be written", where=str(path), why=str(error)) from error
    finally:
        draft.unlink(missing_ok=True)


def read_ciff(path: Path, language: str = "english") -> Model:
    """The index in a file: it ranks, and has no texts to show. `language`: how queries are cut to stems; as the file's terms were.

    Raises DataError for a file that is none, is cut off or contradicts itself, and UsageError where there is none.
    """
    import numpy as np

    from pellucid.search.documents import Documents
    from pellucid.search.search_index import of_terms

    try:
        terms, owners, numbers, counts, names = _read(path)
    except FileNotFoundError:
        raise UsageError("there is no such file", where=str(path)) from None
    except DataError as error:
        raise DataError("it is no whole CIFF file", where=str(path), why=str(error)) from None
    except OSError as error:
        raise DataError("it cannot be read", where=str(path), why=str(error)) from None
    import pyarrow as pa

    order = sorted(range(len(names)), key=lambda at: names[at])
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    sorted_terms = sorted(set(terms))
    if len(sorted_terms) != len(terms):
        raise DataError("it is no whole CIFF file", where=str(path), why="a term has two lists")
    rank = {term: at for at, term in enumerate(sorted_terms)}
    new = np.array([rank[term] for term in terms], dtype=np.int64)
    documents, tokens = place[numbers], new[owners]
    turn = np.lexsort((tokens, documents))
    held = np.repeat(tokens[turn], counts[turn]).astype(np.int32)
    lengths = np.bincount(documents, weights=counts, minlength=len(names)).astype(np.int64)
    table = pa.table({"id": [names[at] for at in order], "title": [""] * len(names), "text": [""] * len(names)})
    return of_terms(Documents(table, {}), sorted_terms, held, lengths, language=checked_language(language))


def _read(path: Path) -> tuple[list[str], NDArray[Any], NDArray[Any], NDArray[Any], list[str]]:
    """Terms; of each posting its term, document and count; the names of documents by number."""
    import numpy as np

    with path.open("rb") as file:
        largest = path.stat().st_size
        head = _message(read_delimited(file, largest))
        lists, records = _number(head, 2), _number(head, 3)
        terms: list[str] = []
        owners: list[int] = []
        numbers: list[int] = []
        counts: list[int] = []
        total = 0
        for at in range(lists):
            data = read_delimited(file, largest)
            if data is None:
                raise DataError(f"it ends after {at} of {lists} postings lists")
            term, found = _postings(data)
            terms.append(term)
            document = 0
            for place, (gap, count) in enumerate(found):
                document += gap
                total += count
                if document >= records or count < 1 or total > MOST_TOKENS or (place and not gap):
                    raise DataError(f'the list of "{term:.40}" names a document or a count that there cannot be')
                owners.append(at)
                numbers.append(document)
                counts.append(count)
        names: dict[int, str] = {}
        for at in range(records):
            told = _message(read_delimited(file, largest))
            number = _number(told, 1)
            if number in names or number >= records:
                raise DataError(f"record {at} is of a document that there cannot be")
            name = told.get(2, b"")
            names[number] = name.decode(errors="replace") if isinstance(name, bytes) else ""
        if not records or len(set(names.values())) != records or "" in names.values():
            raise DataError("documents have no names, or one name twice")
        if read_delimited(file, largest) is not None:
            raise DataError("there is more behind its last record")
    whole = [np.array(one, dtype=np.int64) for one in (owners, numbers, counts)]
    return terms, whole[0], whole[1], whole[2], [names[at] for at in range(records)]


def _message(data: bytes | None) -> dict[int, Any]:
    if data is None:
        raise DataError("it ends too early")
    return {number: value for number, value in fields(data)}  # noqa: C416 - a pair for each number, the last one counts


def _number(message: dict[int, Any], name: int) -> int:
    value = message.get(name, 0)
    if not isinstance(value, int):
        raise DataError("what should be a whole number is none")
    return value


def _postings(data: bytes) -> tuple[str, Iterator[tuple[int, int]]]:
    term, found = "", []
    for number, value in fields(data):
        if number == 1 and isinstance(value, bytes):
            term = value.decode(errors="replace")
        elif number == 4 and isinstance(value, bytes):
            told = _message(value)
            found.append((_number(told, 1), _number(told, 2)))
    return term, iter(found)
