"""The search finds what trying everything finds, on the census and on small tables of every kind."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import DataError, PrivacyError, UsageError
from pellucid.privacy.assess import k_anonymity, l_diversity, t_closeness
from pellucid.privacy.transforms import Generalise, Hierarchy, intervals, least_loss, masks, read_hierarchy, transformed

QUASI = ["age", "education", "marital-status", "native-country", "occupation", "race", "sex", "workclass"]
KEY = bytes(32)


def penalty(hierarchy: Hierarchy, level: int, value: str) -> float:
    """NCP of one value, by its definition."""
    mine = next(row[level] for row in hierarchy.rows if row[0] == value)
    together = sum(row[level] == mine for row in hierarchy.rows)
    return together / len(hierarchy.rows) if together > 1 else 0.0


def exhaustive(
    rows: list[tuple[str, ...]], hierarchies: list[Hierarchy], k: int, suppress: float, sensitive: list[Any] | None, wanted: Any
) -> float | None:
    """The least loss over all choices of levels, each tried in the plainest way."""
    best: float | None = None
    for choice in product(*(range(h.levels) for h in hierarchies)):
        maps = [{row[0]: row[level] for row in h.rows} for h, level in zip(hierarchies, choice, strict=True)]
        costs = [{v: penalty(h, level, v) for v in h.places} for h, level in zip(hierarchies, choice, strict=True)]
        coarse = [tuple(m[v] for m, v in zip(maps, row, strict=True)) for row in rows]
        classes: dict[tuple[str, ...], list[int]] = {}
        for at, key in enumerate(coarse):
            classes.setdefault(key, []).append(at)
        gone = {at for held in classes.values() if len(held) < k for at in held}
        if len(gone) > int(suppress * len(rows)):
            continue
        if sensitive is not None and not wanted(list(classes.values()), sensitive):
            continue
        loss = sum(
            1.0 if at in gone else sum(c[v] for c, v in zip(costs, row, strict=True)) / len(hierarchies)
            for at, row in enumerate(rows)
        )
        loss /= len(rows)
        best = loss if best is None else min(best, loss)
    return best


FIVE = [
    ("1", "1-2", "1-4", "*"),
    ("2", "1-2", "1-4", "*"),
    ("3", "3-4", "1-4", "*"),
    ("4", "3-4", "1-4", "*"),
    ("5", "5", "5", "*"),
]
SMALL = [
    Hierarchy((("a", "x", "*"), ("b", "x", "*"), ("c", "y", "*"), ("d", "y", "*"))),
    Hierarchy(tuple(FIVE)),
    Hierarchy((("m", "*"), ("f", "*"))),
]
ROW = st.tuples(st.sampled_from("abcd"), st.sampled_from("12345"), st.sampled_from("mf"), st.integers(0, 3))
ROWS = st.lists(ROW, min_size=1, max_size=40)


def table_of(rows: list[tuple[Any, ...]]) -> pa.Table:
    return pa.table({name: [row[at] for row in rows] for at, name in enumerate("pqrs")})


@pytest.mark.slow
@given(ROWS, st.integers(1, 6), st.sampled_from([0.0, 0.1, 0.3, 1.0]))
@settings(max_examples=120)
def test_k_with_and_without_suppression_is_optimal(rows: list[tuple[Any, ...]], k: int, suppress: float) -> None:
    hierarchies = dict(zip("pqr", SMALL, strict=True))
    expected = exhaustive([row[:3] for row in rows], SMALL, k, suppress, None, None)
    if expected is None:
        with pytest.raises(PrivacyError, match="no generalisation reaches this"):
            least_loss(table_of(rows), hierarchies, k=k, suppress=suppress)
        return
    found = least_loss(table_of(rows), hierarchies, k=k, suppress=suppress)
    assert found.loss == pytest.approx(expected)
    assert found.suppressed <= suppress * len(rows)
    made = transformed(table_of(rows), found.transforms(), key=KEY).read_all() if found.transforms() else table_of(rows)
    assert made.num_rows == len(rows) - found.suppressed
    if made.num_rows:
        assert k_anonymity(made, list("pqr")).value >= k
        assert k_anonymity(made, list("pqr")).detail["classes"] == found.classes


@given(ROWS, st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=80)
def test_l_is_optimal(rows: list[tuple[Any, ...]], k: int, wanted: int) -> None:
    def diverse(classes: list[list[int]], values: list[Any]) -> bool:
        return all(len({values[at] for at in held}) >= wanted for held in classes)

    expected = exhaustive([row[:3] for row in rows], SMALL, k, 0.0, [row[3] for row in rows], diverse)
    hierarchies = dict(zip("pqr", SMALL, strict=True))
    if expected is None:
        with pytest.raises(PrivacyError, match="no generalisation"):
            least_loss(table_of(rows), hierarchies, k=k, sensitive="s", l=wanted)
        return
    assert least_loss(table_of(rows), hierarchies, k=k, sensitive="s", l=wanted).loss == pytest.approx(expected)


@given(ROWS, st.sampled_from([0.0, 0.1, 0.25, 0.5]), st.booleans())
@settings(max_examples=80)
def test_t_is_optimal(rows: list[tuple[Any, ...]], t: float, ordered: bool) -> None:
    def close(classes: list[list[int]], values: list[Any]) -> bool:
        names = sorted(set(values))
        whole = np.array([values.count(v) for v in names]) / len(values)
        for held in classes:
            gap = np.array([sum(values[at] == v for at in held) for v in names]) / len(held) - whole
            far = np.abs(np.cumsum(gap)).sum() / max(1, len(names) - 1) if ordered else np.abs(gap).sum() / 2
            if far > t + 1e-12:
                return False
        return True

    expected = exhaustive([row[:3] for row in rows], SMALL, 1, 0.0, [row[3] for row in rows], close)
    found = least_loss(table_of(rows), dict(zip("pqr", SMALL, strict=True)), k=1, sensitive="s", t=t, ordered=ordered)
    assert found.loss == pytest.approx(expected)


@pytest.fixture(scope="session")
def hierarchies(data: Path) -> dict[str, Hierarchy]:
    return {name: read_hierarchy(data / "adult" / f"adult_hierarchy_{name}.csv") for name in QUASI}


@pytest.mark.quick(1)
@pytest.mark.parametrize("suppress", [0.0, 0.02])
def test_the_census_on_four_columns_is_as_trying_everything(
    adult: pa.Table, hierarchies: dict[str, Hierarchy], suppress: float
) -> None:
    four = ["age", "education", "sex", "workclass"]
    frame = adult.select(four).to_pandas().astype(str)
    coarse: dict[tuple[str, int], Any] = {}
    cost: dict[tuple[str, int], Any] = {}
    for name in four:
        for level in range(hierarchies[name].levels):
            column = {row[0]: row[level] for row in hierarchies[name].rows}
            prices = {value: penalty(hierarchies[name], level, value) for value in frame[name].unique()}
            coarse[name, level] = frame[name].map(column).astype("category")
            cost[name, level] = frame[name].map(prices).to_numpy()
    best = None
    for choice in product(*(range(hierarchies[name].levels) for name in four)):
        at = list(zip(four, choice, strict=True))
        size = frame["sex"].groupby([coarse[where] for where in at], observed=True).transform("size").to_numpy()
        if (size < 5).sum() <= int(suppress * len(frame)):
            loss = np.where(size >= 5, sum(cost[where] for where in at) / len(four), 1.0).mean()
            best = loss if best is None else min(best, loss)
    found = least_loss(adult, {name: hierarchies[name] for name in four}, k=5, suppress=suppress)
    assert found.loss == pytest.approx(best)
    assert found.choices == 5 * 4 * 2 * 3


def test_the_census_on_all_eight_columns(adult: pa.Table, hierarchies: dict[str, Hierarchy]) -> None:
    """The optimum reaches k, l and t, and is no worse than any of its neighbours that do."""
    found = least_loss(adult, hierarchies, k=5, sensitive="salary-class", l=2, t=0.3)
    made = transformed(adult, found.transforms(), key=KEY).read_all()
    assert k_anonymity(made, QUASI).value >= 5
    assert l_diversity(made, QUASI, "salary-class")[0].value >= 2
    assert t_closeness(made, QUASI, "salary-class").value <= 0.3
    assert found.looked_at < found.choices / 10
    assert json.loads(json.dumps(found.to_json()))["levels"] == dict(found.levels)
    assert max(map(len, found.to_text().splitlines())) <= 80
    for name, level in found.levels.items():
        if level:
            finer = dict(found.levels) | {name: level - 1}
            chain = [Generalise(n, hierarchies[n], at) for n, at in finer.items()]
            other = transformed(adult, chain, key=KEY).read_all()
            reached = (
                k_anonymity(other, QUASI).value >= 5
                and l_diversity(other, QUASI, "salary-class")[0].value >= 2
                and t_closeness(other, QUASI, "salary-class").value <= 0.3
            )
            assert not reached


def test_hierarchies_are_checked() -> None:
    with pytest.raises(UsageError, match="not nested"):
        Hierarchy((("a", "x", "1"), ("b", "x", "2")))
    with pytest.raises(UsageError, match="a value twice"):
        Hierarchy((("a", "x"), ("a", "x")))
    with pytest.raises(UsageError, match="differ in length"):
        Hierarchy((("a", "x"), ("b",)))
    assert intervals(0, 9, [5]).rows[7] == ("7", "5-9", "*")
    assert masks(["8001", "8052"], keep=[3, 1]).rows == (("8001", "800*", "8***", "**"), ("8052", "805*", "8***", "**"))
    with pytest.raises(UsageError, match="multiple"):
        intervals(0, 9, [5, 7])


def test_goals_that_cannot_be_are_refused_and_no_value_is_shown() -> None:
    table = table_of([("a", "1", "m", 1), ("secretive", "1", "m", 1)])
    with pytest.raises(DataError, match='"p" has values that its hierarchy does not know: 1 of them') as caught:
        least_loss(table, {"p": SMALL[0]}, k=1)
    assert "secretive" not in str(caught.value)
    good = table_of([("a", "1", "m", 1)])
    for wrong, says in [
        ({"k": 1, "sensitive": "s", "t": 0.1, "suppress": 0.1}, "t-closeness cannot be searched"),
        ({"k": 1, "sensitive": "s", "l": 1, "suppress": 0.1}, "l-diversity is not searched"),
        ({"k": 1, "l": 2}, "about a sensitive column"),
        ({"k": 0}, "k must be a whole number"),
        ({"k": 1, "suppress": float("nan")}, "suppress must lie between"),
        ({"k": 1, "sensitive": "p", "l": 1}, "generalised and sensitive at once"),
    ]:
        with pytest.raises((PrivacyError, UsageError), match=says):
            least_loss(good, {"p": SMALL[0]}, **wrong)
