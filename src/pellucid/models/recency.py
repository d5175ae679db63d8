"""Recency of a list: what is newer counts more. The relevance of an item is halved with every half-life of its age."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def freshness(items: list[Any], ages: Mapping[Any, float], half_life: float) -> NDArray[Any]:
    """2^(-age / half_life) of each item; one of unknown age is as old as the oldest known. Ages and half-life in one unit, from 0.

    Raises UsageError for an age below 0 or not finite, and a half-life that is not above 0.
    """
    import numpy as np

    known = np.array([float(age) for age in ages.values()])
    if not (np.isfinite(known).all() and (known >= 0).all()):
        raise UsageError("an age must be a number from 0", why="one is below 0 or not finite")
    if not (np.isfinite(half_life) and half_life > 0):
        raise UsageError(
            f"half_life must be above 0, not {half_life!r}", fix="Give it in the unit of the ages, 365 for a year of days"
        )
    oldest = float(known.max(initial=0.0))
    with np.errstate(over="ignore"):  # so old that nothing is left of it
        return np.asarray(0.5 ** (np.array([float(ages.get(item, oldest)) for item in items]) / half_life))
