"""The default ranking, which needs no judgement and no click: a fixed sum of four scores, smoothed over like documents.

For each query and a pool of documents:
- `words`: BM25F (Robertson, Zaragoza, Taylor 2004; k1 2, title: weight 2, b .5; text: b .75) over the query widened by RM3 (Lavrenko,
  Croft 2001; Abdul-Jaleel et al. 2004): half the query, half the 60 heaviest terms of its first ten documents;
- `meaning`: the cosine of query and document in the space of `latent_semantics`;
- `title`: BM25 over titles alone (k1 1.5, b .3);
- `near`: the share of the query's adjacent pairs of words that stand within four words of each other, whole for neighbours, half else.

Each is made comparable by its own mean and deviation over the query's best hundred documents and clipped to -3 to 6. The sum is
words + meaning + .3 title + .15 near, and `neighbours` adds .7 of the mean sum of the document's five nearest others.

The setting was found on Cranfield and CISI together and is fixed; on a collection it has not seen, expect the five-fold figures
(0.491 and 0.425 nDCG@10), not the fixed ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.search import latent_semantics
from pellucid.search.search_index import KIND
from pellucid.search.text_analysis import analyser

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.store import Model

FEATURES = ("words", "meaning", "title", "near")
WEIGHTS = (1.0, 1.0, 0.3, 0.15)
SMOOTHING = 0.7
K1, TITLE_WEIGHT, TITLE_B, TEXT_B = 2.0, 2.0, 0.5, 0.75
FEEDBACK_DOCUMENTS, FEEDBACK_TERMS, FEEDBACK_SHARE = 10, 60, 0.5
BEST = 100
CLIP = (-3.0, 6.0)
WHOLE = 2000  # documents up to which all of an index are ranked for every query
POOL = 1000  # of a larger index: those ranked for a query, the best by words alone
LONGEST_QUERY = 64  # terms of a query that are used
WINDOW = 4
_DIGITS = 6


@dataclass(frozen=True)
class Ranked:
    """Documents by number, best first; `scores`; and `parts`: what each feature added (columns: `FEATURES`, then neighbours)."""

    documents: NDArray[Any]
    scores: NDArray[Any]
    parts: NDArray[Any]


class Ranker:
    """Ranks the documents of one index (a model of kind "search-index"). Made once, used by many threads: it never changes."""

    def __init__(self, index: Model) -> None:
        import numpy as np

        if index.kind != KIND:
            raise UsageError(f'a model of kind "{index.kind}" is no search index')
        arrays = index.arrays
        self.index = index
        self.count = len(arrays["id"])
        self._numbers = {term: number for number, term in enumerate(arrays["terms"].tolist())}
        self._analyse = analyser(str(index.settings["language"])).analyze
        self._tokens, self._ends = arrays["tokens"], arrays["tokens.ends"]
        lengths = np.diff(self._ends).astype(np.float64)
        self._title_lengths, self._text_lengths = lengths[0::2], lengths[1::2]
        self._title_mean, self._text_mean = max(1e-9, self._title_lengths.mean()), max(1e-9, self._text_lengths.mean())
        held = arrays["terms.documents"].astype(np.float64)
        self._idf = np.log(1 + (self.count - held + 0.5) / (held + 0.5))
        self._everyone = _Pool(self, np.arange(self.count)) if self.count <= WHOLE else None

    def terms(self, query: str) -> NDArray[Any]:
        """The query's terms by number, in order, as far as the index has them."""
        import numpy as np

        found = [self._numbers[term] for term in self._analyse(query) if term in self._numbers]
        return np.array(found[:LONGEST_QUERY], dtype=np.int64)

    def rank(self, query: str, pool: NDArray[Any] | None = None) -> Ranked:
        """Rank a pool of documents, by number and sorted (None: all of the index); those that nothing speaks for come last, by id.

        A query without a known term ranks nothing.
        """
        import numpy as np

        terms = self.terms(query)
        if not len(terms):
            return Ranked(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, len(FEATURES) + 1)))
        held = self._pool(pool)
        raw = np.stack(
            [self._words(held, terms), self._meaning(held, terms), self._title(held, terms), self._near(held, terms)], axis=1
        )
        parts = np.stack([_comparable(column) for column in raw.T], axis=1) * np.array(WEIGHTS)
        sums = parts.sum(axis=1)
        smooth = SMOOTHING * self._neighbours(held.documents, sums)
        scores = np.round(sums + smooth, _DIGITS)
        order = np.argsort(-scores, kind="stable")
        return Ranked(held.documents[order], scores[order], np.column_stack([parts, smooth])[order])

    def by_words(self, query: str, pool: NDArray[Any] | None = None) -> Ranked:
        """BM25F alone, without the widened query: the baseline. Only documents with a term of the query."""
        import numpy as np

        terms = self.terms(query)
        held = self._pool(pool)
        names, counts = np.unique(terms, return_counts=True)
        scores = (
            np.round(self._saturated(held, names) @ counts.astype(np.float64), _DIGITS)
            if len(names)
            else np.zeros(len(held.documents))
        )
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] > 0]
        return Ranked(held.documents[order], scores[order], scores[order][:, None])

    def coverage(self, query: str, documents: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """For documents by number: the share of the query's terms, weighted by rarity, that each has; and ln(1 + its number of terms)."""
        import numpy as np

        names, held = np.unique(self.terms(query)), self._pool(documents)
        title, text = held.counts(names)
        weights = self._idf[names]
        share = (title + text > 0) @ weights / max(1e-12, float(weights.sum()))
        return np.asarray(share), np.log1p(self._title_lengths[documents] + self._text_lengths[documents])

    def _pool(self, documents: NDArray[Any] | None) -> _Pool:
        import numpy as np

        if documents is not None:
            return _Pool(self, documents)
        return self._everyone or _Pool(self, np.arange(self.count))

    def _saturated(self, pool: _Pool, terms: NDArray[Any]) -> NDArray[Any]:
        """BM25F's part of each term in each document: documents x terms."""
        import numpy as np

        title, text = pool.counts(terms)
        title_norm = 1 - TITLE_B + TITLE_B * self._title_lengths[pool.documents] / self._title_mean
        text_norm = 1 - TEXT_B + TEXT_B * self._text_lengths[pool.documents] / self._text_mean
        frequency = TITLE_WEIGHT * title / title_norm[:, None] + text / text_norm[:, None]
        return np.asarray(frequency / (frequency + K1) * self._idf[terms])

    def _words(self, pool: _Pool, query: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        names, counts = np.unique(query, return_counts=True)
        first = np.round(self._saturated(pool, names) @ counts.astype(np.float64), _DIGITS)
        best = np.argsort(-first, kind="stable")[:FEEDBACK_DOCUMENTS]
        belief = np.maximum(first[best], 0)
        belief = belief / belief.sum() if belief.sum() > 0 else np.full(len(best), 1 / max(1, len(best)))
        some = _Pool(self, pool.documents[best])
        seen = np.unique(some.tokens)
        heavy = np.round(belief @ self._saturated(some, seen), 9)
        kept = np.argsort(-heavy, kind="stable")[:FEEDBACK_TERMS]
        total = float(heavy[kept].sum())
        wide: dict[int, float] = {}
        for term, count in zip(names.tolist(), counts.tolist(), strict=True):
            wide[term] = (1 - FEEDBACK_SHARE) * count / len(query)
        for place in kept.tolist():
            term = int(seen[place])
            wide[term] = wide.get(term, 0.0) + (FEEDBACK_SHARE * float(heavy[place]) / total if total > 0 else 0.0)
        terms = np.array(sorted(wide), dtype=np.int64)
        return np.asarray(self._saturated(pool, terms) @ np.array([wide[term] for term in terms.tolist()]))

    def _meaning(self, pool: _Pool, query: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        point = latent_semantics.query_point(self.index.arrays["lsa.terms"], query)
        return np.asarray(self.index.arrays["lsa"][pool.documents].astype(np.float64) @ point)

    def _title(self, pool: _Pool, query: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        names, counts = np.unique(query, return_counts=True)
        title, _ = pool.counts(names)
        norm = 1.5 * (1 - 0.3 + 0.3 * self._title_lengths[pool.documents] / self._title_mean)
        return np.asarray((title / (title + norm[:, None]) * self._idf[names]) @ counts.astype(np.float64))

    def _near(self, pool: _Pool, query: NDArray[Any]) -> NDArray[Any]:
        """The weighted share of the query's adjacent pairs that stand near each other."""
        import numpy as np

        names = np.unique(query)
        places = np.searchsorted(names, query)
        pairs = sorted({(min(a, b), max(a, b)) for a, b in zip(places.tolist(), places.tolist()[1:], strict=False) if a != b})
        if not pairs:
            return np.zeros(len(pool.documents))
        number = np.full((len(names), len(names)), -1)
        for pair, (a, b) in enumerate(pairs):
            number[a, b] = number[b, a] = pair
        weight = np.array([(self._idf[names[a]] + self._idf[names[b]]) / 2 for a, b in pairs])
        document, column, position = pool.occurrences(names)
        best = np.zeros((len(pool.documents), len(pairs)))
        for lag in range(1, WINDOW + 1):
            apart = position[lag:] - position[:-lag]
            pair = number[column[:-lag], column[lag:]]
            met = (pair >= 0) & (apart <= WINDOW) & (document[lag:] == document[:-lag])
            np.maximum.at(best, (document[lag:][met], pair[met]), np.where(apart[met] == 1, 1.0, 0.5))
        return np.asarray(best @ weight / weight.sum())

    def _neighbours(self, documents: NDArray[Any], sums: NDArray[Any]) -> NDArray[Any]:
        """The weighted mean sum of each document's neighbours; one outside the pool counts as the pool's least."""
        import numpy as np

        place = np.full(self.count, -1, dtype=np.int64)
        place[documents] = np.arange(len(documents))
        near, weights = self.index.arrays["neighbours"][documents], self.index.arrays["neighbours.weights"][documents]
        found = place[near]
        return np.asarray((np.where(found >= 0, sums[found], sums.min()) * weights).sum(axis=1))


class _Pool:
    """The tokens of some documents, one after the other."""

    def __init__(self, ranker: Ranker, documents: NDArray[Any]) -> None:
        import numpy as np

        ends = ranker._ends
        starts, middle, stops = ends[2 * documents], ends[2 * documents + 1], ends[2 * documents + 2]
        lengths = stops - starts
        self.documents = documents
        self.owner = np.repeat(np.arange(len(documents)), lengths)
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        self.tokens = ranker._tokens[np.repeat(starts, lengths) + within]
        self.in_text = within >= np.repeat(middle - starts, lengths)
        self._terms = len(ranker._idf)

    def occurrences(self, terms: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Document (by place in the pool), term (by place in `terms`) and position of each occurrence, in order."""
        import numpy as np

        column = np.full(self._terms, -1, dtype=np.int32)
        column[terms] = np.arange(len(terms), dtype=np.int32)
        found = column[self.tokens]
        position = np.flatnonzero(found >= 0)
        return self.owner[position], found[position], position

    def counts(self, terms: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """How often each term stands in each title and in each text: two arrays, documents x terms."""
        import numpy as np

        document, column, position = self.occurrences(terms)
        cell = (document * len(terms) + column) * 2 + self.in_text[position]
        counted = np.bincount(cell, minlength=len(self.documents) * len(terms) * 2).reshape(len(self.documents), len(terms), 2)
        return counted[:, :, 0], counted[:, :, 1]


def _comparable(scores: NDArray[Any]) -> NDArray[Any]:
    """Scores by the mean and deviation of the best hundred; all 0 where they do not differ."""
    import numpy as np

    best = -np.sort(-scores)[:BEST]
    deviation = float(best.std())
    return np.clip((scores - best.mean()) / deviation, *CLIP) if deviation > 1e-12 else np.zeros(len(scores))
