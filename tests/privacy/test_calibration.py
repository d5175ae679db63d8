"""How much noise: against Google's accountant, against brute force, and refusals."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from pellucid.errors import PrivacyError
from pellucid.privacy.mechanisms import gram, histogram, mean
from pellucid.privacy.noise.calibration import delta_for_counts, delta_for_l2, sigma_for_counts, sigma_for_l2
from pellucid.privacy.noise.gaussian import DiscreteGaussian


def brute(sigma2: float, epsilon: float, shifts: tuple[int, ...], reach: int) -> float:
    """The hockey-stick divergence between draws and shifted draws, by summing over the whole grid of outcomes."""
    x = np.arange(-reach, reach + 1).astype(float)
    law = np.exp(-x * x / (2 * sigma2))
    norm = law.sum()
    p, q = np.ones(()), np.ones(())
    for shift in shifts:
        p = np.multiply.outer(p, law / norm)
        q = np.multiply.outer(q, np.exp(-((x - shift) ** 2) / (2 * sigma2)) / norm)
    return float(np.maximum(p - math.exp(epsilon) * q, 0).sum())


@pytest.mark.parametrize("sigma2", [Fraction(1, 4), Fraction(1), Fraction(4), Fraction(9)])
@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0])
def test_delta_is_that_of_brute_force_and_never_below(sigma2: Fraction, epsilon: float) -> None:
    for cells, reach in ((1, 60), (2, 45), (3, 30)):
        exact = brute(float(sigma2), epsilon, (1,) * cells, reach)
        ours = delta_for_counts(sigma2, epsilon, cells)
        assert exact * (1 - 1e-9) <= ours <= exact * 1.001 + 1e-14


def test_fewer_cells_other_signs_and_the_other_direction_lose_no_more() -> None:
    full = delta_for_counts(Fraction(4), 0.7, 3)
    for shifts in itertools.product((-1, 0, 1), repeat=3):
        assert brute(4.0, 0.7, shifts, 30) <= full


@pytest.mark.parametrize(("cells", "epsilon", "delta"), [(1, 1.0, 1e-6), (5, 0.5, 1e-6), (15, 1.0, 1e-6), (15, 4.0, 1e-9)])
def test_delta_lies_between_the_two_bounds_of_googles_accountant(cells: int, epsilon: float, delta: float) -> None:
    from dp_accounting.pld import privacy_loss_distribution as pld

    sigma2 = sigma_for_counts(epsilon, delta, cells)
    ours = delta_for_counts(sigma2, epsilon, cells)
    assert ours <= delta
    bounds = []
    for pessimistic in (False, True):
        one = pld.from_discrete_gaussian_mechanism(
            math.sqrt(sigma2), value_discretization_interval=5e-5, pessimistic_estimate=pessimistic
        )
        bounds.append(one.self_compose(cells).get_delta_for_epsilon(epsilon))
    assert bounds[0] * (1 - 1e-6) <= ours <= bounds[1] * (1 + 1e-5)
    assert ours <= 1.01 * bounds[1]
    assert bounds[1] <= 1.03 * bounds[0]  # the oracle is sharp enough for the sandwich to mean something


@pytest.mark.parametrize("cells", [1, 2, 15, 1275])
def test_the_least_noise_on_the_grid_is_taken(cells: int) -> None:
    sigma2 = sigma_for_counts(1.0, 1e-6, cells)
    assert delta_for_counts(sigma2, 1.0, cells) <= 1e-6
    assert delta_for_counts(sigma2 * Fraction(510, 512), 1.0, cells) > 1e-6
    assert sigma2.denominator & (sigma2.denominator - 1) == 0


def test_the_two_laws_of_the_sum_agree_where_they_meet() -> None:
    from pellucid.privacy.noise.calibration import _convolved_delta, _smooth_delta

    for cells, epsilon in itertools.product((1, 2, 3, 15, 100), (0.1, 1.0, 5.0)):
        exact = _convolved_delta(4.0, epsilon, cells)
        assert exact * (1 - 1e-9) - 1e-15 <= _smooth_delta(4.0, epsilon, cells) <= exact * (1 + 1e-6) + 1e-15


def test_terms_in_blocks_bound_the_sum_from_above_and_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.privacy.noise import calibration

    fine = calibration._smooth_delta(1e4, 0.4, 15)
    monkeypatch.setattr(calibration, "FINE", 100)
    assert fine <= calibration._smooth_delta(1e4, 0.4, 15) <= 1.2 * fine


def test_sums_by_zcdp_are_close_to_the_exact_accounting_and_above() -> None:
    for epsilon, cells in ((0.5, 15), (1.0, 15), (4.0, 3)):
        sigma2 = sigma_for_l2(epsilon, 1e-6, cells)
        assert delta_for_l2(sigma2, epsilon, cells) <= 1e-6
        assert 1.0 <= math.sqrt(sigma2 / sigma_for_counts(epsilon, 1e-6, cells)) < 1.12
        assert delta_for_counts(sigma2, epsilon, cells) <= 1e-6


def test_zcdp_bounds_the_gaussian_mechanisms_exact_delta() -> None:
    from scipy.stats import norm

    for mu, epsilon in ((0.2, 1.0), (1.0, 3.0), (0.05, 0.1)):
        exact = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
        assert exact <= delta_for_l2(Fraction(1 / mu**2), epsilon, 1) <= 10 * exact


BAD_EPSILON: list[Any] = [0, -1, 0.0, math.nan, math.inf, -math.inf, 5e-324, 1e-320, 101, 10**400, True, "1", None, 1j, [1]]
BAD_DELTA: list[Any] = [0, -1e-6, 1, 1.0, 2, math.nan, math.inf, 5e-324, 1e-16, False, "1e-6", None]


@pytest.mark.parametrize("mechanism", [gram("item"), histogram("item"), mean(["x"])], ids=lambda m: m.name)
def test_unusable_parameters_are_refused_in_one_line(mechanism: Any) -> None:
    for epsilon, delta in [*((value, 1e-6) for value in BAD_EPSILON), *((1.0, value) for value in BAD_DELTA)]:
        with pytest.raises(PrivacyError) as caught:
            mechanism.guarantee(epsilon, delta)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("epsilon", [0.05, 0.5, 1.0, 4.0, 20.0, 100.0])
@pytest.mark.parametrize("delta", [1e-12, 1e-6, 0.1])
def test_the_parts_of_delta_add_up_to_no_more_than_delta(epsilon: float, delta: float) -> None:
    for mechanism in (gram("item"), gram("item", max_contributions=1), histogram("item", max_contributions=20)):
        parts = mechanism.plan(epsilon, delta)
        assert parts.delta_counts + parts.delta_threshold + parts.delta_sampler <= delta
        cap = mechanism.max_contributions
        assert cap * DiscreteGaussian(parts.sigma2).tail(parts.threshold - 1) == parts.delta_threshold <= 0.25 * delta
        assert cap * DiscreteGaussian(parts.sigma2).tail(parts.threshold - 2) > 0.2499 * delta  # no lower threshold would do
    total = mean(["x", "y"]).guarantee(epsilon, delta)["delta_parts"]
    assert sum(total.values()) <= delta * (1 + 1e-12)
