"""Counts of items that nobody listed beforehand: the noise, the threshold, and how delta is shared.

Naming an item that only one person holds would give that person away, so an item is named only when its noised count reaches a
threshold. The argument, for a mechanism that noises integer cells indexed by items (or pairs of items) of the data, where one
unit moves at most `cells` cells by 1, holds at most `cap` items, and an item's own count decides whether it is named:

Let D' be D and one unit more, N the items (at most cap) that only this unit holds, each with count 1 in D'. Let M be the
mechanism and A(.) the same with the items fixed to those of D, whatever the data: its items are public, so it is (epsilon,
delta_counts) private by calibration.py, and naming items by threshold, taking the largest and drawing pairs only for those
named are post-processing of its cells. M(D) = A(D).
- From D' to D. Unless an item of N reaches the threshold, M(D') shows what A(D') shows. That happens with probability at most
  delta_threshold = cap P[1 + noise >= threshold]. So P[M(D') in S] <= delta_threshold + P[A(D') in S]
  <= e^epsilon P[M(D) in S] + delta_counts + delta_threshold.
- From D to D'. Let B be the same with the items fixed to those of D'. B(D') = M(D'); and M(D) shows what B(D) shows unless an
item of N, whose count is 0 in D, reaches the threshold, which is less likely still. So P[M(D) in S] <= delta_threshold +
P[B(D) in S] <= e^epsilon P[M(D') in S] + delta_counts + delta_threshold.
The tail is read from the sampler's own table, so it is exact for the noise really drawn; for the cells, the sampler's distance
adds delta_sampler = (1 + e^epsilon) cells distance (gaussian.py). Delta is the sum of the three parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError
from pellucid.privacy.calibration import sigma_for_counts
from pellucid.privacy.gaussian import DiscreteGaussian
from pellucid.privacy.parameters import checked_delta, checked_epsilon

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARE = 0.25  # of delta for the threshold: sigma grows by half a percent, the threshold falls by 3%; fixed, not fitted to data


@dataclass(frozen=True)
class Plan:
    """What a release of counts adds: noise of `sigma2`, a `threshold` on noised counts, and the three parts of delta."""

    sigma2: Fraction
    threshold: int
    delta_counts: float
    delta_threshold: float
    delta_sampler: float

    @property
    def noise(self) -> DiscreteGaussian:
        return DiscreteGaussian(self.sigma2)


def plan(epsilon: float, delta: float, cells: int, cap: int) -> Plan:
    """The least noise, then the lowest threshold, for (epsilon, delta); PrivacyError if no noise on offer is enough."""
    return _plan(checked_epsilon(epsilon), checked_delta(delta), cells, cap)  # checked first: a cache takes True for 1.0


@lru_cache(maxsize=256)
def _plan(epsilon: float, delta: float, cells: int, cap: int) -> Plan:
    share = SHARE * delta
    counts = (delta - share) * (1 - 1e-9)
    sigma2 = sigma_for_counts(epsilon, counts, cells)
    noise = DiscreteGaussian(sigma2)
    low, high = 0, noise.cut + 2  # noise >= high never happens
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if cap * noise.tail(middle) <= share * (1 - 1e-9) else (middle, high)
    made = Plan(sigma2, high + 1, counts, cap * noise.tail(high), sampler_delta(noise, epsilon, cells))
    if made.delta_counts + made.delta_threshold + made.delta_sampler > delta:
        raise PrivacyError(f"delta {delta} is too small beside epsilon {epsilon}", fix="Raise delta or lower epsilon")
    return made


def sampler_delta(noise: DiscreteGaussian, epsilon: float, cells: int) -> float:
    """What the sampler's distance adds to delta when neighbours differ in at most `cells` noised cells."""
    return (1 + math.exp(epsilon)) * cells * noise.distance * (1 + 1e-9)


def named(noised: NDArray[Any], threshold: int, at_most: int) -> NDArray[Any]:
    """The places of the items to name: noised count >= threshold, the largest `at_most` of them (ties: first), ascending."""
    import numpy as np

    places = np.flatnonzero(noised >= threshold)
    largest = places[np.argsort(-noised[places], kind="stable")[:at_most]]
    return np.sort(largest)
