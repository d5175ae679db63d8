"""Every mechanism's events, threshold and parts of delta against its declared epsilon and delta, by a computation of its own."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import mechanism_checks as every
import own_accounting as own
import pytest

from pellucid.privacy import (
    MECHANISMS,
    Clicks,
    EqualNormGram,
    Gram,
    Histogram,
    Marginals,
    Mean,
    Pairs,
    Partitions,
    Quantiles,
    SelectBest,
    Sum,
    TopK,
)
from pellucid.privacy.accounting.amounts import DELTA_UNIT, EPSILON_UNIT, RHO_UNIT
from pellucid.privacy.accounting.composition import loss_epsilon, privacy_cost, zcdp_delta
from pellucid.privacy.noise.stream import Stream
from pellucid.store.labels import Unit

COUNTS = [
    Gram("item", 1), Gram("item", 2), Gram("item", 4), Gram("item", 3, public_keys=("a", "b")),
    Pairs("item", 3, public_keys=("a", "b")), Pairs("item", 3, noise="laplace", public_keys=("a", "b"), other="o"),
    Histogram("item", 1), Histogram("item", 5), Histogram("item", 3, rows=4),
    Histogram("item", 2, noise="laplace"), Histogram("item", 2, rows=3, noise="laplace"), Histogram("item", 2, public_keys=("a", "b")),
    Histogram("item", 2, public_keys=("a", "b"), rows=2), Histogram("item", 2, public_keys=("a", "b"), noise="laplace", rows=2),
    Pairs("item", 3), Pairs("item", 5), Pairs("item", 4, noise="laplace"), Clicks("item", "second", 2, 3),
    Clicks("item", "second", 1, 2, noise="laplace"), Partitions("item", 3, "gaussian"),
]  # fmt: skip
BUDGETS = [(0.5, 1e-6), (1.0, 1e-9), (3.0, 1e-4)]
RELATIONS = ["add-remove", "replace"]


def given(mechanisms: list[Any]) -> Any:
    return pytest.mark.parametrize("mechanism", mechanisms, ids=[f"{m.name}-{at}" for at, m in enumerate(mechanisms)])


def described(mechanism: Any, epsilon: float, delta: float, relation: str) -> dict[str, Any]:
    found = mechanism.guarantee(epsilon, delta, relation)
    assert (found["epsilon"], found["delta"]) == (epsilon, delta)
    assert {"step", "pipeline"}.isdisjoint(found), "a release's own name would be overwritten"
    return dict(found)


def test_every_mechanism_is_held_by_one_of_these_tests() -> None:
    held = {type(m) for m in COUNTS} | {EqualNormGram, Marginals, Mean, Sum, Partitions, TopK, SelectBest, Quantiles}
    assert held == set(MECHANISMS.values())


@given(COUNTS)
@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize(("epsilon", "delta"), BUDGETS)
def test_counts_keep_what_they_declare(mechanism: Any, relation: str, epsilon: float, delta: float) -> None:
    known, moved = described(mechanism, epsilon, delta, relation), own.moves(mechanism, relation)
    (event,) = known["events"]
    assert (event["cells"], event["sensitivity"]) == (moved["cells"], moved["by"])
    threshold = known.get(
        "threshold", mechanism.threshold(epsilon, delta, relation).threshold if mechanism.name == "partitions" else None
    )
    if event["noise"] == "discrete_gaussian":
        sigma2 = float(Fraction(event["sigma2"]))
        if moved["by"] > 1:
            counts = own.zcdp_delta(moved["cells"] * moved["by"] ** 2 / (2 * sigma2), epsilon)
        elif moved["cells"] <= 12:
            counts = own.exact_delta(sigma2, moved["cells"], epsilon)
        else:  # too many to convolve here: what many small cells come to
            counts = own.gaussian_delta(math.sqrt(moved["cells"] / sigma2), epsilon) / 1.001
        beyond = own.gaussian_tail(sigma2, threshold - moved["by"]) if moved["alone"] else 0.0
    else:
        assert moved["cells"] * moved["by"] / Fraction(event["scale"]) <= Fraction(epsilon)
        counts = 0.0
        beyond = own.laplace_tail(float(Fraction(event["scale"])), threshold - moved["by"]) if moved["alone"] else 0.0
    alone = moved["alone"] * beyond
    assert counts + alone <= delta * own.MARGIN
    parts = known.get("delta_parts")
    if parts is not None:
        assert counts <= parts["counts"] * own.MARGIN
        assert math.isclose(alone, parts["threshold"], rel_tol=1e-5, abs_tol=1e-300)
        assert math.fsum(parts.values()) <= delta
        if event["noise"] == "discrete_gaussian":  # a table of 2^-256 for each of some 38 sigma integers, on both neighbours
            assert parts["sampler"] >= (1 + math.exp(epsilon)) * moved["cells"] * 38 * math.sqrt(sigma2) * 2.0**-256
    assert known["extra_delta"] >= alone / own.MARGIN, "what a threshold adds is beside the events"
    assert (threshold is None) == (moved["alone"] == 0)


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize(("epsilon", "delta"), BUDGETS)
@given([Mean(("x",)), Mean(("x", "y", "z"), -1.0, 3.0)])
def test_means_keep_what_they_declare(mechanism: Mean, relation: str, epsilon: float, delta: float) -> None:
    known, d = described(mechanism, epsilon, delta, relation), len(mechanism.columns)
    squared, sigma2 = own.events_squared(known["events"])
    half = known["grid"] // 2
    replaced, removed = 4 * half * half * d, half * half * (d + 1)
    assert squared >= (max(replaced, removed) if relation == "replace" else removed)
    assert squared <= (replaced if relation == "replace" else removed)
    assert own.zcdp_delta(squared / (2 * float(sigma2)), epsilon) <= known["delta_parts"]["sums"] * own.MARGIN
    assert math.fsum(known["delta_parts"].values()) <= delta


@pytest.mark.quick(8)
@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize(("epsilon", "delta"), BUDGETS)
@given(
    [EqualNormGram("item", 1), EqualNormGram("item"), EqualNormGram("item", 40), EqualNormGram("item", 5, public_keys=("a", "b"))]
)
def test_equal_norms_keep_what_they_declare(mechanism: EqualNormGram, relation: str, epsilon: float, delta: float) -> None:
    known = described(mechanism, epsilon, delta, relation)
    (event,) = known["events"]
    squared, twice, cap = known["scale"] ** 2, 2 if relation == "replace" else 1, mechanism.max_contributions
    assert (event["cells"], event["sensitivity"]) == (twice * squared + 64, 1)
    sigma2, parts = float(Fraction(event["sigma2"])), known["delta_parts"]
    assert own.gaussian_delta(math.sqrt(event["cells"] / sigma2), epsilon) <= parts["cells"] * own.MARGIN
    beyond = math.sqrt(event["cells"] / 64) * math.exp(-3.99 * 64 * sigma2 / squared)
    assert parts["lattice"] >= beyond / own.MARGIN and sigma2 >= 100**2
    drawn = twice * cap * (cap + 1) // 2
    assert parts["sampler"] >= (1 + math.exp(epsilon)) * drawn * 38 * math.sqrt(sigma2) * 2.0**-256
    alone = 0.0
    if not mechanism.public_keys:
        weights = mechanism.plan(epsilon, delta, relation).weights
        alone = max(m * own.gaussian_tail(sigma2, known["threshold"] - a) for m, (a, _) in enumerate(weights, 1))
        assert math.isclose(alone, parts["threshold"], rel_tol=1e-5)
    assert (known["threshold"] is None) == bool(mechanism.public_keys)
    assert math.fsum(parts.values()) <= delta
    assert known["extra_delta"] >= (alone + parts["lattice"]) / own.MARGIN


TABLES = [
    Marginals((("a", "values", ("x", "y")), ("b", "bins", (0.0, 1.0, 2.0)))),
    Marginals(tuple((name, "values", (1, 2, 3)) for name in "abcde"), "c"),
    Marginals((("a", "values", ("x", "y")), ("b", "bins", (0.0, 1.0, 2.0))), "a"),
    Marginals(tuple((name, "values", tuple(range(30))) for name in "abc"), max_cells=100),
]


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize(("epsilon", "delta"), BUDGETS)
@given(TABLES)
def test_marginals_keep_what_they_declare(mechanism: Marginals, relation: str, epsilon: float, delta: float) -> None:
    known, twice = described(mechanism, epsilon, delta, relation), 2 if relation == "replace" else 1
    columns, fixed = len(mechanism.columns), len(mechanism.columns) - bool(mechanism.target)
    rounds = 0 if mechanism.max_cells == 100 else columns - (2 if mechanism.target else 1)
    counted, *choosing = known["events"]
    assert (counted["cells"], counted["sensitivity"], counted["noise"]) == (twice * (fixed + rounds), 1, "discrete_gaussian")
    assert len(choosing) == rounds, "one event for each round"
    # a score moves by 1 for a row added or removed, in either direction; by 2 for a row replaced; the bar by twice that
    spent = [Fraction(2 * twice) / Fraction(known["scale"]) for _ in range(rounds)]
    for event, of_round in zip(choosing, spent, strict=True):
        assert event["epsilon"] >= float(of_round) * (1 - 1e-12) and event["delta"] == 0
    rest = Fraction(epsilon) - sum(Fraction(event["epsilon"]) for event in choosing)
    assert rest > 0
    sigma2 = float(Fraction(counted["sigma2"]))
    if counted["cells"] <= 12:
        exact = own.exact_delta(sigma2, counted["cells"], float(rest))
    else:
        exact = own.gaussian_delta(math.sqrt(counted["cells"] / sigma2), float(rest)) / 1.001
    assert exact <= known["delta_parts"]["counts"] * own.MARGIN
    assert known["delta_parts"]["sampler"] >= (1 + math.exp(float(rest))) * counted["cells"] * 38 * math.sqrt(sigma2) * 2.0**-256
    assert math.fsum(known["delta_parts"].values()) <= delta


SUMS = [
    Sum(("x",), -1.0, 2.0, 3), Sum(("x", "y"), 0.0, 1.0, 2),
    Sum(("x",), 0.5, 0.75, 3, "laplace"), Sum(("x", "y"), -4.0, -1.0, 4, "laplace"),
]  # fmt: skip


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize(("epsilon", "delta"), BUDGETS)
@given(SUMS)
def test_sums_keep_what_they_declare(mechanism: Sum, relation: str, epsilon: float, delta: float) -> None:
    known = described(mechanism, epsilon, delta, relation)
    (event,) = known["events"]
    largest = max(abs(mechanism.lower), abs(mechanism.upper))
    half = round(largest / known["grid_step"])
    low, high = round(mechanism.lower / known["grid_step"]), round(mechanism.upper / known["grid_step"])
    assert half == 2 ** round(math.log2(half))
    one_way = mechanism.max_contributions * max(abs(low), abs(high))
    both_ways = mechanism.max_contributions * (max(high, 0) - min(low, 0))
    assert event["cells"] == len(mechanism.columns)
    assert event["sensitivity"] >= (both_ways if relation == "replace" else one_way)
    if event["noise"] == "discrete_gaussian":
        rho = event["cells"] * event["sensitivity"] ** 2 / (2 * float(Fraction(event["sigma2"])))
        assert own.zcdp_delta(rho, epsilon) <= delta * own.MARGIN
    else:
        assert event["cells"] * event["sensitivity"] / Fraction(event["scale"]) <= Fraction(epsilon)


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("epsilon", [0.3, 1.0, 2.5])
@given([TopK("item", ("a", "b", "c", "d"), 3), TopK("item", (1, 2, 3), 1), SelectBest(("x", "y"), grid=7),
        Quantiles("x", 0.0, 1.0, (0.25, 0.5, 0.9), 10), Quantiles("x", 0.0, 1.0, (0.5,), 10)])  # fmt: skip
def test_maxima_pay_for_each_round(mechanism: Any, relation: str, epsilon: float) -> None:
    known = described(mechanism, epsilon, 0.0, relation)
    if mechanism.name == "quantiles":
        fractions = [Fraction(part, 1000) for part in mechanism.parts]
        shifts = [f.denominator if relation == "replace" else max(f.numerator, f.denominator - f.numerator) for f in fractions]
        scales, bars = [Fraction(s) for s in known["scales"]], [2 * shift for shift in shifts]
    else:
        rounds = mechanism.k if mechanism.name == "top_k" else 1
        shift = mechanism.grid if mechanism.name == "select_best" else 1
        scales, bars = [Fraction(known["scale"])] * rounds, [shift if relation == "add-remove" else 2 * shift] * rounds
    assert len(known["events"]) == len(scales), "one event for each round"
    spent = [bar / scale for bar, scale in zip(bars, scales, strict=True)]
    assert sum(spent) <= Fraction(epsilon)
    for event, epsilon_of_round in zip(known["events"], spent, strict=True):
        assert event["epsilon"] >= float(epsilon_of_round) * (1 - 1e-12)
        assert event["delta"] == 0
    assert math.fsum(event["epsilon"] for event in known["events"]) <= epsilon * (1 + 1e-12)
    assert known["extra_delta"] == 0


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("cap", [1, 3])
@pytest.mark.parametrize(("epsilon", "delta"), [(0.5, 1e-4), (1.0, 1e-6), (3.0, 1e-3)])
def test_chances_of_partitions_keep_both_inequalities(relation: str, cap: int, epsilon: float, delta: float) -> None:
    mechanism = Partitions("item", cap)
    known, moved = described(mechanism, epsilon, delta, relation), cap * (2 if relation == "replace" else 1)
    assert known["events"] == [{"epsilon": epsilon / moved, "delta": delta / moved}] * moved
    table = mechanism.plan(epsilon, delta, relation)
    full, growth, step = 2**128, Fraction(math.exp(epsilon / moved)) * (1 + Fraction(1, 10**12)), Fraction(delta / moved) * 2**128
    assert table[0] == 0
    assert table[-1] == full
    for fewer, more in itertools.pairwise(table):
        assert fewer <= more
        assert more <= growth * fewer + step, "a key that one unit more holds may not be named so much more often"
        assert full - fewer <= growth * (full - more) + step, "nor may it be left out so much less often"


def test_many_cells_keep_what_many_small_ones_come_to() -> None:
    for cells in (20, 60, 300):
        known = Histogram("item", cells).guarantee(1.0, 1e-6)
        ((event),) = known["events"]
        gaussian = own.gaussian_delta(math.sqrt(cells / float(Fraction(event["sigma2"]))), 1.0)
        assert gaussian <= known["delta_parts"]["counts"] * 1.001


@given([*COUNTS, *SUMS, *TABLES, Mean(("x", "y")), Partitions("item", 2), TopK("item", ("a", "b", "c"), 2), SelectBest(("x", "y")),
        Quantiles("x", 0.0, 1.0, (0.25, 0.5), 10)])  # fmt: skip
def test_the_ledger_takes_the_price_of_every_event_and_all_delta_beside_it(mechanism: Any) -> None:
    pure = getattr(mechanism, "pure", False)
    delta = 0.0 if pure else 1e-6
    known = described(mechanism, 1.0, delta, "add-remove")
    amounts = privacy_cost(1.0, delta, known["events"], known["extra_delta"])
    rho, slack = own.rho_and_slack(known)
    assert amounts.epsilon * EPSILON_UNIT >= 1.0
    assert amounts.delta * DELTA_UNIT >= delta
    assert amounts.rho / RHO_UNIT >= rho * (1 - 1e-12)
    assert float(amounts.slack * DELTA_UNIT) >= slack * (1 - 1e-12)


def test_delta_beside_the_events_counts_in_every_composition() -> None:
    events, delta = [{"noise": "discrete_gaussian", "sigma2": "100", "sensitivity": 1, "cells": 1}], 1e-5
    assert zcdp_delta(Fraction(1, 200), 0.3, 1.0) >= 0.3
    assert zcdp_delta(Fraction(0), 0.3, 1.0) == 0.3
    bare, beside = loss_epsilon(events, 0.0, delta), loss_epsilon(events, delta / 2, delta)
    assert beside > bare * 1.01
    assert math.isclose(beside, loss_epsilon(events, 0.0, delta / 2), rel_tol=1e-3)
    assert math.isinf(loss_epsilon(events, 2 * delta, delta))


# --- no two draws share a place in a stream


@pytest.mark.parametrize(("name", "at"), every.ALL, ids=[f"{name}-{at}" for name, at in every.ALL])
def test_no_two_draws_of_a_release_share_a_place_in_a_stream(
    name: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: dict[bytes, list[tuple[int, int]]] = {}
    keys: set[bytes] = set()
    real = Stream.words

    def words(self: Stream, count: int) -> Any:
        start = getattr(self, "_at", 0)
        self._at = start + count  # type: ignore[attr-defined]
        for other, until in taken.setdefault(self._key, []):
            assert start + count <= other or until <= start, "these words were drawn before"
        if count:
            taken[self._key].append((start, start + count))
        return real(self, count)

    monkeypatch.setattr(Stream, "words", words)
    real_subkey = Stream.subkey

    def subkey(self: Stream, label: str) -> bytes:
        found = real_subkey(self, label)
        assert found not in keys, "a key is used for two things"
        keys.add(found)
        return found

    monkeypatch.setattr(Stream, "subkey", subkey)
    people = [[("a", "x", 0.25, 1), ("b", "y", 0.5, 1), ("c", "x", 0.75, 2)] for _ in range(40)]
    mechanism = _several(every.CASES[name][at].mechanism)
    unit = Unit("unit")
    mechanism.run(
        every.table(people, tmp_path), unit, 2.0, 0.0 if getattr(mechanism, "pure", False) else 1e-2, every.KEY, tmp_path
    )
    assert taken, "it draws nothing"
    assert keys.isdisjoint(taken)


def _several(mechanism: Any) -> Any:
    """The mechanism with more than one round, level or item, where the case has one."""
    if mechanism.name == "top_k":
        return TopK("item", ("a", "b", "c", "d"), 3)
    if mechanism.name == "quantiles":
        return Quantiles("x", 0.0, 1.0, (0.25, 0.5, 0.75), 4)
    return mechanism
