"""What can be said of a mean over queries or people: an interval, and whether two systems differ.

- `interval`: percentile bootstrap over queries (Efron 1979), 95 %.
- `randomisation`: the paired randomisation test (Fisher 1935; for retrieval: Smucker, Allan, Carterette 2007). Under the hypothesis
  that the two systems are alike, each query's difference has either sign with chance 1/2; p is the share of draws, the observed one
  among them, whose mean is as far from 0. Exact, by all signs, up to 16 differing queries.
- `holm`: p values made fit to be read together (Holm 1979): the chance that any true hypothesis is rejected stays below the level.

All draws come from a public seed, so that the same numbers give the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 10_000
EXACT = 16  # differing queries up to which all 2^n signs are looked at
_BLOCK = 1 << 22  # numbers held at once


def interval(values: Sequence[float], seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """The bootstrap interval of the mean of `values` (one per query); both ends are the mean itself for a single value."""
    import numpy as np

    data = np.asarray(values, dtype=np.float64)
    random = np.random.Generator(np.random.PCG64(seed))
    means = np.empty(RESAMPLES)
    size = max(1, _BLOCK // max(1, len(data)))
    for start in range(0, RESAMPLES, size):
        stop = min(start + size, RESAMPLES)
        means[start:stop] = data[random.integers(0, len(data), (stop - start, len(data)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def randomisation(a: Sequence[float], b: Sequence[float], seed: int = 0) -> float:
    """Two-sided p of the mean difference between paired values; 1 where no pair differs."""
    import numpy as np

    parts = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    parts = parts[parts != 0]
    if not len(parts):
        return 1.0
    observed = abs(parts.sum()) * (1 - 1e-12)  # a sum in another order may round the other way
    if len(parts) <= EXACT:
        signs = 1 - 2 * ((np.arange(2 ** len(parts))[:, None] >> np.arange(len(parts))) & 1)
        return float((np.abs(signs @ parts) >= observed).mean())
    random = np.random.Generator(np.random.PCG64(seed))
    draws, size, beyond = RESAMPLES * 10, max(1, _BLOCK // len(parts)), 0
    for start in range(0, draws, size):
        signs = _signs(random, min(size, draws - start), len(parts))
        beyond += int((np.abs(signs @ parts) >= observed).sum())
    return (beyond + 1) / (draws + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values adjusted for being read together, in the order given."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted


def _signs(random: object, rows: int, columns: int) -> NDArray:  # type: ignore[type-arg]
    import numpy as np

    return 1.0 - 2.0 * random.integers(0, 2, (rows, columns), dtype=np.int8)  # type: ignore[attr-defined, no-any-return]
