"""Diversity of a list: maximal marginal relevance (Carbonell and Goldstein, "The Use of MMR", 1998).

The next item of a list is the one with the largest (1 - diversity) * relevance - diversity * likeness, where likeness is that to the
nearest item already in the list. Two items are alike when they lead to the same others: the cosine of the scores that each alone gives to
every item, above the scores of an empty history; an item leads to itself as much as to its nearest. So one rule serves all kinds of models;
under one that looks at no history (popularity) nothing is alike, and the order stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECIMALS = 9  # values are compared rounded, so that the last bit of a sum decides nothing


def profiles(led: NDArray[Any], places: NDArray[Any]) -> NDArray[Any]:
    """Rows of length 1 (or 0) whose products are likenesses. `led`: what each of the items at `places` gives to every item (row by row)."""
    import numpy as np

    rows = np.array(led, dtype=np.float64)
    own = np.arange(len(rows))
    rows[own, places] = 0.0
    rows[own, places] = np.maximum(rows.max(axis=1, initial=0.0), 0.0)
    lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return np.asarray(np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1e-12))


def mmr(relevance: NDArray[Any], profile: NDArray[Any], diversity: float, count: int) -> list[int]:
    """The order of the first `count` candidates. `relevance` (0 to 1) is by falling rank; equal values come in that order."""
    import numpy as np

    left = np.ones(len(relevance), dtype=bool)
    nearest = np.zeros(len(relevance))
    order: list[int] = []
    while len(order) < min(count, len(relevance)):
        value = np.round((1 - diversity) * relevance - diversity * nearest, DECIMALS)
        best = int(np.argmax(np.where(left, value, -np.inf)))
        order.append(best)
        left[best] = False
        likeness = (profile * profile[best]).sum(axis=1)
        nearest = likeness if len(order) == 1 else np.maximum(nearest, likeness)
    return order
