"""Accounts that add up as Gaussian noise: the price of each step, and what an adversary who chooses after each result can reach."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import own_accounting as own
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import BudgetError
from pellucid.privacy.accounting import Amounts, Ledger, Limit, fits, privacy_cost
from pellucid.privacy.accounting.gaussian_filter import MAX_STEPS, cost_of, gaussian_delta, gaussian_epsilon, mu2_of_pure
from pellucid.privacy.noise.calibration import delta_for_counts

NORMAL = NormalDist()


def gaussian(sigma2: Fraction | int, sensitivity: int = 1, cells: int = 1) -> dict[str, Any]:
    return {"noise": "discrete_gaussian", "sigma2": str(sigma2), "sensitivity": sensitivity, "cells": cells}


# prices ------------------------------------------------------------------------------------------------------------------


@given(st.floats(1e-3, 20), st.floats(1e-3, 5))
@settings(deadline=None, max_examples=60)
def test_the_curve_is_that_of_one_gaussian_and_never_below(epsilon: float, mu: float) -> None:
    """Against the integral of (1 - e^(epsilon - loss))+, whose terms are all positive."""
    start = max((epsilon - mu * mu / 2) / mu, -40.0)
    z = np.linspace(start, max(start, 0.0) + 12, 40_001)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    exact = float(np.trapezoid(density * -np.expm1(np.minimum(0, epsilon - mu * mu / 2 - mu * z)), z))
    told = gaussian_delta(Fraction(mu) ** 2, epsilon)
    assert told >= exact * (1 - 1e-5)
    # below 1e-290 both are differences of numbers that hardly are any; no delta under 1e-15 is ever accounted for
    assert told <= exact * (1 + 1e-5) + 1e-9 * math.erfc(start / math.sqrt(2)) + 1e-290


@given(st.floats(1e-9, 1e6))
@settings(deadline=None)
def test_a_pure_release_is_covered_by_the_gaussian_it_pays_as(epsilon: float) -> None:
    """Its trade-off curve, errors of the first kind against the second, lies above the Gaussian's everywhere (Dong, Roth, Su 2022)."""
    mu = math.sqrt(mu2_of_pure(epsilon))
    if epsilon > 30:
        assert mu * mu / 8 >= epsilon * (1 - 1e-6) or NORMAL.cdf(-mu / 2) <= math.exp(-epsilon) / (1 + math.exp(-epsilon))
        return
    for alpha in np.linspace(0.001, 0.999, 199):
        pure = max(0.0, 1 - math.exp(epsilon) * alpha, math.exp(-epsilon) * (1 - alpha))
        assert pure >= NORMAL.cdf(NORMAL.inv_cdf(1 - alpha) - mu) - 1e-9


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (gaussian(Fraction(7, 2), 1, 10), "below a standard deviation of 2 the law of the sum is not smooth"),
        (gaussian(5, 1, 3), "three cells of so little noise: their sum is coarse"),
        (gaussian(400, 5), "cells that move by more than 1 need a standard deviation of 100"),
        (gaussian(10_000, 200), "the pads do not hide steps of 200"),
    ],
)
def test_noise_too_coarse_for_the_argument_pays_by_its_own_epsilon_and_delta(event: dict[str, Any], why: str) -> None:
    cost = cost_of(0.7, 1e-7, [gaussian(10_000), event], 1e-9)
    assert (cost.mu2, cost.reserve, cost.steps, cost.slack) == (mu2_of_pure(0.7), 0, 1, 1e-7), why


def test_every_other_event_pays_what_its_noise_does() -> None:
    cost = cost_of(1.0, 1e-6, [gaussian(10_000, 3, 5), gaussian(100, 1, 7)], 2e-9)
    assert cost.mu2 == Fraction(5 * 9 + 16, 10_000) + Fraction(7, 100)
    assert cost.reserve * 100**2 == Fraction(3, 2), "the coarser noise needs the larger reserve"
    assert (cost.steps, cost.slack) == (2, 2e-9)
    laplace = {"noise": "discrete_laplace", "scale": "10", "sensitivity": 2, "cells": 3}
    cost = cost_of(0.6, 0.0, [laplace, {"epsilon": 0.1, "delta": 1e-8}], 0.0)
    assert cost.mu2 == pytest.approx(float(3 * mu2_of_pure(0.2) + mu2_of_pure(0.1)), rel=1e-6)
    assert (cost.steps, cost.slack) == (4, 1e-8)


def test_amounts_round_against_the_spender() -> None:
    asked = privacy_cost(0.5, 1e-7, [gaussian(Fraction(10_001, 7))], 1e-9)
    cost = cost_of(0.5, 1e-7, [gaussian(Fraction(10_001, 7))], 1e-9)
    assert Fraction(asked.mu2, 10**9) >= cost.mu2 > Fraction(asked.mu2 - 1, 10**9)
    assert Fraction(asked.reserve, 10**9) >= cost.reserve
    both = asked + privacy_cost(0.5, 1e-7, [gaussian(100)], 0.0)
    assert both.reserve == max(asked.reserve, round(1.5e9 / 100**2))
    assert both.mu2 == asked.mu2 + 10_000_000


def test_an_account_has_an_end_of_steps() -> None:
    limit = Limit(10**9, 10**12)
    assert fits("gaussian", limit, Amounts(mu2=1, steps=MAX_STEPS))
    assert not fits("gaussian", limit, Amounts(mu2=1, steps=MAX_STEPS + 1))
    assert not fits("gaussian", Limit(0, 10**12), Amounts())


def test_half_of_delta_is_for_what_releases_bring_along() -> None:
    limit = Limit(10**9, 10**12)
    assert fits("gaussian", limit, Amounts(mu2=1, mu_slack=5 * 10**11, steps=1))
    assert not fits("gaussian", limit, Amounts(mu2=1, mu_slack=5 * 10**11 + 1, steps=1))


# what can be reached -----------------------------------------------------------------------------------------------------


def admitted(limit: Limit, spent: Amounts, event: dict[str, Any]) -> Amounts | None:
    """The account after one more release of this noise, or None where it is refused."""
    # where noise is too coarse, the release pays by its own guarantee: the least epsilon at which its delta is 1e-12
    sigma2 = Fraction(event["sigma2"])
    epsilon = next(e for e in np.geomspace(0.01, 1e4, 400) if delta_for_counts(sigma2, float(e), event["cells"]) <= 1e-12)
    after = spent + privacy_cost(float(epsilon), 1e-12, [event], 0.0)
    return after if fits("gaussian", limit, after) else None


def losses(event: dict[str, Any]) -> tuple[Any, Any]:
    """The losses of a discrete Gaussian whose cells move by 1, and their exact probabilities."""
    sigma2, cells = float(Fraction(event["sigma2"])), event["cells"]
    _, law = own.gaussian_law(sigma2)
    total = law
    for _ in range(cells - 1):
        total = np.convolve(total, law)
    sums = np.arange(len(total)) - len(total) // 2
    return (cells + 2 * sums) / (2 * sigma2), total


def best(limit: Limit, spent: Amounts, choices: list[dict[str, Any]], epsilon: Any, depth: int) -> Any:
    """The exact delta at each of `epsilon` that an adversary reaches with up to `depth` more releases, each chosen after the last one."""
    found = -np.expm1(np.minimum(0, epsilon))
    if depth == 0:
        return found
    for event in choices:
        after = admitted(limit, spent, event)
        if after is not None:
            loss, law = losses(event)
            keep = law > 1e-14
            later = best(limit, after, choices, (epsilon[:, None] - loss[keep]).ravel(), depth - 1).reshape(len(epsilon), -1)
            found = np.maximum(found, later @ law[keep] + law[~keep].sum())
    return found


@pytest.mark.parametrize(
    ("epsilon", "delta", "sigmas"),
    [
        (1.0, 1e-2, (1.0, 2.0, 4.0, 6.0, 9.0)),
        (2.0, 1e-3, (1.0, 2.0, 3.0, 5.0)),
        (4.0, 1e-2, (0.8, 1.2, 2.0, 2.5)),
    ],
)
def test_no_choice_after_results_exceeds_the_cap(epsilon: float, delta: float, sigmas: tuple[float, ...]) -> None:
    """Every policy of up to three releases, by dynamic programming over their exact laws, coarse noise included."""
    limit = Limit(round(epsilon * 1e9), round(delta * 1e18))
    choices = [gaussian(Fraction(sigma * sigma).limit_denominator(1000), 1, cells) for sigma in sigmas for cells in (1, 4)]
    reached = best(limit, Amounts(), choices, np.array([epsilon]), 2)[0]
    assert 0 < reached <= delta / 2, "half is kept for the deltas that releases bring along"


def test_without_the_reserve_coarse_noise_would_exceed_the_curve() -> None:
    """Two releases whose mu^2 alone fill the account: their exact delta lies above the curve, and the reserve refuses them."""
    event = gaussian(4, 1, 4)
    assert cost_of(1.0, 1e-9, [event], 0.0).mu2 == 1, "not too coarse to be priced as Gaussian noise"
    found = []
    for epsilon in np.linspace(0.5, 3, 100):
        curve = gaussian_delta(Fraction(1), float(epsilon))
        found.append(own.exact_delta(4.0, 4, float(epsilon)) / curve)
        limit = Limit(round(epsilon * 1e9), round(2 * curve * (1 + 1e-9) * (1 + 3e-5) * 1e18))
        assert admitted(limit, Amounts(), event) is None
    assert max(found) > 1.02


def test_an_account_admits_more_gaussian_releases_than_by_zcdp(tmp_path: Path) -> None:
    """Histograms of epsilon 0.1 and delta 1e-8 in a cap of epsilon 1 and delta 1e-6."""
    counts = {}
    sigma2 = Fraction(48**2)
    delta = delta_for_counts(sigma2, 0.1, 1)
    event = {"events": [gaussian(sigma2)], "extra_delta": 1e-12}
    for composition in ("basic", "zcdp", "gaussian"):
        ledger = Ledger(tmp_path / composition)
        ledger.open_account("a", "u", 1.0, 1e-6, composition=composition)
        for number in range(400):
            try:
                ledger.spend(["a"], f"r{number}", 0.1, delta, event, "k")
            except BudgetError:
                counts[composition] = number
                break
        assert ledger.verify() == counts[composition] + 2
        ledger.close()
    assert counts["basic"] == 10
    assert counts["gaussian"] > 1.1 * counts["zcdp"] > counts["basic"]
    most = max(n for n in range(1, 400) if own.gaussian_delta(math.sqrt(n) / 48, 1.0) <= 0.5e-6)
    assert most - 3 <= counts["gaussian"] <= most


def test_epsilon_at_delta_undoes_the_curve() -> None:
    for mu2 in (Fraction(1, 1000), Fraction(1, 20), Fraction(3)):
        epsilon = gaussian_epsilon(mu2, 1e-9, 1e-6)
        assert gaussian_delta(mu2, epsilon) * (1 + 2e-5) + 1e-9 <= 1e-6
        assert gaussian_delta(mu2, epsilon * (1 - 1e-4)) + 1e-9 > 1e-6 * (1 - 1e-4)
    assert gaussian_epsilon(Fraction(1), 1e-6, 1e-6) == math.inf
