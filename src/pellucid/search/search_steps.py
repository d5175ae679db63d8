"""Search as steps of a pipeline: `index` of documents, `features` of judged queries, `feedback` for clicks.

`learn` and `learn_from_clicks` are called in a step of one's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.errors import DataError
from pellucid.pipeline.declaration import Output, OutputOf, Source, Step
from pellucid.search.synonyms import checked_synonyms
from pellucid.search.text_analysis import checked_language
from pellucid.store import Model, Table


def build_index(
    documents: Table,
    id_column: str | None = None,
    title_column: str | None = None,
    text_column: str | None = None,
    columns: tuple[str, ...] = (),
    facets: tuple[str, ...] = (),
    language: str = "english",
    synonyms: tuple[tuple[str, ...], ...] = (),
    years: str | None = None,
) -> Model:
    """The search index of a table of documents; says what it left out."""
    from pellucid.search.documents import documents_of
    from pellucid.search.search_index import build

    others = list(dict.fromkeys([*columns, *facets, *([years] if years else [])]))
    found = documents_of(documents, id_column, title_column, text_column, others)
    for kind, count in found.left_out.items():
        print(f"{count} documents left out: {kind}")
    return build(found, language=language, facets=list(facets), synonyms=synonyms, years=years)


def update_index(
    index: Model,
    documents: Table,
    id_column: str | None = None,
    title_column: str | None = None,
    text_column: str | None = None,
    remove: tuple[str, ...] = (),
) -> Model:
    """The index with the documents of a table added or replaced; says what it left out."""
    from pellucid.search.documents import documents_of
    from pellucid.search.search_index import update as updated

    found = documents_of(documents, id_column, title_column, text_column, [str(name) for name in index.settings["columns"]])
    for kind, count in found.left_out.items():
        print(f"{count} documents left out: {kind}")
    return updated(index, found, remove)


def index(
    of: Source | Step | OutputOf | str,
    *,
    id: str | None = None,
    title: str | None = None,
    text: str | None = None,
    columns: Sequence[str] = (),
    facets: Sequence[str] = (),
    language: str = "english",
    synonyms: Sequence[Sequence[str]] = (),
    years: str | None = None,
    name: str = "index",
) -> Step:
    """A step that makes the search index of a table of documents: a model that `pellucid serve` answers from.

    `of` is a table with a row a document. `id`, `title`, `text` name its columns (None: the usual names are looked for). `columns` are
    kept to be shown beside a result (url, date, licence); `facets` are kept too, and results are counted and filtered by them.
    `synonyms` are groups of phrases that mean the same; `years` names the column whose years results are counted and filtered by.
    The index has the label of its documents: that of a private table is private.
    """
    settings: dict[str, Any] = {
        "id_column": id,
        "title_column": title,
        "text_column": text,
        "columns": tuple(columns),
        "facets": tuple(facets),
        "language": checked_language(language),
    }
    if synonyms:
        settings["synonyms"] = tuple(map(tuple, checked_synonyms(synonyms, checked_language(language))))
    if years is not None:
        settings["years"] = years
    return Step(build_index, name, (Output("", "model"),), {"documents": of}, settings, kind="features")


def update(
    index: Source | Step | OutputOf | str,
    of: Source | Step | OutputOf | str,
    *,
    id: str | None = None,
    title: str | None = None,
    text: str | None = None,
    remove: Sequence[str] = (),
    name: str = "updated",
) -> Step:
    """A step that makes an index with the documents of a table added, or replaced where their ids are there already.

    `of` has the columns that the index keeps; `remove`: ids that go. The result has the same digest as an index of all built at once.
    """
    settings = {"id_column": id, "title_column": title, "text_column": text, "remove": tuple(map(str, remove))}
    return Step(update_index, name, (Output("", "model"),), {"index": index, "documents": of}, settings, kind="features")


def judged_table(index: Model, queries: Table, judgements: Table) -> Table:
    """Features and grades of the judged queries; says which judgements are of documents that the index does not have."""
    from pellucid.search.label_free import Ranker
    from pellucid.search.ranking_features import as_table, judged_features

    asked = [(str(row["query_id"]), str(row["text"])) for row in _rows(queries, "queries", ("query_id", "text"))]
    known, strange = set(index.arrays["id"].tolist()), 0
    judged: dict[str, dict[str, int]] = {}
    for row in _rows(judgements, "judgements", ("query_id", "doc_id", "grade")):
        strange += str(row["doc_id"]) not in known
        judged.setdefault(str(row["query_id"]), {})[str(row["doc_id"])] = int(row["grade"])
    if strange:
        print(f"{strange} judgements are of documents that are not in the index")
    found, names = judged_features(Ranker(index), asked, judged)
    made: Any = as_table(found, names)
    return made  # type: ignore[no-any-return]


def _rows(table: Table, what: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = table.arrow()
    missing = [name for name in columns if name not in rows.column_names]
    if missing:
        raise DataError(f"the table of {what} has no column {missing[0]}", fix=f"Its columns must be {', '.join(columns)}")
    held: list[dict[str, Any]] = rows.select(list(columns)).to_pylist()
    return held


def features(
    index: Source | Step | OutputOf | str,
    *,
    queries: Source | Step | OutputOf | str,
    judgements: Source | Step | OutputOf | str,
    name: str = "features",
) -> Step:
    """A step that makes a table of ranking features of judged queries, for `learn`.

    `queries` has the columns `query_id` and `text`; `judgements` `query_id`, `doc_id` and `grade` (above 0 is relevant), as the SMART
    reader gives them.
    """
    given = {"index": index, "queries": queries, "judgements": judgements}
    return Step(judged_table, name, (Output("", "table"),), given, {}, kind="features")


def learn(features: Any, method: str = "ridge", seed: int = 0) -> Model:
    """Fit a ranker on a table that `features` made: "ridge" or "lambdarank" (see `learned_ranking`); its baseline is the label-free one."""
    from pellucid.search.learned_ranking import fit
    from pellucid.search.ranking_features import of_table

    return fit(of_table(features), method, seed)


def begin_feedback(
    index: Model, counts: Table | None = None, attributes: tuple[tuple[str, str], ...] = (), epsilon: float = 2.0
) -> Model:
    """The label-free ranking of an index as a model that can learn from clicks."""
    from pellucid.search.click_feedback import begin
    from pellucid.search.label_free import Ranker

    rows = _rows(counts, "counts", ("query", "count")) if counts is not None else []
    return begin(Ranker(index), attributes, epsilon=epsilon, counts=[(str(row["query"]), float(row["count"])) for row in rows])


def feedback(
    index: Source | Step | OutputOf | str,
    *,
    attributes: Sequence[tuple[str, str]] = (),
    epsilon: float = 2.0,
    counts: Source | Step | OutputOf | str | None = None,
    name: str = "feedback",
) -> Step:
    """A step that makes a ranking which a service can improve from clicks it never sees (see docs/search.md).

    `attributes`: pairs of a column that the index keeps and a value, such as ("open", "yes"), at most five. `epsilon`: of one report, one a
    reader and week. `counts`: an open table (`query`, `count`) of how often queries are asked, so that a few popular queries do not
    drown the others.
    """
    given = {"index": index, **({"counts": counts} if counts is not None else {})}
    pairs = tuple((str(column), str(value)) for column, value in attributes)
    return Step(
        begin_feedback, name, (Output("", "model"),), given, {"attributes": pairs, "epsilon": float(epsilon)}, kind="features"
    )


def learn_from_clicks(model: Model, clicks: Any) -> Model:
    """One step by the mean direction of readers' reports: the table that `pellucid local estimate` wrote, `coordinate`, `mean`, `error`."""
    from pellucid.search.click_feedback import learned

    rows = _rows(clicks, "clicks", ("coordinate", "mean", "error"))
    wanted = [f"c{place + 1}" for place in range(model.arrays["whitening"].shape[1])]
    if sorted(str(row["coordinate"]) for row in rows) != sorted(wanted) or len({float(row["error"]) for row in rows}) > 1:
        raise DataError(
            "the clicks are not of this model", why=f"its coordinates are {', '.join(wanted)}",
            fix="Estimate the collection that the service opened for it",
        )  # fmt: skip
    means = {str(row["coordinate"]): float(row["mean"]) for row in rows}
    return learned(model, [means[name] for name in wanted], float(rows[0]["error"]))
