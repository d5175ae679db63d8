"""Privacy parameters: checked in this one place, before anything is computed or spent."""

from __future__ import annotations

import math

from pellucid.errors import PrivacyError

MAX_EPSILON = 100.0
MIN_DELTA = 1e-15


def checked_epsilon(value: object) -> float:
    """A usable epsilon, or PrivacyError: a finite number above 0, not subnormal, at most `MAX_EPSILON`.

    A subnormal would be spent as nothing by careless arithmetic; above 100 there is no promise left to account for.
    """
    number = _number("epsilon", value)
    if not math.isfinite(number) or number <= 0:
        raise PrivacyError(f"epsilon must be a number above 0, not {value}", fix="Typical values lie between 0.1 and 10")
    if number < 1e-9:
        raise PrivacyError(
            f"epsilon {value} is below 0.000000001, the ledger's unit", fix="Typical values lie between 0.1 and 10"
        )
    if number > MAX_EPSILON:
        raise PrivacyError(
            f"epsilon {value} is above {MAX_EPSILON:g} and promises nothing", fix="Typical values lie between 0.1 and 10"
        )
    return number


def checked_delta(value: object, *, pure: bool = False) -> float:
    """A usable delta, or PrivacyError: `MIN_DELTA` <= delta < 1, or 0 for a mechanism that is `pure`."""
    number = _number("delta", value)
    if pure and number == 0:
        return 0.0
    if not math.isfinite(number) or number <= 0 or number >= 1:
        raise PrivacyError(
            f"delta must lie between 0 and 1, both excluded, not {value}",
            fix="Choose well below 1 / number of people, such as 1e-6",
        )
    if number < MIN_DELTA:
        raise PrivacyError(
            f"delta {value} is below {MIN_DELTA:g}", why="the accounting is not exact there", fix="Choose at least 1e-15"
        )
    return number


def checked_count(name: str, value: object, low: int, high: int) -> int:
    """A whole number in [low, high], or PrivacyError."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise PrivacyError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
    return value


LEAST_RANGE = 1e-200  # a step of a grid must still be a number
MAX_BOUND = 1e200  # and so must a sum of values and its noise


def checked_bounds(lower: object, upper: object) -> tuple[float, float]:
    """Finite bounds with lower < upper, or PrivacyError."""
    low, high = _number("lower", lower), _number("upper", upper)
    if not (math.isfinite(low) and math.isfinite(high) and low < high and math.isfinite(high - low)):
        raise PrivacyError(f"the bounds must be finite with lower < upper, not {lower} and {upper}")
    if max(abs(low), abs(high)) > MAX_BOUND:
        raise PrivacyError(
            f"the bounds {lower} and {upper} are too large",
            why=f"sums of values beyond {MAX_BOUND:g} would not be numbers",
            fix="Scale the values first",
        )
    if high - low < LEAST_RANGE:
        raise PrivacyError(f"the bounds {lower} and {upper} are too close to each other", fix="Scale the values first")
    return low, high


def checked_option(name: str, value: object, options: tuple[str, ...]) -> str:
    """One of the options, or PrivacyError."""
    if not isinstance(value, str) or value not in options:
        raise PrivacyError(f"{name} must be one of {', '.join(options)}, not {value!r}")
    return value


def checked_name(name: str, value: object) -> str:
    """A column name: text that is not empty, or PrivacyError."""
    if not isinstance(value, str) or not value:
        raise PrivacyError(f"{name} must be the name of a column, not {value!r}")
    return value


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PrivacyError(f"{name} must be a number, not {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        return math.inf
