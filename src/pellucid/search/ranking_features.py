"""Features of a query and a document, for rankers that learn from judgements.

| feature | what it is |
|---|---|
| `sum` | the label-free sum, parts and neighbours together |
| `words`, `meaning`, `title`, `near`, `neighbours` | its parts, as `label_free` adds them |
| `plain_words` | BM25F of the query as it was asked, by its best hundred |
| `coverage` | the share of the query's words, weighted by rarity, that the document has |
| `length` | the logarithm of 1 + the document's number of words |

They are computed for the first `DEPTH` documents of the label-free ranking; a learned ranker puts those in a new order and leaves the
others below them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from pellucid.search.label_free import Ranked, Ranker

DEPTH = 100
NAMES = ("sum", "words", "meaning", "title", "near", "neighbours", "plain_words", "coverage", "length")


class Judged(NamedTuple):
    """Features of judged queries: `values` (rows x `NAMES`), `grades` (rows), and where each query's rows begin (queries + 1)."""

    values: NDArray[Any]
    grades: NDArray[Any]
    begins: NDArray[Any]


def features(ranker: Ranker, query: str, ranked: Ranked) -> NDArray[Any]:
    """The features of the first `DEPTH` documents of a ranking, in its order: documents x `NAMES`, float64, rounded to six digits."""
    import numpy as np

    documents = ranked.documents[:DEPTH]
    pool = np.sort(documents)
    place = np.searchsorted(pool, documents)
    plain = np.zeros(ranker.count)
    alone = ranker.by_words(query, pool)
    plain[alone.documents] = alone.scores
    coverage, length = ranker.coverage(query, pool)
    columns = [ranked.scores[:DEPTH], *ranked.parts[:DEPTH].T, plain[documents], coverage[place], length[place]]
    return np.round(np.stack(columns, axis=1), 6) if len(documents) else np.zeros((0, len(NAMES)))


def as_table(judged: Judged, queries: Sequence[str]) -> pa.Table:
    """One row a query and document: `query` (its number, by first appearance), the features, `grade`."""
    import numpy as np
    import pyarrow as pa

    query = np.repeat(np.arange(len(judged.begins) - 1), np.diff(judged.begins))
    columns = {name: judged.values[:, place] for place, name in enumerate(NAMES)}
    return pa.table({"query": pa.array([queries[one] for one in query.tolist()], pa.string()), **columns, "grade": judged.grades})


def of_table(table: Any) -> Judged:
    """What `as_table` wrote, read again; rows of a query stand together. Raises DataError for a table without these columns."""
    import numpy as np
    import pyarrow as pa

    rows = table if isinstance(table, pa.Table) else pa.table(table.arrow() if hasattr(table, "arrow") else table)
    missing = [name for name in ("query", *NAMES, "grade") if name not in rows.column_names]
    if missing:
        raise DataError(
            f"it is no table of ranking features: {', '.join(missing[:3])} missing", fix="Make it with pl.search.features"
        )
    values = np.stack([np.asarray(rows.column(name), dtype=np.float64) for name in NAMES], axis=1)
    query = np.asarray(rows.column("query").combine_chunks().dictionary_encode().indices) if rows.num_rows else np.zeros(0, int)
    if (np.diff(query) < 0).any():
        raise DataError("rows of one query do not stand together", fix="Sort by query")
    begins = np.concatenate([[0], np.cumsum(np.bincount(query))]) if rows.num_rows else np.zeros(1, int)
    return Judged(values, np.asarray(rows.column("grade")).astype(np.int64), begins)


def judged_features(
    ranker: Ranker, queries: Sequence[tuple[str, str]], judgements: Mapping[str, Mapping[str, int]]
) -> tuple[Judged, list[str]]:
    """Features and grades (0 where nobody judged) of the queries that have a judgement above 0, in their order; and which those are."""
    import numpy as np

    names = ranker.index.arrays["id"].tolist()
    kept: list[str] = []
    values, grades, begins = [], [], [0]
    for name, text in queries:
        judged = judgements.get(name, {})
        ranked = ranker.rank(text)
        if not any(grade > 0 for grade in judged.values()) or not len(ranked.documents):
            continue
        kept.append(name)
        values.append(features(ranker, text, ranked))
        grades.append(np.array([max(0, judged.get(names[one], 0)) for one in ranked.documents[:DEPTH].tolist()], dtype=np.int64))
        begins.append(begins[-1] + len(grades[-1]))
    if not values:
        return Judged(np.zeros((0, len(NAMES))), np.zeros(0, np.int64), np.array(begins)), kept
    return Judged(np.concatenate(values), np.concatenate(grades), np.array(begins)), kept
