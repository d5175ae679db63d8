"""How much noise a guarantee needs: exact accounting for counts, zCDP for bounded sums.

Counts. One unit moves at most k integer cells by exactly 1, all in one direction, and leaves the others alone; every cell gets
independent discrete Gaussian noise. Cells that do not move have the same distribution on both sides and drop out. What remains
is P = k draws against Q = the same k draws shifted by 1, and the log likelihood ratio depends on the sum S of the draws alone:

    loss = (k + 2 S) / (2 sigma^2)          (after the reflection S -> -S, which changes no distribution)
    delta(epsilon) = E_P[max(0, 1 - e^(epsilon - loss))]

which is exact, not a bound. Add and remove are the same pair by the reflection x -> 1 - x, and so is a cell that falls instead
of rising. A unit that moves fewer than k cells gives a pair that is this one with draws left out, that is, post-processed: its
delta is not larger.

The law of S. P[S = s] = exp(-s^2/(2 k sigma^2)) T(s mod k), where T is a Gaussian sum over a coset of the lattice of integer
vectors with sum 0; all its Fourier coefficients are positive, so T is largest for s = 0 and P[S = s] <= P[S = 0]
exp(-s^2/(2 k sigma^2)). From sigma = 2 on the cosets differ by less than 1e-15 (k = 2 is the worst, exp(-pi^2 sigma^2)), so this
bound is as good as exact. Below sigma = 2 the law is found by convolution of positive numbers instead. P[S = 0] itself is at most
the mean of phi(t)^k over a grid of t, phi being the draws' characteristic function, a positive theta series: the grid's error
only adds probability. Everything is a sum of positive terms, so rounding is relative; it stays under 1e-7 and `ROUNDING`
covers it.

Sums. A vector of integers that one unit moves by at most D in L2 satisfies rho-zCDP with rho = D^2 / (2 sigma^2) under
independent discrete Gaussian noise (Canonne, Kamath, Steinke 2020, Theorem 14), and (epsilon, delta) follows by their
Corollary 13.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError
from pellucid.privacy.noise.gaussian import MAX_SIGMA2, MIN_SIGMA2
from pellucid.privacy.parameters import checked_count, checked_delta, checked_epsilon

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_CELLS = 1 << 22
ROUNDING = 1.0 + 1e-6
SMOOTH = 4  # sigma^2 from which the cosets are as good as equal
REACH = 16.0  # tails of S beyond this many standard deviations enter by their bound exp(-REACH^2 / 2) = 2.6e-56
STEPS = 512  # grid points of sigma^2 per doubling: sigma within 0.1% of the smallest
FINE = 20_000  # terms per standard deviation of S before they are taken in blocks


def delta_for_counts(sigma2: Fraction, epsilon: float, cells: int) -> float:
    """The delta that noise of this sigma^2 gives at epsilon when one unit moves at most `cells` counts by 1; rounded up."""
    checked_count("cells", cells, 1, MAX_CELLS)
    if sigma2 < MIN_SIGMA2:
        raise PrivacyError(f"sigma^2 must be at least {MIN_SIGMA2}")
    exact = _smooth_delta if sigma2 >= SMOOTH else _convolved_delta
    return min(1.0, ROUNDING * exact(float(sigma2), epsilon, cells) + 2.0 * math.exp(-REACH * REACH / 2))


@lru_cache(maxsize=256, typed=True)
def sigma_for_counts(epsilon: float, delta: float, cells: int) -> Fraction:
    """The smallest sigma^2 on a fine grid of dyadic fractions for which `delta_for_counts` is at most delta.

    The search assumes that delta falls with sigma^2; the guarantee does not, for the value returned is itself checked.
    """
    epsilon, delta = checked_epsilon(epsilon), checked_delta(delta)
    return _smallest(lambda sigma2: delta_for_counts(sigma2, epsilon, cells) <= delta)


def delta_for_l2(sigma2: Fraction, epsilon: float, squared: Fraction | int) -> float:
    """The delta at epsilon of integer sums of squared L2 sensitivity `squared` under noise of this sigma^2; rounded up."""
    rho = float(Fraction(squared) / (2 * sigma2)) * (1 + 1e-12)

    def exponent(alpha: float) -> float:  # any alpha > 1 gives a valid delta
        return (alpha - 1) * (alpha * rho - epsilon) + alpha * math.log1p(-1 / alpha) - math.log(alpha - 1)

    low, high = math.log(1e-6), math.log(1e9)
    for _ in range(200):  # ternary search over log(alpha - 1): the exponent is convex in alpha
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if exponent(1 + math.exp(left)) <= exponent(1 + math.exp(right)):
            high = right
        else:
            low = left
    return min(1.0, ROUNDING * math.exp(min(0.0, exponent(1 + math.exp((low + high) / 2)))))


@lru_cache(maxsize=256, typed=True)
def sigma_for_l2(epsilon: float, delta: float, squared: Fraction | int) -> Fraction:
    """The smallest sigma^2 on the grid that makes integer sums of squared L2 sensitivity `squared` (epsilon, delta) private."""
    epsilon, delta = checked_epsilon(epsilon), checked_delta(delta)
    return _smallest(lambda sigma2: delta_for_l2(sigma2, epsilon, squared) <= delta)


def _smallest(meets: Callable[[Fraction], bool]) -> Fraction:
    low, high = -1, STEPS * (int(MAX_SIGMA2 / MIN_SIGMA2).bit_length() - 1)  # meets(high) is checked, low is never tried
    if not meets(_grid(high)):
        raise PrivacyError(
            "the noise this guarantee needs is beyond a standard deviation of 8,192",
            fix="Raise epsilon or delta, or lower the cap",
        )
    while high - low > 1:
        middle = (low + high) // 2
        if meets(_grid(middle)):
            high = middle
        else:
            low = middle
    return _grid(high)


def _grid(index: int) -> Fraction:
    doublings, step = divmod(index, STEPS)
    return MIN_SIGMA2 * Fraction((STEPS + step) << doublings, STEPS)


def _smooth_delta(sigma2: float, epsilon: float, cells: int) -> float:
    import numpy as np

    spread = math.sqrt(cells * sigma2)
    first = math.floor(sigma2 * epsilon - cells / 2)  # the terms at or below it are zero
    last = max(first, 0) + int(REACH * spread) + 1
    block = max(1, int(spread / FINE))
    start = np.arange(first, last + 1, block, dtype=np.float64)
    end = start + (block - 1)
    # each block is at most: its length, times the largest likelihood in it, times the largest excess loss in it
    nearest = np.where(end < 0, end, np.maximum(start, 0))
    excess = np.maximum((2 * end + cells) / (2 * sigma2) - epsilon, 0)
    terms = np.exp(-nearest * nearest / (2 * cells * sigma2)) * -np.expm1(-excess)
    return _peak(sigma2, cells) * block * float(terms.sum())


def _peak(sigma2: float, cells: int) -> float:
    """An upper bound on P[S = 0], as good as equal to it: the mean of phi^k over a grid; terms too small to count are bounded."""
    import numpy as np

    spread = math.sqrt(cells * sigma2)
    size = 2 * int(REACH * spread) + 3
    reach = min(size // 2, int(size * 40 / (2 * math.pi * spread)) + 1)
    t = 2 * math.pi * np.arange(reach + 1) / size
    turns = 2 * math.pi * np.arange(-3, 4)
    phi = np.exp(-sigma2 / 2 * (t[:, None] + turns) ** 2).sum(axis=1) / np.exp(-sigma2 / 2 * turns**2).sum()
    powers = phi**cells
    return float(powers[0] + 2 * powers[1:].sum()) / size + float(powers[-1])


def _convolved_delta(sigma2: float, epsilon: float, cells: int) -> float:
    import numpy as np

    s, law = _convolved_law(sigma2, cells)
    excess = np.maximum((2 * s + cells) / (2 * sigma2) - epsilon, 0)
    return float((law * -np.expm1(-excess)).sum())


def _convolved_law(sigma2: float, cells: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The sums and their probabilities; what is cut off lies beyond REACH and enters by its bound."""
    import numpy as np

    spread = math.sqrt(cells * sigma2)
    reach = int((REACH + 2) * spread) + 2
    one = np.arange(-reach, reach + 1, dtype=np.float64)
    base = np.exp(-one * one / (2 * sigma2))
    base /= base.sum()
    law, power = np.ones(1), cells
    while power:  # square and multiply, cut to [-reach, reach]
        if power & 1:
            law = _cut(np.convolve(law, base), reach)
        power >>= 1
        if power:
            base = _cut(np.convolve(base, base), reach)
    return np.arange(len(law), dtype=np.float64) - len(law) // 2, law


def law_of_sum(sigma2: Fraction, cells: int, block: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Upper bounds on the law of the sum of `cells` draws: the largest sum of each block of at most `block`, and its probability.

    Sums beyond REACH standard deviations are left out: together they have at most 2 exp(-REACH^2 / 2).
    """
    import numpy as np

    if sigma2 < SMOOTH:
        sums, law = _convolved_law(float(sigma2), cells)
        return sums, law * ROUNDING
    spread = math.sqrt(cells * sigma2)
    reach = int(REACH * spread) + 1
    start = np.arange(-reach, reach + 1, block, dtype=np.float64)
    end = start + (block - 1)
    nearest = np.where(end < 0, end, np.maximum(start, 0))
    return end, ROUNDING * _peak(float(sigma2), cells) * block * np.exp(-nearest * nearest / (2 * cells * float(sigma2)))


def _cut(law: NDArray[Any], reach: int) -> NDArray[Any]:
    middle = len(law) // 2
    return law[max(0, middle - reach) : middle + reach + 1]
