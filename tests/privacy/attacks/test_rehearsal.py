"""Attacks before a release: they find what an exact release gives away, and a mechanism that adds too little noise."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import DataError, UsageError
from pellucid.privacy import Gram, Histogram, Mean, attacks, gram, histogram, mean
from pellucid.privacy.attacks.synthetic import added, group_delta


@given(st.floats(0.0, 1.0), st.floats(0.01, 8.0), st.floats(0.0, 0.1))
def test_the_promise_is_no_less_than_guessing_and_no_more_than_the_definition_allows(
    alarms: float, epsilon: float, delta: float
) -> None:
    most = attacks.promised(alarms, epsilon, delta)
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


class Loud(Histogram):
    """A planted bug: eight times the epsilon that is declared."""

    def run(self, table_path: Path, unit: str, epsilon: float, delta: float, key: bytes, scratch: Path) -> Any:
        return super().run(table_path, unit, 8 * epsilon, delta, key, scratch)


class LoudGram(Gram):
    """The same bug in pair counts."""

    def run(self, table_path: Path, unit: str, epsilon: float, delta: float, key: bytes, scratch: Path) -> Any:
        return super().run(table_path, unit, 8 * epsilon, delta, key, scratch)


class LoudMean(Mean):
    """The same bug in means, larger: they are audited on few runs."""

    def run(self, table_path: Path, unit: str, epsilon: float, delta: float, key: bytes, scratch: Path) -> Any:
        return super().run(table_path, unit, 40 * epsilon, delta, key, scratch)


def test_membership_is_found_in_exact_counts_and_not_in_released_ones() -> None:
    exact = attacks.attack_release(log(), "who", Exact("item", cap=40), 0.5, 1e-6)[0]
    assert exact.rate.low > exact.references["promised at most"]  # type: ignore[operator]
    released = attacks.attack_release(log(), "who", histogram("item", cap=40), 0.5, 1e-6)[0]
    assert released.rate.low <= released.references["promised at most"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("honest", "planted"),
    [
        (histogram("item", cap=2), Loud("item", cap=2)),
        (gram("item", cap=2, max_items=800), LoudGram("item", cap=2, max_items=800)),
        (mean(["x"]), LoudMean(("x",))),
    ],
    ids=["histogram", "gram", "mean"],
)
def test_the_audit_on_made_up_neighbours_refutes_a_planted_bug_and_not_the_mechanism(honest: Any, planted: Any) -> None:
    for mechanism, refuted in ((honest, False), (planted, True)):
        found = attacks.audit_mechanism(mechanism, 0.5, 1e-6)
        assert found is not None and found.refuted == refuted, found
        assert found.declared == 0.5 and found.runs >= 200


def test_an_audit_adds_as_many_people_as_their_delta_allows() -> None:
    assert [added(epsilon, 1e-6) for epsilon in (4.0, 1.0, 0.5, 0.1)] == [1, 2, 4, 20]
    assert added(0.5, 0.003) == 2 and group_delta(0.5, 0.003, 2) <= 0.01 < group_delta(0.5, 0.003, 3)
    assert group_delta(0.5, 1e-6, 1) == pytest.approx(1e-6)
    assert attacks.audit_mechanism(dataclasses.make_dataclass("Other", [("name", str)])("other"), 1.0, 1e-6) is None


def test_bad_input_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="at least 200 people"):
        attacks.attack_release(log(50), "who", histogram("item", cap=2), 1.0, 1e-6)
    with pytest.raises(DataError, match='no column "nobody"'):
        attacks.attack_release(log(), "nobody", histogram("item", cap=2), 1.0, 1e-6)
    with pytest.raises(DataError, match="rows without a value"):
        attacks.attack_release(polars.DataFrame({"who": [1, None], "item": [1, 2]}), "who", histogram("item", cap=2), 1.0, 1e-6)
    with pytest.raises(UsageError, match="at least 20 people"):
        attacks.tracing(np.zeros(5), np.zeros(100), target="x", epsilon=1.0, delta=0.0)
