"""Generalised randomised response: the value itself, or any other with equal probability."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.privacy.local.oracles.dyadic import ONE, checked_ratio, domain_size, exponential, local_epsilon, parts
from pellucid.privacy.local.oracles.frequency_oracle import checked_codes, code_type, draws

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream

MAX_SIZE = 1 << 20


@dataclass(frozen=True)
class Grr:
    """Generalised (k-ary) randomised response.

    Unit: one report. Neighbouring: any two values. Report: a value of the domain; 1, 2 or 4 bytes.
    Probabilities: each other value a / 2^53 with a = ceil(2^53 / (e^epsilon + d - 1)); the true one t / 2^53 with
    t = 2^53 - a (d - 1). So p = t / 2^53, q = a / 2^53.
    Guarantee: for any two values the probabilities of a report are t or a, so their ratio is at most t / a. Since a is rounded
    up and t is what remains, t / a <= e^epsilon; declared is log(t / a), rounded up.
    Why the code meets it: one uniform integer w of 53 bits decides. w < t keeps the value; otherwise (w - t) // a is uniform on
    0 .. d - 2, exactly, because what remains is a (d - 1) long; it is counted past the true value.
    Variance, times n: (e^epsilon + d - 2) / (e^epsilon - 1)^2 + f (d - 2) / (e^epsilon - 1). Source: Kairouz, Bonawitz, Ramage (2016).
    """

    size: int
    requested_epsilon: float
    name: ClassVar[str] = "grr"

    def __post_init__(self) -> None:
        domain_size(self.size, MAX_SIZE)
        object.__setattr__(self, "requested_epsilon", local_epsilon(self.requested_epsilon))

    @cached_property
    def other(self) -> int:
        """Of 2^53, the mass of one other value."""
        return parts(ONE, exponential(self.requested_epsilon) + self.size - 1)

    @cached_property
    def truth(self) -> int:
        """Of 2^53, the mass of the true value."""
        return ONE - self.other * (self.size - 1)

    @cached_property
    def epsilon(self) -> float:
        return checked_ratio(Fraction(self.truth, self.other), self.requested_epsilon, self.name)

    @property
    def p(self) -> Fraction:
        return Fraction(self.truth, ONE)

    @property
    def q(self) -> Fraction:
        return Fraction(self.other, ONE)

    @property
    def width(self) -> int:
        return int(code_type(self.size)[-1])

    def parameters(self) -> dict[str, Any]:
        return {"oracle": self.name, "size": self.size, "truth": self.truth, "other": self.other}

    def perturb(self, codes: NDArray[Any], stream: Stream) -> NDArray[Any]:
        import numpy as np

        codes = checked_codes(codes, self.size)
        found = np.empty(len(codes), dtype=code_type(self.size))
        for start in range(0, len(codes), 1 << 16):
            part = codes[start : start + (1 << 16)]
            found[start : start + len(part)] = respond(part, draws(stream, len(part)), self.truth, self.other)
        return found.view(np.uint8).reshape(len(codes), self.width)

    def valid(self, reports: NDArray[Any]) -> NDArray[Any]:
        return self._codes(reports) < self.size

    def aggregate(self, reports: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        return np.bincount(self._codes(reports), minlength=self.size)

    def _codes(self, reports: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        return np.ascontiguousarray(reports).view(code_type(self.size)).reshape(len(reports))


def respond(codes: NDArray[Any], draw: NDArray[Any], truth: int, other: int) -> NDArray[Any]:
    """The response to each code (int64) by its draw (uint64, below 2^53)."""
    import numpy as np

    past = draw.view(np.int64) - truth
    shifted = np.floor_divide(past.view(np.uint64), np.uint64(other)).view(np.int64)  # meaningless, and unused, where past < 0
    shifted += shifted >= codes
    return np.where(past < 0, codes, shifted)
