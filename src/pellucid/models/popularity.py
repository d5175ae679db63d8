"""Popularity: everyone is shown what most people hold. The floor a recommender has to pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError
from pellucid.models.recommendation import explain, recommend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.store import Model

__all__ = ["explain", "fit", "fit_people", "recommend", "scores"]


def fit(gram: Any) -> Model:
    """Fit on the diagonal of a Gram table (`item_a`, `item_b`, `count`): arrays `items` (sorted) and `popularity` (counts)."""
    import numpy as np

    from pellucid.models.interaction_matrix import matrix_of
    from pellucid.store import Model

    items, counts, _ = matrix_of(gram)
    if not len(items):
        raise DataError("the Gram table names no items", fix="Raise epsilon, or release from more people")
    return Model("popularity", {"items": items, "popularity": np.maximum(np.diag(counts), 0.0)}, {})


def fit_people(table: Any, item: str, unit: str) -> Model:
    """Fit on a table of who holds what, without noise, as private as the table."""
    import numpy as np

    from pellucid.models.interaction_matrix import histories_of
    from pellucid.store import Model

    items, held = histories_of(table, item, unit)
    return Model("popularity", {"items": items, "popularity": np.asarray(held.sum(axis=0)).ravel()}, {})


def scores(model: Model, histories: Any) -> NDArray[Any]:
    """The same counts for everyone."""
    import numpy as np

    return np.tile(model.arrays["popularity"], (histories.shape[0], 1))
