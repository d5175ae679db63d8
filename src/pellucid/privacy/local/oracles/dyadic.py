"""Probabilities that are whole numbers of equal parts, and the epsilon they really give.

A report is decided by comparing a uniform integer with integer thresholds, so every probability is a whole number over a power
of two: 2^53 where one draw decides (the most that JavaScript counts exactly), 2^16 where one draw is needed for each value
of the domain. The declared epsilon is the logarithm of the exact ratio of these integers, rounded up to the next float.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

from pellucid.errors import PrivacyError
from pellucid.privacy.exact_decimals import exact_decimals
from pellucid.privacy.parameters import checked_count, checked_epsilon

ONE = 1 << 53  # a draw of 53 bits: the top bits of a 64-bit word
FINE = 1 << 16  # a draw of 16 bits: four to a word
DIGITS = 60
MAX_EPSILON = 16.0  # above, the rarest outcome is too few parts of 2^53 for a close fit, and promises nothing anyway


def local_epsilon(value: object, most: float = MAX_EPSILON) -> float:
    """A usable epsilon for local randomisation: 0.001 to `most`; PrivacyError otherwise."""
    epsilon = checked_epsilon(value)
    if not 0.001 <= epsilon <= most:
        raise PrivacyError(
            f"epsilon must lie between 0.001 and {most:g} here, not {epsilon:g}", fix="Typical values lie between 0.5 and 4"
        )
    return epsilon


def domain_size(value: object, most: int) -> int:
    """A usable number of values in the domain: 2 to `most`; PrivacyError otherwise."""
    return checked_count("the domain's size", value, 2, most)


def exponential(epsilon: float) -> Decimal:
    """e^epsilon to `DIGITS` digits."""
    with exact_decimals(DIGITS):
        return Decimal(epsilon).exp()


def parts(whole: int, shares: Decimal | int) -> int:
    """`whole` over `shares`, rounded up: the least integer mass that is at least the wanted probability."""
    with exact_decimals(DIGITS):
        return int((Decimal(whole) / shares).to_integral_value(rounding="ROUND_CEILING"))


def log_up(ratio: Fraction) -> float:
    """The least float that is not below the natural logarithm of an exact ratio (>= 1)."""
    with exact_decimals(DIGITS):
        exact = (Decimal(ratio.numerator) / Decimal(ratio.denominator)).ln()
        exact += abs(exact) * Decimal("1e-50")  # more than the two roundings can have lost
        found = float(exact)
        while Decimal(found) < exact:
            found = math.nextafter(found, math.inf)
    return found


def checked_ratio(ratio: Fraction, epsilon: float, oracle: str) -> float:
    """The declared epsilon of a worst ratio; PrivacyError if it is above what was asked (rounding was done wrong)."""
    declared = log_up(ratio)
    if declared > epsilon:
        raise PrivacyError(f"{oracle}: the probabilities give epsilon {declared!r}, more than the {epsilon!r} asked for")
    return declared
