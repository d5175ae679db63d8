"""What releases cost as Gaussian noise (mu-GDP), and why it adds up however each release was chosen.

A step that moves a continuous Gaussian of standard deviation 1 by mu has delta(epsilon) = `gaussian_delta`; any number of such steps,
each chosen after the results of those before, is as one with the sum of all mu^2, as long as that sum is bounded beforehand (Smith,
Thakurta 2022; Koskela, Tobaben, Honkela 2023): the losses are a Brownian motion that is looked at, at the latest, at a fixed time. So
an account fixes mu^2 when it opens, from its cap, and the exact curve holds. Noise on integers is not continuous, so that needs an
argument of its own.

Claim. Let an account admit a step only while the sum of mu^2, this step's and its reserve r included, is at most mu*^2. For discrete
Gaussian noise mu^2 = D / sigma^2, with D the squared L2 norm of what one unit moves, sigma >= 2, D sigma^2 >= 16 and
r sigma^4 >= 3/2. Then all n steps together are (epsilon, (1 + 1e-11)^n gaussian_delta(mu*^2, epsilon)) private.

Proof. Give the adversary, after the last step, one continuous Gaussian more that uses up what is left of mu*^2; that only helps. Go
backwards from the last step: what follows a step that leaves m is worth at most what one continuous Gaussian with mu^2 = m is worth,
times the factors of the later steps. So a step's loss (D + 2 z) / (2 sigma^2), z = <v, X>, meets an independent Gaussian loss of
mu^2 = m >= r. The law of z is at most its value at 0 times exp(-z^2 / (2 D sigma^2)), a coset sum being largest at the lattice itself
(calibration.py); with t^2 = D sigma^2 and s^2 = m sigma^4, in units of z, Poisson summation bounds the density of the sum of both
losses by (1 + x) / (1 - x) times that of the continuous step's, x = 2 exp(-2 pi^2 t^2 s^2 / (t^2 + s^2)). At t^2 >= 16 and
s^2 >= 3/2 this is below 1 + 1e-11; so the step and what follows are worth at most that factor times one continuous Gaussian with
mu^2 + m. Without the reserve the claim is false: a few coarse releases exceed the curve by 13 to 27 %.

Where a cell moves by more than 1, the losses lie on a coarser grid than the argument on z allows. There 16 cells that move by 1 are
given to the adversary (dropping them is post-processing), so D = cells s^2 + 16; for sigma >= 100 and 16 sigma^2 / s^2 >= 10 the
rest of the argument loses less than a factor of 1 + 1e-15.

Everything else pays by its own guarantee. What is epsilon-DP is mu-GDP with mu = 2 Phi^-1(e^epsilon / (1 + e^epsilon)), exactly (Dong,
Roth, Su 2022), so it can be made from a continuous Gaussian step and needs no reserve; delta beside it adds up on its own, as in a zCDP
account: paths that ever take the part of weight delta weigh at most the sum of the deltas. For small epsilon that is 1.57 times the
price in zCDP: accounts of Laplace noise belong there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist
from typing import Any

MAX_STEPS = 1_000_000  # of one account
ROUNDING = 1 + 2e-5  # covers (1 + 1e-11)^MAX_STEPS
ERF_ERROR = 1e-12  # relative, of a normal tail; its argument is below 40
PADS = 16  # cells that move by 1, given to the adversary where others move by more
MIN_SIGMA2, MIN_SPREAD, MIN_RESERVE = Fraction(4), Fraction(16), Fraction(3, 2)
MIN_PADDED_SIGMA2 = Fraction(10_000)


@dataclass(frozen=True)
class GaussianCost:
    """What a release costs: the sum of mu^2, the largest reserve a step needs beside it, and in how many steps."""

    mu2: Fraction
    reserve: Fraction
    steps: int
    slack: float


def cost_of(epsilon: float, delta: float, events: Iterable[Mapping[str, Any]], extra: float) -> GaussianCost:
    """The cost of a release with these checked events; by its own (epsilon, delta) where its noise is too coarse for the argument."""
    events = list(events)
    parts = [_part(event) for event in events]
    if any(part is None for part in parts):
        return GaussianCost(mu2_of_pure(epsilon), Fraction(0), 1, delta)
    found = [part for part in parts if part is not None]
    return GaussianCost(
        sum((mu2 for mu2, _, _ in found), start=Fraction(0)),
        max((reserve for _, reserve, _ in found), default=Fraction(0)),
        sum(steps for _, _, steps in found),
        math.fsum([*(float(event["delta"]) for event in events if "noise" not in event), extra]),
    )


def _part(event: Mapping[str, Any]) -> tuple[Fraction, Fraction, int] | None:
    """(mu^2, reserve, steps) of an event; None for Gaussian noise that is too coarse."""
    if "noise" not in event:
        return mu2_of_pure(float(event["epsilon"])), Fraction(0), 1
    cells, sensitivity = int(event["cells"]), int(event["sensitivity"])
    if event["noise"] == "discrete_laplace":
        each = mu2_of_pure(float(sensitivity / Fraction(event["scale"])) * (1 + 1e-12))
        return cells * each, Fraction(0), cells
    sigma2 = Fraction(event["sigma2"])
    squared = cells * sensitivity**2
    if sensitivity > 1:
        if sigma2 < MIN_PADDED_SIGMA2 or PADS * sigma2 < 10 * sensitivity**2:
            return None
        squared += PADS
    if sigma2 < MIN_SIGMA2 or squared * sigma2 < MIN_SPREAD:
        return None
    return Fraction(squared) / sigma2, MIN_RESERVE / sigma2**2, 1


def mu2_of_pure(epsilon: float) -> Fraction:
    """The mu^2 whose Gaussian step covers whatever is epsilon-DP; rounded up."""
    if epsilon == 0:
        return Fraction(0)
    # Phi(-t) <= exp(-t^2 / 2) / 2, so t^2 = 2 epsilon is always enough; it is used where exp would overflow
    half = math.sqrt(2 * epsilon) if epsilon > 600 else -NormalDist().inv_cdf(1 / (1 + math.exp(epsilon)))
    return Fraction(4 * half * half * (1 + 1e-9)) + Fraction(1, 10**15)


def gaussian_delta(mu2: Fraction, epsilon: float) -> float:
    """delta(epsilon) = Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu) of one continuous Gaussian step; rounded up."""
    if mu2 <= 0:
        return 0.0
    mu = math.sqrt(mu2)
    if mu == math.inf or mu > 1e9:
        return 1.0
    above, below = _tail(epsilon / mu - mu / 2), _tail(epsilon / mu + mu / 2)
    # e^epsilon times a tail that is too small for a float is left out, which only makes delta larger
    rest = math.exp(epsilon + math.log(below)) if below > 1e-300 else 0.0
    return min(1.0, max(0.0, above - rest) + ERF_ERROR * (above + rest) * max(1.0, epsilon))


def gaussian_epsilon(mu2: Fraction, slack: float, delta: float) -> float:
    """The smallest epsilon, to 1e-6 relative and rounded up, at which slack and `gaussian_delta` are at most delta; infinite if none."""
    if slack >= delta:
        return math.inf
    low, high = 0.0, 1.0
    while slack + ROUNDING * gaussian_delta(mu2, high) > delta:
        low, high = high, 2 * high
        if high > 1e9:
            return math.inf
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        fits = slack + ROUNDING * gaussian_delta(mu2, middle) <= delta
        low, high = (low, middle) if fits else (middle, high)
    return high


def _tail(x: float) -> float:
    """P[N(0, 1) >= x]."""
    return math.erfc(x / math.sqrt(2)) / 2
