"""A whole collection ranked for a whole file of queries, as a TREC run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import UsageError

DEPTH = 1000
METHODS = ("label-free", "bm25f")


@dataclass(frozen=True)
class Batch:
    """How many documents and queries were ranked; `left_out`: documents by why; `unanswered`: queries without a known term."""

    documents: int
    queries: int
    left_out: dict[str, int]
    unanswered: tuple[str, ...]


def rank_file(
    documents: Path, queries: Path, out: Path, *, format: str | None = None, language: str = "english", method: str = "label-free",
    depth: int = DEPTH,
) -> Batch:  # fmt: skip
    """Index `documents`, rank them for each query of `queries`, and write the first `depth` of each to `out`. No labels are used.

    `method`: "label-free", the default ranking, or "bm25f", the baseline. The file is written whole or not at all.
    """
    from threadpoolctl import threadpool_limits

    from pellucid.evaluation import write_run
    from pellucid.search.documents import read_documents, read_queries
    from pellucid.search.label_free import Ranker
    from pellucid.search.search_index import build

    if method not in METHODS:
        raise UsageError(f'there is no ranking "{method}"', fix=f"It is one of {', '.join(METHODS)}")
    if out.exists():
        raise UsageError("it is there already", where=str(out), fix="Remove it, or name another file")
    if not out.absolute().parent.is_dir():
        raise UsageError("there is no such folder", where=str(out.absolute().parent), fix="Make it first")
    asked = read_queries(queries, format)
    held = read_documents(documents, format)
    unanswered: list[str] = []
    draft = out.with_name(f".{out.name}.draft")
    try:
        with threadpool_limits(1):  # so that sums come out alike on every machine
            ranker = Ranker(build(held, language=language))
            names = ranker.index.arrays["id"]

            def rows() -> Iterator[tuple[str, list[tuple[str, float]]]]:
                for name, text in asked:
                    found = ranker.rank(text) if method == "label-free" else ranker.by_words(text)
                    if not len(found.documents):
                        unanswered.append(name)
                    order, scores = found.documents[:depth].tolist(), found.scores[:depth].tolist()
                    yield name, [(str(names[place]), score) for place, score in zip(order, scores, strict=True)]

            write_run(draft, rows(), f"pellucid-{method}")
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    return Batch(held.table.num_rows, len(asked), dict(held.left_out), tuple(unanswered))
