"""What the releases of a pipeline would cost together, beside what their accounts have spent: before anything is run or spent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.pipeline.declaration import Pipeline, Step, budgets
from pellucid.privacy.accounting import (
    DELTA_UNIT,
    EPSILON_UNIT,
    RHO_UNIT,
    Account,
    Amounts,
    Ledger,
    Limit,
    as_float,
    cap,
    checked_events,
    fits,
    gaussian_epsilon,
    loss_epsilon,
    privacy_cost,
    zcdp_epsilon,
)
from pellucid.privacy.foresight import ExpectedNumbers, Foresight, foresee_release
from pellucid.privacy.release_step import ReleaseGate
from pellucid.store import STATE_FILE, unit_of

MAX_TIMES = 10_000


@dataclass(frozen=True)
class PlannedRelease:
    """One release of the plan: its step, the accounts that would pay, and its price."""

    step: str
    accounts: tuple[str, ...]
    epsilon: float
    delta: float
    events: tuple[Mapping[str, Any], ...]
    extra: float


@dataclass(frozen=True)
class BudgetForecast:
    """One account after the plan: `fits` by its own composition, and epsilon at the cap's delta by each composition."""

    account: str
    unit: str
    composition: str
    cap: tuple[float, float]
    spent: tuple[float, float]
    after: tuple[float, float]
    together: Mapping[str, float]
    fits: bool


def planned(pipeline: Pipeline) -> list[PlannedRelease]:
    """The releases of a pipeline with its settings. Raises PrivacyError for one with unusable parameters."""
    found = []
    for name, bound in pipeline.steps.items():
        if isinstance(bound.node, Step) and isinstance(bound.node.gate, ReleaseGate):
            label = pipeline.steps[bound.edges[0].node].label
            relation = unit_of(label.unit or "").relation
            mechanism, epsilon, delta = bound.node.gate.resolved(bound.settings, f'release "{name}"', relation)
            events, extra = checked_events(mechanism.guarantee(epsilon, delta, relation), epsilon, delta)
            found.append(PlannedRelease(name, tuple(sorted(label.accounts)), epsilon, delta, events, extra))
    return found


def foreseen(pipeline: Pipeline, numbers: ExpectedNumbers) -> list[Foresight]:
    """What each release of a pipeline is expected to give, by its settings and declared numbers alone."""
    found = []
    for name, bound in pipeline.steps.items():
        if isinstance(bound.node, Step) and isinstance(bound.node.gate, ReleaseGate):
            relation = unit_of(pipeline.steps[bound.edges[0].node].label.unit or "").relation
            mechanism, epsilon, delta = bound.node.gate.resolved(bound.settings, f'release "{name}"', relation)
            found.append(foresee_release(name, mechanism, epsilon, delta, numbers, relation))
    return found


def forecast(pipeline: Pipeline, home: Path, times: int = 1, *, compare: bool = True) -> list[BudgetForecast]:
    """Each account after `times` runs of all the pipeline's releases, each time on other data; spends nothing.

    `compare` tells epsilon by each composition too, which takes a second or two. Raises UsageError when the pipeline releases nothing.
    """
    if not 1 <= times <= MAX_TIMES:
        raise UsageError(f"a plan repeats 1 to {MAX_TIMES} times, not {times}")
    plan = planned(pipeline) * times
    if not plan:
        raise UsageError("this pipeline releases nothing", where=pipeline.name)
    told = []
    for account, history in _accounts(pipeline, home, sorted({name for release in plan for name in release.accounts})):
        mine = [release for release in plan if account.name in release.accounts]
        spent = account.spent
        for release in mine:
            spent += privacy_cost(release.epsilon, release.delta, release.events, release.extra)
        releases = [*history, *((release.events, release.extra) for release in mine)]
        told.append(
            BudgetForecast(
                account.name,
                account.unit,
                account.composition,
                _pair(account.limit.epsilon, account.limit.delta),
                _pair(account.spent.epsilon, account.spent.delta),
                _pair(spent.epsilon, spent.delta),
                together(spent, releases, as_float(account.limit.delta, DELTA_UNIT)) if compare else {},
                fits(account.composition, account.limit, spent),
            )
        )
    return told


def together(spent: Amounts, releases: Sequence[tuple[Sequence[Mapping[str, Any]], float]], delta: float) -> dict[str, float]:
    """Epsilon at `delta` by each composition, of a plan: noise and budget fixed beforehand. Infinite where delta is not enough."""
    basic = as_float(spent.epsilon, EPSILON_UNIT) if as_float(spent.delta, DELTA_UNIT) <= delta else math.inf
    events = [event for some, _ in releases for event in some]
    return {
        "basic": basic,
        "zcdp": zcdp_epsilon(Fraction(spent.rho, RHO_UNIT), as_float(spent.slack, DELTA_UNIT), delta),
        "gaussian": gaussian_epsilon(Fraction(spent.mu2 + spent.reserve, RHO_UNIT), as_float(spent.mu_slack, DELTA_UNIT), delta),
        "pld": min(basic, loss_epsilon(events, math.fsum(extra for _, extra in releases), delta)),
    }


def _accounts(pipeline: Pipeline, home: Path, names: list[str]) -> list[tuple[Account, Any]]:
    """The accounts as they are, or as their source would open them, each with what it has paid for."""
    declared = budgets.budgets(pipeline.steps)
    ledger = Ledger(home) if (home / STATE_FILE).exists() else None
    try:
        known = {account["name"] for account in ledger.accounts()} if ledger else set()
        found: list[tuple[Account, Any]] = []
        for name in names:
            if ledger is not None and name in known:
                found.append((ledger.account(name), ledger.releases(name)))
                continue
            unit, budget = declared[name]
            limit = Limit(*cap(budget.epsilon, budget.delta))
            found.append((Account(name, unit, budget.composition, limit, Amounts(), Amounts()), []))
        return found
    finally:
        if ledger is not None:
            ledger.close()


def _pair(epsilon: int, delta: int) -> tuple[float, float]:
    return as_float(epsilon, EPSILON_UNIT), as_float(delta, DELTA_UNIT)
