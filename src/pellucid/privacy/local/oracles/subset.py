"""Subset selection: a random subset of the domain that holds the true value more often than not."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import comb
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import PrivacyError
from pellucid.privacy.local.oracles.dyadic import ONE, checked_ratio, domain_size, exponential, local_epsilon, parts
from pellucid.privacy.local.oracles.frequency_oracle import checked_codes, draws
from pellucid.privacy.local.oracles.unary import bit_counts, padding_is_zero

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream

MAX_SIZE = 64
MAX_SUBSETS = 1 << 32


@dataclass(frozen=True)
class Subset:
    """Subset selection, for small domains (at most 64 values and 2^32 subsets), where it beats both GRR and unary encoding.

    Unit: one report. Neighbouring: any two values. Report: the subset as bits, least significant first; ceil(d / 8) bytes.
    Subsets have w = max(1, round(d / (e^epsilon + 1))) values; A = C(d - 1, w - 1) of them hold a given value, B = C(d - 1, w) do not.
    Probabilities: each subset without the value a / 2^53; those with it share the rest T = 2^53 - a B as evenly as integers can:
    floor(T / A) or one more. So p = T / 2^53; and q, a given other value, ((w - 1) T / (d - 1) + w a B / (d - 1)) / 2^53, to within
    2^-20 of itself (the "or one more").
    Guarantee: the largest over the smallest probability of a subset, ceil(T / A) / a, or floor(T / A) if that were smaller;
    a is rounded up until the logarithm is at most epsilon; declared is that logarithm, rounded up.
    Why the code meets it: one uniform integer of 53 bits decides. Below T its remainder by A is the rank of the w - 1 companions
    among the other d - 1 values; from T on, the quotient by a is the rank of w of the other values. Ranks are combinatorial
    numbers (lexicographic), worked out in integers below 2^53.
    Source: Ye, Barg (2018); Wang et al. (2016).
    """

    size: int
    requested_epsilon: float
    name: ClassVar[str] = "subset"

    def __post_init__(self) -> None:
        domain_size(self.size, MAX_SIZE)
        object.__setattr__(self, "requested_epsilon", local_epsilon(self.requested_epsilon))
        if comb(self.size, self.chosen) > MAX_SUBSETS:
            raise PrivacyError(
                f"subset selection cannot number {self.chosen} of {self.size} values",
                why="there are more than 2^32 such subsets",
                fix="Use another oracle: pellucid local choose lists them",
            )

    @cached_property
    def chosen(self) -> int:
        """w."""
        return min(self.size - 1, max(1, int((self.size / (exponential(self.requested_epsilon) + 1)).to_integral_value())))

    @cached_property
    def inside(self) -> int:
        """A: subsets that hold a given value."""
        return comb(self.size - 1, self.chosen - 1)

    @cached_property
    def outside(self) -> int:
        """B: subsets that do not."""
        return comb(self.size - 1, self.chosen)

    @cached_property
    def other(self) -> int:
        """Of 2^53, the mass of one subset without the value."""
        mass = parts(ONE, exponential(self.requested_epsilon) * self.inside + self.outside)
        while Fraction(-(-(ONE - mass * self.outside) // self.inside), mass) > exponential(
            self.requested_epsilon
        ):  # one more part, if uneven
            mass += 1
        return mass

    @cached_property
    def truth(self) -> int:
        """Of 2^53, the mass of all subsets with the value."""
        return ONE - self.other * self.outside

    @cached_property
    def epsilon(self) -> float:
        low, high = self.truth // self.inside, -(-self.truth // self.inside)
        return checked_ratio(Fraction(max(high, self.other), min(low, self.other)), self.requested_epsilon, self.name)

    @property
    def p(self) -> Fraction:
        return Fraction(self.truth, ONE)

    @property
    def q(self) -> Fraction:
        with_it = Fraction((self.chosen - 1) * self.truth, self.size - 1)
        return (with_it + Fraction(self.chosen * self.other * self.outside, self.size - 1)) / ONE

    @property
    def width(self) -> int:
        return (self.size + 7) // 8

    def parameters(self) -> dict[str, Any]:
        shown = {"size": self.size, "chosen": self.chosen, "inside": self.inside, "truth": self.truth, "other": self.other}
        return {"oracle": self.name, **shown}

    def perturb(self, codes: NDArray[Any], stream: Stream) -> NDArray[Any]:
        import numpy as np

        codes = checked_codes(codes, self.size)
        found = np.empty((len(codes), self.width), dtype=np.uint8)
        for start in range(0, len(codes), 1 << 14):
            part = codes[start : start + (1 << 14)]
            draw = draws(stream, len(part)).astype(np.int64)
            kept = draw < self.truth
            rank = np.where(kept, draw % self.inside, (draw - self.truth) // self.other)
            found[start : start + len(part)] = np.packbits(self._subsets(part, kept, rank), axis=1, bitorder="little")
        return found

    def _subsets(self, codes: NDArray[Any], kept: NDArray[Any], rank: NDArray[Any]) -> NDArray[Any]:
        """Bits (n, size): walk over the other values in order; each is in iff the rank is below the number of ways with it in."""
        import numpy as np

        ways = np.array([[comb(left, need - 1) if need else 0 for need in range(self.chosen + 1)] for left in range(self.size)])
        bits, rank, need = np.zeros((len(codes), self.size), dtype=np.uint8), rank.copy(), self.chosen - kept.astype(np.int64)
        row = np.arange(len(codes))
        bits[row, codes] = kept
        for place in range(self.size - 1):
            with_it = ways[self.size - 2 - place][need]
            taken = rank < with_it
            rank -= np.where(taken, 0, with_it)
            need -= taken
            bits[row, place + (place >= codes)] = taken
        return bits

    def valid(self, reports: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        good: NDArray[Any] = padding_is_zero(reports, self.size) & (np.bitwise_count(reports).sum(axis=1) == self.chosen)
        return good

    def aggregate(self, reports: NDArray[Any]) -> NDArray[Any]:
        return bit_counts(reports, self.size)
