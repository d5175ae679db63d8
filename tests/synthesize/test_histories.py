"""Synthetic people: what a matrix says is recovered, the rows have it, nobody is in them, and they are the same for everybody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid
from pellucid.errors import DataError, UsageError
from pellucid.evaluation import per_person, split
from pellucid.models import ease, private_gram
from pellucid.pipeline.running import load, run
from pellucid.privacy.mechanisms import weight_table
from pellucid.synthesize import fit, make_histories, statistics
from pellucid.synthesize import histories as histories_step
from pellucid.synthesize.histories_step import history_sizes

MSWEB = Path(pellucid.__file__).parent / "cli" / "msweb"
CAP, DIGITS = 15, 10
NUMBERS = {"sigma": 0.0, "max_contributions": float(CAP), "scale": float(1 << DIGITS)}


@pytest.fixture(scope="module")
def visits() -> pa.Table:
    return csv.read_csv(MSWEB / "visits.csv")


def histories(visits: pa.Table) -> dict[int, tuple[int, ...]]:
    held: dict[int, set[int]] = {}
    for person, area in zip(visits.column("user_id").to_pylist(), visits.column("area_id").to_pylist(), strict=True):
        held.setdefault(person, set()).add(area)
    return {person: tuple(sorted(areas)[:CAP]) for person, areas in held.items()}


def exact(held: dict[int, tuple[int, ...]], weighted: bool) -> tuple[pa.Table, pa.Table]:
    """The matrix of bounded histories without noise, in counts or weights, and the histogram of sizes."""
    table, cells = weight_table(CAP, DIGITS), Counter[tuple[int, int]]()
    for areas in held.values():
        own, pair = table[len(areas) - 1] if weighted else (1, 1)
        for place, first in enumerate(areas):
            cells[first, first] += own
            for second in areas[place + 1 :]:
                cells[first, second] += pair
    order = sorted(cells)
    columns = {
        "item_a": [a for a, _ in order],
        "item_b": [b for _, b in order],
        "weight" if weighted else "count": [cells[one] for one in order],
    }
    sizes = Counter(len(areas) for areas in held.values())
    return pa.table(columns), pa.table({"size": range(1, CAP + 1), "count": [sizes[size] for size in range(1, CAP + 1)]})


@pytest.mark.parametrize("weighted", [True, False])
def test_counts_are_recovered_from_either_form(visits: pa.Table, weighted: bool) -> None:
    held = histories(visits)
    matrix, sizes = exact(held, weighted)
    true = Counter(area for areas in held.values() for area in areas)
    for given_sizes, near in ((sizes, 0.02), (None, 0.15)):
        found = statistics(matrix, NUMBERS, given_sizes)
        often = [place for place, item in enumerate(found.items.tolist()) if true[item] >= 300]
        errors = [found.held[place] / true[int(found.items[place])] - 1 for place in often]
        assert np.sqrt(np.mean(np.square(errors))) < (near if weighted else 1e-12)
        assert found.people == pytest.approx(len(held), rel=1e-9 if given_sizes is not None else 0.1)


def test_rows_have_what_the_matrix_says(visits: pa.Table) -> None:
    matrix, sizes = exact(histories(visits), True)
    rows, quality = make_histories(matrix, NUMBERS, sizes, 20_000, "user", "area", seed=3)
    people = rows.column("user").unique().to_pylist()
    assert people == [f"s{number:06d}" for number in range(1, 20_001)]
    assert rows.num_rows == len(set(zip(rows.column("user").to_pylist(), rows.column("area").to_pylist(), strict=True)))
    found = statistics(matrix, NUMBERS, sizes)
    held = np.bincount(np.searchsorted(found.items, np.asarray(rows.column("area"))), minlength=len(found.items)) / 20_000
    share = found.held / found.people
    often = share > 0.01
    assert (np.abs(held - share)[often] < 5 * np.sqrt(share[often] / 20_000)).all()
    assert quality["people"] == 20_000 and quality["mean_size"] == pytest.approx(rows.num_rows / 20_000, abs=1e-4)


@given(st.integers(1, 12), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_any_wish_gives_a_population(count: int, seed: int) -> None:
    """Also one that no population can have: pairs more frequent than their items, all kept."""
    random = np.random.Generator(np.random.PCG64(seed))
    shares = random.uniform(0.02, 1.0, count)
    both = random.uniform(-0.2, 1.0, (count, count))
    both = (both + both.T) / 2
    kept = random.random((count, count)) < random.random()
    kept = np.triu(kept, 1) | np.triu(kept, 1).T
    model = fit(shares, both, kept, ~kept & ~np.eye(count, dtype=bool), seed)
    assert np.isfinite(model.factor).all() and np.abs((model.factor**2).sum(axis=1) - 1).max() < 1e-4
    portion = next(model.portions(seed))
    assert portion.any(axis=1).all()
    if shares.max() < 0.9 and shares.sum() > 2:  # below 1 nobody could hold something
        assert np.abs(portion.mean(axis=0) - shares)[shares < 0.5].max(initial=0) < 0.1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_people_in_fresh_processes(tmp_path: Path, visits: pa.Table) -> None:
    matrix, sizes = exact(histories(visits), True)
    csv.write_csv(matrix, tmp_path / "matrix.csv")
    csv.write_csv(sizes, tmp_path / "sizes.csv")
    script = (
        "import sys, pyarrow.csv as csv, hashlib\nfrom pellucid.synthesize import make_histories\n"
        f"rows, quality = make_histories(csv.read_csv('matrix.csv'), {NUMBERS}, csv.read_csv('sizes.csv'), 30000, seed=int(sys.argv[1]))\n"
        "print(hashlib.sha256(str(rows.to_pydict()).encode()).hexdigest(), quality)"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", script, seed], cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": salt, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed, salt, threads in (("1", "1", "1"), ("1", "2", "2"), ("2", "1", "1"))
    ]  # fmt: skip
    assert said[0] == said[1] != said[2]


# Nobody is in the rows.


def copied(rows: dict[Any, tuple[int, ...]], real: list[tuple[int, ...]]) -> float:
    """The share of synthetic histories of four items and more that are exactly one of the real ones."""
    long = [one for one in rows.values() if len(one) >= 4]
    known = set(real)
    return sum(one in known for one in long) / max(1, len(long))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_row_is_a_real_one_more_often_than_chance_has_it(visits: pa.Table) -> None:
    """Made from one half of the people, the rows equal histories of that half as often as those of the other; a copy does not."""
    held = histories(visits)
    halves: tuple[dict[int, tuple[int, ...]], dict[int, tuple[int, ...]]] = ({}, {})
    for place, person in enumerate(sorted(held)):
        halves[place % 2][person] = held[person]
    matrix, sizes = exact(halves[0], True)
    rows, _ = make_histories(matrix, NUMBERS, sizes, len(halves[0]), "user_id", "area_id", seed=5)
    made: dict[Any, list[int]] = {}
    for person, area in zip(rows.column("user_id").to_pylist(), rows.column("area_id").to_pylist(), strict=True):
        made.setdefault(person, []).append(area)
    synthetic = {person: tuple(sorted(areas)[:CAP]) for person, areas in made.items()}
    mine, others = (copied(synthetic, list(half.values())) for half in halves)
    count = sum(len(one) >= 4 for one in synthetic.values())
    assert mine - others < 3 * np.sqrt(max(others, 1e-3) / count), (mine, others)
    planted = {**synthetic, **{f"copy{person}": areas for person, areas in list(halves[0].items())[:2000]}}
    mine, others = (copied(planted, list(half.values())) for half in halves)
    assert mine - others > 3 * np.sqrt(max(others, 1e-3) / count)


# In a pipeline.

PIPELINE = """
import pellucid as pl
from pellucid.models import ease

visits = pl.source("visits.csv", label="private", unit="user_id", budget=pl.Budget(epsilon=2.0, delta=1e-5))
matrix = pl.release(pl.privacy.gram(item="area_id", norm="equal"), of=visits, epsilon=0.95, delta=1e-6)
lengths = pl.synthesize.sizes(visits, item="area_id")
histogram = pl.release(pl.privacy.histogram("size", max_contributions=1, public_keys=range(1, 16)), of=lengths, epsilon=0.05, delta=1e-8)
people = pl.synthesize.histories(matrix, sizes=histogram, unit="user_id", item="area_id", name="people")


@pl.step(kind="train")
def recommender(people_rows: pl.Table) -> pl.Model:
    return ease.fit_people(people_rows, "area_id", "user_id")


pipeline = pl.Pipeline("people", [visits, matrix, lengths, histogram, people, recommender], seed=7)
"""

# A step that only calls itself synthetic: its rows come from a table that is no release.
MASKED = """
areas = pl.source("areas.csv", label="open", licence="CC-BY-4.0")


@pl.step(kind="synthetic")
def masks(areas: pl.Table) -> pl.Table:
    return areas.polars().collect()


pipeline = """


def test_a_pipeline_makes_open_people_that_teach_a_recommender(
    tmp_path: Path, visits: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "keys"))
    parts = split(visits, "user_id", "area_id", seed="test0")
    csv.write_csv(parts.train, tmp_path / "visits.csv")
    (tmp_path / "people.py").write_text(PIPELINE)
    done = run(load(tmp_path / "people.py"), home=tmp_path / ".pellucid", jobs=2)
    assert done.status == "done"
    assert done.steps["people"].label.is_open
    table = done["people_rows"].arrow()
    truth = private_gram(parts.train, "area_id", "user_id")

    def ndcg(matrix: Any) -> float:
        return float(np.mean(per_person(ease.fit(matrix, noise=0.0), parts.holdout, "user_id", "area_id").column("ndcg_10")))

    assert ndcg(private_gram(table, "area_id", "user_id")) > 0.92 * ndcg(truth)
    assert not set(table.column("user_id").to_pylist()) & set(map(str, visits.column("user_id").unique().to_pylist()))


@pytest.mark.slow
def test_a_package_says_that_they_are_synthetic_and_strangers_make_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "keys"))
    (tmp_path / "visits.csv").write_text((MSWEB / "visits.csv").read_text())
    about = (
        'about=pl.About(title="People", description="Made.", creators=("Doe, Jane",), licence="MIT", data_licence="CC-BY-4.0")'
    )
    masked = PIPELINE.replace("pipeline = ", MASKED).replace("people, recommender]", "people, recommender, areas, masks]")
    (tmp_path / "areas.csv").write_text((MSWEB / "areas.csv").read_text())
    (tmp_path / "people.py").write_text(masked.replace("seed=7", f"seed=7, {about}"))
    command = [sys.executable, "-m", "pellucid"]
    for words in (["run", "people.py"], ["publish", "last", "out"]):
        subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "made from `histogram`, `matrix`" in card and "`masks`" not in card
    assert "## Synthetic people" in card and "`artifacts/people_rows.parquet`" in card.partition("## Synthetic people")[2]
    records = json.loads((tmp_path / "out" / "croissant.json").read_text())["recordSet"]
    assert [one["name"] for one in records if "Synthetic" in one.get("description", "")] == ["people_rows"]
    done = subprocess.run([*command, "reproduce", "out"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "verdict: bit-identical" in done.stdout, done.stdout + done.stderr


def test_each_size_is_of_one_person_alone(visits: pa.Table) -> None:
    part = visits.slice(0, 3000)
    whole = history_sizes(_Rows(part), item="area_id", unit="user_id", max_contributions=3)
    assert whole["size"].max() == 3 and whole["size"].min() == 1
    for person in (1, 2, 50, 700):
        without = history_sizes(
            _Rows(part.filter(pc.not_equal(part.column("user_id"), person))), item="area_id", unit="user_id", max_contributions=3
        )
        assert without.equals(whole.filter(polars.col("user_id") != person))


class _Rows:
    """A table as a step is given it."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def polars(self) -> Any:
        return polars.DataFrame(polars.from_arrow(self._table)).lazy()


# Bad input.


@pytest.mark.parametrize("people", [0, -1, 10**12, 1.5, True])
def test_a_number_of_people_that_there_cannot_be(people: Any) -> None:
    with pytest.raises(UsageError, match="whole number from 1"):
        make_histories(pa.table({"item_a": [1], "item_b": [1], "count": [9]}), NUMBERS, None, people)


def test_what_says_nothing_or_does_not_fit_is_refused(visits: pa.Table) -> None:
    empty = pa.table({"item_a": pa.array([], pa.int64()), "item_b": pa.array([], pa.int64()), "count": pa.array([], pa.int64())})
    with pytest.raises(DataError, match="says nothing"):
        make_histories(empty, NUMBERS)
    noise = pa.table({"item_a": [1, 1, 2], "item_b": [1, 2, 2], "count": [12, -4, 9]})
    with pytest.raises(DataError, match="says nothing"):
        make_histories(noise, {**NUMBERS, "sigma": 20.0})
    matrix, sizes = exact(dict(list(histories(visits).items())[:500]), True)
    with pytest.raises(DataError, match="do not go from 1 to 15"):
        make_histories(matrix, NUMBERS, sizes.slice(0, 5))
    with pytest.raises(DataError, match="counts nobody"):
        make_histories(matrix, NUMBERS, sizes.set_column(1, "count", pa.array([-3] * CAP)))
    with pytest.raises(DataError, match="no histogram"):
        make_histories(matrix, NUMBERS, matrix)
    with pytest.raises(DataError, match="lack scale"):
        make_histories(matrix, {"sigma": 1.0, "max_contributions": 15.0})
    with pytest.raises(DataError, match="is missing"):
        make_histories(sizes, NUMBERS)
    with pytest.raises(UsageError, match="from a release"):
        histories_step(pellucid.source("visits.csv", label="open"))  # type: ignore[arg-type]


def test_one_item_and_items_named_by_text() -> None:
    one, quality = make_histories(pa.table({"item_a": ["a"], "item_b": ["a"], "count": [50]}), NUMBERS, None, 10)
    assert one.column("item").to_pylist() == ["a"] * 10 and quality["pairs_kept"] == 0
