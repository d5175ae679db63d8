"""The kinds of models by name, their scores, and recommendations from them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.models.diversity import DECIMALS, mmr, profiles
from pellucid.models.recency import freshness

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from pellucid.store import Model

POOL = 100  # candidates that recency and diversity order anew
KINDS = {
    "als": "pellucid.models.als",
    "ease": "pellucid.models.ease",
    "item-neighbours": "pellucid.models.item_neighbours",
    "markov": "pellucid.models.markov",
    "popularity": "pellucid.models.popularity",
    "rp3beta": "pellucid.models.rp3beta",
}


def scores(model: Model, histories: Any) -> NDArray[Any]:
    """A score of every item for every person: float64, people x items.

    `histories` is a sparse 0/1 matrix (scipy `csr_array`) of people by the model's items. A person's scores depend on their
    own row and the model alone, to the last bit.
    """
    scored: NDArray[Any] = _module(model).scores(model, histories)
    return scored


def recommend(
    model: Model,
    history: Sequence[Any],
    count: int = 10,
    *,
    without: Collection[Any] = (),
    only: Collection[Any] | None = None,
    diversity: float = 0.0,
    ages: Mapping[Any, float] | None = None,
    half_life: float = 365.0,
) -> list[tuple[Any, float]]:
    """The best `count` items for one history (a list of items, the latest last), best first, with scores; known items are left out.

    Items the model does not know are ignored; equal scores are ordered by popularity where the model has it, then by item. Who holds
    nothing that the model knows gets what is popular, with popularity as the score (`is_cold_start`). The rules, all of which may be given:

    - `without`: items that are not to be shown (sold out, blocked); `only`: where given, the items that may be;
    - `ages`: of items, in the unit of `half_life`: relevance halves with each half-life, an item without an age is as old as the oldest;
    - `diversity`, 0 to 1: how much an item loses by being like one that stands above it (`diversity.mmr`); 0 changes nothing.

    The last two order the best `POOL` items anew by relevance, the score between 0 (the last of them) and 1 (the first); the scores that
    are returned stay those of the model, so they may rise on the way down. Raises UsageError for a value outside its range.
    """
    import numpy as np

    if isinstance(diversity, bool) or not isinstance(diversity, int | float) or not 0 <= diversity <= 1:
        raise UsageError(f"diversity must be 0 to 1, not {diversity!r}", fix="0 is by score alone; 0.3 is usual")
    place = _places(model)
    known, row = _history(model, place, history)
    popularity = model.arrays.get("popularity", np.zeros(len(place)))
    score = scores(model, row)[0] if known or "popularity" not in model.arrays else popularity
    shown = np.ones(len(place), dtype=bool) if only is None else np.isin(np.arange(len(place)), _known(place, only))
    shown[[*known, *_known(place, without)]] = False
    order = np.lexsort((-popularity, -score))
    best = [index for index in order.tolist() if shown[index] and np.isfinite(score[index])]
    if diversity or ages is not None:
        best = _ruled(model, best[: max(POOL, count)], score, diversity, ages, half_life, count)
    return [(model.arrays["items"][index].item(), float(score[index])) for index in best[:count]]


def is_cold_start(model: Model, history: Sequence[Any]) -> bool:
    """Whether what is recommended for a history rests on popularity alone: nothing of it is known, or the model looks at no history."""
    place = _places(model)
    return model.kind == "popularity" or not any(item in place for item in history)


def _ruled(
    model: Model,
    best: list[int],
    score: NDArray[Any],
    diversity: float,
    ages: Mapping[Any, float] | None,
    half_life: float,
    count: int,
) -> list[int]:
    """The candidates in the order of relevance, recency and diversity."""
    import numpy as np

    places = np.array(best, dtype=np.int64)
    if not len(places):
        return []
    found = score[places]
    span = float(found.max() - found.min())
    relevance = (found - found.min()) / span if span > 0 else np.ones(len(found))
    if ages is not None:
        relevance = relevance * freshness(model.arrays["items"][places].tolist(), ages, half_life)
        order = np.argsort(-np.round(relevance, DECIMALS), kind="stable")
        places, relevance = places[order], relevance[order]
    if not diversity:
        return list(places.tolist())
    led = scores(model, _rows(model, [[(at, 1.0)] for at in places.tolist()])) - scores(model, _rows(model, [[]]))
    return [int(places[at]) for at in mmr(relevance, profiles(led, places), diversity, count)]


def explain(model: Model, history: Sequence[Any], item: Any) -> list[tuple[Any, float]]:
    """What each item of a history adds to the score of an item, most first; they add up to the score but for a tie-break.

    Nothing for a model that looks at no history (popularity). Raises UsageError for an item the model does not know.
    """
    import numpy as np

    place = _places(model)
    if item not in place:
        raise UsageError(f"the model does not know the item {item!r}")
    known, row = _history(model, place, history)
    module = _module(model)
    if hasattr(module, "contributions"):
        parts = module.contributions(model, row, place[item])
    elif model.kind == "popularity" or not known:
        return []
    else:  # scores are sums over the history: each item's part is its score alone, above that of an empty history
        each, nothing = (
            _rows(model, [[(one, weight)] for one, weight in zip(row.indices, row.data, strict=True)]),
            _rows(model, [[]]),
        )
        parts = scores(model, each)[:, place[item]] - scores(model, nothing)[0, place[item]]
    found = [(model.arrays["items"][one].item(), float(part)) for one, part in zip(row.indices, np.asarray(parts), strict=True)]
    return sorted(found, key=lambda one: (-one[1], str(one[0])))


def _module(model: Model) -> Any:
    if model.kind not in KINDS:
        raise UsageError(f"there is no model kind {model.kind!r}", fix=f"Known kinds: {', '.join(sorted(KINDS))}")
    return import_module(KINDS[model.kind])


def _places(model: Model) -> dict[Any, int]:
    return {item: index for index, item in enumerate(model.arrays["items"].tolist())}


def _known(place: Mapping[Any, int], items: Collection[Any]) -> list[int]:
    return sorted({place[item] for item in items if item in place})


def _history(model: Model, place: Mapping[Any, int], history: Sequence[Any]) -> tuple[list[int], Any]:
    """The places of the history's items, and the history as one row: ones, or what the kind of model makes of its order."""
    latest = list(dict.fromkeys(place[item] for item in reversed(history) if item in place))[::-1]
    module = _module(model)
    weights = module.history_weights(latest) if hasattr(module, "history_weights") else [1.0] * len(latest)
    return latest, _rows(model, [list(zip(latest, weights, strict=True))])


def _rows(model: Model, histories: Sequence[Sequence[tuple[int, float]]]) -> Any:
    import numpy as np
    from scipy.sparse import csr_array

    cells = [(row, at, weight) for row, history in enumerate(histories) for at, weight in sorted(history)]
    rows, columns, weights = (np.array([cell[part] for cell in cells]) for part in range(3))
    shape = (len(histories), len(model.arrays["items"]))
    return csr_array((weights.astype(float), (rows.astype(int), columns.astype(int))), shape=shape)
