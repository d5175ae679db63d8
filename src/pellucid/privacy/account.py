"""One account of the ledger: whose privacy it keeps, what it may spend in all and in a period, and whether a spend fits.

How an account adds up is chosen when it is opened, because the choice must not depend on what was released since:

- "basic": epsilons add, deltas add. Ten times 0.1 is 1.0, exactly. Holds however each release was chosen.
- "zcdp": rhos add (accounting.py), which admits more releases when there are many. Holds however each release was chosen. It takes
  the place of basic composition and is not tried beside it: who may use whichever bound turns out better is promised 2 delta.
- "pld": the composition of privacy losses, the tightest, or basic where that is less. Holds when noise and budget of all releases
  were fixed before the first result was seen.

A period's cap is kept by basic composition, beside that.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pellucid.errors import BudgetError, PrivacyError
from pellucid.privacy.amounts import DELTA_UNIT, EPSILON_UNIT, RHO_UNIT, Amounts, as_float, as_text

COMPOSITIONS = ("basic", "zcdp", "pld")
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


def refuse_overdraft(account: Account, cost: Amounts, releases: Callable[[], Releases]) -> None:
    """Raise BudgetError when `cost` does not fit. `releases` gives all that was and would be spent, for planned composition."""
    limit, after = account.limit, account.spent + cost
    if limit.period is not None:
        period, within = account.in_period, account.in_period + cost
        if within.epsilon > limit.period_epsilon or within.delta > limit.period_delta:
            raise BudgetError(
                f"account {account.name!r} has {_left(limit.period_epsilon - period.epsilon, limit.period_delta - period.delta)}"
                f" left this {limit.period}; this release asks for {_amounts(cost)}",
                fix=f"Ask for less, wait for the next {limit.period}, or let the steward raise the cap (pellucid ledger cap)",
            )
    if fits(account.composition, limit, after, releases):
        return
    raise BudgetError(
        f"account {account.name!r} has {_left(limit.epsilon - account.spent.epsilon, limit.delta - account.spent.delta)} left;"
        f" this release asks for {_amounts(cost)}",
        fix="Ask for less, or let the steward raise the cap (pellucid ledger cap): the loss adds up for the same people",
    )


def fits(composition: str, limit: Limit, after: Amounts, releases: Callable[[], Releases]) -> bool:
    """Whether all that is spent (`after`, and as events `releases()`) lies within the cap."""
    epsilon, delta = as_float(limit.epsilon, EPSILON_UNIT), as_float(limit.delta, DELTA_UNIT)
    if composition == "zcdp":
        from pellucid.privacy.accounting import zcdp_delta

        return (
            bool(limit.epsilon) and zcdp_delta(Fraction(after.rho, RHO_UNIT), as_float(after.slack, DELTA_UNIT), epsilon) <= delta
        )
    if after.epsilon <= limit.epsilon and after.delta <= limit.delta:
        return True
    return composition == "pld" and together_delta(releases(), epsilon) <= delta


def together_delta(releases: Releases, epsilon: float) -> float:
    """The delta at `epsilon` of releases whose noise and budget were all fixed beforehand."""
    from pellucid.privacy.accounting import loss_delta

    return loss_delta([event for events, _ in releases for event in events], math.fsum(extra for _, extra in releases), epsilon)


def _left(epsilon: int, delta: int) -> str:
    return f"epsilon {as_text(max(0, epsilon), EPSILON_UNIT)} and delta {as_text(max(0, delta), DELTA_UNIT)}"


def _amounts(cost: Amounts) -> str:
    return f"{as_text(cost.epsilon, EPSILON_UNIT)} and {as_text(cost.delta, DELTA_UNIT)}"
