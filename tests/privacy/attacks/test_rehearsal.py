"""Attacks before a release: they find what an exact release gives away, and a mechanism that adds too little noise."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import DataError, UsageError
from pellucid.privacy import MECHANISMS, Histogram, attacks
from pellucid.privacy.attacks import membership_scores
from pellucid.privacy.attacks.auditing import neighbouring_inputs
from pellucid.privacy.attacks.auditing.mechanism_audit import added, group_delta
from pellucid.privacy.mechanisms import (
    bins,
    clicks,
    gram,
    histogram,
    marginals,
    mean,
    pairs,
    partitions,
    quantiles,
    select_best,
    top_k,
)
from pellucid.privacy.mechanisms import sum as bounded_sum


@given(st.floats(0.0, 1.0), st.floats(0.01, 8.0), st.floats(0.0, 0.1))
def test_the_promise_is_no_less_than_guessing_and_no_more_than_the_definition_allows(
    alarms: float, epsilon: float, delta: float
) -> None:
    most = attacks.max_true_positive_rate(alarms, epsilon, delta)
    assert alarms <= most <= 1.0
    assert most <= max(alarms, math.exp(epsilon) * alarms + delta) + 1e-12
    assert math.exp(epsilon) * (1 - most) + delta >= (1 - alarms) - 1e-9 or most == alarms  # the same of the innocent


def log(people: int = 400, items: int = 400, each: int = 40) -> polars.DataFrame:
    """Many items for few people: where exact counts give people away."""
    draw = np.random.default_rng(3)
    held = [draw.choice(items, each, replace=False) for _ in range(people)]
    return polars.DataFrame({"who": np.repeat(np.arange(people), each), "item": np.concatenate(held)})


class Exact(Histogram):
    """A planted bug: the noise is forgotten."""

    def run(self, table_path: Path, unit: str, epsilon: float, delta: float, key: bytes, scratch: Path) -> Any:
        frame = polars.read_parquet(table_path)
        return (
            frame.group_by(self.key)
            .len("count")
            .sort(self.key)
            .to_arrow()
            .cast(__import__("pyarrow").schema([(self.key, "int64"), ("count", "int64")]))
        )


def loud(mechanism: Any, by: float) -> Any:
    """A planted bug: so many times the epsilon that is declared."""

    class Loud(type(mechanism)):  # type: ignore[misc]
        def run(self, table_path: Path, unit: str, epsilon: float, delta: float, key: bytes, scratch: Path) -> Any:
            return super().run(table_path, unit, by * epsilon, delta, key, scratch)

    return Loud(**{field.name: getattr(mechanism, field.name) for field in dataclasses.fields(mechanism)})


def test_membership_is_found_in_exact_counts_and_not_in_released_ones() -> None:
    exact = attacks.attack_release(log(), "who", Exact("item", max_contributions=40), 0.5, 1e-6)[0]
    assert exact.rate.low > exact.references["promised at most"]  # type: ignore[operator]
    released = attacks.attack_release(log(), "who", histogram("item", max_contributions=40), 0.5, 1e-6)[0]
    assert released.rate.low <= released.references["promised at most"]  # type: ignore[operator]


def test_every_mechanism_can_be_audited_and_attacked() -> None:
    assert neighbouring_inputs.CELLS | neighbouring_inputs.WHOLE.keys() == membership_scores.SCORES.keys() == MECHANISMS.keys()
    assert not neighbouring_inputs.CELLS & neighbouring_inputs.WHOLE.keys()


QUICK = [histogram("item", max_contributions=2)]
CELLS = [
    histogram("item", max_contributions=2, rows=3),
    histogram("item", max_contributions=1, public_keys=("a", "b"), noise="laplace"),
    gram("item", max_contributions=2, max_items=800),
    pairs("item", max_contributions=3),
    partitions("item", max_contributions=2),
    clicks("q", "p", 2, 3),
]
WHOLE = [
    mean(["x"]),
    bounded_sum(["x", "y"], -3, 2, max_contributions=2),
    quantiles("x", 0, 10, [0.25, 0.5]),
    top_k("k", ("a", "b", "c"), 1),
    marginals({"k": ["a", "b"], "x": bins(0, 10, 3), "q": [1, 2, 3]}, target="k"),
]
WHOLE += [select_best(["x", "y", "z"], -1, 4), top_k("k", tuple(range(50)), 3)]


def audited(honest: Any, by: float) -> None:
    delta = 0.0 if getattr(honest, "pure", False) else 1e-6
    for mechanism, refuted in ((honest, False), (loud(honest, by), True)):
        found = attacks.audit_mechanism(mechanism, 0.5, delta)
        assert found is not None and found.refuted == refuted, found
        assert found.declared == 0.5 and found.runs >= 200
        assert found.epsilon_lower_bound <= found.max_detectable_epsilon and found.max_detectable_epsilon > 0.5


@pytest.mark.parametrize("honest", QUICK, ids=lambda m: m.name)
def test_the_audit_on_made_up_neighbours_refutes_a_planted_bug_and_not_the_mechanism(honest: Any) -> None:
    audited(honest, 8)


@pytest.mark.slow
@pytest.mark.parametrize("honest", CELLS, ids=lambda m: m.name)
def test_the_audit_of_every_other_mechanism_refutes_a_planted_bug_and_not_the_mechanism(honest: Any) -> None:
    audited(honest, 8)


@pytest.mark.slow
@pytest.mark.parametrize("honest", WHOLE, ids=lambda m: m.name)
def test_the_audit_refutes_a_large_bug_where_each_run_takes_a_table(honest: Any) -> None:
    audited(honest, 40)


@pytest.mark.slow
def test_an_audit_of_few_crowds_takes_more_tables() -> None:
    few = [
        gram("item", max_contributions=30),
        histogram("item", max_contributions=5, public_keys=(1, 2, 3)),
        pairs("item", max_contributions=5, max_pairs=7),
    ]
    for mechanism in few:
        found = attacks.audit_mechanism(mechanism, 0.5, 1e-6)
        assert found is not None and found.runs >= 200 and not found.refuted


def shop(people: int = 400) -> polars.DataFrame:
    """Twelve rows a person: queries, places, and values of their own."""
    draw = np.random.default_rng(4)
    frame = {
        "who": np.repeat(np.arange(people), 12),
        "q": draw.integers(0, 60, people * 12),
        "p": draw.integers(0, 5, people * 12),
    }
    return polars.DataFrame(frame | {name: np.repeat(draw.random(people), 12) for name in COLUMNS})


COLUMNS = [f"x{at}" for at in range(20)]


@pytest.mark.parametrize(
    ("mechanism", "found_out"),
    [
        (gram("q", max_contributions=12), True),
        (pairs("q", max_contributions=12), True),
        (clicks("q", "p", 12, 12), True),
        (mean(COLUMNS), False),
        (bounded_sum(COLUMNS, max_contributions=12), False),
        (partitions("q", max_contributions=3), False),
        (top_k("q", tuple(range(60)), 20), False),
        (quantiles("x0", 0, 1, [0.2, 0.5]), False),
        (select_best(COLUMNS), False),
    ],
    ids=lambda m: m.name if hasattr(m, "name") else "",
)
def test_membership_is_asked_of_every_kind_of_release(mechanism: Any, found_out: bool) -> None:
    """At the declared epsilon no more is found than promised; with next to no noise, many counts of few people give them away."""
    delta = 0.0 if getattr(mechanism, "pure", False) else 1e-6
    honest = attacks.attack_release(shop(), "who", mechanism, 0.5, delta)[0]
    assert honest.attack == "membership" and honest.rate.low <= honest.references["promised at most"]  # type: ignore[operator]
    if found_out:
        planted = attacks.attack_release(shop(), "who", loud(mechanism, 180), 0.5, delta)[0]
        assert planted.rate.low > planted.references["promised at most"], planted  # type: ignore[operator]


def test_who_lies_where_a_release_moved_to_scores_higher() -> None:
    inside = polars.DataFrame({"who": [1, 2], "x": [0.9, 0.1], "y": [0.1, 0.9], "k": ["rare", "usual"]})
    outside = polars.DataFrame({"who": range(10, 50), "x": [0.4, 0.6] * 20, "y": [0.5] * 40, "k": ["usual"] * 40})

    def scored(mechanism: Any, released: Any) -> list[float]:
        members, others = membership_scores.SCORES[mechanism.name](mechanism, inside, outside, "who", released)
        assert len(others) == 20
        return [float(one) for one in members]

    for kind, released in (
        (quantiles("x", 0, 1), {"p50": 0.7}),
        (select_best(["x", "y"]), pyarrow.table({"chosen": ["x"]})),
        (mean(["x"]), {"x": 0.7}),
        (bounded_sum(["x"]), {"x": 1.4}),
        (partitions("k"), pyarrow.table({"k": ["rare", "usual"]})),
        (top_k("k", ("rare", "usual"), 1), pyarrow.table({"rank": [1], "k": ["rare"]})),
    ):
        first, second = scored(kind, released)
        assert first > second, kind


def test_an_audit_adds_as_many_people_as_their_delta_allows() -> None:
    assert [added(epsilon, 1e-6) for epsilon in (4.0, 1.0, 0.5, 0.1)] == [1, 2, 4, 20]
    assert added(0.5, 0.003) == 2 and group_delta(0.5, 0.003, 2) <= 0.01 < group_delta(0.5, 0.003, 3)
    assert group_delta(0.5, 1e-6, 1) == pytest.approx(1e-6)
    assert attacks.audit_mechanism(dataclasses.make_dataclass("Other", [("name", str)])("other"), 1.0, 1e-6) is None


def test_bad_input_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="at least 200 people"):
        attacks.attack_release(log(50), "who", histogram("item", max_contributions=2), 1.0, 1e-6)
    with pytest.raises(DataError, match='no column "nobody"'):
        attacks.attack_release(log(), "nobody", histogram("item", max_contributions=2), 1.0, 1e-6)
    with pytest.raises(DataError, match="rows without a value"):
        attacks.attack_release(
            polars.DataFrame({"who": [1, None], "item": [1, 2]}), "who", histogram("item", max_contributions=2), 1.0, 1e-6
        )
    with pytest.raises(UsageError, match="at least 20 people"):
        attacks.tracing(np.zeros(5), np.zeros(100), target="x", epsilon=1.0, delta=0.0)
