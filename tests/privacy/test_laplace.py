"""The discrete Laplace sampler: its law, its pure epsilon, its tail, and OpenDP as the oracle."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction
from itertools import pairwise

import mechanism_checks as every
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pellucid.errors import PrivacyError
from pellucid.privacy.noise.laplace import DiscreteLaplace, _table, laplace
from pellucid.privacy.noise.stream import Stream

KEY = every.KEY
SIGMAS = [0.5, 1.0, 3.0, 16.6, 300.0, 10_000.0]


@pytest.mark.parametrize("sigma", SIGMAS)
def test_draws_fit_the_exact_discrete_laplace(sigma: float) -> None:
    noise = laplace(math.acosh(1 + 1 / sigma**2), 1)  # the variance is 1 / (cosh(e) - 1)
    assert noise.sigma == pytest.approx(sigma, rel=0.05)
    assert every.laplace_chi_squared(noise) > 1e-4


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_draws_fit_those_of_opendp_and_so_does_the_privacy_map(scale: float) -> None:
    import opendp.prelude as dp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dp.enable_features("contrib")
        peer = dp.m.make_laplace(dp.vector_domain(dp.atom_domain(T="i32")), dp.l1_distance(T="i32"), scale=scale)
        theirs = np.array(peer([0] * 20_000))
    noise = laplace(1 / scale, 1)
    assert noise.epsilon <= peer.map(1) <= noise.epsilon * 1.01
    ours = noise.draw(Stream(KEY), 200_000)
    bins = np.arange(-round(4 * scale), round(4 * scale) + 1) - 0.5
    table = np.array([np.histogram(np.clip(values, bins[0], bins[-1] - 1e-9), bins)[0] for values in (ours, theirs)])
    assert stats.chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue > 1e-4


@given(epsilon=st.floats(1e-4, 15), distance=st.integers(1, 50))
@settings(max_examples=40, deadline=None)
def test_the_stated_epsilon_bounds_every_ratio_exactly_and_is_what_was_asked_for(epsilon: float, distance: int) -> None:
    try:
        noise = laplace(epsilon, distance)
    except PrivacyError:
        assert epsilon / distance < 6e-6
        return
    assert Fraction(noise.epsilon) * distance <= Fraction(epsilon)
    assert noise.epsilon * distance > 0.9 * epsilon or noise.halvings == 32
    entries, around = _table(noise.steps, noise.halvings).entries, 1 << noise.halvings
    assert sum(entries) == 1 << 256
    steps = list(pairwise(entries))
    steps += [(entries[noise.steps - 1], around * entries[0]), (entries[noise.steps], around * entries[-1])]
    worst = max(max(Fraction(a, b), Fraction(b, a)) for a, b in steps[:: max(1, len(steps) // 500)] + steps[-2:])
    assert float(worst - 1) <= math.expm1(noise.epsilon) * (1 + 1e-12)
    assert Fraction(1) / noise.scale >= Fraction(noise.epsilon)


@pytest.mark.parametrize("noise", [DiscreteLaplace(1, 7), DiscreteLaplace(16, 23), DiscreteLaplace(208, 1)])
def test_the_tail_is_that_of_the_draws_and_of_the_exact_law(noise: DiscreteLaplace) -> None:
    q = 2.0 ** (-noise.halvings / noise.steps)
    for threshold in (-300, -5, -1, 0, 1, 2, 17, 300):
        exact = q**threshold / (1 + q) if threshold > 0 else 1 - q ** (1 - threshold) / (1 + q)
        assert noise.tail(threshold) == pytest.approx(exact, rel=1e-9)
    assert noise.tail(10**9) >= 0.0


def test_draws_go_on_beyond_the_table_and_beyond_a_word() -> None:
    noise = DiscreteLaplace(3, 32)
    assert noise._beyond(np.array([0, 1 << 31, 1 << 63], dtype=np.uint64), Stream(KEY)).tolist() == [2, 1, 0]
    one = DiscreteLaplace(5, 1)
    assert np.abs(one.draw(Stream(KEY), 400_000)).max() > 50
    assert (one.geometric(Stream(KEY), 10_000) >= 0).all()


def test_a_draw_is_a_function_of_its_place_in_the_stream() -> None:
    noise = laplace(0.1, 1)
    whole, stream = noise.draw(Stream(KEY), 200_000), Stream(KEY)
    assert np.array_equal(whole, np.concatenate([noise.draw(stream, 70_001), noise.draw(stream, 129_999)]))


def test_noise_that_is_not_offered_is_refused() -> None:
    for make in (lambda: laplace(1e-9, 1), lambda: DiscreteLaplace(0, 1), lambda: DiscreteLaplace(1, 64)):
        with pytest.raises(PrivacyError):
            make()
