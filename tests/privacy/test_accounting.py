"""Composition: never below what is true, close to it, and refused where it cannot be told."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from dp_accounting.pld import privacy_loss_distribution as distributions
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from pellucid.errors import PrivacyError
from pellucid.privacy.accounting import composition
from pellucid.privacy.accounting.composition import checked_events, loss_delta, loss_epsilon, rho_of, zcdp_delta, zcdp_epsilon
from pellucid.privacy.mechanisms import gram, histogram, mean
from pellucid.privacy.noise.calibration import REACH, delta_for_counts


def gaussian(sigma2: Fraction, cells: int = 1, sensitivity: int = 1) -> dict[str, Any]:
    return {"noise": "discrete_gaussian", "sigma2": str(sigma2), "sensitivity": sensitivity, "cells": cells}


def laplace(scale: Fraction, cells: int = 1, sensitivity: int = 1) -> dict[str, Any]:
    return {"noise": "discrete_laplace", "scale": str(scale), "sensitivity": sensitivity, "cells": cells}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 60), st.floats(0.05, 3.0))
def test_one_gaussian_costs_what_its_exact_accounting_says(quarter: int, cells: int, epsilon: float) -> None:
    sigma2 = Fraction(quarter, 4)
    assume(sigma2 * 16 >= cells)  # beyond that the loss is in the hundreds, and refused
    exact = delta_for_counts(sigma2, epsilon, cells)
    found = loss_delta([gaussian(sigma2, cells)], 0.0, epsilon)
    assert found >= exact * (1 - 1e-9)
    assert found <= delta_for_counts(sigma2, epsilon - 1.1e-4, cells) * (1 + 1e-5) + 2e-12  # losses are rounded up to 1e-4


@pytest.mark.parametrize(
    ("sigma2", "cells", "sensitivity", "times"), [(400, 1, 1, 50), (900, 15, 1, 10), (4_000_000, 4, 256, 3), (3, 1, 1, 4)]
)
def test_many_gaussians_cost_as_much_as_the_continuous_ones(sigma2: int, cells: int, sensitivity: int, times: int) -> None:
    """Balle and Wang 2018, Theorem 8, with the noise multiplier of all of them together; the discrete
    Gaussian's own delta departs from that by its steps, 1 % at sigma = 1.7."""
    multiplier = math.sqrt(sigma2 / (cells * times)) / sensitivity
    epsilon = loss_epsilon([gaussian(Fraction(sigma2), cells, sensitivity)] * times, 0.0, 1e-6)
    delta = stats.norm.cdf(1 / (2 * multiplier) - epsilon * multiplier) - math.exp(epsilon) * stats.norm.cdf(
        -1 / (2 * multiplier) - epsilon * multiplier
    )
    assert 0.9e-6 < delta < 1.02e-6


def test_laplace_noise_costs_what_dp_accounting_says() -> None:
    one = distributions.from_discrete_laplace_mechanism(0.1, 1)
    assert loss_epsilon([laplace(Fraction(10))] * 20, 0.0, 1e-6) == pytest.approx(
        one.self_compose(20).get_epsilon_for_delta(1e-6), rel=1e-3
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(range(5)), min_size=1, max_size=12), st.sampled_from([1e-4, 1e-6, 1e-9]))
def test_exact_composition_beats_the_others_and_never_the_truth(chosen: list[int], delta: float) -> None:
    kinds = [
        gaussian(Fraction(100)),
        gaussian(Fraction(2500), 15),
        laplace(Fraction(5)),
        laplace(Fraction(40), 3),
        {"epsilon": 0.3, "delta": 1e-12},
    ]
    events = [kinds[kind] for kind in chosen]
    slack = 1e-12 * chosen.count(4)
    exact = loss_epsilon(events, 0.0, delta)
    assert exact <= zcdp_epsilon(sum(map(rho_of, events), start=Fraction(0)), slack, delta) * (1 + 1e-3) + 1e-3
    assert exact >= max(loss_epsilon([event], 0.0, delta) for event in events) - 1e-3


def test_order_and_grouping_of_events_do_not_matter() -> None:
    events = [gaussian(Fraction(100)), laplace(Fraction(5)), gaussian(Fraction(100)), {"epsilon": 0.3, "delta": 1e-9}]
    assert loss_epsilon(events, 1e-9, 1e-6) == loss_epsilon(events[::-1], 1e-9, 1e-6)


def test_extra_delta_is_taken_off_delta_first() -> None:
    one = [gaussian(Fraction(100))]
    assert loss_epsilon(one, 1e-6, 1e-6) == math.inf
    assert loss_epsilon(one, 5e-7, 1e-6) == pytest.approx(loss_epsilon(one, 0.0, 5e-7), rel=1e-4)
    assert zcdp_epsilon(Fraction(1, 100), 1e-6, 1e-6) == math.inf
    assert zcdp_delta(Fraction(1, 100), 1.0, 1.0) == 1.0


def test_zcdp_agrees_with_its_closed_form() -> None:
    """Bun and Steinke 2016, Proposition 1.3: rho + 2 sqrt(rho log(1/delta)), which the tighter conversion stays below."""
    for rho in (Fraction(1, 1000), Fraction(1, 10), Fraction(2)):
        classic = float(rho) + 2 * math.sqrt(float(rho) * math.log(1e6))
        assert 0.7 * classic < zcdp_epsilon(rho, 0.0, 1e-6) < classic


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"epsilon": math.nan, "delta": 0.0},
        {"epsilon": -1, "delta": 0.0},
        {"epsilon": 1, "delta": 2},
        {"epsilon": 1},
        {"noise": "discrete_gaussian", "sigma2": "0", "sensitivity": 1, "cells": 1},
        {"noise": "discrete_gaussian", "sigma2": "-1/2", "sensitivity": 1, "cells": 1},
        {"noise": "discrete_gaussian", "sigma2": "1/0", "sensitivity": 1, "cells": 1},
        {"noise": "discrete_gaussian", "sigma2": "1", "sensitivity": 0, "cells": 1},
        {"noise": "discrete_gaussian", "sigma2": "1", "sensitivity": 1},
        {"noise": "gaussian", "sigma2": "1", "sensitivity": 1, "cells": 1},
        {"noise": "discrete_laplace", "scale": "ten", "sensitivity": 1, "cells": 1},
        {"epsilon": 1, "delta": 0, "discount": 1},
    ],
)  # fmt: skip
def test_an_event_that_cannot_be_accounted_for_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(PrivacyError):
        checked_events({"events": [event]}, 1.0, 1e-6)


def test_without_events_the_guarantee_itself_is_the_event() -> None:
    assert checked_events({}, 0.5, 1e-6) == (({"epsilon": 0.5, "delta": 1e-6},), 0.0)
    for wrong in ({"events": []}, {"events": "x"}, {"events": [1]}, {"events": [{"epsilon": 1, "delta": 0}], "extra_delta": -1}):
        with pytest.raises(PrivacyError):
            checked_events(wrong, 0.5, 1e-6)


@pytest.mark.parametrize(
    "mechanism",
    [gram("item", max_contributions=5), histogram("item", max_contributions=3), mean(["x", "y"])],
    ids=lambda m: m.name,
)
def test_the_events_of_a_mechanism_account_for_its_own_guarantee(mechanism: Any) -> None:
    """The accountant, given a mechanism's events, must find the epsilon and delta that the mechanism declares, and not much less."""
    for epsilon, delta in ((0.5, 1e-6), (2.0, 1e-8)):
        events, extra = checked_events(mechanism.guarantee(epsilon, delta), epsilon, delta)
        found = loss_epsilon(events, extra, delta)
        assert found <= epsilon * (1 + 1e-3)  # losses are rounded up to the grid
        assert found >= epsilon * (0.99 if mechanism.name != "mean" else 0.8)  # mean is calibrated by zCDP


def test_noise_too_small_to_account_for_is_refused() -> None:
    with pytest.raises(PrivacyError, match="too small to account for"):
        loss_epsilon([gaussian(Fraction(1, 4), 1000)], 0.0, 1e-6)


@pytest.mark.parametrize(("sigma2", "sensitivity", "cells"), [(Fraction(9), 1, 1), (Fraction(400), 2, 3)])
def test_what_the_losses_leave_out_counts_as_an_infinite_loss(sigma2: Fraction, sensitivity: int, cells: int) -> None:
    """Beyond `REACH` standard deviations nothing is summed: at least the tails of the normal law there are charged in full."""
    found = composition._gaussian_losses(sigma2, sensitivity, cells)
    assert found._infinity_mass >= 2 * stats.norm.sf(REACH) > 0
