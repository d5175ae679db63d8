"""Discrete Laplace noise from a keyed stream, with a pure epsilon that is exact for the probabilities really used.

The discrete Laplace (two-sided geometric) has P[Z = z] proportional to q^|z| over all integers (Ghosh, Roughgarden,
Sundararajan, "Universally utility-maximizing privacy mechanisms", 2009). A table cut at some size would break pure epsilon: what
lies beyond the cut for one input and not for its neighbour gives it away. So no tail is cut here.

Construction. Scales are such that q^K = 2^-m for whole numbers K (`steps`) and m (`halvings`), so q = 2^(-m/K). With G = A + K B a
geometric magnitude splits into A in 0 .. K-1 with P[A = a] ~ q^a, and B with P[B >= t] = 2^(-m t), which are independent. Z is G or
-1 - G, the first with probability 1 / (1 + q): this has the two-sided law, without rejection. The sign and A come from
256 bits by a table of 2K whole numbers that sum to 2^256, cumulatively rounded; B is the number of groups of m zero bits at the
head of the next word, and goes on into further words while all groups are zero: exact, and without end.

Why epsilon is pure. P[Z = z] is a table entry times 2^(-m t) (1 - 2^-m) / 2^256, positive for every integer z. The ratio of the
probabilities of neighbouring integers is that of two neighbouring entries, or of an entry and the one at the other end of the
table times 2^-m, or of the two entries at 0 and -1. `epsilon` is the logarithm of the largest of these 2K + 1 ratios, computed
from the entries as they are and rounded up; d steps apart it is at most d times that. Nothing else enters.
"""

from __future__ import annotations

import decimal
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.errors import PrivacyError
from pellucid.privacy.exact_decimals import exact_decimals
from pellucid.privacy.noise.gaussian import BITS, PORTION, PRECISION, WORDS, Table, not_above, search_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise.stream import Stream

MAX_STEPS = 1 << 17  # a scale of 189,000
MAX_HALVINGS = 32  # two groups at least in a word
NEAR = 1e-3  # how much more noise than asked for is as good as none
FULL = 1 << BITS


@dataclass(frozen=True)
class DiscreteLaplace:
    """The sampler with scale steps / (halvings ln 2); `laplace` finds the one for an epsilon."""

    steps: int
    halvings: int

    def __post_init__(self) -> None:
        if not (1 <= self.steps <= MAX_STEPS and 1 <= self.halvings <= MAX_HALVINGS):
            raise PrivacyError("the noise this guarantee needs is beyond what is offered", fix="Raise epsilon, or lower the cap")

    @property
    def epsilon(self) -> float:
        """The most by which the logarithm of a probability moves from one integer to the next; rounded up."""
        return _table(self.steps, self.halvings).epsilon

    @property
    def scale(self) -> Fraction:
        """The scale b of exp(-|z| / b), rounded down so that 1 / b is at least `epsilon`.

        The exact law of a smaller scale dominates that of a larger one (the larger is the smaller plus independent noise: the quotient
        of their characteristic functions is a constant plus a multiple of the larger's, both positive).
        """
        return Fraction(math.floor(Fraction(1) / Fraction(self.epsilon) * (1 << 40)), 1 << 40)

    @property
    def sigma(self) -> float:
        """The standard deviation."""
        q = math.exp2(-self.halvings / self.steps)
        return math.sqrt(2 * q) / (1 - q)

    @property
    def distance(self) -> float:
        """An upper bound on the total variation distance of one draw to the exact law (each of 2K entries is off by less than 2^-255).

        Pure epsilon does not need it; an accountant that takes the law for exact adds (1 + e^epsilon) of it to delta for each cell.
        """
        return math.ldexp(2.0 * self.steps, 1 - BITS)

    def draw(self, stream: Stream, count: int) -> NDArray[Any]:
        """`count` independent draws (int64), a function of the next 5 * count words (and, once in 2^33 draws, of more)."""
        import numpy as np

        table = _table(self.steps, self.halvings)
        draws = np.empty(count, dtype=np.int64)
        for start in range(0, count, PORTION):
            stop = min(start + PORTION, count)
            words = stream.words((WORDS + 1) * (stop - start)).reshape(-1, WORDS + 1)
            place = not_above(table.places, words[:, :WORDS])
            beyond = self._beyond(np.ascontiguousarray(words[:, WORDS]), stream) * self.steps
            below = place < self.steps  # entries run from -K .. -1, then 0 .. K-1
            draws[start:stop] = place - self.steps + np.where(below, -beyond, beyond)
        return draws

    def geometric(self, stream: Stream, count: int) -> NDArray[Any]:
        """`count` draws G >= 0 (int64) with P[G >= g + 1] >= e^-epsilon P[G >= g] for all g: magnitudes, for a noisy maximum."""
        import numpy as np

        drawn = self.draw(stream, count)
        return np.where(drawn >= 0, drawn, -1 - drawn)

    def _beyond(self, words: NDArray[Any], stream: Stream) -> NDArray[Any]:
        """How many groups of zero bits head each word, going on into further words of the stream."""
        import numpy as np

        groups = 64 // self.halvings
        found = np.zeros(len(words), dtype=np.int64)
        left = np.arange(len(words))
        for group in range(1, groups + 1):
            left = left[words[left] < np.uint64(1 << (64 - group * self.halvings))]
            if not left.size:
                return found
            found[left] += 1
        found[left] += self._beyond(stream.words(len(left)), stream)
        return found

    def tail(self, threshold: int) -> float:
        """P[draw >= threshold] of this very sampler, rounded up."""
        entries = _table(self.steps, self.halvings).entries
        far = threshold if threshold > 0 else 1 - threshold  # G >= far with a positive, or -1 - G <= threshold - 1
        weights = entries[self.steps :] if threshold > 0 else entries[: self.steps][::-1]
        if threshold <= 0:
            far -= 1
        turns, rest = divmod(far, self.steps)
        if self.halvings * turns > 1060:
            beyond = Fraction(1, 1 << 1060)
        else:
            q = Fraction(1, 1 << self.halvings)
            beyond = q**turns * (sum(weights[rest:]) * (1 - q) + sum(weights) * q) / FULL
        exact = beyond if threshold > 0 else 1 - beyond
        return min(1.0, math.nextafter(float(exact), math.inf))


class Entries(NamedTuple):
    """Weights of -K .. -1, 0 .. K-1 that sum to 2^256, the search table of their sums, and the epsilon they give."""

    entries: tuple[int, ...]
    places: Table
    epsilon: float


def laplace(epsilon: Fraction | float, distance: int) -> DiscreteLaplace:
    """The least noise on offer that makes integers which move by `distance` in L1 epsilon private, purely."""
    target = Fraction(epsilon) / distance
    best: tuple[float, int, int] | None = None
    for halvings in range(1, MAX_HALVINGS + 1):
        steps = math.ceil(halvings * math.log(2) / (float(target) * (1 - 1e-9)))
        if steps > MAX_STEPS:
            break
        got = halvings * math.log(2) / steps
        if best is None or got > best[0] * (1 + 1e-9):
            best = (got, steps, halvings)
        if got >= float(target) * (1 - NEAR):
            break
    if best is None:
        raise PrivacyError(
            f"the noise this guarantee needs is beyond a scale of {MAX_STEPS / math.log(2):,.0f}",
            fix="Raise epsilon, or lower the cap",
        )
    noise = DiscreteLaplace(best[1], best[2])
    while Fraction(noise.epsilon) * distance > Fraction(epsilon):  # the promise is checked by the table that is used
        noise = DiscreteLaplace(noise.steps + 1, noise.halvings)
    return noise


@lru_cache(maxsize=16)
def _table(steps: int, halvings: int) -> Entries:
    import numpy as np

    with exact_decimals(120):
        q = int((decimal.Decimal(2) ** (decimal.Decimal(-halvings) / steps)) * (1 << PRECISION))
    powers = [1 << PRECISION]
    for _ in range(steps):
        powers.append(powers[-1] * q >> PRECISION)
    weights = [*reversed(powers[1:]), *powers[:-1]]  # -1 - a has the weight q^(a+1), 0 + a has q^a
    total = sum(weights)
    sums = [(below << BITS) // total for below in accumulate(weights)]
    entries = tuple(now - before for before, now in zip([0, *sums], sums, strict=False))
    if min(entries) < 1 << 128:
        raise PrivacyError("the noise this guarantee needs is too small to be exact", fix="Lower epsilon, or raise the cap")
    shown = np.array(entries, dtype=np.float64)  # each within 2^-53 of its entry
    around = 2.0**halvings
    ratios = [float(np.max(shown[1:] / shown[:-1])), float(np.max(shown[:-1] / shown[1:]))]
    ratios += [float(shown[0] * around / shown[steps - 1]), float(shown[steps] / (shown[-1] * around))]
    ratios += [float(shown[steps - 1] / (shown[0] * around)), float(shown[-1] * around / shown[steps])]
    epsilon = math.log(max(ratios) * (1 + 2e-15)) * (1 + 1e-15)
    return Entries(entries, search_table(sums[:-1]), epsilon)
