"""Estimates that could be true: not negative, and summing to one. Post-processing, so it costs no privacy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def consistent(frequencies: NDArray[Any], method: str = "norm-sub") -> NDArray[Any]:
    """Frequencies >= 0 that sum to 1.

    `norm-sub` (Wang et al. 2020): subtract one number from all and set what falls below 0 to 0, the number being such that the
    rest sums to 1. That is the point of the simplex nearest in Euclidean distance (Held et al. 1974), so `simplex` is the same.
    `clip`: negative ones to 0, the rest scaled: shrinks large frequencies too, and is biased more.
    Both are biased upwards for rare values; error bars stay those of the unbiased estimate.
    """
    import numpy as np

    values = np.asarray(frequencies, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise PrivacyError("frequencies must be a list of finite numbers")
    if method == "clip":
        kept = np.maximum(values, 0.0)
        total = kept.sum()
        shared: NDArray[Any] = kept / total if total > 0 else np.full(len(values), 1 / len(values))
        return shared
    if method not in ("norm-sub", "simplex"):
        raise PrivacyError(f"there is no consistency method {method!r}", fix="There are norm-sub, simplex (the same) and clip")
    largest = np.sort(values)[::-1]
    excess = (np.cumsum(largest) - 1.0) / np.arange(1, len(values) + 1)
    last = int(np.flatnonzero(largest > excess)[-1])
    projected: NDArray[Any] = np.maximum(values - excess[last], 0.0)
    return projected
