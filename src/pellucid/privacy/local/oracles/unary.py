"""Unary encoding: one bit for each value of the domain, each bit flipped by itself. OUE and SUE (basic RAPPOR)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.privacy.local.oracles.dyadic import FINE, checked_ratio, domain_size, exponential, local_epsilon, parts
from pellucid.privacy.local.oracles.frequency_oracle import checked_codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream

MAX_SIZE = 1 << 14
MAX_EPSILON = 8.0  # above, a bit's probability is too few parts of 2^16 for a close fit
BLOCK = 1 << 17  # words at a time


class _Unary:
    """What OUE and SUE share: a bit is 1 with probability `one` / 2^16 for the true value, `zero` / 2^16 for any other.

    Two values differ in two bits. The ratio of the probabilities of a report is largest where the bit of the first is 1 and that
    of the second is 0: one (2^16 - zero) / (zero (2^16 - one)). All other bits are drawn alike.
    """

    size: int
    requested_epsilon: float
    name: ClassVar[str]
    one: int
    zero: int

    def __post_init__(self) -> None:
        domain_size(self.size, MAX_SIZE)
        object.__setattr__(self, "requested_epsilon", local_epsilon(self.requested_epsilon, MAX_EPSILON))

    @property
    def epsilon(self) -> float:
        return checked_ratio(unary_ratio(self.one, self.zero), self.requested_epsilon, self.name)

    @property
    def p(self) -> Fraction:
        return Fraction(self.one, FINE)

    @property
    def q(self) -> Fraction:
        return Fraction(self.zero, FINE)

    @property
    def width(self) -> int:
        return (self.size + 7) // 8

    def parameters(self) -> dict[str, Any]:
        return {"oracle": self.name, "size": self.size, "one": self.one, "zero": self.zero}

    def perturb(self, codes: NDArray[Any], stream: Stream) -> NDArray[Any]:
        return unary(checked_codes(codes, self.size), self.size, self.one, self.zero, stream)

    def valid(self, reports: NDArray[Any]) -> NDArray[Any]:
        return padding_is_zero(reports, self.size)

    def aggregate(self, reports: NDArray[Any]) -> NDArray[Any]:
        return bit_counts(reports, self.size)


@dataclass(frozen=True)
class Oue(_Unary):
    """Optimised unary encoding.

    Unit: one report. Neighbouring: any two values. Report: a bit for each value, least significant first; ceil(d / 8) bytes.
    Probabilities: p = 1/2, q = z / 2^16 with z = ceil(2^16 / (e^epsilon + 1)).
    Guarantee: log of (2^16 - z) / z, rounded up; at most epsilon since z is rounded up (argument: `_Unary`).
    Why the code meets it: each bit compares 16 random bits of its own with 2^15 or z.
    Variance, times n: 4 e^epsilon / (e^epsilon - 1)^2 + f. Source: Wang, Blocki, Li, Jha (2017).
    """

    size: int
    requested_epsilon: float
    name: ClassVar[str] = "oue"
    one: ClassVar[int] = FINE // 2  # type: ignore[misc]

    @cached_property
    def zero(self) -> int:  # type: ignore[override]
        """Of 2^16, the mass of a 1 where the value is another."""
        return parts(FINE, exponential(self.requested_epsilon) + 1)


@dataclass(frozen=True)
class Sue(_Unary):
    """Symmetric unary encoding (basic RAPPOR, one time).

    Unit: one report. Neighbouring: any two values. Report: a bit for each value, least significant first; ceil(d / 8) bytes.
    Probabilities: q = z / 2^16 with z = ceil(2^16 / (e^(epsilon / 2) + 1)), p = 1 - q.
    Guarantee: log of ((2^16 - z) / z)^2, rounded up; at most epsilon since z is rounded up (argument: `_Unary`).
    Why the code meets it: each bit compares 16 random bits of its own with z or 2^16 - z.
    Variance, times n: e^(epsilon / 2) / (e^(epsilon / 2) - 1)^2 whatever f. Source: Erlingsson, Pihur, Korolova (2014).
    """

    size: int
    requested_epsilon: float
    name: ClassVar[str] = "sue"

    @cached_property
    def zero(self) -> int:  # type: ignore[override]
        """Of 2^16, the mass of a 1 where the value is another."""
        return symmetric(self.requested_epsilon)

    @property
    def one(self) -> int:  # type: ignore[override]
        """Of 2^16, the mass of a 1 for the true value."""
        return FINE - self.zero


def symmetric(epsilon: float) -> int:
    """The mass z of a flip out of 2^16 such that ((2^16 - z) / z)^2 <= e^epsilon."""
    return parts(FINE, exponential(epsilon / 2) + 1)  # halving a float is exact


def unary_ratio(one: int, zero: int) -> Fraction:
    """The worst ratio of the probabilities of a unary report."""
    return Fraction(one * (FINE - zero), zero * (FINE - one))


def unary(codes: NDArray[Any], size: int, one: int, zero: int, stream: Stream) -> NDArray[Any]:
    """Packed bits. A report takes ceil(size / 4) words of the stream; value v reads the 16-bit part number v, little-endian."""
    import numpy as np

    words, found = (size + 3) // 4, np.empty((len(codes), (size + 7) // 8), dtype=np.uint8)
    step = max(1, BLOCK // words)
    for start in range(0, len(codes), step):
        part = codes[start : start + step]
        drawn = stream.words(len(part) * words).astype("<u8", copy=False).view("<u2").reshape(len(part), words * 4)
        bits = drawn[:, :size] < np.uint16(zero)
        row = np.arange(len(part))
        bits[row, part] = drawn[row, part] < one
        found[start : start + len(part)] = np.packbits(bits, axis=1, bitorder="little")
    return found


def padding_is_zero(reports: NDArray[Any], size: int) -> NDArray[Any]:
    """Which rows have no bit set past the last value."""
    return (reports[:, -1] >> ((size - 1) % 8 + 1)) == 0 if size % 8 else reports[:, 0] >= 0


def bit_counts(reports: NDArray[Any], size: int) -> NDArray[Any]:
    """How often each bit is set, in blocks of at most 255 rows so that a byte holds each sum."""
    import numpy as np

    counts = np.zeros(size, dtype=np.int64)
    for start in range(0, len(reports), 255):
        bits = np.unpackbits(reports[start : start + 255], axis=1, count=size, bitorder="little")
        counts += np.add.reduce(bits, axis=0, dtype=np.uint8)
    return counts
