"""RP3beta: three steps of a random walk from a person's items over people to other items, popular ones held back.

Paudel, Christoffel, Newell, Bernstein, "Updatable, Accurate, Diverse, and Scalable Recommendations for Interactive Applications" (2017):
W = (D_i^-1 X')^alpha (D_u^-1 X)^alpha, each column divided by the item's popularity to the power beta.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.models import neighbour_table
from pellucid.models.recommendation import explain, recommend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.store import Model

__all__ = ["explain", "fit", "recommend", "scores"]


def fit(table: Any, item: str, unit: str, alpha: float = 1.0, beta: float = 0.5, neighbours: int = 200) -> Model:
    """Fit on a table of who holds what, as private as the table. `alpha` > 0; `beta` 0 to 1; each item keeps `neighbours` weights."""
    import numpy as np
    from scipy.sparse import csr_array, diags_array

    from pellucid.models.interaction_matrix import histories_of
    from pellucid.store import Model

    if not (alpha > 0 and 0 <= beta <= 1 and neighbours >= 1):
        raise UsageError("alpha must be above 0, beta 0 to 1, neighbours at least 1")
    items, held = histories_of(table, item, unit)
    popularity = np.asarray(held.sum(axis=0)).ravel()
    sizes = np.asarray(held.sum(axis=1)).ravel()
    to_people = csr_array(diags_array(popularity**-alpha) @ held.T)
    to_items = csr_array(diags_array(sizes**-alpha) @ held)
    walk = csr_array(csr_array(to_people @ to_items) @ diags_array(popularity**-beta))
    near, weights = neighbour_table.largest(walk, neighbours)
    arrays = {
        "items": items,
        "neighbours": near,
        "weights": weights,
        "popularity": popularity / max(1.0, float(popularity.max())),
    }
    return Model("rp3beta", arrays, {"alpha": float(alpha), "beta": float(beta), "neighbours": neighbours})


def scores(model: Model, histories: Any) -> NDArray[Any]:
    """The chance to arrive, by the rules above."""
    return neighbour_table.scores(model, histories)
