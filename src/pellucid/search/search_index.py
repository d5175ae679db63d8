"""The search index: one model of plain arrays that holds the documents, their terms in order, and the tables that ranking needs.

It is an artifact like any other: its digest is that of its documents and settings, and building it twice gives the same bytes. The
full-text index that a server asks (`full_text`) is built from it and never kept as an artifact, because the engine names its files at
random.

Arrays, for n documents in the order of their ids and v terms:
- `id` (text, n); `title` and `text` as UTF-8 bytes one after the other, with n + 1 offsets in `title.ends` and `text.ends`;
- `column.0`, `column.0.ends`, ...: the same of the other columns, by their places in the setting `columns`, so that one may have any name;
- `terms` (text, v, sorted), `terms.documents` (int32, v: in how many documents each stands);
- `words`, `words.documents`: the same for whole words in lower case, for completion and spelling;
- `tokens` (int32: terms by number, title before text, document after document), `tokens.ends` (int64, 2 n + 1: where each title and each
  text begins);
- `lsa` (float32, n x k, rows of length 1), `lsa.terms` (float32, v x k): see `latent_semantics`;
- `neighbours` (int32, n x 5), `neighbours.weights` (float32, n x 5).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.search.documents import Documents
from pellucid.search.synonyms import checked_synonyms
from pellucid.search.text_analysis import analyser, checked_language, plain_analyser

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.store import Model

KIND = "search-index"
FIELDS = ("title", "text")
YEAR = "year"  # the name of the filter by years


def build(
    documents: Documents,
    *,
    language: str = "english",
    facets: Sequence[str] = (),
    synonyms: Sequence[Sequence[str]] = (),
    years: str | None = None,
) -> Model:
    """The index of documents. `facets`: columns that results are counted and filtered by; they must be among the documents' own.

    `synonyms`: groups of phrases that mean the same; `years`: the column whose years results are counted and filtered by, as "year".
    """
    import numpy as np

    from pellucid.search import latent_semantics
    from pellucid.store import Model

    language = checked_language(language)
    others = [name for name in documents.table.column_names if name not in ("id", *FIELDS)]
    for name in facets:
        if name not in others:
            raise UsageError(
                f'the facet "{name}" is no column of the documents', fix=f"Keep it: its columns are {', '.join(others)}"
            )
    if years is not None and (years not in others or YEAR in facets):
        why = f'"{YEAR}" is a facet already' if years in others else f"its columns are {', '.join(others)}"
        raise UsageError(f'the years cannot be taken from "{years}"', why=why)
    arrays: dict[str, NDArray[Any]] = {"id": np.array(documents.table.column("id").to_pylist(), dtype=str)}
    for name in (*FIELDS, *others):
        key = _array_of(name, others)
        texts = ["" if one is None else str(one) for one in documents.table.column(name).to_pylist()]
        arrays[key], arrays[f"{key}.ends"] = pack(texts)
    arrays |= _tokens([documents.table.column(name).to_pylist() for name in FIELDS], language)
    arrays |= _words([documents.table.column(name).to_pylist() for name in FIELDS])
    arrays |= latent_semantics.fit(arrays["tokens"], arrays["tokens.ends"], len(arrays["terms"]))
    settings = {
        "language": language,
        "columns": others,
        "facets": list(facets),
        "left_out": [f"{count} {kind}" for kind, count in sorted(documents.left_out.items())],
    }
    if synonyms:
        settings["synonyms"] = checked_synonyms(synonyms, language)
    if years is not None:
        settings["years"] = years
    return Model(KIND, arrays, settings)


def of_terms(documents: Documents, terms: list[str], tokens: NDArray[Any], lengths: NDArray[Any], *, language: str) -> Model:
    """An index of documents whose terms are known and whose texts are not.

    `terms`: sorted; `tokens` (int32): document after document, of each as many as `lengths` says, none of them in a title.
    """
    import numpy as np

    from pellucid.search import latent_semantics
    from pellucid.store import Model

    count = len(lengths)
    ends = np.zeros(2 * count + 1, dtype=np.int64)
    ends[2::2] = np.cumsum(lengths)
    ends[1::2] = ends[:-1:2]
    owners = np.repeat(np.arange(count), lengths)
    pairs = np.unique(owners * max(1, len(terms)) + tokens)
    arrays: dict[str, NDArray[Any]] = {"id": np.array(documents.table.column("id").to_pylist(), dtype=str)}
    for name in FIELDS:
        arrays[name], arrays[f"{name}.ends"] = pack([""] * count)
    arrays |= {
        "terms": np.array(terms, dtype=np.str_),
        "terms.documents": np.bincount(pairs % max(1, len(terms)), minlength=len(terms)).astype(np.int32),
        "tokens": tokens,
        "tokens.ends": ends,
    }
    arrays |= _words([[""] * count, [""] * count]) | latent_semantics.fit(tokens, ends, len(terms))
    return Model(KIND, arrays, {"language": language, "columns": [], "facets": [], "left_out": []})


def update(index: Model, documents: Documents, remove: Sequence[str] = ()) -> Model:
    """The index with documents added, replaced where their ids are there already, and those of the ids in `remove` gone.

    It is built from the documents that the index holds, so it has the same digest as an index of all of them built at once.
    Raises UsageError for documents that lack a column of the index, and for an id in `remove` that is not there.
    """
    import pyarrow as pa

    others = [str(name) for name in index.settings["columns"]]
    if missing := [name for name in others if name not in documents.table.column_names]:
        raise UsageError(f'the new documents have no column "{missing[0]}"', fix="Give them the columns that the index keeps")
    held = {str(name): number for number, name in enumerate(index.arrays["id"].tolist())}
    if strange := [name for name in remove if name not in held]:
        raise UsageError(f'there is no document "{strange[0]:.80}" to remove')
    gone = {*remove, *documents.table.column("id").to_pylist()}
    rows = [
        {"id": name, **{column: unpack(index, column, number) for column in (*FIELDS, *others)}}
        for name, number in held.items()
        if name not in gone
    ]
    names = ["id", *FIELDS, *others]
    rows += [
        {name: "" if row[name] is None else str(row[name]) for name in names} for row in documents.table.select(names).to_pylist()
    ]
    if not rows:
        raise UsageError("no document would be left")
    left_out = Counter(documents.left_out)
    for said in index.settings["left_out"]:
        count, _, kind = str(said).partition(" ")
        left_out[kind] += int(count)
    table = pa.Table.from_pylist(sorted(rows, key=lambda row: row["id"]), pa.schema([(name, pa.string()) for name in names]))
    told = index.settings
    return build(
        Documents(table, dict(left_out)), language=str(told["language"]), facets=[str(one) for one in told["facets"]],
        synonyms=told.get("synonyms", ()), years=told.get("years"),
    )  # fmt: skip


def pack(texts: Sequence[str]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Texts as one array of UTF-8 bytes, and where each begins and ends (n + 1 offsets)."""
    import numpy as np

    parts = [text.encode() for text in texts]
    ends = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)]).astype(np.int64)
    return np.frombuffer(b"".join(parts), dtype=np.uint8), ends


def unpack(model: Model, column: str, document: int) -> str:
    """The text of a document's column."""
    key = _array_of(column, model.settings["columns"])
    ends = model.arrays[f"{key}.ends"]
    return model.arrays[key][ends[document] : ends[document + 1]].tobytes().decode(errors="replace")


def _array_of(column: str, others: Sequence[str]) -> str:
    """The name of the array that holds a column."""
    return column if column in FIELDS else f"column.{list(others).index(column)}"


def _words(fields: Sequence[Sequence[str]]) -> dict[str, NDArray[Any]]:
    """`words` and `words.documents`: in how many documents each whole word stands."""
    import numpy as np

    analyse = plain_analyser().analyze
    counts: Counter[str] = Counter()
    for texts in zip(*fields, strict=True):
        counts.update({word for text in texts for word in analyse(text)})
    words = sorted(counts)
    return {
        "words": np.array(words or [], dtype=np.str_),
        "words.documents": np.array([counts[word] for word in words], dtype=np.int32),
    }


def _tokens(fields: Sequence[Sequence[str]], language: str) -> dict[str, NDArray[Any]]:
    """`terms`, `terms.documents`, `tokens`, `tokens.ends`; terms are numbered in their sorted order."""
    import numpy as np

    analyse = analyser(language).analyze
    seen: dict[str, int] = {}
    numbers: list[int] = []
    ends = [0]
    for texts in zip(*fields, strict=True):
        for text in texts:
            numbers += [seen.setdefault(term, len(seen)) for term in analyse(text)] if text else []
            ends.append(len(numbers))
    terms: NDArray[Any] = np.array(sorted(seen) or [], dtype=np.str_)
    place = np.empty(len(seen), dtype=np.int32)
    place[[seen[term] for term in terms.tolist()]] = np.arange(len(seen), dtype=np.int32)
    tokens = place[np.array(numbers, dtype=np.int64)] if numbers else np.zeros(0, np.int32)
    bounds = np.array(ends, dtype=np.int64)
    documents = np.repeat(np.arange(len(bounds) // 2), np.diff(bounds[::2]))
    pairs = np.unique(documents * max(1, len(terms)) + tokens) if len(tokens) else np.zeros(0, np.int64)
    counts = np.bincount(pairs % max(1, len(terms)), minlength=len(terms)).astype(np.int32)
    return {"terms": terms, "terms.documents": counts, "tokens": tokens, "tokens.ends": bounds}
