"""Synthetic tables: the rows have what the marginals say, are nobody's, and are the same for everybody; faulty marginals are one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid
from pellucid.errors import DataError, UsageError
from pellucid.pipeline.running import load, run
from pellucid.privacy.mechanisms import bins, marginals
from pellucid.synthesize import fit_tree, make_table, released_marginals
from pellucid.synthesize import table as table_step
from pellucid.synthesize.column_tree import _feasible

COLUMNS = {"shape": ["round", "square"], "colour": ["red", "blue", "green"], "weight": bins(0, 8, 4), "size": bins(0.0, 1.5, 3)}
SIZES = [2, 3, 4, 3]
GUARANTEE = {"sigma": 0.5, "epsilon": 1.0}


def clear(seed: int = 0, people: int = 5000, target: str = "") -> tuple[Any, np.ndarray[Any, Any], dict[Any, Any]]:
    """People whose colour and weight follow their shape; the marginals of a tree over them, and of a target, without noise."""
    random = np.random.Generator(np.random.PCG64(seed))
    shape = (random.random(people) < 0.3).astype(int)
    colour = np.where(random.random(people) < 0.8, shape, random.integers(0, 3, people))
    weight = np.where(random.random(people) < 0.7, shape + 1, random.integers(0, 4, people))
    rows = np.stack([shape, colour, weight, random.integers(0, 3, people)], axis=1)
    mechanism = marginals(COLUMNS, target=target)
    places = [place for place in mechanism.places() if len(place) == (2 if target else 1)]
    places += [(0, 2, 1), (0, 3, 1)] if target else [(0, 1), (0, 2)]
    counts = {}
    for place in places:
        sizes = [SIZES[at] for at in place]
        counts[place] = np.bincount(
            np.ravel_multi_index(tuple(rows[:, at] for at in place), sizes), minlength=int(np.prod(sizes))
        )
        counts[place] = counts[place].reshape(sizes)
    return mechanism, rows, counts


def codes(made: pa.Table) -> np.ndarray[Any, Any]:
    columns = marginals(COLUMNS).table
    return np.stack([column.codes(made.column(column.name).combine_chunks()) for column in columns], axis=1)


@pytest.mark.parametrize("target", ["", "colour"])
def test_rows_have_what_the_marginals_say(target: str) -> None:
    mechanism, _, counts = clear(target=target)
    made, quality = make_table(mechanism.shown(counts), GUARANTEE, 5000, seed=3)
    assert made.num_rows == 5000 and made.column_names == list(COLUMNS)
    drawn = codes(made)
    for place, wanted in counts.items():
        found = np.bincount(np.ravel_multi_index(tuple(drawn[:, at] for at in place), wanted.shape), minlength=wanted.size)
        assert np.abs(found - wanted.ravel()).sum() / 2 / 5000 < 0.015, place
    assert quality["people"] == pytest.approx(5000, abs=1) and quality["joint_distance"] < 0.015
    weights = made.column("weight").to_numpy()
    assert made.schema.field("weight").type == pa.int64() and set(weights) == set(range(8)), "whole edges give whole numbers"
    size = made.column("size").to_numpy()
    assert size.min() >= 0 and size.max() < 1.5 and len(np.unique(size)) > 500


def test_a_table_that_is_chained_keeps_what_only_follows_from_it() -> None:
    """Colour and weight were never counted together; both follow shape."""
    mechanism, rows, counts = clear(people=20_000)
    drawn = codes(make_table(mechanism.shown(counts), GUARANTEE, 20_000)[0])
    for one, other in ((1, 2), (0, 3)):
        truth, found = (
            np.histogram2d(a[:, one], a[:, other], bins=[SIZES[one], SIZES[other]])[0] / len(a) for a in (rows, drawn)
        )
        assert np.abs(truth - found).sum() / 2 < 0.02


def test_more_rows_than_people_come_in_portions_and_numbers_decide_nothing_else() -> None:
    mechanism, _, counts = clear()
    model = fit_tree(released_marginals(mechanism.shown(counts)), 0.5)
    portions = list(model.portions(1, 600_000))
    assert [len(portion) for portion in portions] == [262_144, 262_144, 75_712]
    share = np.concatenate(portions)[:, 0].mean()
    assert share == pytest.approx(counts[(0,)][1] / 5000, abs=0.001)
    assert not np.array_equal(portions[0][:1000], portions[1][:1000]), "each portion has a generator of its own"


def test_noise_is_shared_out_and_nothing_falls_below_zero() -> None:
    mechanism, _, counts = clear(people=800)
    random = np.random.Generator(np.random.PCG64(5))
    noised = {place: cells + np.round(random.normal(0, 40, cells.shape)).astype(int) for place, cells in counts.items()}
    noised[(3,)] = np.array([-60, 900, -20])
    made, _ = make_table(mechanism.shown(noised), {"sigma": 40.0}, 800)
    drawn = codes(made)
    found = np.bincount(drawn[:, 3], minlength=3)
    assert found[1] > 740 and found.min() >= 0
    shape = np.bincount(drawn[:, 0], minlength=2) / 800
    assert abs(shape[0] - counts[(0,)][0] / 800) < 0.15


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-200, 500), min_size=1, max_size=30), st.floats(0.5, 1e6))
def test_the_nearest_table_has_all_the_people_and_none_below_zero(counts: list[int], people: float) -> None:
    found = _feasible(np.array(counts, dtype=float), people)
    assert found.min() >= 0 and found.sum() == pytest.approx(people)
    kept = found > 0
    moved = np.array(counts)[kept] - found[kept]
    assert np.ptp(moved) < 1e-6 * max(1.0, people), "what stays is moved by the same amount"
    assert np.all(np.array(counts)[~kept] <= moved.max() + 1e-6 * people)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 400), st.sampled_from(["", "colour", "shape"]))
def test_any_noise_gives_rows_of_declared_cells(seed: int, sigma: int, target: str) -> None:
    mechanism, _, counts = clear(seed % 7, 300, "colour" if target else "")
    random = np.random.Generator(np.random.PCG64(seed))
    noised = {place: cells + random.integers(-sigma, sigma + 1, cells.shape) for place, cells in counts.items()}
    try:
        made, quality = make_table(mechanism.shown(noised), {"sigma": sigma / 2}, 500, seed)
    except DataError:  # for marginals of noise alone, see below
        return
    drawn = codes(made)
    assert drawn.min() >= 0 and all(drawn[:, at].max() < size for at, size in enumerate(SIZES))
    assert all(np.isfinite(value) for value in quality.values())


def test_marginals_that_say_nothing_are_refused() -> None:
    mechanism, _, counts = clear(people=30)
    with pytest.raises(DataError, match="no more in them than noise") as refused:
        make_table(mechanism.shown(counts), {"sigma": 200.0})
    assert "Raise epsilon" in str(refused.value)


def test_the_order_of_a_release_s_rows_says_nothing() -> None:
    mechanism, _, counts = clear(target="colour")
    told = polars.DataFrame(mechanism.shown(counts))
    first = released_marginals(told.to_arrow()).single
    mixed = released_marginals(told.sort("marginal", "count").to_arrow())
    named = [[str(value) for value in column.values] if column.values is not None else [] for column in mixed.columns]
    assert sorted(named[0]) == ["round", "square"]
    assert sorted(cells.sum() for cells in mixed.single.values()) == sorted(cells.sum() for cells in first.values())
    drawn = polars.DataFrame(make_table(told.sort("marginal", "count").to_arrow(), GUARANTEE, 5000)[0])
    straight = polars.DataFrame(make_table(told.to_arrow(), GUARANTEE, 5000)[0])
    for name in ("shape", "colour"):
        one, other = (dict(table.group_by(name).len().rows()) for table in (drawn, straight))
        assert all(abs(one[value] - other[value]) < 60 for value in one)


def test_what_is_no_release_of_marginals_is_one_line() -> None:
    mechanism, _, counts = clear()
    told = polars.DataFrame(mechanism.shown(counts))
    column = polars.col
    joint = told.filter(column("marginal") == 4)
    faulty = {
        "no columns": told.select("shape", "colour"),
        "no rows": told.head(0),
        "a cell is missing": told.slice(1),
        "a marginal is missing": told.filter(column("marginal") != 1),
        "a gap in the bins": told.with_columns(weight_to=column("weight_to") - 0.5),
        "bins that go down": told.with_columns(weight_from=-column("weight_from"), weight_to=-column("weight_to")),
        "bins without an end": told.with_columns(
            weight_to=polars.when(column("weight_to") == 8).then(float("inf")).otherwise(column("weight_to"))
        ),
        "bins of text": told.with_columns(column("weight_from", "weight_to").cast(polars.String)),
        "no single marginals": told.filter(column("marginal") > 3),
        "a cell six times": told.with_columns(
            shape=polars.when(column("marginal") == 4).then(polars.lit("round")).otherwise(column("shape"))
        ),
        "a marginal twice": polars.concat([told, joint.with_columns(marginal=polars.lit(9, polars.Int32))]),
        "counts of text": told.with_columns(count=column("count").cast(polars.String)),
        "counts that are none": told.with_columns(count=polars.lit(None, polars.Int64)),
        "counts with a fraction": told.with_columns(count=column("count") + 0.5),
        "counts beyond all people": told.with_columns(count=polars.lit(2**60)),
        "more columns than there may be": told.with_columns(**{f"more {at}": polars.lit("x") for at in range(130)}),
        "marginals without an end": told.with_columns(marginal=polars.int_range(told.height, dtype=polars.Int32)),
    }
    for name, table in faulty.items():
        with pytest.raises(DataError) as refused:
            make_table(table.to_arrow(), GUARANTEE)
        assert "not marginals that rows can be made of" in str(refused.value), name
    for rows in (0, -1, 10**12, 1.5, True):
        with pytest.raises(UsageError, match="rows must be a whole number"):
            make_table(told.to_arrow(), GUARANTEE, rows)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="does not say their sigma"):
        make_table(told.to_arrow(), {"sigma": 0.0})
    with pytest.raises(UsageError, match="rows are made from a release"):
        table_step("marginals")  # type: ignore[arg-type]
    source = pellucid.source("people.csv", label="private", unit="who", budget=pellucid.Budget(epsilon=1.0, delta=1e-6))
    other = pellucid.release(pellucid.privacy.histogram("shape"), of=source, epsilon=1.0, delta=1e-6)
    with pytest.raises(UsageError, match="rows are made from a release"):
        table_step(other)


def test_marginals_that_make_a_circle_are_refused() -> None:
    mechanism, rows, counts = clear()
    for place in ((0, 1), (0, 2), (1, 2)):
        sizes = [SIZES[at] for at in place]
        cells = np.ravel_multi_index(tuple(rows[:, at] for at in place), sizes)
        counts[place] = np.bincount(cells, minlength=int(np.prod(sizes))).reshape(sizes)
    with pytest.raises(DataError, match="make a circle"):
        make_table(mechanism.shown(counts), GUARANTEE)


@pytest.mark.parametrize("people", [10**3, 4 * 10**8, 10**12])
def test_marginals_that_contradict_each_other_give_rows_or_one_line(people: int) -> None:
    mechanism, _, counts = clear(target="colour")
    for place in counts:
        counts[place] = np.zeros_like(counts[place])
    counts[0, 1][0, 0] = counts[2, 1][0, 1] = counts[3, 1][0, 2] = people
    counts[0, 2, 1][0, 0, 0] = counts[0, 3, 1][0, 0, 2] = people
    made, quality = make_table(mechanism.shown(counts), GUARANTEE, 3000)
    colours = made.column("colour").to_pylist()
    assert all(np.isfinite(value) for value in quality.values())
    assert 0.2 < colours.count("red") / 3000 < 0.6, "each of the three marginals has its say"


PIPELINE = """
import pellucid as pl

people = pl.source("people.csv", label="private", unit="who", budget=pl.Budget(epsilon=4.0, delta=1e-5))
COLUMNS = {"shape": ["round", "square"], "colour": ["red", "blue"], "weight": pl.privacy.bins(0, 8, 4)}
counts = pl.release(pl.privacy.marginals(COLUMNS, target="shape"), of=people, epsilon=2.0, delta=1e-6, name="counts")
rows = pl.synthesize.table(counts, name="made")
pipeline = pl.Pipeline("things", [people, counts, rows], seed=5)
"""


def test_a_pipeline_makes_an_open_table_that_strangers_make_again(tmp_path: Path) -> None:
    lines = [f"{at},{'round' if at % 3 else 'square'},{'red' if at % 3 else 'blue'},{at % 8}" for at in range(3000)]
    (tmp_path / "people.csv").write_text("who,shape,colour,weight\n" + "\n".join(lines) + "\n")
    (tmp_path / "things.py").write_text(PIPELINE)
    done = run(load(tmp_path / "things.py"), home=tmp_path / "home", confined=True)
    assert done.steps["counts"].label.is_open and done.steps["made"].label.is_open
    made = done["made_rows"].polars().collect()
    assert made.columns == ["shape", "colour", "weight"] and abs(made.height - 3000) < 100
    both = made.group_by("shape", "colour").len().sort("len", descending=True)
    assert set(both.head(2).select("shape", "colour").rows()) == {("round", "red"), ("square", "blue")}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_rows_in_fresh_processes(tmp_path: Path) -> None:
    mechanism, _, counts = clear()
    polars.DataFrame(mechanism.shown(counts)).write_parquet(tmp_path / "counts.parquet")
    code = (
        "import hashlib, json, polars\nfrom pellucid.synthesize import make_table\n"
        f"made, quality = make_table(polars.read_parquet({str(tmp_path / 'counts.parquet')!r}).to_arrow(), {GUARANTEE}, 300_000, 4)\n"
        "print(json.dumps([hashlib.sha256(json.dumps(made.to_pydict()).encode()).hexdigest(), quality]))"
    )
    found = {
        json.dumps(json.loads(subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed},
                                             capture_output=True, text=True, check=True).stdout))
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1
