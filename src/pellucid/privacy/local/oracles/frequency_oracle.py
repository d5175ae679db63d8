"""What every frequency oracle offers, and the estimate made from what it counts."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

from pellucid.errors import PrivacyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream


class Oracle(Protocol):
    """A local randomiser of one value out of `size`, and the way back from many reports to frequencies.

    Unit: one report. Neighbouring: any two values of the domain. A report "supports" a value; it supports its own client's with
    probability `p` and any other with probability `q`, both exact.
    """

    @property
    def name(self) -> str:
        """What it is called in a collection's text."""

    @property
    def size(self) -> int:
        """How many values the domain has."""

    @property
    def requested_epsilon(self) -> float:
        """The epsilon asked for."""

    @property
    def epsilon(self) -> float:
        """What one report costs: computed from the probabilities used, rounded up, at most what was asked."""

    @property
    def p(self) -> Fraction:
        """The probability that a report supports its client's value."""

    @property
    def q(self) -> Fraction:
        """The probability that a report supports a given other value."""

    @property
    def width(self) -> int:
        """Bytes of a report."""

    def parameters(self) -> dict[str, Any]:
        """The public parameters: all that a client needs."""

    def perturb(self, codes: NDArray[Any], stream: Stream) -> NDArray[Any]:
        """One report for each code (0 .. size - 1): uint8 of shape (len(codes), width)."""

    def valid(self, reports: NDArray[Any]) -> NDArray[Any]:
        """Which rows of uint8 (n, width) are reports at all."""

    def aggregate(self, reports: NDArray[Any]) -> NDArray[Any]:
        """How many reports support each value (int64, `size` of them)."""


@dataclass(frozen=True)
class Estimate:
    """Frequencies of the values (shares of the reporting clients), unbiased, with standard errors; both float64.

    A frequency may be below 0 or above 1: that is what unbiased means. See `consistent`.
    """

    frequencies: NDArray[Any]
    errors: NDArray[Any]
    reports: int


def estimate(oracle: Oracle, support: NDArray[Any], reports: int) -> Estimate:
    """From support counts to frequencies: (count / n - q) / (p - q), with the standard error of each."""
    import numpy as np

    if reports < 1:
        raise PrivacyError("there is nothing to estimate from", why="no report was taken")
    p, q = float(oracle.p), float(oracle.q)
    frequencies = (np.asarray(support, dtype=np.float64) / reports - q) / float(oracle.p - oracle.q)
    shares = np.clip(frequencies, 0.0, 1.0)
    return Estimate(frequencies, np.sqrt(variance(p, q, shares) / reports), reports)


def variance(p: float, q: float, frequency: Any) -> Any:
    """n times the variance of an estimated frequency, the true one being `frequency`.

    A report supports the value with probability f p + (1 - f) q in all; of the n clients, f n draw with p and the rest with q, so
    n Var = (f p (1 - p) + (1 - f) q (1 - q)) / (p - q)^2 = q (1 - q) / (p - q)^2 + f (1 - p - q) / (p - q).
    """
    return q * (1 - q) / (p - q) ** 2 + frequency * (1 - p - q) / (p - q)


def mean_variance(oracle: Oracle) -> float:
    """n times the variance of an estimated frequency, averaged over the domain (frequencies sum to 1)."""
    return float(variance(float(oracle.p), float(oracle.q), 1 / oracle.size))


def checked_codes(codes: NDArray[Any], size: int) -> NDArray[Any]:
    """Codes as int64; PrivacyError, without showing one, if any lies outside the domain."""
    import numpy as np

    codes = np.asarray(codes)
    if codes.ndim != 1 or (codes.size and codes.dtype.kind not in "iu"):
        raise PrivacyError("values to report must be a list of whole numbers: their places in the domain")
    if codes.size and (int(codes.min()) < 0 or int(codes.max()) >= size):
        raise PrivacyError(
            "a value was never declared in the domain",
            why=f"it has {size} values",
            fix="Declare it, or leave it out on the client",
        )
    return codes.astype(np.int64, copy=False)


def code_type(size: int) -> str:
    """The narrowest little-endian type that holds 0 .. size - 1."""
    return "u1" if size <= 1 << 8 else "<u2" if size <= 1 << 16 else "<u4"


def draws(stream: Stream, count: int) -> NDArray[Any]:
    """Integers uniform on 0 .. 2^53 - 1: the top bits of the next `count` words."""
    import numpy as np

    words = stream.words(count)
    words >>= np.uint64(11)
    return words
