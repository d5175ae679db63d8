"""The search engine of one index: what the service and Python ask.

A query's documents are those that share a word with it, or that its syntax asks for (quotes, +, -, AND, OR, NOT, title:word). They are
ranked by `label_free` or, when asked, by words alone. Equal scores come in the order of ids. What cannot be understood is taken as words,
and the answer says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.search.click_feedback import KIND as BY_CLICKS
from pellucid.search.click_feedback import SHOWN, FeedbackRanking
from pellucid.search.full_text import FullText, Snippet, asked_words, checked_query, uses_syntax
from pellucid.search.label_free import FEATURES, POOL, WHOLE, Ranked, Ranker
from pellucid.search.publication_dates import ages
from pellucid.search.ranking_features import DEPTH, NAMES, features
from pellucid.search.search_index import unpack
from pellucid.search.synonyms import widening

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.store import Model

RANKINGS = ("label-free", "bm25f")
DEEPEST_PAGE = 1000  # results that can be paged through


@dataclass(frozen=True)
class Hit:
    """One result. `why`: what each feature added to the score; `columns`: what the index keeps beside it, empty ones left out.

    `statement`: what opening it would say about the ranking (see `click_feedback`), where such a ranking is asked.
    """

    id: str
    title: str
    score: float
    snippet: Snippet
    title_marks: tuple[tuple[int, int], ...]
    why: Mapping[str, float]
    columns: Mapping[str, str]
    statement: tuple[float, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What `Engine.search` found. `total`: how many documents match; `facets`: by name, values and counts among them."""

    query: str
    total: int
    hits: tuple[Hit, ...]
    facets: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    did_you_mean: str | None = None
    weight: float = 1.0  # of the query, among what a reader's clicks say


class Engine:
    """Answers queries on one search index. Many threads may ask at once."""

    def __init__(self, index: Model) -> None:
        self.index = index
        self.ranker = Ranker(index)
        self.text = FullText(index)
        self._numbers = {name: number for number, name in enumerate(index.arrays["id"].tolist())}
        self._widened = widening(index.settings.get("synonyms", ()), str(index.settings["language"]))
        self._by_clicks: tuple[FeedbackRanking, ...] = ()

    @property
    def count(self) -> int:
        """How many documents there are."""
        return self.ranker.count

    def search(
        self,
        query: str,
        k: int = 10,
        offset: int = 0,
        filters: Mapping[str, Sequence[str]] | None = None,
        ranking: str = "label-free",
        learned: Model | None = None,
    ) -> Answer:
        """The best `k` documents from place `offset` on. An empty query matches all documents, in the order of their ids.

        `learned`: a ranker (`learn`, `feedback`) that puts the first hundred of the label-free ranking in its order. `filters`: by facet
        the values of which a document must have one. Raises UsageError for a query that is too long, and for a ranking, facet or page
        that there is not.
        """
        if ranking not in RANKINGS:
            raise UsageError(f'there is no ranking "{ranking}"', fix=f"It is one of {', '.join(RANKINGS)}")
        if not 1 <= k <= 100 or not 0 <= offset <= DEEPEST_PAGE:
            raise UsageError("k must be 1 to 100, and offset 0 to 1000")
        query = checked_query(query)
        more = self._widened(query) if query and not uses_syntax(query) else []
        wide = " ".join([query, *more])
        parsed, notes = self.text.parsed(wide, filters or {})
        asked = asked_words(wide)
        if more:
            notes = (*notes, f"also asked: {', '.join(more)}")
        if query and not uses_syntax(query) and not len(self.ranker.terms(asked)):
            said = "no document has a word of the query" if asked else "the query has no words"
            return Answer(query, 0, (), notes=(*notes, said), did_you_mean=self.text.did_you_mean(query))
        matches = self.text.matches(parsed, self._deep_enough(query, ranking, offset + k))
        order, scores, parts = self._ranked(asked, matches.documents, ranking)
        names = [*FEATURES, "neighbours"] if ranking == "label-free" else ["words"]
        statements: list[tuple[float, ...]] = []
        weight = 1.0
        if learned is not None and ranking == "label-free" and asked and len(order):
            if learned.kind == BY_CLICKS:
                by_clicks = self.by_clicks(learned)
                order, scores, parts, shown = self._ranked_by_clicks(by_clicks, Ranked(order, scores, parts))
                names, weight = list(by_clicks.names), by_clicks.weight(query)
                statements = [tuple(row) for row in by_clicks.statements(shown[: min(k, SHOWN)]).tolist()] if not offset else []
            else:
                order, scores, parts = self._learned(asked, order, scores, parts, learned)
                names += [f"learned:{name}" for name in NAMES]
        hits = []
        for place in range(offset, min(offset + k, len(order))):
            number = int(order[place])
            why = {name: round(float(value), 4) for name, value in zip(names, parts[place], strict=True)} if asked else {}
            statement = statements[place] if place < len(statements) else ()
            hits.append(self._hit(number, float(scores[place]), parsed, why, statement))
        did_you_mean = self.text.did_you_mean(query) if query else None
        return Answer(query, matches.total, tuple(hits), self.text.counts(parsed), notes, did_you_mean, weight)

    @cached_property
    def ages(self) -> dict[str, float]:
        """By id, how many days before the newest document each is from (see `publication_dates`)."""
        return ages(self.index)

    def by_clicks(self, model: Model) -> FeedbackRanking:
        """A ranking learned from clicks, on this index. Raises DataError for one that was made for other documents."""
        held = next((one for one in self._by_clicks if one.model is model), None)
        if held is None:
            held = FeedbackRanking(model, self.index)
            self._by_clicks = (held, *self._by_clicks[:1])  # champion and challenger
        return held

    def title_of(self, id: str) -> str | None:
        """The title of a document (its id where it has none), or None where there is no such document."""
        number = self._numbers.get(id)
        return None if number is None else unpack(self.index, "title", number) or id

    def document(self, id: str) -> dict[str, str] | None:
        """All that the index keeps of a document, or None."""
        number = self._numbers.get(id)
        if number is None:
            return None
        names = ["title", "text", *map(str, self.index.settings["columns"])]
        return {"id": id, **{name: text for name in names if (text := unpack(self.index, name, number))}}

    def _deep_enough(self, query: str, ranking: str, last: int) -> int:
        """How many of the documents that match are looked at: all of a small index; else enough for the page, and for the ranking."""
        if self.count <= WHOLE or not query:
            return max(WHOLE, last)
        return max(POOL, last) if ranking == "label-free" else max(200, 2 * last)

    def _ranked(self, query: str, matched: NDArray[Any], ranking: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        import numpy as np

        if not query or not len(matched):
            return matched, np.zeros(len(matched)), np.zeros((len(matched), 1))
        whole = self.count <= WHOLE
        rank = self.ranker.rank if ranking == "label-free" else self.ranker.by_words
        found = rank(query, None if whole else matched)
        kept = np.isin(found.documents, matched) if whole else np.ones(len(found.documents), dtype=bool)
        order, scores, parts = found.documents[kept], found.scores[kept], found.parts[kept]
        missing = np.setdiff1d(matched, order)  # matched by syntax alone, such as a facet's value: last, by id
        width = parts.shape[1] if parts.size else (len(FEATURES) + 1 if ranking == "label-free" else 1)
        least = float(scores.min()) if len(scores) else 0.0
        return (
            np.concatenate([order, missing]).astype(np.int64),
            np.concatenate([scores, np.full(len(missing), least)]),
            np.concatenate([parts.reshape(-1, width), np.zeros((len(missing), width))]),
        )

    def _learned(
        self, asked: str, order: NDArray[Any], scores: NDArray[Any], parts: NDArray[Any], learned: Model
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The first hundred in the learned order, the others below; what each feature added beside the parts."""
        import numpy as np

        from pellucid.search import learned_ranking

        head = min(DEPTH, len(order))
        values = features(self.ranker, asked, Ranked(order, scores, parts))
        found = np.round(learned_ranking.scores(learned, values), 6)
        added = learned_ranking.contributions(learned, values)
        turn = np.argsort(-found, kind="stable")
        wide = np.concatenate([parts, np.zeros((len(parts), len(NAMES)))], axis=1)
        wide[:head, parts.shape[1] :] = added
        place = np.concatenate([turn, np.arange(head, len(order))])
        return order[place], np.concatenate([found[turn], scores[head:]]), wide[place]

    def _ranked_by_clicks(
        self, by_clicks: FeedbackRanking, ranked: Ranked
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The first hundred in the order that clicks taught, the others below; contributions; the features of the first hundred."""
        import numpy as np

        values = by_clicks.values(ranked)
        added = by_clicks.contributions(values)
        found = np.round(added.sum(axis=1), 6)
        turn = np.argsort(-found, kind="stable")
        head, rest = len(values), len(ranked.documents) - len(values)
        wide = np.concatenate([added[turn], np.zeros((rest, added.shape[1]))])
        wide[head:, : ranked.parts.shape[1]] = ranked.parts[head:]
        place = np.concatenate([turn, np.arange(head, head + rest)])
        return ranked.documents[place], np.concatenate([found[turn], ranked.scores[head:]]), wide, values[turn]

    def _hit(self, number: int, score: float, parsed: Any, why: Mapping[str, float], statement: tuple[float, ...] = ()) -> Hit:
        name_of = str(self.index.arrays["id"][number])
        title = unpack(self.index, "title", number)
        columns = {str(name): text for name in self.index.settings["columns"] if (text := unpack(self.index, str(name), number))}
        marked = self.text.snippet(parsed, number, "title", 1000)
        begin = title.find(marked.text)
        marks = tuple((begin + a, begin + b) for a, b in marked.marks) if begin >= 0 else ()
        return Hit(name_of, title or name_of, score, self.text.snippet(parsed, number), marks, why, columns, statement)
