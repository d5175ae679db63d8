"""A table of each item's nearest items: what the item-item models share that keep some weights of each row and not all.

Arrays: `items` (sorted), `neighbours` (int32, items x k, places in `items`) and `weights` (float64, items x k, 0 where a row has fewer).
A person's score for an item is the sum of their items' weights towards it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.store import Model

_BLOCK = 1 << 22  # weights held at once


def largest(rows: Any, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The k largest positive weights of each row of a square sparse matrix (scipy), equal ones by place, as places and weights."""
    import numpy as np

    count = rows.shape[0]
    k = min(k, count)
    near, weights = np.zeros((count, k), np.int32), np.zeros((count, k))
    size = max(1, _BLOCK // max(1, count))
    for start in range(0, count, size):
        block = np.asarray(rows[start : start + size].todense(), dtype=np.float64)
        block[np.arange(len(block)), np.arange(start, start + len(block))] = 0.0
        order = np.argsort(-np.round(block, 12), axis=1, kind="stable")[:, :k]
        near[start : start + size] = order
        weights[start : start + size] = np.maximum(np.take_along_axis(block, order, axis=1), 0.0)
    return near, weights


def scores(model: Model, histories: Any) -> NDArray[Any]:
    """The sums of a history's weights, item by item in order, so that nobody's score depends on who else is asked for."""
    import numpy as np
    from scipy.sparse import csr_array

    near, weights = model.arrays["neighbours"], model.arrays["weights"]
    count, k = near.shape
    table = csr_array((weights.ravel(), near.ravel(), np.arange(count + 1) * k), shape=(count, count))
    return np.asarray((histories @ table).todense())
