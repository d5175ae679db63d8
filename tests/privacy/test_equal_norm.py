"""The equal-norm Gram matrix: its lengths in whole numbers, the price of a weighted draw by convolution, and what weights depend on."""

from __future__ import annotations

import itertools
import math
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import mechanism_checks as every
import numpy as np
import own_accounting as own
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import PrivacyError
from pellucid.models import ease
from pellucid.privacy import EqualNormGram, gram
from pellucid.privacy.foresight import ExpectedNumbers, release_foresight
from pellucid.privacy.mechanisms import threshold
from pellucid.privacy.noise.calibration import delta_for_counts
from pellucid.privacy.private_tables import bounding

MODULE = sys.modules["pellucid.privacy.mechanisms.equal_norm_gram"]
KEY = bytes(range(32))
HISTORIES = st.lists(st.sets(st.sampled_from("abcdef"), max_size=5), max_size=7)


def written(histories: list[set[str]], path: Path, order: Any = None) -> Path:
    rows = [(f"u{who}", item) for who, items in enumerate(histories) for item in sorted(items)]
    rows = rows if order is None else order(rows)
    columns = {"unit": pa.array([row[0] for row in rows], pa.string()), "item": pa.array([row[1] for row in rows], pa.string())}
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("digits", range(6, 11))
def test_every_part_is_as_long_as_it_may_be_and_no_longer(digits: int) -> None:
    most = 4**digits
    for m, (a, w) in enumerate(MODULE.weight_table(100, digits), 1):
        pairs = m * (m - 1) // 2
        assert m * a * a + pairs * w * w <= most and max(a, w) <= 2**digits
        assert m * (a + 1) ** 2 + pairs * w * w > most
        assert not pairs or m * a * a + pairs * (w + 1) ** 2 > most
    assert MODULE.weight_table(1, digits) == ((2**digits, 0),)


def test_the_longest_move_is_what_the_guarantee_says_over_all_histories() -> None:
    """Six items, four of which a unit keeps: every history, and every two of them."""
    weights = MODULE.weight_table(4, 6)
    parts = []
    for held in (one for m in range(5) for one in itertools.combinations(range(6), m)):
        part = np.zeros((6, 6), dtype=np.int64)
        for i, j in itertools.combinations(held, 2):
            part[i, j] = weights[len(held) - 1][1]
        for i in held:
            part[i, i] = weights[len(held) - 1][0]
        parts.append(part.ravel())
    alone = np.array(parts)
    assert (alone**2).sum(axis=1).max() == 4**6
    apart = alone[:, None, :] - alone[None, :, :]
    assert (apart**2).sum(axis=2).max() <= 2 * 4**6 and np.abs(apart).max() <= 2**6
    assert (apart != 0).sum(axis=2).max() <= 2 * EqualNormGram("item", 4).cells


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.sampled_from([0.6, 1.0, 2.5]),
    st.sampled_from([0.1, 0.5, 1.0, 2.0, 4.0]),
)
@settings(max_examples=60, deadline=None)
def test_a_weighted_draw_costs_no_more_than_its_length_in_ones_and_the_pads(
    moves: list[int], times: float, epsilon: float
) -> None:
    """The exact delta of a vector, by convolution of the law of <v, X>, against that of |v|^2 and the pads in cells moved by 1."""
    squared = sum(move * move for move in moves)
    sigma2 = times * max(squared, 4)
    places, base = own.gaussian_law(sigma2)
    law, reach = np.ones(1), int(places[-1])
    for move in moves:
        spread = np.zeros(2 * reach * move + 1)
        spread[::move] = base
        law = np.convolve(law, spread)
    z = np.arange(len(law)) - len(law) // 2
    exact = float((law * -np.expm1(np.minimum(0, epsilon - (squared + 2 * z) / (2 * sigma2)))).sum())
    bound = delta_for_counts(Fraction(sigma2).limit_denominator(1 << 20), epsilon, squared + MODULE.PADS)
    assert exact <= bound * (1 + 2e-3) + 1e-12  # the rest: what the proof adds as `lattice`, which is large for so coarse a grid


def test_without_the_pads_a_single_large_move_would_cost_more() -> None:
    """One cell moved by 2 against four moved by 1: why the pads are there."""
    sigma2, epsilon = 4.0, 2.8
    places, law = own.gaussian_law(sigma2)
    exact = float((law * -np.expm1(np.minimum(0, epsilon - (4 + 4 * places) / (2 * sigma2)))).sum())
    assert exact > 1.1 * own.exact_delta(sigma2, 4, epsilon)


def wrong_cells(histories: list[set[str]], scratch: Path, order: Any = None) -> list[Any]:
    """The cells that are not the sums of the weights of those who hold them, weighed by all the items that each kept."""
    cap, weights = 5, MODULE.weight_table(5, 10)
    held = bounding.bounded_pairs(written(histories, scratch / "t.parquet", order), "unit", "item", cap, KEY, scratch)
    items, sums = MODULE.weighted_diagonal(held, weights)
    kept = items.slice(0, 3)
    cells, names = MODULE.weighted_cells(held, kept, weights), kept.to_pylist()
    wrong = [
        item
        for item, total in zip(items.to_pylist(), sums.tolist(), strict=True)
        if total != sum(weights[len(one) - 1][0] for one in histories if item in one)
    ]
    return wrong + [
        (first, second)
        for i, first in enumerate(names)
        for j, second in enumerate(names)
        if cells[i, j] != sum(weights[len(one) - 1][1] for one in histories if {first, second} <= one)
    ]


@given(HISTORIES, st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_cells_are_the_sums_of_weights_for_any_order_of_rows(
    tmp_path_factory: Any, histories: list[set[str]], random: Any
) -> None:
    def mixed(rows: list[Any]) -> list[Any]:
        rows = [*rows, *rows[:2]]
        random.shuffle(rows)
        return rows

    assert wrong_cells(histories, tmp_path_factory.mktemp("cells"), mixed) == []


def test_items_are_counted_after_bounding_and_after_the_declared_list(tmp_path: Path) -> None:
    """With noise that is next to nothing: a person with declared and undeclared items weighs by the former, plus `other`."""
    histories = [{"a", "b", "c", "d"}] * 400
    path = written(histories, tmp_path / "t.parquet")
    made = EqualNormGram("item", 3, public_keys=("a", "b"), other="z")
    released = {
        (row["item_a"], row["item_b"]): row["weight"] for row in made.run(path, "unit", 4.0, 1e-3, KEY, tmp_path).to_pylist()
    }
    scale, sigma = made.numbers(4.0, 1e-3)["scale"], made.numbers(4.0, 1e-3)["sigma"]
    weights = MODULE.weight_table(3, round(math.log2(scale)))
    assert set(released) == set(itertools.combinations_with_replacement("abz", 2))
    for (a, b), value in released.items():
        assert abs(value - 400 * weights[2][0 if a == b else 1]) < 6 * sigma


def test_the_name_norm_chooses_and_what_leaves_is_no_count(tmp_path: Path) -> None:
    assert gram("item", norm="equal") == EqualNormGram("item", 15)
    assert gram("item").max_contributions == 5
    with pytest.raises(PrivacyError, match="norm"):
        gram("item", norm="euclid")
    path = written([{"a", "b"}] * 300, tmp_path / "t.parquet")
    released = gram("item", norm="equal").run(path, "unit", 4.0, 1e-4, KEY, tmp_path)
    assert released.column_names == ["item_a", "item_b", "weight"]
    model = ease.fit(released, noise=gram("item", norm="equal").numbers(4.0, 1e-4)["sigma"])
    assert model.arrays["weights"][0, 1] > 0.5
    assert "count" not in str(EqualNormGram("item").guarantee(1.0, 1e-6)["sensitivity"])


def test_an_epsilon_beyond_the_proof_is_refused(monkeypatch: pytest.MonkeyPatch, fresh_plans: Any) -> None:
    monkeypatch.setattr(MODULE, "LEAST_SIGMA", 2000.0)
    with pytest.raises(PrivacyError, match="beyond what is proved"):
        EqualNormGram("item").plan(8.0, 1e-6)


@given(st.lists(st.integers(0, 6), min_size=20, max_size=400), st.sampled_from([0.5, 1.0, 4.0]))
@settings(max_examples=40, deadline=None)
def test_the_forecast_never_alarms_where_an_item_can_be_expected(sizes: list[int], epsilon: float) -> None:
    """Everybody holds the same items: the best case for naming. The alarm says that not one can be expected."""
    made = EqualNormGram("item", 6)
    plan = made.plan(epsilon, 1e-6)
    held = [sum(plan.weights[size - 1][0] for size in sizes if size > at) for at in range(6)]
    expected = sum(plan.noise.tail(plan.threshold - one) for one in held if one)
    _, problem = release_foresight._look(made, epsilon, 1e-6, ExpectedNumbers(people=len(sizes)), "add-remove")
    assert not (problem and expected >= 1)


# --- bugs that must be caught


@pytest.fixture
def fresh_plans() -> Any:
    MODULE._plan.cache_clear()
    yield
    MODULE._plan.cache_clear()


def test_weights_by_the_named_items_are_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Counted again among the named items, a person's weights would depend on what others hold, and nothing would bound the change."""
    real, histories = MODULE.weighted_cells, [{"a", "b", "c", "d", "e"}, {"a", "b"}]

    def recounted(pairs: Path, kept: Any, weights: Any) -> Any:
        held = pq.read_table(pairs)
        named = held.filter(pa.array([one in kept.to_pylist() for one in held.column("item").to_pylist()], pa.bool_()))
        pq.write_table(named, pairs.with_name("named.parquet"))
        return real(pairs.with_name("named.parquet"), kept, weights)

    assert wrong_cells(histories, tmp_path) == []
    monkeypatch.setattr(MODULE, "weighted_cells", recounted)
    assert wrong_cells(histories, tmp_path)


def test_replace_taken_for_remove_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = EqualNormGram.plan
    monkeypatch.setattr(EqualNormGram, "plan", lambda self, epsilon, delta, relation="": real(self, epsilon, delta))
    assert every.sensitivity_breaches(every.CASES["equal_norm_gram"][0], tmp_path, "replace")


def test_forgotten_bounding_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bounding, "_drawn", lambda units, *rest: np.ones(len(units), dtype=bool))
    case = every.Case(EqualNormGram("item", 1), every.of_equal_norm_gram, every.sample_equal_norm_gram)
    with pytest.raises(IndexError):  # there is no weight for so many items
        every.sensitivity_breaches(case, tmp_path)


def test_missing_pads_are_caught(monkeypatch: pytest.MonkeyPatch, fresh_plans: Any) -> None:
    monkeypatch.setattr(MODULE, "PADS", 1)
    with pytest.raises(PrivacyError, match="beyond what is proved"):
        EqualNormGram("item").plan(4.0, 1e-9)


def test_a_threshold_for_the_wrong_number_of_items_is_caught(monkeypatch: pytest.MonkeyPatch, fresh_plans: Any) -> None:
    real, mechanism = MODULE._threshold, EqualNormGram("item")
    assert own_alone(mechanism) <= 0.25 * 0.04 * own.MARGIN
    monkeypatch.setattr(MODULE, "_threshold", lambda weights, noise, share: real(weights[:1], noise, share))
    MODULE._plan.cache_clear()
    assert own_alone(mechanism) > 0.25 * 0.04 * own.MARGIN


def own_alone(mechanism: EqualNormGram) -> float:
    """The chance that a person's lone items are named, over all numbers of them, by a computation apart."""
    plan = mechanism.plan(1.0, 0.04)
    return max(m * own.gaussian_tail(float(plan.noise.sigma2), plan.threshold - a) for m, (a, _) in enumerate(plan.weights, 1))


@pytest.mark.slow
def test_a_doubled_epsilon_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh_plans: Any) -> None:
    real = threshold.sigma_for_counts
    monkeypatch.setattr(MODULE, "sigma_for_counts", lambda e, d, c: real(2 * e, d, c))
    assert every.refuted(every.CASES["equal_norm_gram"][0], tmp_path, 10_000)


def test_what_the_lattice_costs_is_stated_beside_the_events(monkeypatch: pytest.MonkeyPatch, fresh_plans: Any) -> None:
    """With fewer pads and a large epsilon it is large enough to be seen beside what the sampler adds."""
    monkeypatch.setattr(MODULE, "PADS", 16)
    plan = EqualNormGram("item", public_keys=("a", "b")).plan(6.0, 1e-4)
    assert plan.delta_lattice > 1e-13 and plan.extra_delta >= plan.delta_lattice
    assert plan.delta_counts + plan.delta_threshold + plan.delta_sampler + plan.delta_lattice <= 1e-4
