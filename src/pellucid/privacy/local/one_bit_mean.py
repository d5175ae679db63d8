"""Means: one bit from each client, more often 1 the larger its number."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import PrivacyError
from pellucid.privacy.local.oracles import ONE, checked_codes, checked_ratio, draws, exponential, local_epsilon, parts
from pellucid.privacy.parameters import checked_bounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream

STEPS = 1 << 16  # of the grid that numbers are rounded to


@dataclass(frozen=True)
class OneBitMean:
    """The mean of bounded numbers by one bit a client (Duchi, Jordan, Wainwright; as Microsoft's 1BitMean).

    Unit: one report. Neighbouring: any two numbers. Report: one bit, in 1 byte.
    Probabilities: a number is clamped to [lower, upper] and rounded to one of 2^16 + 1 levels m; the bit is 1 with probability
    (u + s m) / 2^53, u = ceil(2^53 / (e^epsilon + 1)), s = floor((2^53 - 2 u) / 2^16).
    Guarantee: both probabilities of either bit lie between u and 2^53 - u, so their ratio is at most (2^53 - u) / u <= e^epsilon;
    declared is the exact worst ratio over the levels, its logarithm rounded up.
    Why the code meets it: rounding to a level is a fixed function of the number and draws nothing; one integer of 53 bits decides.
    Variance, times n: (upper - lower)^2 b (1 - b) (2^53 / (2^16 s))^2 for bits with share b: about
    ((e^epsilon + 1) / (e^epsilon - 1))^2 / 4 ranges squared. It does not fall below a quarter range squared as epsilon grows.
    """

    lower: float
    upper: float
    requested_epsilon: float
    name: ClassVar[str] = "one-bit-mean"

    def __post_init__(self) -> None:
        lower, upper = checked_bounds(self.lower, self.upper)
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)
        object.__setattr__(self, "requested_epsilon", local_epsilon(self.requested_epsilon))

    @cached_property
    def least(self) -> int:
        """u: of 2^53, the mass of a 1 for the lowest number."""
        return parts(ONE, exponential(self.requested_epsilon) + 1)

    @cached_property
    def step(self) -> int:
        """s: by how much that mass grows with each level."""
        return (ONE - 2 * self.least) // STEPS

    @cached_property
    def epsilon(self) -> float:
        most = self.least + STEPS * self.step
        ratio = max(Fraction(most, self.least), Fraction(ONE - self.least, ONE - most))
        return checked_ratio(ratio, self.requested_epsilon, self.name)

    def levels(self, values: NDArray[Any]) -> NDArray[Any]:
        """The level of each number; PrivacyError for one that is not finite."""
        import numpy as np

        values = np.asarray(values, dtype=np.float64)
        if values.ndim != 1 or not np.isfinite(values).all():
            raise PrivacyError("numbers to report must be finite", fix="Leave out what is missing, on the client")
        share = (np.clip(values, self.lower, self.upper) - self.lower) / (self.upper - self.lower)
        levels: NDArray[Any] = np.rint(share * STEPS).astype(np.int64)
        return levels

    def perturb(self, values: NDArray[Any], stream: Stream) -> NDArray[Any]:
        """One report for each number: uint8 of shape (n, 1)."""
        import numpy as np

        levels = checked_codes(self.levels(values), STEPS + 1)
        bits = draws(stream, len(levels)).astype(np.int64) < self.least + self.step * levels
        return bits.astype(np.uint8).reshape(len(levels), 1)

    def estimate(self, reports: NDArray[Any]) -> tuple[float, float]:
        """The mean, unbiased for the rounded numbers, and its standard error."""
        import math

        if not len(reports):
            raise PrivacyError("there is nothing to estimate from", why="no report was taken")
        if not (reports <= 1).all():
            raise PrivacyError("a report of a mean is one bit: 0 or 1")
        n, share = len(reports), float(reports.sum(dtype="int64")) / len(reports)
        scale = (self.upper - self.lower) * ONE / (STEPS * self.step)
        mean = self.lower + (share - self.least / ONE) * scale
        return mean, scale * math.sqrt(share * (1 - share) / n)
