"""`pl.search.index`: the step that makes a search index of a table of documents."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.pipeline.declaration import Output, OutputOf, Source, Step
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
) -> Model:
    """The search index of a table of documents; says what it left out."""
    from pellucid.search.documents import documents_of
    from pellucid.search.search_index import build

    others = list(dict.fromkeys([*columns, *facets]))
    found = documents_of(documents, id_column, title_column, text_column, others)
    for kind, count in found.left_out.items():
        print(f"{count} documents left out: {kind}")
    return build(found, language=language, facets=list(facets))


def index(
    of: Source | Step | OutputOf | str,
    *,
    id: str | None = None,
    title: str | None = None,
    text: str | None = None,
    columns: Sequence[str] = (),
    facets: Sequence[str] = (),
    language: str = "english",
    name: str = "index",
) -> Step:
    """A step that makes the search index of a table of documents: a model that `pellucid serve` answers from.

    `of` is a table with a row a document. `id`, `title`, `text` name its columns (None: the usual names are looked for). `columns` are
    kept to be shown beside a result (url, date, licence); `facets` are kept too, and results are counted and filtered by them.
    The index has the label of its documents: that of a private table is private.
    """
    settings = {
        "id_column": id,
        "title_column": title,
        "text_column": text,
        "columns": tuple(columns),
        "facets": tuple(facets),
        "language": checked_language(language),
    }
    return Step(build_index, name, (Output("", "model"),), {"documents": of}, settings, kind="features")
