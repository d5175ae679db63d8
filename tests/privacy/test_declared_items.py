"""Pairs of declared items: all of them are released, whatever the data hold, and one unit moves no more than is stated."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mechanism_checks import CASES as UNDECLARED
from mechanism_checks import KEY, Case, sensitivity_breaches

from pellucid.errors import PrivacyError
from pellucid.privacy import MECHANISMS
from pellucid.privacy.private_tables import bounding
from pellucid.privacy.private_tables.public_partitions import counts_of_public_keys, only_declared

MODULES = {
    name: __import__("sys").modules[f"pellucid.privacy.mechanisms.{file}"]
    for name, file in (("gram", "gram_matrix"), ("pairs", "pairs"))
}
KEYS = ("b", "c", "a")


def statistic(mechanism: Any, path: Path, unit: Any, scratch: Path) -> dict[Any, int]:
    """The cells of declared items before noise, by the functions a release calls."""
    with only_declared(path, unit, mechanism.item, mechanism.public_keys, mechanism.other, scratch) as declared:
        held = bounding.bounded_pairs(declared, unit, mechanism.item, mechanism.max_contributions, KEY, scratch)
    items, counts = MODULES["gram"].diagonal(held)
    items, counts = counts_of_public_keys(items, counts, tuple(sorted(mechanism.public_keys)), mechanism.other)
    names = items.to_pylist()
    if mechanism.name == "gram":
        cells = MODULES["gram"].pair_counts(held, items)
        found = {(names[i], names[j]): int(cells[i, j]) for i in range(len(names)) for j in range(i + 1, len(names))}
        return found | dict(zip(names, map(int, counts), strict=True))
    first, second, pairs = MODULES["pairs"].every_pair(len(names), *MODULES["pairs"].together(held, items))
    return {(names[a], names[b]): int(c) for a, b, c in zip(first, second, pairs, strict=True)}


def case(name: str, most: int = 2) -> Case:
    made = MECHANISMS[name](item="item", max_contributions=most, public_keys=("a", "b"), other="o")
    return Case(made, statistic, UNDECLARED[name][0].sample)


@pytest.mark.parametrize("relation", ["add-remove", "replace"])
@pytest.mark.parametrize("name", ["gram", "pairs"])
def test_one_unit_moves_no_more_than_is_stated_over_all_small_histories(name: str, relation: str, tmp_path: Path) -> None:
    assert sensitivity_breaches(case(name), tmp_path, relation) == []


@pytest.mark.parametrize("name", ["gram", "pairs"])
def test_forgotten_bounding_is_caught(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = bounding.bounded_pairs

    def unbounded(path: Path, unit: Any, item: str, most: int, *more: Any, **options: Any) -> Path:
        return whole(path, unit, item, 100, *more, **options)

    monkeypatch.setattr(bounding, "bounded_pairs", unbounded)
    assert sensitivity_breaches(case(name), tmp_path)


def written(histories: list[list[str]], scratch: Path) -> Path:
    rows = [(f"u{who}", item) for who, history in enumerate(histories) for item in history]
    columns = {"unit": pa.array([row[0] for row in rows], pa.string()), "item": pa.array([row[1] for row in rows], pa.string())}
    pq.write_table(pa.table(columns), scratch / "rows.parquet")
    return scratch / "rows.parquet"


HISTORIES = st.lists(st.lists(st.sampled_from(["a", "b", "c", "x", "y"]), max_size=5), max_size=12)
HELD = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@HELD
@given(histories=HISTORIES, name=st.sampled_from(["gram", "pairs"]))
def test_every_declared_pair_is_released_in_order_and_close_to_the_truth(
    histories: list[list[str]], name: str, tmp_path: Path
) -> None:
    made = MECHANISMS[name](item="item", max_contributions=6, public_keys=KEYS, other="rest")
    released = made.run(written(histories, tmp_path), "unit", 100.0, 1e-6, KEY, tmp_path).to_pylist()
    items = [*sorted(KEYS), "rest"]
    together: Callable[..., Any] = itertools.combinations_with_replacement if name == "gram" else itertools.combinations
    assert [(row["item_a"], row["item_b"]) for row in released] == list(together(items, 2))
    sets = [{item if item in KEYS else "rest" for item in history} for history in histories]
    for row in released:
        truth = sum({row["item_a"], row["item_b"]} <= held for held in sets)
        assert abs(row["count"] - truth) <= 8 * max(1.0, made.numbers(100.0, 1e-6)["sigma"])


@pytest.mark.parametrize("name", ["gram", "pairs"])
def test_what_is_not_declared_is_refused_without_showing_it(name: str, tmp_path: Path) -> None:
    made = MECHANISMS[name](item="item", max_contributions=3, public_keys=KEYS)
    with pytest.raises(PrivacyError, match="a value that is not declared") as caught:
        made.check(written([["a", "zanzibar"]], tmp_path), "unit")
    assert "zanzibar" not in str(caught.value)
    made.check(written([["a", "b"]], tmp_path), "unit")


@pytest.mark.parametrize("name", ["gram", "pairs"])
@pytest.mark.parametrize("keys", [("a", "a"), ("a", 1), tuple(str(at) for at in range(5000)), ["a"]])
def test_keys_that_cannot_be_declared_are_refused(name: str, keys: Any) -> None:
    with pytest.raises(PrivacyError):
        MECHANISMS[name](item="item", public_keys=keys)


@pytest.mark.parametrize("name", ["gram", "pairs"])
def test_declared_items_need_no_threshold_and_less_noise(name: str) -> None:
    known = MECHANISMS[name](item="item", max_contributions=3, public_keys=KEYS)
    unknown = MECHANISMS[name](item="item", max_contributions=3)
    assert known.plan(1.0, 1e-6).delta_threshold == 0
    assert known.numbers(1.0, 1e-6)["sigma"] < unknown.numbers(1.0, 1e-6)["sigma"]
    assert known.guarantee(1.0, 1e-6)["threshold"] is None
    assert known.parameters() != unknown.parameters()
