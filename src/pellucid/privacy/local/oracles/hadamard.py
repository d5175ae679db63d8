"""Hadamard response: one bit of a random row of the Hadamard matrix."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.privacy.local.oracles.dyadic import checked_ratio, domain_size, exponential, local_epsilon, parts
from pellucid.privacy.local.oracles.frequency_oracle import checked_codes, code_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream

MAX_SIZE = 1 << 24
HALF = 1 << 32  # a word serves twice: its upper half decides the flip, its lower half names the row


@dataclass(frozen=True)
class Hadamard:
    """One-bit Hadamard randomised response.

    Unit: one report. Neighbouring: any two values. Report: 2 j + b, with row j of the Hadamard matrix of order D (the least power
    of two >= d) and a bit b; 1, 2 or 4 bytes.
    Probabilities: j is uniform and independent of the value; b is the parity of popcount(j & v), flipped with probability
    u / 2^32, u = ceil(2^32 / (e^epsilon + 1)). So p = 1 - u / 2^32; a row of another value agrees half of the time: q = 1/2.
    Guarantee: given j the ratio is at most (2^32 - u) / u <= e^epsilon; declared is its logarithm, rounded up.
    Why the code meets it: j is the low bits of a word (exactly uniform, D is a power of two); the flip compares the word's upper
    32 bits, which share nothing with j, with u.
    Variance, times n: ((e^epsilon + 1) / (e^epsilon - 1))^2 - f. Source: Acharya, Sun, Zhang (2019); Cormode, Maddock, Maple (2021).
    """

    size: int
    requested_epsilon: float
    name: ClassVar[str] = "hadamard"

    def __post_init__(self) -> None:
        domain_size(self.size, MAX_SIZE)
        object.__setattr__(self, "requested_epsilon", local_epsilon(self.requested_epsilon))

    @cached_property
    def flip(self) -> int:
        """Of 2^32, the mass of a flipped bit."""
        return parts(HALF, exponential(self.requested_epsilon) + 1)

    @property
    def order(self) -> int:
        """The order of the matrix."""
        return 1 << (self.size - 1).bit_length()

    @cached_property
    def epsilon(self) -> float:
        return checked_ratio(Fraction(HALF - self.flip, self.flip), self.requested_epsilon, self.name)

    @property
    def p(self) -> Fraction:
        return 1 - Fraction(self.flip, HALF)

    @property
    def q(self) -> Fraction:
        return Fraction(1, 2)

    @property
    def width(self) -> int:
        return int(code_type(2 * self.order)[-1])

    def parameters(self) -> dict[str, Any]:
        return {"oracle": self.name, "size": self.size, "order": self.order, "flip": self.flip}

    def perturb(self, codes: NDArray[Any], stream: Stream) -> NDArray[Any]:
        import numpy as np

        codes, kind = checked_codes(codes, self.size), code_type(2 * self.order)
        found = np.empty(len(codes), dtype=kind)
        for start in range(0, len(codes), 1 << 16):
            part = codes[start : start + (1 << 16)].astype(np.uint32)
            drawn = stream.words(len(part)).astype("<u8", copy=False).view("<u4")
            row = drawn[0::2] & np.uint32(self.order - 1)
            bit = (np.bitwise_count(row & part) & np.uint8(1)) ^ (drawn[1::2] < np.uint32(self.flip))
            found[start : start + len(part)] = row * np.uint32(2) + bit
        return found.view(np.uint8).reshape(len(codes), self.width)

    def valid(self, reports: NDArray[Any]) -> NDArray[Any]:
        return self._codes(reports) < 2 * self.order

    def aggregate(self, reports: NDArray[Any]) -> NDArray[Any]:
        """Exact, by the fast Walsh-Hadamard transform on whole numbers."""
        import numpy as np

        tally = np.bincount(self._codes(reports), minlength=2 * self.order).reshape(self.order, 2)
        signs = tally[:, 0] - tally[:, 1]
        step = 1
        while step < self.order:
            pairs = signs.reshape(-1, 2, step)
            signs = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(-1)
            step *= 2
        return (len(reports) + signs[: self.size]) // 2

    def _codes(self, reports: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        return np.ascontiguousarray(reports).view(code_type(2 * self.order)).reshape(len(reports))
