"""Amounts of privacy as whole numbers: epsilon in units of 1e-9, delta in units of 1e-18, zCDP's rho and mu^2 in units of 1e-9.

They are read from the decimal form of a number, so ten times 0.1 is exactly 1. What is spent rounds up, what may be spent rounds
down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError

if TYPE_CHECKING:
    from pellucid.privacy.accounting.gaussian_filter import GaussianCost

EPSILON_UNIT, DELTA_UNIT = Fraction(1, 10**9), Fraction(1, 10**18)
RHO_UNIT = 10**9
MAX_CAP_EPSILON = 1_000_000


@dataclass(frozen=True)
class Amounts:
    """What is spent, in whole numbers: epsilon and delta by basic composition; rho with its slack by zCDP (composition.py); mu^2 with
    its slack, its steps and the largest reserve that one of them needs, as Gaussian noise (gaussian_filter.py)."""

    epsilon: int = 0
    delta: int = 0
    rho: int = 0
    slack: int = 0
    mu2: int = 0
    mu_slack: int = 0
    steps: int = 0
    reserve: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.epsilon + other.epsilon,
            self.delta + other.delta,
            self.rho + other.rho,
            self.slack + other.slack,
            self.mu2 + other.mu2,
            self.mu_slack + other.mu_slack,
            self.steps + other.steps,
            max(self.reserve, other.reserve),
        )


def cost(epsilon: float, delta: float, rho: Fraction, slack: float, gaussian: GaussianCost) -> Amounts:
    """A release's amounts, each rounded up."""
    return Amounts(
        units(epsilon, EPSILON_UNIT, up=True),
        units(delta, DELTA_UNIT, up=True),
        math.ceil(rho * RHO_UNIT),
        units(slack, DELTA_UNIT, up=True),
        math.ceil(gaussian.mu2 * RHO_UNIT),
        units(gaussian.slack, DELTA_UNIT, up=True),
        gaussian.steps,
        math.ceil(gaussian.reserve * RHO_UNIT),
    )


def cap(epsilon: object, delta: object) -> tuple[int, int]:
    """A cap in units, rounded down. Raises PrivacyError for what is not a number from 0 to the most a cap may be."""
    for name, value, high in (("epsilon", epsilon, MAX_CAP_EPSILON), ("delta", delta, 1)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not 0 <= value <= high:
            raise PrivacyError(f"a cap on {name} must be a number from 0 to {high}, not {value!r}")
    return units(epsilon, EPSILON_UNIT, up=False), units(delta, DELTA_UNIT, up=False)


def units(value: Any, unit: Fraction, *, up: bool) -> int:
    """A number, as it is written in decimals, in whole units."""
    exact = Fraction(repr(float(value))) / unit
    return math.ceil(exact) if up else math.floor(exact)


def as_float(amount: int, unit: Fraction) -> float:
    """Whole units as a number."""
    return float(amount * unit)


def as_text(amount: int, unit: Fraction) -> str:
    """Whole units in decimal form."""
    return f"{as_float(amount, unit):.12g}"
