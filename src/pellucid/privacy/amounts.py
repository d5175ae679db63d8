"""Amounts of privacy as whole numbers: epsilon in units of 1e-9, delta in units of 1e-18, zCDP's rho in units of 1e-9.

They are read from the decimal form of a number, so ten times 0.1 is exactly 1. What is spent rounds up, what may be spent rounds
down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any

from pellucid.errors import PrivacyError

EPSILON_UNIT, DELTA_UNIT = Decimal("1e-9"), Decimal("1e-18")
RHO_UNIT = 10**9
MAX_CAP_EPSILON = 1_000_000


@dataclass(frozen=True)
class Amounts:
    """What is spent: epsilon and delta by basic composition, and rho with its slack by zCDP (see accounting.py); whole numbers."""

    epsilon: int = 0
    delta: int = 0
    rho: int = 0
    slack: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(self.epsilon + other.epsilon, self.delta + other.delta, self.rho + other.rho, self.slack + other.slack)


def cost(epsilon: float, delta: float, rho: Fraction, slack: float) -> Amounts:
    """A release's amounts, each rounded up."""
    return Amounts(
        units(epsilon, EPSILON_UNIT, up=True),
        units(delta, DELTA_UNIT, up=True),
        math.ceil(rho * RHO_UNIT),
        units(slack, DELTA_UNIT, up=True),
    )


def cap(epsilon: object, delta: object) -> tuple[int, int]:
    """A cap in units, rounded down. Raises PrivacyError for what is not a number from 0 to the most a cap may be."""
    for name, value, high in (("epsilon", epsilon, MAX_CAP_EPSILON), ("delta", delta, 1)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not 0 <= value <= high:
            raise PrivacyError(f"a cap on {name} must be a number from 0 to {high}, not {value!r}")
    return units(epsilon, EPSILON_UNIT, up=False), units(delta, DELTA_UNIT, up=False)


def units(value: Any, unit: Decimal, *, up: bool) -> int:
    """A number in whole units."""
    return int((Decimal(repr(float(value))) / unit).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR))


def as_float(amount: int, unit: Decimal) -> float:
    """Whole units as a number."""
    return float(amount * unit)


def as_text(amount: int, unit: Decimal) -> str:
    """Whole units in decimal form."""
    return f"{as_float(amount, unit):.12g}"
