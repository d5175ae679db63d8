"""What a mechanism must promise, computed apart from the product: from what one unit moves to events, threshold, parts of delta and price.

Nothing of `pellucid.privacy` is used here but numbers that a guarantee states. Laws of noise come from their formulas, in floating point
with a margin; the moves of a unit from each mechanism's definition, read again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

MARGIN = 1 + 1e-6  # of floating point here


@lru_cache(maxsize=64)
def gaussian_law(sigma2: float) -> tuple[Any, Any]:
    """The integers that matter and their probabilities under the discrete Gaussian."""
    reach = math.ceil(12 * math.sqrt(sigma2)) + 1
    places = np.arange(-reach, reach + 1)
    weights = np.exp(-(places.astype(float) ** 2) / (2 * sigma2))
    return places, weights / weights.sum()


def gaussian_tail(sigma2: float, at_least: int) -> float:
    """P[noise >= at_least]."""
    reach = max(at_least, 0) + math.ceil(40 * math.sqrt(sigma2)) + 1
    places = np.arange(-reach, reach + 1, dtype=float)
    logs = -(places**2) / (2 * sigma2)
    whole = np.exp(logs).sum()
    return float(np.exp(logs[places >= at_least]).sum() / whole)


def laplace_tail(scale: float, at_least: int) -> float:
    """P[noise >= at_least] of the discrete Laplace law with P[x] ~ exp(-|x| / scale)."""
    ratio = math.exp(-1 / scale)
    return ratio**at_least / (1 + ratio) if at_least >= 1 else 1 - ratio ** (1 - at_least) / (1 + ratio)


def exact_delta(sigma2: float, cells: int, epsilon: float) -> float:
    """Delta at epsilon of `cells` discrete Gaussian draws that a unit moves by 1: the loss depends on the sum of the draws alone."""
    _, law = gaussian_law(sigma2)
    total = law
    for _ in range(cells - 1):
        total = np.convolve(total, law)
    reach = len(total) // 2
    sums = np.arange(-reach, reach + 1, dtype=float)
    loss = (cells + 2 * sums) / (2 * sigma2)
    return float((total * -np.expm1(np.minimum(0, epsilon - loss))).sum())


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Delta at epsilon of the continuous Gaussian whose means lie mu standard deviations apart: Balle, Wang (2018), Theorem 8."""
    return (
        math.erfc(-(mu / 2 - epsilon / mu) / math.sqrt(2)) - math.exp(epsilon) * math.erfc((mu / 2 + epsilon / mu) / math.sqrt(2))
    ) / 2


def zcdp_delta(rho: float, epsilon: float) -> float:
    """Delta at epsilon of rho-zCDP: Canonne, Kamath, Steinke (2020), Corollary 13, the least over a grid of orders."""
    alphas = 1 + np.exp(np.linspace(-8, 12, 20_001))
    logs = (alphas - 1) * (alphas * rho - epsilon) + alphas * np.log1p(-1 / alphas) - np.log(alphas - 1)
    return float(np.exp(logs.min()))


def moves(mechanism: Any, relation: str) -> dict[str, Any]:
    """What one unit does to a mechanism's integers, from its definition: the cells it moves, by how much, the squared length, and how many
    items may be its alone."""
    twice = 2 if relation == "replace" else 1
    name, c = mechanism.name, getattr(mechanism, "max_contributions", 0)
    if name == "gram":
        return {"cells": twice * (c * (c - 1) // 2 + c), "by": 1, "alone": 0 if mechanism.public_keys else c}
    if name == "histogram":
        return {"cells": twice * c, "by": mechanism.rows, "alone": 0 if mechanism.public_keys else c}
    if name == "pairs":
        return {"cells": twice * math.comb(c, 2), "by": 1, "alone": 0 if mechanism.public_keys else math.comb(c, 2)}
    if name == "clicks":
        return {"cells": twice * (mechanism.queries + mechanism.clicks), "by": 1, "alone": mechanism.queries + mechanism.clicks}
    if name == "partitions":
        return {"cells": twice * c, "by": 1, "alone": c}
    raise KeyError(name)


def events_squared(events: list[Mapping[str, Any]]) -> tuple[int, Fraction]:
    """The squared length that Gaussian events state, and their sigma^2."""
    (event,) = events
    return int(event["cells"]) * int(event["sensitivity"]) ** 2, Fraction(event["sigma2"])


def rho_and_slack(description: Mapping[str, Any]) -> tuple[float, float]:
    """The price in zCDP of a release's events: Bun, Steinke (2016), Prop. 1.6 and 3.3; and the delta beside it."""
    rho, slack = 0.0, float(description["extra_delta"])
    for event in description["events"]:
        if "noise" not in event:
            rho, slack = rho + event["epsilon"] ** 2 / 2, slack + event["delta"]
        elif event["noise"] == "discrete_gaussian":
            rho += event["cells"] * event["sensitivity"] ** 2 / (2 * float(Fraction(event["sigma2"])))
        else:
            rho += event["cells"] * (event["sensitivity"] / float(Fraction(event["scale"]))) ** 2 / 2
    return rho, slack
