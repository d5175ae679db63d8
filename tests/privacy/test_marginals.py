"""Marginals of mixed columns: what is counted where, what a score may move by, which pairs are chosen, and what is refused."""

from __future__ import annotations

import hashlib
import itertools
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import PrivacyError
from pellucid.privacy.mechanisms import Bins, Marginals, bins, marginals
from pellucid.privacy.mechanisms.marginals.edge_selection import candidate_places, expected, first_places, scores, tree
from pellucid.privacy.noise.laplace import laplace
from pellucid.privacy.noise.stream import Stream
from pellucid.store.labels import Unit

KEY = hashlib.sha256(b"a key for tests").digest()
ROOMY = {"epsilon": 20.0, "delta": 1e-3}


def written(rows: dict[str, list[Any]], folder: Path) -> Path:
    pq.write_table(pa.table(rows), folder / "rows.parquet")
    return folder / "rows.parquet"


def people(folder: Path, count: int = 4000) -> Path:
    """Colour follows shape, weight follows neither."""
    who = list(range(count))
    shape = ["round" if at % 3 else "square" for at in who]
    colour = ["red" if (at % 3 > 0) == (at % 10 > 0) else "blue" for at in who]
    return written({"who": who, "shape": shape, "colour": colour, "weight": [float(at % 7) for at in who]}, folder)


WIDE = {**{str(at): bins(0, 1, 10_000) for at in range(59)}, "t": list(range(1000))}
MIXED = {str(at): bins(0, 1, 300 if at < 10 else 2) for at in range(60)}
COLUMNS = {"shape": ["round", "square"], "colour": ["red", "blue", "green"], "weight": bins(0, 8, 4)}


def released(mechanism: Any, path: Path, folder: Path, unit: Any = "who", epsilon: float = 20.0) -> polars.DataFrame:
    mechanism.check(path, unit)
    return polars.DataFrame(mechanism.run(path, unit, epsilon, 1e-3, KEY, folder))


def test_every_cell_of_a_marginal_is_there_whether_anybody_is_in_it(tmp_path: Path) -> None:
    told = released(marginals(COLUMNS), people(tmp_path), tmp_path)
    parts = told.partition_by("marginal", maintain_order=True)
    assert [part.height for part in parts[:3]] == [2, 3, 4]
    assert parts[1]["colour"].to_list() == ["red", "blue", "green"]
    assert parts[2].select("weight_from", "weight_to").rows() == [(0.0, 2.0), (2.0, 4.0), (4.0, 6.0), (6.0, 8.0)]
    assert parts[1].select("shape", "weight_from", "weight_to").null_count().row(0) == (3, 3, 3)
    frame = polars.read_parquet(tmp_path / "rows.parquet")
    for part, name in ((parts[0], "shape"), (parts[1], "colour")):
        for value, count in part.select(name, "count").rows():
            assert abs(count - frame.filter(polars.col(name) == value).height) < 40
    pair = parts[3]
    assert pair.height == 6 and {"shape", "colour"} <= {c for c in pair.columns if pair[c].null_count() == 0}, (
        "they hang together"
    )


def test_the_same_key_gives_the_same_marginals_in_any_order_of_rows(tmp_path: Path) -> None:
    path = people(tmp_path)
    first = released(marginals(COLUMNS, target="colour"), path, tmp_path, epsilon=1.0)
    pq.write_table(polars.read_parquet(path).sample(fraction=1.0, shuffle=True, seed=3).to_arrow(), path)
    assert released(marginals(COLUMNS, target="colour"), path, tmp_path, epsilon=1.0).equals(first)


def test_of_a_unit_with_several_rows_one_counts(tmp_path: Path) -> None:
    path = written({"who": [1] * 50 + [2], "a": ["x"] * 50 + ["y"], "b": [0.0] * 51}, tmp_path)
    mechanism = marginals({"a": ["x", "y"], "b": bins(0, 2, 2)})
    counts = mechanism.counts(path, "who", KEY, tmp_path)
    assert counts[(0,)].tolist() == [1, 1] and counts[(1,)].tolist() == [2, 0]


def test_numbers_outside_their_range_count_at_its_ends_and_nothing_else_does(tmp_path: Path) -> None:
    values = [-1e300, -float("inf"), 0.0, 0.5, 1.0, 1.999, 2.0, float("inf"), 1e300, float("nan"), None, 4e18]
    path = written({"who": list(range(12)), "b": values, "a": [1, 2] * 6}, tmp_path)
    counts = marginals({"a": [1, 2], "b": bins(0, 2, 2)}).counts(path, "who", KEY, tmp_path)
    assert counts[(1,)].tolist() == [6, 6]
    path = written({"who": [1, 2, 3], "b": [2**62 + 1, -(2**62), 1], "a": [1, 2, 1]}, tmp_path)
    assert marginals({"a": [1, 2], "b": bins(0, 2, 2)}).counts(path, "who", KEY, tmp_path)[(1,)].tolist() == [1, 2]


def test_what_is_not_declared_is_other_or_refused(tmp_path: Path) -> None:
    path = written({"who": [1, 2, 3], "a": ["x", "y", "z"], "b": [1, 2, 1]}, tmp_path)
    with pytest.raises(PrivacyError, match="column 'a' has a value that is not declared"):
        marginals({"a": ["x", "y"], "b": [1, 2]}).check(path, "who")
    counts = marginals({"a": ["x", "y"], "b": [1, 2]}, other="rest").counts(path, "who", KEY, tmp_path)
    assert counts[(0,)].tolist() == [1, 1, 1]
    grouped = marginals({"a": {"x": "early", "y": "late", "z": "late"}, "b": [1, 2]}).counts(path, "who", KEY, tmp_path)
    assert grouped[(0,)].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("columns", "options", "complaint"),
    [
        ({"a": ["x", "y"]}, {}, "2 to 60 columns"),
        ({"a": ["x"], "b": [1, 2]}, {}, "column 'a' has 1 cells"),
        ({"a": ["x", "x"], "b": [1, 2]}, {}, "each once"),
        ({"a": "xy", "b": [1, 2]}, {}, "column 'a' is declared by str"),
        ({"a": 3, "b": [1, 2]}, {}, "column 'a' is declared by int"),
        ({"a": ["x", 1], "b": [1, 2]}, {}, "all text or all whole numbers"),
        ({"a": ["x", "y"], "b": [1, 2]}, {"target": "c"}, "the target 'c' is not a declared column"),
        ({"count": ["x", "y"], "b": [1, 2]}, {}, "two columns of the release would be called 'count'"),
        ({"b_from": ["x", "y"], "b": bins(0, 1, 2)}, {}, "two columns of the release would be called 'b_from'"),
        ({"b_from": ["x", "y"], "b_to": ["x", "y"]}, {}, "would be read as the bins of a column 'b'"),
        ({"a": [1, 2**63], "b": [1, 2]}, {}, "a whole number beyond 64 bits"),
        ({"a": ["x", "\ud800"], "b": [1, 2]}, {}, "not valid Unicode"),
        ({"a": {"x": 1, "y": 2}, "b": [1, 2]}, {"other": "rest"}, "other= names the key"),
        ({"a": Bins((0, 2**53, 2**53 + 1, 2**60)), "b": [1, 2]}, {}, "too close to each other"),
        ({str(at): bins(0, 1, 10_000) for at in range(60)}, {"target": "3", "max_cells": 10**8}, "max_cells must be"),
        (WIDE, {"target": "t", "max_cells": 10**7}, "cells together"),
        (MIXED, {}, "more than 100,000,000 values"),
        ({"a": list(range(9000)), "b": list(range(9000))}, {"target": "a"}, "more than 100,000 cells"),
        ({"a": ["x", "y"], "b": [1, 2]}, {"other": "x"}, "other= names the key"),
        ({name: list(range(300)) for name in map(str, range(60))}, {}, "more than 40,000,000 cells together"),
    ],
)  # fmt: skip
def test_what_cannot_be_declared_is_one_line(columns: dict[str, Any], options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PrivacyError) as refused:
        marginals(columns, **options)
    assert complaint in str(refused.value) and "\n" not in refused.value.what


@pytest.mark.parametrize("edges", [(0, 1, 0), (2, 1, 2), (0, float("inf"), 2), (0, 1, 1.5), (0, float("nan"), 2)])
def test_a_range_that_is_none_is_refused(edges: Any) -> None:
    with pytest.raises(PrivacyError):
        bins(*edges)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([None, 1]))
def test_one_row_moves_a_score_by_one_and_a_replaced_one_by_two(seed: int, target: int | None) -> None:
    random = np.random.Generator(np.random.PCG64(seed))
    sizes = random.integers(2, 5, 4).tolist()
    rows = np.stack([random.integers(0, size, 30) for size in sizes], axis=1)
    first, candidates = first_places(4, target), candidate_places(sizes, target, 1000)
    noised = {place: random.integers(-5, 40, [sizes[at] for at in place]) for place in first}

    def scored(data: Any) -> Any:
        counts = {}
        for place in candidates:
            shape = [sizes[at] for at in place]
            cells = np.ravel_multi_index(tuple(data[:, at] for at in place), shape)
            counts[place] = np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)
        return scores(counts, noised, candidates, Fraction(9))

    whole, less = scored(rows), scored(rows[1:])
    assert np.abs(whole - less).max() <= 1
    other = rows.copy()
    other[0] = [random.integers(0, size) for size in sizes]
    assert np.abs(whole - scored(other)).max() <= 2
    assert whole[-1] == less[-1] == 0, "no more is always 0"


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 7), st.integers(0, 2**31), st.booleans())
def test_what_is_chosen_is_a_forest_of_candidates(columns: int, seed: int, targeted: bool) -> None:
    target = columns - 1 if targeted and columns > 2 else None
    sizes = [2 + (seed >> at) % 3 for at in range(columns)]
    candidates = candidate_places(sizes, target, 30)
    random = np.random.Generator(np.random.PCG64(seed))
    worth = np.append(random.integers(-50, 200, len(candidates)), 0)
    rounds = columns - (1 if target is None else 2)
    chosen = tree(worth, candidates, rounds, laplace(Fraction(1), 2), Stream(KEY))
    assert len(chosen) <= rounds and set(chosen) <= set(candidates)
    part = {at: {at} for at in range(columns)}
    for one, other in (place[:2] for place in chosen):
        assert part[one] is not part[other], "no circle"
        joined = part[one] | part[other]
        part |= dict.fromkeys(joined, joined)
    assert tree(worth, candidates, rounds, None, Stream(KEY)) == []


def test_what_is_expected_is_what_independence_gives() -> None:
    first = {(0,): np.array([300, 700]), (1,): np.array([500, 250, 250])}
    assert expected(first, (0, 1), Fraction(1)).tolist() == [[150, 75, 75], [350, 175, 175]]
    with_target = {(0, 2): np.array([[100, 200], [300, 400]]), (1, 2): np.array([[200, 300], [200, 300]])}
    found = expected(with_target, (0, 1, 2), Fraction(1))
    assert found[:, :, 0].tolist() == [[50, 50], [150, 150]]
    assert found[:, :, 1].tolist() == [[100, 100], [200, 200]]
    empty = {(0,): np.array([-5, 1]), (1,): np.array([0, -9, 2])}
    assert expected(empty, (0, 1), Fraction(25)).tolist() == [[0] * 3] * 2, "noise alone is nobody"


def test_a_released_table_is_read_as_it_was_made(tmp_path: Path) -> None:
    for target in ("", "colour", "shape"):
        mechanism = marginals(COLUMNS, target=target)
        path = people(tmp_path, 900)
        chosen, stream = mechanism.plan(3.0, 1e-6), Stream(KEY)
        made = mechanism.noised(mechanism.counts(path, "who", stream.subkey("bounding"), tmp_path), chosen, stream)
        again = mechanism.read(mechanism.shown(made))
        assert [place for place, _ in again] == list(made)
        assert all(np.array_equal(counts, made[place]) for place, counts in again)


def test_a_person_s_day_is_a_unit_too(tmp_path: Path) -> None:
    path = written({"who": [1, 1, 2], "t": [0, 90_000, 5], "a": ["x", "y", "x"], "b": [1, 2, 2]}, tmp_path)
    unit = Unit("who", time="t", clock="s")
    counts = marginals({"a": ["x", "y"], "b": [1, 2]}).counts(path, unit, KEY, tmp_path)
    assert counts[(0,)].tolist() == [2, 1]
    rows = marginals({"a": ["x", "y"], "b": [1, 2]}).counts(path, Unit(None), KEY, tmp_path)
    assert rows[(1,)].tolist() == [1, 2]


def test_pairs_that_are_too_large_are_not_looked_at() -> None:
    assert candidate_places([10, 20, 30], None, 300) == [(0, 1), (0, 2)]
    assert candidate_places([10, 20, 30], 0, 3000) == []
    assert marginals({"a": list(range(20)), "b": list(range(20))}, max_cells=30).plan(1.0, 1e-6).choice is None
    for place in itertools.chain(first_places(3, 1), candidate_places([2, 2, 2], 1, 8)):
        assert place[-1] == 1, "the target stands last"


@pytest.mark.parametrize("cells", [(("g", 5), ("h", ("x",))), (("g", "xy"), ("h", ("z",))), (("g", ()), ("h", ("z",)))])
def test_groups_that_list_no_values_are_refused(cells: Any) -> None:
    with pytest.raises(PrivacyError, match="list"):
        Marginals((("a", "groups", cells), ("b", "values", (1, 2))))


def test_a_column_of_the_unit_may_be_called_as_ours_are(tmp_path: Path) -> None:
    names = ["cell 0", "cell 1", "cell 0 of a column"]
    for name in names:
        path = written({name: [1, 2, 3], "a": ["x", "y", "x"], "b": [1, 2, 2]}, tmp_path)
        assert marginals({"a": ["x", "y"], "b": [1, 2]}).counts(path, name, KEY, tmp_path)[(0,)].tolist() == [2, 1]


@pytest.mark.parametrize("target", ["", "a"])
@pytest.mark.parametrize("relation", ["add-remove", "replace"])
def test_every_marginal_has_noise_of_the_sigma_that_is_promised(target: str, relation: str, tmp_path: Path) -> None:
    """What always is measured and what is chosen, each by itself: from thousands of cells that nobody is in."""
    columns = {"a": [1, 2], "b": bins(0, 1, 40), "c": bins(0, 1, 40), "d": bins(0, 1, 40)}
    who = list(range(3000))
    path = written({"who": who, "a": [1] * 3000, **{name: [at % 8 / 40 for at in who] for name in "bcd"}}, tmp_path)
    mechanism = marginals(columns, target=target)
    told = mechanism.numbers(4.0, 1e-3, relation)["sigma"]
    for sigma in (mechanism.guarantee(4.0, 1e-3, relation)["sigma"], mechanism.numbers(4.0, 1e-3, relation)["sigma"]):
        assert sigma == told
    noise: dict[bool, list[Any]] = {True: [], False: []}
    for run in range(6):
        key = hashlib.sha256(f"{run}".encode()).digest()
        truth = mechanism.counts(path, "who", Stream(key).subkey("bounding"), tmp_path)
        for place, counts in mechanism.read(mechanism.run(path, Unit("who", relation=relation), 4.0, 1e-3, key, tmp_path)):
            noise[len(place) > (2 if target else 1)].append((counts - truth[place]).ravel())
    for chosen, drawn in noise.items():
        values = np.concatenate(drawn)
        assert len(values) > 700, f"chosen: {chosen}"
        assert values.std() == pytest.approx(told, rel=4 / (2 * len(values)) ** 0.5)
        assert abs(values.mean()) < 5 * told / len(values) ** 0.5


@pytest.mark.parametrize("target", ["", "colour"])
def test_pairs_are_chosen_by_what_is_released_and_expected_of_it_alone(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["pellucid.privacy.mechanisms.marginals.column_marginals"]
    mechanism, asked = marginals(COLUMNS, target=target), []
    real = module.scores
    monkeypatch.setattr(module, "scores", lambda counts, first, *rest: asked.append(dict(first)) or real(counts, first, *rest))
    truth = mechanism.counts(people(tmp_path), "who", KEY, tmp_path)
    released = mechanism.noised(truth, mechanism.plan(1.0, 1e-6), Stream(KEY))
    (first,) = asked
    assert set(first) == {place for place in released if len(place) == (2 if target else 1)}
    assert all(first[place] is released[place] for place in first)
    assert any((first[place] != truth[place]).any() for place in first)


def test_counts_of_more_people_than_there_are_do_not_overflow() -> None:
    most = 2**31 - 1
    huge = np.array([2**62, 0])
    assert expected({(0,): huge, (1,): huge}, (0, 1), Fraction(1)).tolist() == [[most, 0], [0, 0]]
    both = np.array([[2**62, 0], [0, 2**40]])
    assert expected({(0, 2): both, (1, 2): both}, (0, 1, 2), Fraction(1))[:, :, 0].tolist() == [[most, 0], [0, 0]]


def test_whole_edges_and_the_same_as_numbers_are_one_release() -> None:
    one, other = (Marginals((("a", "bins", edges), ("b", "values", (1, 2)))) for edges in ((0, 1, 2), (0.0, 1.0, 2.0)))
    assert one.parameters() == other.parameters() and one == other
    again = Marginals([["a", "bins", [0, 1, 2]], ["b", "values", [1, 2]]])  # type: ignore[arg-type]  # as settings come back from JSON
    assert again == one and again.parameters() == one.parameters()
