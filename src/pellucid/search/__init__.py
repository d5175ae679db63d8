"""Search: documents, the index, the default ranking that needs no judgement, and the engine that a server asks.

`index` is a step for a pipeline: documents in, a search index out, a model of plain arrays (`search_index`). `Engine` answers queries on
one index: words, phrases, filters, facets, snippets, completion. `rank_file` ranks a whole file of queries as a TREC run.
`click_feedback` learns from clicks that the server never sees. May import models, evaluation, pipeline, store and data. numpy, scipy and
tantivy load on use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.search.batch_ranking import rank_file
    from pellucid.search.click_feedback import FeedbackRanking
    from pellucid.search.documents import Documents, documents_of, read_documents, read_queries
    from pellucid.search.engine import DEEPEST_PAGE, Answer, Engine, Hit
    from pellucid.search.exchange import read_ciff, write_ciff
    from pellucid.search.label_free import Ranker
    from pellucid.search.learned_ranking import checked_ranking
    from pellucid.search.publication_dates import DATES
    from pellucid.search.search_index import KIND, build
    from pellucid.search.search_steps import features, feedback, index, learn, learn_from_clicks, update

__all__ = [
    "DATES", "DEEPEST_PAGE", "KIND", "Answer", "Documents", "Engine", "FeedbackRanking", "Hit", "Ranker", "build", "checked_ranking",
    "documents_of", "features", "feedback", "index", "learn", "learn_from_clicks", "rank_file", "read_ciff", "read_documents",
    "read_queries", "update", "write_ciff",
]  # fmt: skip

__getattr__ = lazy_names(
    __name__,
    {
        "batch_ranking": ("rank_file",),
        "click_feedback": ("FeedbackRanking",),
        "documents": ("Documents", "documents_of", "read_documents", "read_queries"),
        "engine": ("DEEPEST_PAGE", "Answer", "Engine", "Hit"),
        "exchange": ("read_ciff", "write_ciff"),
        "label_free": ("Ranker",),
        "learned_ranking": ("checked_ranking",),
        "publication_dates": ("DATES",),
        "search_index": ("KIND", "build"),
        "search_steps": ("features", "feedback", "index", "learn", "learn_from_clicks", "update"),
    },
)
