"""One account of the ledger: whose privacy it keeps, what it may spend in all and in a period, and whether a spend fits.

How an account adds up is chosen when it is opened, because the choice must not depend on what was released since:

- "basic": epsilons add, deltas add. Ten times 0.1 is 1.0, exactly. Holds however each release was chosen.
- "zcdp": rhos add (composition.py), which admits more releases when there are many. Holds however each release was chosen. It takes
  the place of basic composition and is not tried beside it: who may use whichever bound turns out better is promised 2 delta.
- "gaussian": mu^2 adds, and the exact curve of Gaussian noise is kept (gaussian_filter.py). Holds however each release was chosen. It
  is the tightest where the noise is Gaussian; other releases pay by their own epsilon and delta.

For zCDP the cap's delta is split when the account opens, half for the deltas that releases bring along (slack) and half for the
conversion of rho (`SLACK`). The filter of Whitehouse, Ramdas, Rogers and Wu (2023, Theorem 1) is for a *fixed* pair (rho, delta):
releases that are delta_i-approximately rho_i-zCDP given the past, whose rhos and deltas always sum to at most rho* and d, are together
(epsilon, d + delta(rho*, epsilon)). Paths that ever take the part of weight delta_i weigh at most d; on the others the moments
multiply to at most exp(alpha (alpha - 1) rho*), by induction from the last release back. Without the split an adversary who looks at the
first result and then either spends the rest of rho, or the rest of delta, reaches 1.2 delta. A "gaussian" account splits its delta
the same.

The composition of privacy losses (PLD) is no way for an account to add up: chosen after looking at results, releases that it admits one by
one reach 2.8 delta. It is shown for a plan, whose noise and budget are fixed beforehand (budget_forecast.py).

A period's cap is kept by basic composition, beside that.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pellucid.errors import BudgetError, PrivacyError
from pellucid.privacy.accounting import gaussian_filter
from pellucid.privacy.accounting.amounts import DELTA_UNIT, EPSILON_UNIT, RHO_UNIT, Amounts, as_float, as_text

COMPOSITIONS = ("basic", "zcdp", "gaussian")
# of the delta of a zCDP or Gaussian account: what releases may bring along; the rest is for the conversion
SLACK = Fraction(1, 2)
PERIODS = ("day", "week", "month", "year")
Releases = Sequence[tuple[Sequence[Mapping[str, Any]], float]]  # (events, extra delta) of each


@dataclass(frozen=True)
class Limit:
    """The most an account may spend, in units: in all, and in each calendar `period` (UTC) where there is one."""

    epsilon: int
    delta: int
    period: str | None = None
    period_epsilon: int = 0
    period_delta: int = 0

    def __post_init__(self) -> None:
        if self.period is not None and self.period not in PERIODS:
            raise PrivacyError(f"a period is one of {', '.join(PERIODS)}, not {self.period!r}")


@dataclass(frozen=True)
class Account:
    """An account as the ledger's events leave it."""

    name: str
    unit: str
    composition: str
    limit: Limit
    spent: Amounts
    in_period: Amounts

    def to_json(self) -> dict[str, Any]:
        """Cap, spent and left, each as floats and (with `_nano`, `_atto`) exact whole numbers."""
        told: dict[str, Any] = {"name": self.name, "unit": self.unit, "composition": self.composition}
        for kind, unit, small in (("epsilon", EPSILON_UNIT, "nano"), ("delta", DELTA_UNIT, "atto")):
            cap, spent = getattr(self.limit, kind), getattr(self.spent, kind)
            for word, amount in {"cap": cap, "spent": spent, "left": max(0, cap - spent)}.items():
                told[f"{word}_{kind}"] = as_float(amount, unit)
                told[f"{word}_{kind}_{small}"] = amount
        if self.limit.period is not None:
            told["period"] = {
                "name": self.limit.period,
                "cap_epsilon": as_float(self.limit.period_epsilon, EPSILON_UNIT),
                "cap_delta": as_float(self.limit.period_delta, DELTA_UNIT),
                "spent_epsilon": as_float(self.in_period.epsilon, EPSILON_UNIT),
                "spent_delta": as_float(self.in_period.delta, DELTA_UNIT),
            }
        return told


def period_start(period: str, time: int) -> int:
    """When the period that holds `time` began (both ms since 1970, UTC)."""
    day = datetime.datetime.fromtimestamp(time / 1000, datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "week":
        day -= datetime.timedelta(days=day.weekday())
    elif period == "month":
        day = day.replace(day=1)
    elif period == "year":
        day = day.replace(month=1, day=1)
    return int(day.timestamp() * 1000)


def refuse_overdraft(account: Account, cost: Amounts) -> None:
    """Raise BudgetError when `cost` does not fit."""
    limit, after = account.limit, account.spent + cost
    if limit.period is not None:
        period, within = account.in_period, account.in_period + cost
        if within.epsilon > limit.period_epsilon or within.delta > limit.period_delta:
            raise BudgetError(
                f"account {account.name!r} has {_left(limit.period_epsilon - period.epsilon, limit.period_delta - period.delta)}"
                f" left this {limit.period}; this release asks for {_amounts(cost)}",
                fix=f"Ask for less, wait for the next {limit.period}, or let the steward raise the cap (pellucid ledger cap)",
            )
    if fits(account.composition, limit, after):
        return
    raise BudgetError(
        f"account {account.name!r} has {_left(limit.epsilon - account.spent.epsilon, limit.delta - account.spent.delta)} left;"
        f" this release asks for {_amounts(cost)}",
        fix="Ask for less, or let the steward raise the cap (pellucid ledger cap): the loss adds up for the same people",
    )


def fits(composition: str, limit: Limit, after: Amounts) -> bool:
    """Whether all that is spent (`after`) lies within the cap, by the account's composition."""
    if composition in ("zcdp", "gaussian"):
        from pellucid.privacy.accounting.composition import zcdp_delta

        slack, epsilon = int(SLACK * limit.delta), as_float(limit.epsilon, EPSILON_UNIT)
        left = as_float(limit.delta - slack, DELTA_UNIT)
        if not limit.epsilon:
            return False
        if composition == "zcdp":
            return after.slack <= slack and zcdp_delta(Fraction(after.rho, RHO_UNIT), 0.0, epsilon) <= left
        converted = gaussian_filter.ROUNDING * gaussian_filter.gaussian_delta(
            Fraction(after.mu2 + after.reserve, RHO_UNIT), epsilon
        )
        return after.mu_slack <= slack and after.steps <= gaussian_filter.MAX_STEPS and converted <= left
    return after.epsilon <= limit.epsilon and after.delta <= limit.delta


def _left(epsilon: int, delta: int) -> str:
    return f"epsilon {as_text(max(0, epsilon), EPSILON_UNIT)} and delta {as_text(max(0, delta), DELTA_UNIT)}"


def _amounts(cost: Amounts) -> str:
    return f"{as_text(cost.epsilon, EPSILON_UNIT)} and {as_text(cost.delta, DELTA_UNIT)}"
