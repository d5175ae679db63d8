"""Counts of items that nobody listed beforehand: the noise, the threshold, and how delta is shared.

Naming an item that only one person holds would give that person away, so an item is named only when its noised count reaches a
threshold. The argument, for a mechanism that noises integer cells indexed by items (or pairs of items) of the data, where one
unit moves at most `cells` cells by 1, holds at most `max_contributions` items, and an item's own count decides whether it is named:

Let D' be D and one unit more, N the items (at most c = `max_contributions`) that only this unit holds, each with count 1 in D'. Let M be
the mechanism and A(.) the same with the items fixed to those of D, whatever the data: its items are public, so it is (epsilon,
delta_counts) private by calibration.py, and naming items by threshold, taking the largest and drawing pairs only for those
named are post-processing of its cells. M(D) = A(D).
- From D' to D. Unless an item of N reaches the threshold, M(D') shows what A(D') shows. That happens with probability at most
  delta_threshold = c P[1 + noise >= threshold]. So P[M(D') in S] <= delta_threshold + P[A(D') in S]
  <= e^epsilon P[M(D) in S] + delta_counts + delta_threshold.
- From D to D'. Let B be the same with the items fixed to those of D'. B(D') = M(D'); and M(D) shows what B(D) shows unless an
item of N, whose count is 0 in D, reaches the threshold, which is less likely still. So P[M(D) in S] <= delta_threshold +
P[B(D) in S] <= e^epsilon P[M(D') in S] + delta_counts + delta_threshold.
The tail is read from the sampler's own table, so it is exact for the noise really drawn; for the cells, the sampler's distance
adds delta_sampler = (1 + e^epsilon) cells distance (gaussian.py). Delta is the sum of the three parts.

Replace. Let D' be D with unit u replaced by unit v, A(.) the same with the items fixed to those of D without u. The counts of A
move in the cells of u and in those of v, at most 2 cells, each by at most 1 (less where both hold an item), so A is calibrated for
twice the cells. M(D) shows what A(D) shows unless one of at most c items that only u holds reaches the threshold: probability
t <= c P[1 + noise >= threshold], and that is independent of A(D), whose noise is other noise. The same for D' and v, t'. With T the
bound on both, P[M(D) in S] <= (1 - T) P[A(D) in S] + T (the right side grows with T, as P <= 1) and P[M(D') in S] >= (1 - T)
P[A(D') in S]. So P[M(D) in S] - e^epsilon P[M(D') in S] <= (1 - T) delta_counts + T: the threshold costs T once, not twice.

Laplace. One unit moves the cells by at most cells (twice that for replace) in L1, so discrete Laplace noise of laplace.py is purely
epsilon private for A: delta_counts and delta_sampler are 0, all of delta goes to the threshold, and where the items are
declared there is no threshold and delta may be 0.

More than one row. Where a unit adds up to `lift` to a cell, the L1 bound is lift times as large, the L2 bound lift sqrt(cells) (zCDP,
calibration.py), and a lone item has count at most lift: c P[lift + noise >= threshold].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError
from pellucid.privacy.noise import DiscreteGaussian, DiscreteLaplace, laplace, sigma_for_counts, sigma_for_l2
from pellucid.privacy.parameters import MAX_EPSILON, checked_delta, checked_epsilon
from pellucid.store import ADD_REMOVE, REPLACE

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARE = 0.25  # of delta for the threshold: sigma grows by half a percent, the threshold falls by 3%; fixed, not fitted to data
NOISES = ("gaussian", "laplace")
FAR = 1 << 40  # a threshold beyond this is none


@dataclass(frozen=True)
class Plan:
    """What a release of counts adds: `noise`, a `threshold` on noised counts, the three parts of delta, and what one unit moves."""

    noise: DiscreteGaussian | DiscreteLaplace
    threshold: int
    delta_counts: float
    delta_threshold: float
    delta_sampler: float
    cells: int
    lift: int = 1

    @property
    def sigma2(self) -> Fraction:
        """The parameter of Gaussian noise."""
        assert isinstance(self.noise, DiscreteGaussian)
        return self.noise.sigma2

    def events(self) -> list[dict[str, Any]]:
        """What an accountant must know of the noise (composition.py)."""
        return [event(self.noise, self.cells, self.lift)]

    @property
    def extra_delta(self) -> float:
        """What the threshold and the sampler add to delta beside the events, whatever epsilon they are judged at."""
        return self.delta_threshold + sampler_delta(self.noise, MAX_EPSILON, self.cells)


def plan(
    epsilon: float,
    delta: float,
    cells: int,
    max_contributions: int,
    relation: str = ADD_REMOVE,
    noise: str = "gaussian",
    lift: int = 1,
    share: float = SHARE,
) -> Plan:
    """The least noise, then the lowest threshold, for (epsilon, delta); PrivacyError if no noise on offer is enough.

    A unit holds at most `max_contributions` items that must not be named by it alone (0: all items are declared) and moves `cells`
    cells by at most `lift` each; for `relation` "replace" twice as many. `share` of delta
    goes to the threshold under Gaussian noise.
    """
    pure = noise == "laplace" and not max_contributions
    moved = 2 * cells if relation == REPLACE else cells
    return _plan(
        checked_epsilon(epsilon), checked_delta(delta, pure=pure), moved, max_contributions, noise, lift, share
    )  # a cache takes True for 1.0


@lru_cache(maxsize=256)
def _plan(epsilon: float, delta: float, cells: int, max_contributions: int, kind: str, lift: int, part: float) -> Plan:
    share = (part if kind == "gaussian" else 1.0) * delta if max_contributions else 0.0
    counts = (delta - share) * (1 - 1e-9) if kind == "gaussian" else 0.0
    noise: DiscreteGaussian | DiscreteLaplace
    if kind == "laplace":
        noise = laplace(epsilon, cells * lift)
    elif lift == 1:
        noise = DiscreteGaussian(sigma_for_counts(epsilon, counts, cells))
    else:
        noise = DiscreteGaussian(sigma_for_l2(epsilon, counts, cells * lift * lift))
    sampler = sampler_delta(noise, epsilon, cells) if kind == "gaussian" else 0.0
    if not max_contributions:
        made = Plan(noise, -FAR, counts, 0.0, sampler, cells, lift)
    else:
        low, high = 0, FAR
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if max_contributions * noise.tail(middle) <= share * (1 - 1e-9) else (middle, high)
        made = Plan(noise, high + lift, counts, max_contributions * noise.tail(high), sampler, cells, lift)
    if made.delta_counts + made.delta_threshold + made.delta_sampler > delta:
        raise PrivacyError(f"delta {delta} is too small beside epsilon {epsilon}", fix="Raise delta or lower epsilon")
    return made


def event(noise: DiscreteGaussian | DiscreteLaplace, cells: int, sensitivity: int) -> dict[str, Any]:
    """One unit moves at most `cells` integers, each by at most `sensitivity`, under this noise: for the accountant."""
    if isinstance(noise, DiscreteGaussian):
        return {"noise": "discrete_gaussian", "sigma2": str(noise.sigma2), "sensitivity": sensitivity, "cells": cells}
    return {"noise": "discrete_laplace", "scale": str(noise.scale), "sensitivity": sensitivity, "cells": cells}


def sampler_delta(noise: DiscreteGaussian | DiscreteLaplace, epsilon: float, cells: int) -> float:
    """What the sampler's distance adds to delta when neighbours differ in at most `cells` noised cells."""
    return (1 + math.exp(epsilon)) * cells * noise.distance * (1 + 1e-9)


def named(noised: NDArray[Any], threshold: int, at_most: int) -> NDArray[Any]:
    """The places of the items to name: noised count >= threshold, the largest `at_most` of them (ties: first), ascending."""
    import numpy as np

    places = np.flatnonzero(noised >= threshold)
    largest = places[np.argsort(-noised[places], kind="stable")[:at_most]]
    return np.sort(largest)
