"""Discrete Gaussian noise from a keyed stream, by inversion of a 256-bit cumulative table.

The discrete Gaussian with parameter sigma^2 has P[X = x] proportional to exp(-x^2 / (2 sigma^2)) over all integers (Canonne,
Kamath, Steinke, "The Discrete Gaussian for Differential Privacy", 2020). No floating point touches a draw, so there are no low
bits to betray the value that was noised (Mironov, "On significance of the least significant bits", 2012).

Why a table and not exact rejection: a draw is a pure function of the next 256 bits of the stream, so a release can be repeated
bit for bit, and it is three orders of magnitude faster. The price is a distance to the exact distribution, bounded below and
added to delta.

Construction, with every error. Weights exp(-x^2/(2 sigma^2)) for x = 0..c, c > 19 sigma, are integers in units of 2^-320, by
w(x+1) = w(x) r(x), r(x+1) = r(x) q from q = exp(-1/sigma^2), r(0) = exp(-1/(2 sigma^2)) (decimal's correctly rounded exp, 130
digits). Each product is cut down by less than one unit and all factors are at most 1, so r(x) is off by at most 2x+2 units and
w(x) by at most 2(x+1)^2; for c < 2^18 all sums are off by less than 2^57 units, 2^-263 relative to a total of at least 1. The
cumulative probabilities below zero are then rounded down to multiples of 2^-256, those above mirrored, so each entry is off by
less than 1.01 * 2^-256 from the distribution cut at c, which makes the total variation at most 1.01 (2c+1) 2^-256. Cutting
costs at most P[|X| > c] <= 2 exp(-(c+1)^2 / (2 sigma^2)), X being sub-Gaussian with sigma^2 (same paper, Lemma 9 and Chernoff).
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.errors import PrivacyError
from pellucid.privacy.exact_decimals import exact_decimals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise.stream import Stream

BITS = 256  # of the table's entries, and of stream taken by each draw
WORDS = BITS // 64
PRECISION = 320  # bits after the point while the table is built
CUT = 19  # in sigma: 2 exp(-180) is 2^-259
MIN_SIGMA2, MAX_SIGMA2 = Fraction(1, 4), Fraction(10**8)
STEPS = 6  # along the table before a search takes over
PORTION = 1 << 16  # draws at a time: keeps the working set in cache, memory bounded


@dataclass(frozen=True)
class DiscreteGaussian:
    """The sampler for one sigma^2 (an exact rational from 1/4 to 10^8, so sigma from 0.5 to 10,000)."""

    sigma2: Fraction

    def __post_init__(self) -> None:
        if not isinstance(self.sigma2, Fraction) or not MIN_SIGMA2 <= self.sigma2 <= MAX_SIGMA2:
            raise PrivacyError(f"sigma^2 must be a fraction from {MIN_SIGMA2} to {MAX_SIGMA2}")

    @property
    def sigma(self) -> float:
        return math.sqrt(self.sigma2)

    @property
    def cut(self) -> int:
        """Draws lie in [-cut, cut]."""
        return math.isqrt(CUT * CUT * self.sigma2.numerator // self.sigma2.denominator) + 1

    @property
    def distance(self) -> float:
        """An upper bound on the total variation distance of one draw to the exact discrete Gaussian.

        A mechanism that is (epsilon, delta) private with exact noise, and whose neighbouring inputs differ in n noised cells,
        is (epsilon, delta + (1 + e^epsilon) n distance) private with these draws: replace the n draws that matter one by one;
        noise on cells that neighbours share is the same distribution on both sides, whatever it is.
        """
        rounding = math.ldexp(1.02 * (2 * self.cut + 1), -BITS)
        return rounding + 2.0 * math.exp(-((self.cut + 1) ** 2) / (2.0 * float(self.sigma2))) * 1.0001

    def draw(self, stream: Stream, count: int) -> NDArray[Any]:
        """`count` independent draws (int64), a function of the next 4 * count words of the stream."""
        import numpy as np

        draws = np.empty(count, dtype=np.int64)
        for start in range(0, count, PORTION):
            stop = min(start + PORTION, count)
            draws[start:stop] = self.invert(stream.words(WORDS * (stop - start)).reshape(-1, WORDS))
        return draws

    def invert(self, words: NDArray[Any]) -> NDArray[Any]:
        """The draws that belong to uniform 256-bit numbers u, given as rows of four words, the first most significant.

        A draw is the number of entries that are <= u, less half their number.
        """
        table = _table(self.sigma2)
        return not_above(table, words) - len(table.entries) // 2

    def tail(self, threshold: int) -> float:
        """P[draw >= threshold] of this very sampler, rounded up: by symmetry the table's entry for -threshold."""
        entries = _table(self.sigma2).entries
        place = len(entries) // 2 - threshold
        if place < 0:
            return 0.0
        if place >= len(entries):
            return 1.0
        exact = int.from_bytes(entries[place].astype(">u8").tobytes(), "big")
        return min(1.0, math.nextafter(exact / (1 << BITS), math.inf))


class Table(NamedTuple):
    """`entries[i]` is 2^256 P[draw <= i - n/2] as four words, most significant first, for i < n; none is 0 or 2^256.

    `high` holds their first words and a sentinel; `guide[b]` is the first place whose `high` is >= b * 2^`shift`.
    """

    entries: NDArray[Any]
    high: NDArray[Any]
    guide: NDArray[Any]
    shift: Any


@lru_cache(maxsize=6)
def _table(sigma2: Fraction) -> Table:
    one = 1 << PRECISION
    with exact_decimals(130):
        ratio = decimal.Decimal(sigma2.denominator) / decimal.Decimal(sigma2.numerator)
        q = int((-ratio).exp() * one)
        r = int((-ratio / 2).exp() * one)
    weight, weights = one, []
    for _ in range(DiscreteGaussian(sigma2).cut):
        weight = weight * r >> PRECISION
        r = r * q >> PRECISION
        weights.append(weight)
    total = one + 2 * sum(weights)
    lower = [(below << BITS) // total for below in accumulate(reversed(weights))]
    lower = [entry for entry in lower if entry]  # an entry of 0 is always <= u: its value is never drawn
    full = 1 << BITS
    return search_table(chain(lower, (full - entry for entry in reversed(lower))))


def search_table(sums: Iterable[int]) -> Table:
    """The table of ascending cumulative probabilities, in units of 2^-256."""
    import numpy as np

    data = b"".join([entry.to_bytes(BITS // 8, "big") for entry in sums])
    entries = np.frombuffer(data, dtype=">u8").astype(np.uint64).reshape(-1, WORDS)
    high = np.append(entries[:, 0], np.uint64(2**64 - 1))
    bits = max(6, min(18, len(entries).bit_length() + 1))
    starts = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
    return Table(entries, high, np.searchsorted(high, starts).astype(np.int32), np.uint64(64 - bits))


def not_above(table: Table, words: NDArray[Any]) -> NDArray[Any]:
    """How many entries are at most each 256-bit number (int64), given as rows of four words, the first most significant.

    The first words decide unless they equal an entry's; then the others are compared too.
    """
    import numpy as np

    first = np.ascontiguousarray(words[:, 0])
    place = _first_not_below(table, first)
    for index in np.flatnonzero(table.high[place] == first):
        u = tuple(int(word) for word in words[index])
        step = int(place[index])
        while step < len(table.entries) and tuple(int(word) for word in table.entries[step]) <= u:
            step += 1
        place[index] = step
    return place.astype(np.int64)


def _first_not_below(table: Table, first: NDArray[Any]) -> NDArray[Any]:
    """np.searchsorted(table.high, first), faster: start at the guide's place, step a little, search for the few left over."""
    import numpy as np

    place: NDArray[Any] = table.guide[first >> table.shift]
    moving = np.flatnonzero(table.high[place] < first)
    for _ in range(STEPS):
        if not moving.size:
            return place
        place[moving] += 1
        moving = moving[table.high[place[moving]] < first[moving]]
    place[moving] = np.searchsorted(table.high, first[moving])
    return place
