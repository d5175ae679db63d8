"""What must be true of every frequency oracle: its exact privacy, its variance, its choice."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from local_checks import (
    audit_breach,
    grr_distributions,
    hadamard_distributions,
    key,
    olh_breaches,
    ratio_breaches,
    subset_distributions,
    unary_distributions,
)

from pellucid.errors import PrivacyError
from pellucid.privacy.local import ORACLES, candidates, consistent, estimate, variance
from pellucid.privacy.local.oracles import choose, oracle
from pellucid.privacy.local.oracles.dyadic import log_up
from pellucid.privacy.local.oracles.olh import Olh
from pellucid.privacy.local.oracles.rappor import Rappor
from pellucid.privacy.noise.stream import Stream

EPSILONS = (0.5, 1.0, 2.0, 4.0)
NAMES = sorted(ORACLES)


def exact_breaches(name: str, perturb: Any, size: int, epsilon: float, epsilon_asked: float) -> list[str]:
    if name == "subset":
        return ratio_breaches(subset_distributions(oracle(name, size, epsilon_asked), perturb), epsilon)
    if name == "grr":
        return ratio_breaches(grr_distributions(perturb, size), epsilon)
    if name == "hadamard":
        return ratio_breaches(hadamard_distributions(perturb, size, 1 << (size - 1).bit_length()), epsilon)
    if name == "olh":
        return olh_breaches(perturb, size, epsilon)
    return ratio_breaches(unary_distributions(perturb, size), epsilon)


@pytest.mark.quick(6)
@pytest.mark.parametrize("epsilon", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "rappor"])
def test_no_report_tells_two_values_apart_by_more_than_declared(name: str, epsilon: float) -> None:
    chosen = oracle(name, 5, epsilon)
    assert chosen.epsilon <= epsilon
    assert exact_breaches(name, chosen.perturb, 5, chosen.epsilon, epsilon) == []


@pytest.mark.quick(1)
@pytest.mark.parametrize("epsilon", [0.5, 1.0, 4.0])
def test_the_kept_response_of_rappor_bounds_all_its_reports(epsilon: float) -> None:
    chosen = Rappor(4, epsilon)
    kept = unary_distributions(chosen.permanent, 4)
    assert ratio_breaches(kept, chosen.epsilon) == []
    assert chosen.once < chosen.epsilon <= epsilon
    # two reports of one kept response, exactly: mixtures over the kept bits
    fresh = Fraction(chosen.fresh, 1 << 16)
    for first in range(16):
        for second in range(16):
            masses = [
                sum(
                    mass * math.prod(fresh if (one ^ k[0]) >> b & 1 else 1 - fresh for one in (first, second) for b in range(4))
                    for k, mass in found.items()
                )
                for found in kept
            ]
            assert math.log(max(masses) / min(masses)) <= chosen.epsilon


@pytest.mark.parametrize("name", ["grr", "subset"])
def test_probabilities_are_those_declared(name: str) -> None:
    chosen = oracle(name, 6, 1.0)
    exact = grr_distributions(chosen.perturb, 6) if name == "grr" else subset_distributions(chosen, chosen.perturb)
    for code, found in enumerate(exact):
        assert sum(found.values()) == 1
        share = [Fraction(0)] * 6
        for report, mass in found.items():
            support = chosen.aggregate(np.frombuffer(report, dtype=np.uint8).reshape(1, -1))
            share = [one + mass * int(s) for one, s in zip(share, support, strict=True)]
        for value in range(6):
            declared = chosen.p if value == code else chosen.q
            assert share[value] == declared if name == "grr" else abs(share[value] / declared - 1) < Fraction(1, 1 << 20)


@given(st.integers(2, 3000), st.floats(0.01, 8.0), st.sampled_from(NAMES))
@settings(max_examples=300, deadline=None)
def test_the_declared_epsilon_is_at_most_the_one_asked_and_close_to_it(size: int, epsilon: float, name: str) -> None:
    try:
        chosen = oracle(name, size, epsilon)
    except PrivacyError:
        assert name == "subset"
        return
    assert 0 <= chosen.epsilon <= epsilon
    assert chosen.epsilon >= epsilon - 0.06 * max(1.0, epsilon)
    assert 0 < chosen.q < chosen.p < 1


@given(st.fractions(min_value=1, max_value=10**6))
@settings(deadline=None)
def test_logarithms_are_rounded_up(ratio: Fraction) -> None:
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = 80
        exact = (Decimal(ratio.numerator) / Decimal(ratio.denominator)).ln()
        found = log_up(ratio)
        assert Decimal(found) >= exact - Decimal("1e-70")
        assert Decimal(math.nextafter(found, -1)) <= exact * (1 + Decimal("1e-49")) or found == 0


def ratio_to_theory(name: str, size: int, epsilon: float, seeds: int, clients: int) -> float:
    chosen = oracle(name, size, epsilon)
    weights = 1 / (1 + np.arange(size))
    codes = np.repeat(np.arange(size), np.rint(clients * weights / weights.sum()).astype(int))
    truth = np.bincount(codes, minlength=size) / len(codes)
    theory = variance(float(chosen.p), float(chosen.q), truth).mean()
    error = 0.0
    for seed in range(seeds):
        reports = chosen.perturb(codes, Stream(key(seed + 77)))
        assert chosen.valid(reports).all()
        found = estimate(chosen, chosen.aggregate(reports), len(codes))
        error += len(codes) * float(((found.frequencies - truth) ** 2).mean())
    return error / seeds / theory


@pytest.mark.quick(1)
@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("name", NAMES)
def test_variance_is_that_of_theory_over_10_values(name: str, epsilon: float) -> None:
    assert 0.9 < ratio_to_theory(name, 10, epsilon, 600, 1000) < 1.1


@pytest.mark.quick(8)
@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("name", [name for name in NAMES if name != "subset"])
def test_variance_is_that_of_theory_over_1000_values(name: str, epsilon: float) -> None:
    assert 0.9 < ratio_to_theory(name, 1000, epsilon, 20, 4000) < 1.1


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_variances_are_the_published_ones(epsilon: float) -> None:
    e, d = math.exp(epsilon), 1000
    published = {
        "grr": (e + d - 2) / (e - 1) ** 2,
        "oue": 4 * e / (e - 1) ** 2,
        "sue": math.sqrt(e) / (math.sqrt(e) - 1) ** 2,
        "hadamard": ((e + 1) / (e - 1)) ** 2,
    }
    for name, wanted in published.items():
        chosen = oracle(name, d, epsilon)
        assert variance(float(chosen.p), float(chosen.q), 0.0) == pytest.approx(wanted, rel=2e-3)
    chosen = Olh(d, epsilon)
    assert variance(float(chosen.p), float(chosen.q), 0.0) == pytest.approx(published["oue"], rel=0.05)


def test_error_bars_cover_the_truth_as_often_as_they_say() -> None:
    chosen, codes = oracle("oue", 200, 1.0), np.repeat(np.arange(200), 50)
    inside = []
    for seed in range(20):
        found = estimate(chosen, chosen.aggregate(chosen.perturb(codes, Stream(key(seed)))), len(codes))
        inside.append(np.abs(found.frequencies - 1 / 200) < 1.96 * found.errors)
    assert 0.94 < np.mean(inside) < 0.96


@pytest.mark.parametrize("name", NAMES)
def test_black_box_audit_does_not_refute_the_declared_epsilon(name: str) -> None:
    chosen = oracle(name, 4, 1.0)
    view = chosen.perturb if name != "olh" else bucket_given_hash(chosen)
    assert audit_breach(view, (0, 3), chosen.epsilon, 40_000, 1) <= 0


def bucket_given_hash(chosen: Any) -> Any:
    """What an adversary of OLH looks at: which of two values the report supports."""

    def view(codes: Any, stream: Any) -> Any:
        reports = chosen.perturb(codes, stream)
        seed, bucket = chosen._split(reports)
        hashed = [chosen._mixed(seed, np.full(len(codes), v, dtype=np.uint32)) >> np.uint32(16) for v in (0, 3)]
        same = [((h * np.uint32(chosen.buckets)) >> np.uint32(16)) == bucket for h in hashed]
        return (same[0] + 2 * same[1]).astype(np.uint8).reshape(-1, 1)

    return view


@pytest.mark.parametrize("name", NAMES)
def test_no_report_in_20000_draws_is_possible_for_one_value_only(name: str) -> None:
    """The precision attack: reports are whole numbers from one finite set, and each is possible for every value."""
    chosen = oracle(name, 4, 2.0)
    view = chosen.perturb if name != "olh" else bucket_given_hash(chosen)
    seen = [{bytes(row) for row in view(np.full(20_000, value), Stream(key(value + 9)))} for value in (0, 3)]
    assert view(np.zeros(3, dtype=int), Stream(key(1))).dtype == np.uint8
    assert seen[0] == seen[1]


def test_the_oracle_chosen_has_the_least_variance() -> None:
    assert choose(3, 1.0).name == "grr"
    assert choose(10, 1.0).name == "subset"
    assert choose(1000, 4.0).name == "olh"
    for size in (2, 10, 64, 1000):
        for epsilon in EPSILONS:
            found = candidates(size, epsilon)
            assert found[0].variance <= 1.01 * min(one.variance for one in found)
    with pytest.raises(PrivacyError, match="epsilon"):
        choose(10, math.nan)
    with pytest.raises(PrivacyError, match="size"):
        choose(1, 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_value_outside_the_domain_is_refused_without_being_shown(name: str) -> None:
    chosen = oracle(name, 10, 1.0)
    for bad in ([10], [-1], [0, 987654]):
        with pytest.raises(PrivacyError, match="never declared") as refused:
            chosen.perturb(np.array(bad), Stream(key(0)))
        assert "987654" not in str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_reports_do_not_depend_on_how_many_are_made_at_once(name: str) -> None:
    chosen, codes = oracle(name, 20, 1.0), np.arange(3000) % 20
    if name == "rappor":
        return
    whole, stream = chosen.perturb(codes, Stream(key(3))), Stream(key(3))
    parts = [chosen.perturb(codes[start : start + 700], stream) for start in range(0, 3000, 700)]
    assert (whole == np.concatenate(parts)).all()


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=50), st.sampled_from(["norm-sub", "simplex", "clip"]))
def test_consistent_estimates_are_frequencies(values: list[float], method: str) -> None:
    found = consistent(np.array(values), method)
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)
    if method != "clip":
        order = np.argsort(values, kind="stable")
        assert (np.diff(found[order]) >= -1e-12).all()


def test_consistency_brings_estimates_nearer_to_the_truth() -> None:
    chosen, codes = oracle("olh", 1000, 1.0), np.repeat(np.arange(10), 500)
    truth = np.bincount(codes, minlength=1000) / len(codes)
    found = estimate(chosen, chosen.aggregate(chosen.perturb(codes, Stream(key(4)))), len(codes)).frequencies
    assert ((consistent(found) - truth) ** 2).sum() < 0.5 * ((found - truth) ** 2).sum()


def test_the_hash_of_olh_is_pairwise_independent_as_its_q_assumes() -> None:
    for size in (1000, 1 << 32):
        chosen = Olh(size, 2.0)
        codes = np.full(200_000, 3)
        reports = chosen.perturb(codes, Stream(key(6)))
        others = np.array([0, 1, 2, 4, 259, 999]) if size == 1000 else np.array([0, 4, 3 + (1 << 16), (1 << 32) - 1])
        support = chosen.support(reports, np.concatenate([[3], others]))
        for count, share in zip(support, [chosen.p, *[chosen.q] * len(others)], strict=True):
            assert abs(count - 200_000 * float(share)) < 4.5 * math.sqrt(200_000 * float(share * (1 - share)))
