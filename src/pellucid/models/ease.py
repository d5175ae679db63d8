"""EASE: an item-item model in closed form, fitted on a Gram matrix, exact or released with noise.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (2019): B minimises |X - X B|^2 + lambda |B|^2 with diag(B) = 0,
which needs nothing of X but G = X^T X: with P = (G + lambda I)^-1, B_ij = -P_ij / P_jj. A person's scores are their history
times B.

Under noise three things are done to G first, each from the public noise level alone and none fitted to people:
- a pair counted below `REACH` = 3 standard deviations of the noise is taken as not held at all (the three-sigma rule);
- negative eigenvalues, which no Gram matrix has, are set to zero;
- lambda is the edge of the noise's own spectrum, 2 sigma sqrt(K) for K items (Wigner), below which no direction of G can be
  told from noise.
The counts of an exact matrix have noise too: other people of the same kind would have had others. A count of rare events varies by about
its root (Poisson), so the squared noise of a row adds up to the row's sum, and the edge of its spectrum is 2 sqrt(the mean row sum).
lambda is the larger of the two edges, and at least `LEAST`.
Where hardly more pairs stand out of the noise than noise alone lifts there (`BY_CHANCE` of all), the model is expected to rank like
popularity: it says so in its settings and in the step's log.
Items about which the model says nothing come in order of popularity (`TIE_BREAK`, too small to overrule anything else).

A matrix of weights, every person's part scaled to one length (equal_norm_gram.py), has the noise but not the spread of counts: lambda is
half the edge of its noise, and popularity, its diagonal, is added with `WEIGHTED_BONUS`.

How the rules were found: on msweb with people held out under the seeds "val0" and "val1", which no reported figure uses. There,
nDCG@10 at epsilon 1 moved by less than 0.01 of the ceiling between half the edge and the edge, and between reaches 2 and 3; with
no reach it lost 0.01; a bonus for popularity larger than a tie-break gained 0.007 and was left out, because that is a setting
fitted to people. The exact matrix does equally well for lambda from 1 to 100 (within 0.003); on MovieLens (610 people, 2,269 films) nDCG@10
is 0.33 to 0.36 at lambda 10 and 0.37 to 0.40 at the edge, within 2 % of the best of five (benchmarks/ridge.py).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError
from pellucid.models.recommendation import explain, recommend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.store import Model

__all__ = ["explain", "fit", "fit_people", "recommend", "scores"]

REACH = 3.0
LEAST = 10.0
BY_CHANCE = 0.00135  # of pairs that nobody holds, by Gaussian noise above three standard deviations
NO_BETTER = "no better than popularity: hardly a pair of items stands out of the noise"
TIE_BREAK = 1e-6
WEIGHTED_BONUS = 0.03
BLOCK_ITEMS = 128


def fit(gram: Any, regularization: float | None = None, noise: float | None = None) -> Model:
    """Fit on a Gram table (`item_a`, `item_b`, `count`).

    `noise`: the standard deviation of the noise in it, from the release's numbers (`sigma`); None estimates it from the table.
    `regularization`: lambda > 0; None takes it from the noise and the counts (see above). The model has the arrays `items` (sorted),
    `weights` (items x items, float64) and `popularity` (each item's count by the largest), and the settings that were used.
    """
    import numpy as np

    from pellucid.models.interaction_matrix import matrix_of, noise_level
    from pellucid.store import Model

    items, counts, weighted = matrix_of(gram)
    if not len(items):
        raise DataError("the Gram table names no items", fix="Raise epsilon, or release from more people")
    sigma = noise_level(counts) if noise is None else _checked("noise", noise, 0.0)
    lam = _edge(counts, sigma, weighted) if regularization is None else _checked("regularization", regularization)
    popularity = np.maximum(np.diag(counts), 0.0)
    bonus = WEIGHTED_BONUS if weighted else TIE_BREAK
    weights = _weights(_denoised(counts, sigma), lam)
    says = {"expected": NO_BETTER} if _only_noise(counts, sigma) else {}
    if says:
        print(f"this model is expected to be {NO_BETTER}; raise epsilon, release from more people, or name fewer items")
    return Model(
        "ease",
        {"items": items, "weights": weights, "popularity": popularity / max(1.0, float(popularity.max()))},
        {"regularization": lam, "noise": sigma, "reach": REACH, "tie_break": bonus, **says},
    )


def fit_people(table: Any, item: str, unit: str, regularization: float = 200.0) -> Model:
    """Fit on a table of who holds what, without noise, as private as the table; `regularization` is lambda > 0.

    Where there are fewer people than items, by the dual form: with M = X' (X X' + lambda I)^-1 X the inverse that EASE needs is
    P = (I - M) / lambda (Woodbury), so the weights are M_ij / (1 - M_jj) and only a matrix of people x people is solved.
    """
    import numpy as np

    from pellucid.models.interaction_matrix import histories_of
    from pellucid.store import Model

    lam = _checked("regularization", regularization)
    items, held = histories_of(table, item, unit)
    people, count = held.shape
    if people < count:
        inner = np.linalg.solve((held @ held.T).toarray() + lam * np.eye(people), held.toarray())
        own = np.asarray(held.multiply(inner).sum(axis=0)).ravel()  # the diagonal of M
        inner /= 1 - own
        by_item = held.T.tocsr()
        weights: NDArray[Any] = np.empty((count, count))
        for start in range(0, count, BLOCK_ITEMS):  # so that a block of `inner` stays in the processor's cache
            weights[:, start : start + BLOCK_ITEMS] = by_item @ np.ascontiguousarray(inner[:, start : start + BLOCK_ITEMS])
        np.fill_diagonal(weights, 0.0)
    else:
        weights = _weights((held.T @ held).toarray(), lam)
    popularity = np.asarray(held.sum(axis=0)).ravel()
    arrays = {"items": items, "weights": weights, "popularity": popularity / max(1.0, float(popularity.max()))}
    return Model("ease", arrays, {"regularization": lam, "noise": 0.0, "reach": REACH, "tie_break": TIE_BREAK})


def scores(model: Model, histories: Any) -> NDArray[Any]:
    """History times weights, and the tie-break."""
    import numpy as np

    return np.asarray(histories @ model.arrays["weights"]) + float(model.settings["tie_break"]) * model.arrays["popularity"]


def _edge(counts: NDArray[Any], sigma: float, weighted: bool) -> float:
    """The default lambda: the edge of the spectrum of the noise, or of the counts' own variation; half the noise's for weights."""
    if weighted:
        return max(LEAST, sigma * math.sqrt(len(counts)))
    return max(LEAST, 2 * sigma * math.sqrt(len(counts)), 2 * math.sqrt(max(0.0, float(counts.sum())) / len(counts)))


def _only_noise(counts: NDArray[Any], sigma: float) -> bool:
    """Whether the pairs that stand out are hardly more than noise alone would lift there."""
    import numpy as np

    cells = counts[np.triu_indices(len(counts), 1)]
    return sigma > 0 and bool(len(cells)) and float((cells >= REACH * sigma).sum()) <= 2 * BY_CHANCE * len(cells) + 2


def _denoised(counts: NDArray[Any], sigma: float) -> NDArray[Any]:
    import numpy as np

    if sigma == 0:
        return counts
    diagonal = np.diag(np.maximum(np.diag(counts), 0.0))
    kept = np.where(counts >= REACH * sigma, counts, 0.0)
    np.fill_diagonal(kept, 0.0)
    values, vectors = np.linalg.eigh(kept + diagonal)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def _weights(counts: NDArray[Any], lam: float) -> NDArray[Any]:
    import numpy as np

    inverse = np.linalg.inv(counts + lam * np.eye(len(counts)))
    weights: NDArray[Any] = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


def _checked(name: str, value: object, least: float = math.ulp(0.0)) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < least:
        raise UsageError(f"{name} must be a {'number above' if least else 'number from'} 0, not {value!r}")
    return float(value)
