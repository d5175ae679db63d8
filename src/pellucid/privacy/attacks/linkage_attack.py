"""Linkage in the Netflix manner: whose record is this, when a few of a person's items are known?

Narayanan and Shmatikov, "Robust de-anonymization of large sparse datasets" (2008), algorithm Scoreboard-RH: a record's score is the
sum over the known items it holds of 1 / log(support), rare items telling most; the best record is taken for the person's when its
score stands out by `ECCENTRICITY` standard deviations over the second best. The adversary never looks at identifiers, so hashing
them changes nothing: that is what the attack shows.

It applies to data with a record per person. A release of counts has none; what an adversary can still learn from it about a
person is `attribute_inference`'s question.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.privacy.attacks.finding import Finding, Rate
from pellucid.privacy.attacks.sampling import chosen, stream_of
from pellucid.privacy.attacks.user_histories import Histories

if TYPE_CHECKING:
    from numpy.typing import NDArray

ECCENTRICITY = 1.5
PORTION = 100  # targets at a time: their scores against every record are in memory together


def linkage(truth: Histories, released: Histories, *, target: str, known: int = 4, targets: int = 1000, seed: int = 0) -> Finding:
    """How often `known` random true items of a person single out their record among those released.

    Both are keyed by the person, for the judge alone: the attack uses what records hold. Targets are people of `truth` who hold
    more than `known` items and have a record; a tie for the best record counts as the share of it that is right. Raises UsageError
    when nobody can be a target.
    """
    import numpy as np
    import pyarrow.compute as pc

    place = pc.index_in(truth.people, value_set=released.people)
    there = np.asarray(pc.is_valid(place)) & (truth.sizes > known)
    able = np.flatnonzero(there)
    if not len(able):
        raise UsageError(f"nobody holds more than {known} items", where="linkage", fix="Let the adversary know fewer")
    picked = able[chosen(stream_of(seed, "linkage targets"), len(able), targets)]
    own = np.asarray(place.take(picked)).astype(np.int64)
    hints = hinted(truth, picked, known, seed)
    top = confident = wrong = 0.0
    for start in range(0, len(picked), PORTION):
        part = slice(start, start + PORTION)
        first, sure, right = _matched(released, truth, hints[part], own[part])
        top += float(first.sum())
        confident += float((sure & right).sum())
        wrong += float((sure & ~right).sum())
    return Finding(
        attack="linkage",
        target=target,
        question=f"which record is this person's, from {known} of their items",
        rate=Rate(top, len(picked)),
        baselines={"random guess": 1 / len(released.people)},
        details={"confident and right": confident / len(picked), "confident but wrong": wrong / len(picked)},
        assumes=f"{known} items of the person, drawn at random among theirs",
    )


def hinted(truth: Histories, people: NDArray[Any], known: int, seed: int) -> NDArray[Any]:
    """`known` items of each of these people (people x known, columns of the matrix), drawn at random."""
    import numpy as np

    stream, found = stream_of(seed, "known items"), np.empty((len(people), known), dtype=np.int64)
    for at, person in enumerate(people):
        items = truth.matrix.indices[truth.matrix.indptr[person] : truth.matrix.indptr[person + 1]]
        found[at] = items[chosen(stream, len(items), known)]
    return found


def _matched(released: Histories, truth: Histories, hints: NDArray[Any], own: NDArray[Any]) -> tuple[Any, Any, Any]:
    """For each target: the chance that the best record is theirs, whether one stands out, and whether that one is theirs."""
    import numpy as np
    import pyarrow.compute as pc
    from scipy.sparse import csr_array

    support = released.support
    weights = 1 / np.log(np.maximum(support, 2) + 0.0)
    column = np.asarray(pc.fill_null(pc.index_in(truth.items, value_set=released.items), -1)).astype(np.int64)[hints]
    rows = np.repeat(np.arange(len(hints)), hints.shape[1])[(column >= 0).ravel()]
    places = column.ravel()[(column >= 0).ravel()]
    asked = csr_array((weights[places], (rows, places)), shape=(len(hints), released.matrix.shape[1]))
    scores = (asked @ released.matrix.T).toarray()
    order = np.partition(scores, -2, axis=1) if scores.shape[1] > 1 else np.column_stack([np.zeros(len(scores)), scores])
    best, second = order[:, -1], order[:, -2]
    close = scores >= best[:, None] - 1e-9
    mine = close[np.arange(len(hints)), own]
    spread = scores.std(axis=1)
    sure = (best - second) > ECCENTRICITY * np.maximum(spread, math.ulp(1.0))
    return np.where((best > 0) & mine, 1 / close.sum(axis=1), np.where(best > 0, 0.0, 1 / scores.shape[1])), sure, mine
