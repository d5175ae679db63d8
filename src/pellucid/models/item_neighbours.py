"""Item neighbours: an item is scored by its cosine with each item of the history (Sarwar et al. 2001; Deshpande, Karypis 2004).

Fitted on a Gram table, exact or released with noise. Under noise a pair counted below `REACH` = 3 standard deviations is taken as not held,
as in EASE. `shrink` is added to the denominator, so that pairs of rare items do not come out near 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError
from pellucid.models import neighbour_table
from pellucid.models.recommendation import explain, recommend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.store import Model

__all__ = ["explain", "fit", "fit_people", "recommend", "scores"]

REACH = 3.0


def fit(gram: Any, neighbours: int = 100, shrink: float = 10.0, noise: float | None = None) -> Model:
    """Fit on a Gram table (`item_a`, `item_b`, `count`), keeping each item's `neighbours` nearest.

    `noise`: the standard deviation of the noise in it; None estimates it from the table. `shrink` is 0 or more.
    """
    import numpy as np
    from scipy.sparse import csr_array

    from pellucid.models.interaction_matrix import matrix_of, noise_level

    items, counts, _ = matrix_of(gram)
    if not len(items):
        raise DataError("the Gram table names no items", fix="Raise epsilon, or release from more people")
    sigma = noise_level(counts) if noise is None else float(noise)
    together = csr_array(np.where(counts >= REACH * sigma, counts, 0.0))
    return _model(items, together, np.maximum(np.diag(counts), 1.0), neighbours, shrink, sigma)


def fit_people(table: Any, item: str, unit: str, neighbours: int = 100, shrink: float = 10.0) -> Model:
    """Fit on a table of who holds what, without noise, as private as the table."""
    import numpy as np
    from scipy.sparse import csr_array

    from pellucid.models.interaction_matrix import histories_of

    items, held = histories_of(table, item, unit)
    return _model(items, csr_array(held.T @ held), np.asarray(held.sum(axis=0)).ravel(), neighbours, shrink, 0.0)


def _model(items: NDArray[Any], together: Any, held: NDArray[Any], neighbours: int, shrink: float, sigma: float) -> Model:
    import numpy as np

    from pellucid.store import Model

    if neighbours < 1 or shrink < 0:
        raise UsageError("neighbours must be at least 1 and shrink at least 0")
    cells = together.tocoo()
    cells.data = cells.data / (np.sqrt(held[cells.row] * held[cells.col]) + shrink)
    near, weights = neighbour_table.largest(cells.tocsr(), neighbours)
    arrays = {"items": items, "neighbours": near, "weights": weights, "popularity": held / float(held.max())}
    return Model("item-neighbours", arrays, {"neighbours": neighbours, "shrink": float(shrink), "noise": float(sigma)})


def scores(model: Model, histories: Any) -> NDArray[Any]:
    """The sum of cosines."""
    return neighbour_table.scores(model, histories)
