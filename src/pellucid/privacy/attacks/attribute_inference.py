"""Learning more: from a few items of a person, what else do they hold? Asked of any form of the data, and of people outside it.

This is the harm that linkage leads to, and it can be asked of a release that has no records. What a release lets one infer about
everybody (people who go to A go to B) is what it is for; what it lets one infer about those in it beyond that is a leak. So the
same question is asked about a control group, people like them whose data the release has not seen (Giomi et al., "A unified
framework for quantifying privacy risk in synthetic data", 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.privacy.attacks.finding import Finding, Rate
from pellucid.privacy.attacks.linkage_attack import hinted
from pellucid.privacy.attacks.sampling import chosen, stream_of
from pellucid.privacy.attacks.user_histories import Histories

if TYPE_CHECKING:
    from numpy.typing import NDArray

    InferenceModel = Callable[
        [NDArray[Any]], NDArray[Any]
    ]  # known items (people x known) -> one guessed item each, columns of the truth

PORTION = 200


def attribute_inference(
    members: Histories,
    control: Histories,
    guess: InferenceModel,
    *,
    target: str,
    known: int = 4,
    targets: int = 2000,
    seed: int = 0,
    references: dict[str, InferenceModel] | None = None,
) -> Finding:
    """How often the first guess at a further item is right, of people in the data (`members`) and not in it (`control`).

    Both have the same items. `guess` is the adversary's use of what was released (`from_records`, `from_counts`). The baseline
    "popular" guesses the most widely held item that is not known yet. Raises UsageError when a group has nobody to ask about.
    """
    asked = {"members": _asked(members, known, targets, seed), "control": _asked(control, known, targets, seed)}
    groups = {"members": members, "control": control}
    rates = {name: _right(groups[name], *asked[name], guess) for name in groups}
    popular = _right(control, *asked["control"], most_held(members.support))
    return Finding(
        attack="further item",
        target=target,
        question=f"what else does this person hold, from {known} of their items, in one guess",
        rate=rates["members"],
        baselines={"control": rates["control"], "popular": popular},
        references={name: _right(members, *asked["members"], other) for name, other in (references or {}).items()},
        assumes=f"{known} items of the person, drawn at random among theirs; the control group is not in the data",
    )


def from_records(released: Histories) -> InferenceModel:
    """Link to the record that scores best (see linkage_attack.py), and read off its most telling further item."""
    import numpy as np

    weights = 1 / np.log(np.maximum(released.support, 2) + 0.0)

    def guess(known: NDArray[Any]) -> NDArray[Any]:
        from scipy.sparse import csr_array

        rows = np.repeat(np.arange(len(known)), known.shape[1])
        asked = csr_array((weights[known.ravel()], (rows, known.ravel())), shape=(len(known), len(weights)))
        best = np.asarray((asked @ released.matrix.T).toarray()).argmax(axis=1)
        scores = released.matrix[best].toarray() * weights
        return _best_unknown(scores, known)

    return guess


def from_counts(counts: NDArray[Any], columns: NDArray[Any], size: int, ridge: float = 10.0) -> InferenceModel:
    """From a matrix of pair counts, exact or released: the item that best fits beside the known ones.

    `counts` is square over the named items, `columns` their places among the `size` items of the truth. The fit is the linear one
    of least squares with `ridge` on the counts (Steck 2019, closed form); under noise give it the noise's own level. Items that
    were not named are never guessed.
    """
    import numpy as np

    values, vectors = np.linalg.eigh((counts + counts.T) / 2)
    inverse = (vectors / (np.maximum(values, 0.0) + ridge)) @ vectors.T
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    weights += 1e-6 * np.diag(counts)[None, :] / max(1.0, float(np.diag(counts).max()))
    place = np.full(size, -1)
    place[columns] = np.arange(len(columns))

    def guess(known: NDArray[Any]) -> NDArray[Any]:
        scores = np.full((len(known), size), -np.inf)
        inside = np.zeros((len(known), len(columns)))
        for at in range(known.shape[1]):
            row = place[known[:, at]]
            inside += np.where((row >= 0)[:, None], weights[row], 0.0)
        scores[:, columns] = inside
        return _best_unknown(scores, known)

    return guess


def most_held(support: NDArray[Any]) -> InferenceModel:
    """The item that most people hold and that is not known yet."""
    import numpy as np

    return lambda known: _best_unknown(np.tile(support.astype(np.float64), (len(known), 1)), known)


def _best_unknown(scores: NDArray[Any], known: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    scores = scores.copy()
    np.put_along_axis(scores, known, -np.inf, axis=1)
    return np.asarray(scores.argmax(axis=1))


def _asked(group: Histories, known: int, targets: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    import numpy as np

    able = np.flatnonzero(group.sizes > known)
    if not len(able):
        raise UsageError(f"nobody holds more than {known} items", where="further item", fix="Let the adversary know fewer")
    people = able[chosen(stream_of(seed, "further targets"), len(able), targets)]
    return people, hinted(group, people, known, seed)


def _right(group: Histories, people: NDArray[Any], known: NDArray[Any], guess: InferenceModel) -> Rate:
    right = 0
    for start in range(0, len(people), PORTION):
        part = slice(start, start + PORTION)
        rows = group.matrix[people[part]].toarray()
        right += int(rows[range(len(rows)), guess(known[part])].sum())
    return Rate(right, len(people))
