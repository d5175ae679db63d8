"""RAPPOR: a response drawn once and kept, and a fresh one of that response for every report."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import PrivacyError
from pellucid.privacy.local.oracles.dyadic import FINE, checked_ratio, domain_size, local_epsilon, log_up
from pellucid.privacy.local.oracles.frequency_oracle import checked_codes
from pellucid.privacy.local.oracles.unary import BLOCK, MAX_EPSILON, MAX_SIZE, bit_counts, padding_is_zero, symmetric, unary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream


@dataclass(frozen=True)
class Rappor:
    """Basic RAPPOR with memoisation, for values reported again and again.

    Unit: all reports of one client about one value, for ever. Neighbouring: any two values. Report: a bit for each value.
    Probabilities: the permanent response is `Sue` at `requested_epsilon` (bit flipped with z / 2^16) and is kept; every report redraws
    each of its bits: flipped with y / 2^16, y chosen the same way for `noise`. So p and q of a report are exact over 2^32:
    q = (z (2^16 - y) + (2^16 - z) y) / 2^32, p = 1 - q.
    Guarantee: every report is a function of the permanent response and of randomness of its own, so any number of reports
    about one value costs at most the permanent epsilon: 2 log((2^16 - z) / z), rounded up. One report alone costs
    `once`: 2 log(p / q), rounded up. A client whose value changes keeps a response for each value it ever reported and pays once
    for each: what it spent is the number of kept responses times epsilon, and the client refuses more than its collection's `values`.
    Why the code meets it: bits compare 16 random bits of their own with the thresholds; the fresh draw sees only the kept bits.
    Variance, times n, of one report from each client: q (1 - q) / (p - q)^2. Source: Erlingsson, Pihur, Korolova (2014).
    """

    size: int
    requested_epsilon: float
    noise: float = 2.0  # the fresh response's own epsilon: smaller hides repeated reports better and costs accuracy
    name: ClassVar[str] = "rappor"

    def __post_init__(self) -> None:
        domain_size(self.size, MAX_SIZE)
        object.__setattr__(self, "requested_epsilon", local_epsilon(self.requested_epsilon, MAX_EPSILON))
        object.__setattr__(self, "noise", local_epsilon(self.noise, MAX_EPSILON))

    @cached_property
    def zero(self) -> int:
        """Of 2^16, the mass of a flip in the permanent response."""
        return symmetric(self.requested_epsilon)

    @cached_property
    def fresh(self) -> int:
        """Of 2^16, the mass of a flip in each report."""
        return symmetric(self.noise)

    @cached_property
    def epsilon(self) -> float:
        """Of all reports about one value."""
        return checked_ratio(Fraction(FINE - self.zero, self.zero) ** 2, self.requested_epsilon, self.name)

    @cached_property
    def once(self) -> float:
        """Of one report alone."""
        return log_up((self.p / self.q) ** 2)

    @property
    def p(self) -> Fraction:
        return 1 - self.q

    @property
    def q(self) -> Fraction:
        return Fraction(self.zero * (FINE - self.fresh) + (FINE - self.zero) * self.fresh, FINE * FINE)

    @property
    def width(self) -> int:
        return (self.size + 7) // 8

    def parameters(self) -> dict[str, Any]:
        return {"oracle": self.name, "size": self.size, "zero": self.zero, "fresh": self.fresh}

    def permanent(self, codes: NDArray[Any], stream: Stream) -> NDArray[Any]:
        """The response to keep for each code. Draw it once per client and value: a second draw costs epsilon again."""
        return unary(checked_codes(codes, self.size), self.size, FINE - self.zero, self.zero, stream)

    def respond(self, kept: NDArray[Any], stream: Stream) -> NDArray[Any]:
        """A report from each kept response."""
        import numpy as np

        if kept.ndim != 2 or kept.shape[1] != self.width:
            raise PrivacyError("a kept response does not belong to this domain", why=f"it must be {self.width} bytes")
        words, found = (self.size + 3) // 4, np.empty_like(kept)
        step = max(1, BLOCK // words)
        for start in range(0, len(kept), step):
            part = kept[start : start + step]
            drawn = stream.words(len(part) * words).astype("<u8", copy=False).view("<u2").reshape(len(part), words * 4)
            flips = np.packbits(drawn[:, : self.size] < np.uint16(self.fresh), axis=1, bitorder="little")
            found[start : start + len(part)] = part ^ flips
        return found

    def perturb(self, codes: NDArray[Any], stream: Stream) -> NDArray[Any]:
        """First reports: a permanent response for each code and one report from it; nothing is kept."""
        return self.respond(self.permanent(codes, stream), stream)

    def valid(self, reports: NDArray[Any]) -> NDArray[Any]:
        return padding_is_zero(reports, self.size)

    def aggregate(self, reports: NDArray[Any]) -> NDArray[Any]:
        return bit_counts(reports, self.size)
