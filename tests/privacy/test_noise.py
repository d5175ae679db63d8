"""The keyed stream and the discrete Gaussian drawn from it."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction
from itertools import pairwise

import numpy as np
import privacy_checks as checks
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pellucid.errors import PrivacyError
from pellucid.privacy.noise.gaussian import BITS, DiscreteGaussian, _table
from pellucid.privacy.noise.stream import Stream

SIGMAS2 = [Fraction(1, 4), Fraction(1), Fraction(551, 2), Fraction(300**2), Fraction(10**8)]


@given(portions=st.lists(st.integers(0, 40_000), max_size=6))
@settings(max_examples=20, deadline=None)
def test_words_come_in_one_order_however_they_are_asked_for(portions: list[int]) -> None:
    whole, parts = Stream(checks.KEY).words(sum(portions)), Stream(checks.KEY)
    assert np.array_equal(whole, np.concatenate([np.zeros(0, np.uint64), *[parts.words(size) for size in portions]]))


def test_the_stream_is_aes_ctr_under_the_derived_key() -> None:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    from pellucid.privacy.secret_keys import derive

    cipher = Cipher(algorithms.AES(derive(checks.KEY, "stream/words")), modes.CTR(bytes(16))).encryptor()
    assert Stream(checks.KEY).words(1000).astype("<u8").tobytes() == cipher.update(bytes(8000))


def test_forks_share_no_words_with_each_other_or_their_parent() -> None:
    parent = Stream(checks.KEY)
    streams = [parent, parent.fork("a"), parent.fork("b"), parent.fork("a").fork("b"), parent.fork("a/b")]
    words = np.concatenate([stream.words(20_000) for stream in streams])
    assert len(np.unique(words)) == len(words)
    assert np.array_equal(parent.fork("a").words(9), Stream(checks.KEY).fork("a").words(9))
    assert "00" not in repr(parent)


@pytest.mark.parametrize("sigma2", SIGMAS2)
def test_draws_fit_the_exact_discrete_gaussian(sigma2: Fraction) -> None:
    assert checks.chi_squared(sigma2) > 1e-4


@pytest.mark.parametrize("sigma", [0.5, 3.0, 16.6])
def test_draws_fit_those_of_opendp(sigma: float) -> None:
    import opendp.prelude as dp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dp.enable_features("contrib")
        peer = dp.m.make_gaussian(dp.vector_domain(dp.atom_domain(T="i32")), dp.l2_distance(T="i32"), scale=sigma)
        theirs = np.array(peer([0] * 20_000))
    ours = DiscreteGaussian(Fraction(sigma).limit_denominator(100) ** 2).draw(Stream(checks.KEY), 200_000)
    bins = np.arange(-round(2 * sigma) - 1, round(2 * sigma) + 2) - 0.5
    table = np.array([np.histogram(np.clip(values, bins[0], bins[-1] - 1e-9), bins)[0] for values in (ours, theirs)])
    assert stats.chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue > 1e-4


@pytest.mark.parametrize("sigma2", SIGMAS2[:4])
def test_the_table_is_symmetric_and_within_its_stated_error_of_the_exact_law(sigma2: Fraction) -> None:
    from decimal import Decimal, localcontext

    entries = [int.from_bytes(row.astype(">u8").tobytes(), "big") for row in _table(sigma2).entries]
    assert all(low + high == 1 << BITS for low, high in zip(entries, reversed(entries), strict=True))
    assert all(low <= high for low, high in pairwise(entries))
    with localcontext() as context:  # an independent computation at 150 digits
        context.prec = 150
        half, ratio = len(entries) // 2, Decimal(sigma2.denominator) / Decimal(2 * sigma2.numerator)
        reach = DiscreteGaussian(sigma2).cut + 40
        weights = [(-ratio * x * x).exp() for x in range(reach + 1)]
        total = weights[0] + 2 * sum(weights[1:])
        below = sum(weights[half + 1 :])
        distance = Decimal(0)
        for place in range(half):
            below += weights[half - place]
            distance = max(distance, abs(below / total - Decimal(entries[place]) / (1 << BITS)))
    assert distance * 2 * half <= Decimal(DiscreteGaussian(sigma2).distance)


def test_inversion_compares_all_256_bits() -> None:
    noise = DiscreteGaussian(Fraction(1))
    entries = [int.from_bytes(row.astype(">u8").tobytes(), "big") for row in _table(noise.sigma2).entries]
    half = len(entries) // 2
    values = [0, (1 << BITS) - 1, *[entry + step for entry in entries for step in (-1, 0, 1)]]
    words = np.array([[value >> 64 * (3 - word) & (1 << 64) - 1 for word in range(4)] for value in values], dtype=np.uint64)
    expected = [sum(entry <= value for entry in entries) - half for value in values]
    assert noise.invert(words).tolist() == expected


@pytest.mark.parametrize("sigma2", [Fraction(1, 4), Fraction(551, 2)])
def test_the_tail_is_that_of_the_draws_and_of_the_exact_law(sigma2: Fraction) -> None:
    noise = DiscreteGaussian(sigma2)
    x = np.arange(-noise.cut, noise.cut + 1)
    weights = np.exp(-(x.astype(float) ** 2) / (2 * float(sigma2)))
    for threshold in (-3, 0, 1, 2, int(4 * noise.sigma)):
        exact = weights[x >= threshold].sum() / weights.sum()
        assert noise.tail(threshold) == pytest.approx(exact, rel=1e-9)
    assert noise.tail(noise.cut + 1) == 0.0
    assert noise.tail(-noise.cut - 1) == 1.0


def test_the_distance_is_far_below_any_delta() -> None:
    assert all(DiscreteGaussian(sigma2).distance * 10_000 * math.exp(100) < 1e-20 for sigma2 in SIGMAS2)


def test_a_draw_is_a_function_of_its_place_in_the_stream() -> None:
    noise = DiscreteGaussian(Fraction(100))
    whole, stream = noise.draw(Stream(checks.KEY), 200_000), Stream(checks.KEY)
    assert np.array_equal(whole, np.concatenate([noise.draw(stream, 70_001), noise.draw(stream, 129_999)]))


@pytest.mark.parametrize("sigma2", [0.25, Fraction(1, 8), Fraction(10**9), 1])
def test_a_sigma_that_is_not_offered_is_refused(sigma2: object) -> None:
    with pytest.raises(PrivacyError):
        DiscreteGaussian(sigma2)  # type: ignore[arg-type]
