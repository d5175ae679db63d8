"""Markov: what comes next after the last items, from how often one item followed another.

A first-order chain with weight for older steps: an item that came d places later counts 1 / d, up to `WINDOW` places. A row is divided by
how often its item was followed plus `smoothing`, so that what was seen once does not come out certain. In `recommend` the last item of the
history counts 1, the one before it `DECAY`, and so on; where the order is not known all count alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError
from pellucid.models import neighbour_table
from pellucid.models.recommendation import explain, recommend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pellucid.store import Model

__all__ = ["explain", "fit", "history_weights", "recommend", "scores"]

WINDOW = 3
DECAY = 0.5


def fit(table: Any, item: str, unit: str, order: str, smoothing: float = 5.0, neighbours: int = 100) -> Model:
    """Fit on a table of who took what when, as private as the table. Rows of a person are ordered by `order`, equal ones by item."""
    import numpy as np
    import pyarrow as pa
    from scipy.sparse import coo_array, csr_array, diags_array

    from pellucid.models.interaction_matrix import arrow_of, item_places
    from pellucid.store import Model

    if smoothing < 0 or neighbours < 1:
        raise UsageError("smoothing must be at least 0 and neighbours at least 1")
    rows = arrow_of(table).select([unit, item, order])
    for column in (unit, item, order):
        if rows.column(column).null_count:
            raise DataError(f"column {column!r} has rows without a value", fix="Drop or fill them while ingesting")
    rows = rows.sort_by([(unit, "ascending"), (order, "ascending"), (item, "ascending")]).combine_chunks()
    items, places = item_places(rows.column(item))
    people = (
        np.asarray(pa.chunked_array(rows.column(unit)).combine_chunks().dictionary_encode().indices) if rows.num_rows else places
    )
    first, second, weights = [], [], []
    for step in range(1, WINDOW + 1):
        same = (people[step:] == people[:-step]) & (places[step:] != places[:-step])
        first.append(places[:-step][same])
        second.append(places[step:][same])
        weights.append(np.full(int(same.sum()), 1 / step))
    followed = csr_array(
        coo_array((np.concatenate(weights), (np.concatenate(first), np.concatenate(second))), shape=(len(items), len(items)))
    )
    total = np.asarray(followed.sum(axis=1)).ravel()
    followed = csr_array(diags_array(1 / np.maximum(total + smoothing, 1e-12)) @ followed)
    near, kept = neighbour_table.largest(followed, neighbours)
    counts = np.bincount(places, minlength=len(items)).astype(np.float64)
    arrays = {"items": items, "neighbours": near, "weights": kept, "popularity": counts / max(1.0, float(counts.max(initial=0)))}
    return Model("markov", arrays, {"smoothing": float(smoothing), "neighbours": neighbours, "window": WINDOW})


def scores(model: Model, histories: Any) -> NDArray[Any]:
    """The weighted sum of the rows of a history's items."""
    return neighbour_table.scores(model, histories)


def history_weights(history: Sequence[Any]) -> list[float]:
    """How much each item of an ordered history counts."""
    return [DECAY**back for back in reversed(range(len(history)))]
