"""Ranking weights learned from clicks that nobody but the reader's own browser sees.

The list that a reader gets carries, for each result, its *statement*: how the result differs, in a few coordinates, from what readers who
look at place i with chance 1 / i would have opened. The browser adds up the statements of the results that were opened, each times the
weight of its query, over a period, and sends one of 256 public directions of the sum (`pellucid.privacy.local.directions`). Many
such reports have a mean direction, and `learned` takes one step by it.

Model of a click: P(opened at place i of a list, given one) is proportional to (1 / i) exp(v . x_i), with x the parts of the label-free
ranking and the declared attributes. The sum of statements is the gradient of its likelihood at v = 0. Coordinates: features over
their deviation within lists, then turned and scaled so that the gradient's expected change is the same in every direction (`whitening`);
this is fitted on open pseudo-queries, the documents' titles, never on clicks. Directions of little variation are left out.

The step: with y the mean direction, u the label-free weights' direction and s2 the known variance of a coordinate, the part of y off
u is shrunk by 1 - (d - 3) s2 / |off|^2, not below 0 (James and Stein 1961 towards a ray, d >= 4). Where y does not point along u at all,
nothing is learned. A ranking does not depend on the length of its weights, so no constant is taken from the data.

The model's file (kind "feedback-ranking"): `weights` (f), `whitening` (f x d), `queries` and `queries.weights`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError
from pellucid.search.label_free import FEATURES
from pellucid.search.ranking_features import DEPTH
from pellucid.search.search_index import unpack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.search.label_free import Ranked, Ranker
    from pellucid.store import Model

KIND = "feedback-ranking"
PARTS = (*FEATURES, "neighbours")
SHOWN = 10  # places of a list that are modelled
PSEUDO_QUERIES = 400
KEPT = 0.03  # of the largest variance: directions below it are left out
FEWEST, MOST = 3, 10  # coordinates that directions can be reported in
MAX_EPSILON = 8.0  # of directions
MOST_ATTRIBUTES = MOST - len(PARTS)


@dataclass(frozen=True)
class Attribute:
    """A property of a document that readers may care for: that a column of the index has this value."""

    column: str
    value: str

    @property
    def name(self) -> str:
        return f"{self.column}={self.value}"


class FeedbackRanking:
    """A model of kind "feedback-ranking" on the index it was made for. Never changes, so many threads may ask.

    Raises DataError where the model is of another kind, or for other documents.
    """

    def __init__(self, model: Model, index: Model) -> None:
        checked(model)
        if model.settings["documents"] != documents_digest(index):
            raise DataError("it was made for other documents than the index has", fix="Make it again for this index")
        self.model = model
        self._attributes = _attributes(index, attributes_of(model))
        self.names = (*PARTS, *(one.name for one in attributes_of(model)))
        self._queries = dict(zip(model.arrays["queries"].tolist(), model.arrays["queries.weights"].tolist(), strict=True))

    @property
    def coordinates(self) -> tuple[str, ...]:
        """The names of a statement's coordinates."""
        return tuple(f"c{place + 1}" for place in range(self.model.arrays["whitening"].shape[1]))

    def values(self, ranked: Ranked) -> NDArray[Any]:
        """The features of the first documents of the label-free ranking, at most `DEPTH`: documents x `names`."""
        found: NDArray[Any] = values(ranked, self._attributes)
        return found

    def contributions(self, found: NDArray[Any]) -> NDArray[Any]:
        """What each feature adds to each document's score; the score is their sum."""
        import numpy as np

        return np.asarray(found * self.model.arrays["weights"])

    def statements(self, shown: NDArray[Any]) -> NDArray[Any]:
        """The statements of the results of one list, by their features in the order shown: results x coordinates."""
        import numpy as np

        return np.asarray(np.round(_centred(shown) @ self.model.arrays["whitening"], 6))

    def weight(self, query: str) -> float:
        """What an opened result of this query counts: less, the more often the query is known to be asked; 1 for one not listed."""
        return float(self._queries.get(normalised(query), 1.0))


def begin(
    ranker: Ranker,
    attributes: Sequence[tuple[str, str]] = (),
    *,
    epsilon: float = 2.0,
    counts: Sequence[tuple[str, float]] = (),
) -> Model:
    """The label-free ranking as a model that can learn from clicks.

    `attributes`: pairs of a column that the index keeps and a value. `epsilon`: of one report, one a reader and period. `counts`: how
    often queries are asked, from a release or another open source; a query weighs by the smallest count over its own. Raises UsageError
    for a column that the index does not keep or too many attributes, DataError where the documents are too few or too alike.
    """
    import numpy as np

    from pellucid.store import Model

    if not 0 < epsilon <= MAX_EPSILON:
        raise UsageError(
            f"epsilon must be above 0 and at most {MAX_EPSILON:g}, not {epsilon!r}", fix="Typical values lie between 0.5 and 4"
        )
    wanted = [Attribute(str(column), str(value)) for column, value in attributes]
    if len(wanted) > MOST_ATTRIBUTES or len(set(wanted)) != len(wanted):
        raise UsageError(f"at most {MOST_ATTRIBUTES} different attributes", why=f"{len(wanted)} are named")
    held = _attributes(ranker.index, wanted)
    lists = [_centred(values(ranker.rank(title), held)[:SHOWN]) for title in _titles(ranker.index)]
    lists = [one for one in lists if len(one) == SHOWN]
    if not lists:
        raise DataError("the documents are too few to learn a ranking for", why=f"no title gives a list of {SHOWN}")
    places = _places(SHOWN)
    covariance = sum(((one * places[:, None]).T @ one for one in lists), start=np.zeros((held.shape[1] + len(PARTS),) * 2))
    covariance = covariance / len(lists)
    deviation = np.sqrt(np.diag(covariance))
    varied = deviation > 1e-9
    scale = np.where(varied, 1 / np.where(varied, deviation, 1.0), 0.0)
    variances, turned = np.linalg.eigh(covariance * np.outer(scale, scale))
    kept = variances > KEPT * variances.max()
    if kept.sum() < FEWEST:
        raise DataError("the documents are too alike to learn a ranking for", why="their features hardly differ within lists")
    turned = turned * np.where(turned[np.abs(turned).argmax(axis=0), np.arange(len(turned))] < 0, -1.0, 1.0)
    whitening = (scale[:, None] * turned / np.sqrt(np.where(kept, variances, 1.0)))[:, kept]
    popular: dict[str, float] = {}
    for query, count in counts:
        if float(count) > 0:
            popular[normalised(query)] = popular.get(normalised(query), 0.0) + float(count)
    least = min(popular.values(), default=1.0)
    arrays = {
        "weights": np.array([1.0] * len(PARTS) + [0.0] * len(wanted)),
        "whitening": np.round(whitening, 9),
        "queries": np.array(sorted(popular), dtype=str) if popular else np.zeros(0, dtype="U1"),
        "queries.weights": np.array([least / popular[query] for query in sorted(popular)]),
    }
    settings = {
        "features": list(PARTS),
        "attributes": [[one.column, one.value] for one in wanted],
        "epsilon": float(epsilon),
        "documents": documents_digest(ranker.index),
        "steps": 0,
    }
    return Model(KIND, arrays, settings)


def learned(model: Model, mean: Sequence[float], error: float) -> Model:
    """The model after one step by readers' mean direction, whose coordinates each have the standard error `error`.

    Raises DataError for a mean that is not of this model's coordinates or not finite.
    """
    import numpy as np

    from pellucid.store import Model

    whitening, direction = model.arrays["whitening"], np.asarray(mean, dtype=np.float64)
    if direction.shape != (whitening.shape[1],) or not np.isfinite(direction).all() or not error >= 0:
        raise DataError(
            "the mean direction is not one of this model",
            why=f"{direction.size} coordinates, the model has {whitening.shape[1]}",
            fix="Estimate the collection that was declared for this model",
        )
    start = np.array([1.0] * len(PARTS) + [0.0] * (len(whitening) - len(PARTS)))
    point = np.linalg.pinv(whitening) @ start
    along, off = shrunk(direction, point / np.linalg.norm(point), error**2)
    moved = np.linalg.norm(point) * off / along if along > 0 else np.zeros_like(off)
    arrays = {**model.arrays, "weights": np.round(start + whitening @ moved, 9)}
    return Model(KIND, arrays, {**model.settings, "steps": int(model.settings["steps"]) + 1})


def shrunk(mean: NDArray[Any], ray: NDArray[Any], variance: float) -> tuple[float, NDArray[Any]]:
    """The length of `mean` along a unit vector, and what is left of the part off it after shrinking by James and Stein."""
    along = float(mean @ ray)
    off = mean - along * ray
    length = float(off @ off)
    return along, off * (max(0.0, 1 - (len(mean) - 3) * variance / length) if length > 0 else 0.0)


def checked(model: Model) -> Model:
    """The model itself, if it is whole: a file may say anything. Raises DataError."""
    import numpy as np

    if model.kind != KIND:
        raise DataError(f'a model of kind "{model.kind}" is not learned from clicks')
    arrays, settings = model.arrays, model.settings
    try:
        features = len(PARTS) + len(attributes_of(model))
        whole = (
            arrays["whitening"].ndim == 2
            and len(arrays["whitening"]) == features
            and FEWEST <= arrays["whitening"].shape[1] <= MOST
            and arrays["weights"].shape == (features,)
            and arrays["queries"].ndim == 1
            and arrays["queries.weights"].shape == arrays["queries"].shape
            and all(bool(np.isfinite(arrays[name]).all()) for name in ("whitening", "weights", "queries.weights"))
            and settings["features"] == list(PARTS)
            and 0 < float(settings["epsilon"]) <= MAX_EPSILON
            and isinstance(settings["documents"], str)
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError("the ranking is damaged", why=f"{type(error).__name__}: {error}", fix="Make it again") from error
    if not whole:
        raise DataError("the ranking is damaged", why="its arrays do not fit each other", fix="Make it again")
    return model


def attributes_of(model: Model) -> list[Attribute]:
    """The attributes a model was begun with."""
    return [Attribute(column, value) for column, value in model.settings["attributes"]]


def documents_digest(index: Model) -> str:
    """SHA-256 over the ids of an index's documents, in order: what a model of clicks is held against."""
    return hashlib.sha256("\n".join(index.arrays["id"].tolist()).encode()).hexdigest()


def normalised(query: str) -> str:
    """A query as its weight is looked up: in lower case, its words divided by one space."""
    return " ".join(query.lower().split())


def values(ranked: Ranked, attributes: NDArray[Any]) -> NDArray[Any]:
    """The parts of the label-free score and the attributes (less their mean in the list) of the first `DEPTH` documents."""
    import numpy as np

    own = attributes[ranked.documents[:DEPTH]]
    return np.concatenate([ranked.parts[:DEPTH], own - own.mean(axis=0) if len(own) else own], axis=1)


def _attributes(index: Model, wanted: Sequence[Attribute]) -> NDArray[Any]:
    import numpy as np

    columns, count = list(map(str, index.settings["columns"])), len(index.arrays["id"])
    for one in wanted:
        if one.column not in columns:
            raise UsageError(f'the index keeps no column "{one.column}"', fix=f"It keeps {', '.join(columns) or 'none'}")
    found = [[unpack(index, one.column, number) == one.value for number in range(count)] for one in wanted]
    return np.array(found, dtype=np.float64).T if wanted else np.zeros((count, 0))


def _titles(index: Model) -> list[str]:
    """Titles of documents spread evenly over the index, as queries."""
    count = len(index.arrays["id"])
    step = max(1, count // PSEUDO_QUERIES)
    return [title for number in range(0, count, step) if (title := unpack(index, "title", number).strip())]


def _places(count: int) -> NDArray[Any]:
    """The chance that each place is the one that is opened, where nothing else speaks for any."""
    import numpy as np

    looked = 1 / np.arange(1, count + 1)
    return np.asarray(looked / looked.sum())


def _centred(shown: NDArray[Any]) -> NDArray[Any]:
    """Features of a list less what a reader is expected to open."""
    import numpy as np

    return np.asarray(shown - _places(len(shown)) @ shown) if len(shown) else shown
