"""ALS: people and items as short vectors, fitted in turns to who holds what (Hu, Koren, Volinsky, "Collaborative Filtering for Implicit
Feedback Datasets", 2008).

What is held has preference 1 and confidence 1 + alpha, everything else preference 0 and confidence 1. Each turn solves every row exactly,
(Y'Y + alpha Y_h'Y_h + regularization I) x = (1 + alpha) sum of Y_h, in the order of rows, so that with one thread the same data and
seed give the same bytes. Only items are kept: a person's vector is solved from their history when they are scored, so it holds no one.

The defaults were chosen on MovieLens among nine settings, by each person's earlier ratings alone (the last fifth of what comes before the
hold-out that benchmarks/recommenders.py reports on).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.models.recommendation import explain, recommend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.store import Model

__all__ = ["contributions", "explain", "fit", "recommend", "scores"]


def fit(
    table: Any,
    item: str,
    unit: str,
    factors: int = 32,
    regularization: float = 20.0,
    alpha: float = 1.0,
    rounds: int = 10,
    seed: int = 0,
) -> Model:
    """Fit on a table of who holds what, as private as the table. Arrays: `items`, `factors` (items x factors, float64), `popularity`."""
    import numpy as np

    from pellucid.models.interaction_matrix import histories_of
    from pellucid.store import Model

    if not (factors >= 1 and regularization > 0 and alpha > 0 and rounds >= 1):
        raise UsageError("factors and rounds must be at least 1, regularization and alpha above 0")
    items, held = histories_of(table, item, unit)
    random = np.random.Generator(np.random.PCG64(seed))
    factors = min(factors, max(1, min(held.shape)))
    known = random.normal(0.0, 0.1, (len(items), factors))
    by_item = held.T.tocsr()
    for _ in range(rounds):
        people = _solved(held, known, regularization, alpha)
        known = _solved(by_item, people, regularization, alpha)
    popularity = np.asarray(held.sum(axis=0)).ravel()
    arrays = {"items": items, "factors": known, "popularity": popularity / max(1.0, float(popularity.max(initial=0)))}
    settings = {
        "factors": factors,
        "regularization": float(regularization),
        "alpha": float(alpha),
        "rounds": rounds,
        "seed": seed,
    }
    return Model("als", arrays, settings)


def scores(model: Model, histories: Any) -> NDArray[Any]:
    """Each person's vector, solved from their own history alone, times the items'."""
    import numpy as np

    known = model.arrays["factors"]
    people = _solved(histories.tocsr(), known, model.settings["regularization"], model.settings["alpha"])
    return np.stack([known @ person for person in people]) if len(people) else np.zeros((0, len(known)))


def contributions(model: Model, history: Any, item: int) -> NDArray[Any]:
    """What each item of one history (a row) adds to the score of an item: (1 + alpha) y_item' A^-1 y_held, with A of that history."""
    import numpy as np

    known, alpha = model.arrays["factors"], float(model.settings["alpha"])
    held = known[history.indices]
    a = known.T @ known + float(model.settings["regularization"]) * np.eye(known.shape[1]) + alpha * (held.T @ held)
    return np.asarray((1 + alpha) * (held @ np.linalg.solve(a, known[item])))


def _solved(rows: Any, other: NDArray[Any], regularization: float, alpha: float) -> NDArray[Any]:
    """The vector of each row, given the vectors of the other side; 0 for a row that holds nothing."""
    import numpy as np

    base = other.T @ other + regularization * np.eye(other.shape[1])
    found = np.zeros((rows.shape[0], other.shape[1]))
    for row in range(rows.shape[0]):
        held = other[rows.indices[rows.indptr[row] : rows.indptr[row + 1]]]
        if len(held):
            found[row] = np.linalg.solve(base + alpha * (held.T @ held), (1 + alpha) * held.sum(axis=0))
    return found
