"""Split and ranking: the right numbers, and each person's row theirs alone."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import DataError, UsageError
from pellucid.evaluation import mean, per_person, split
from pellucid.models import ease, popularity, private_gram
from pellucid.store.kinds import Model

MSWEB = Path(__file__).parents[2] / "src" / "pellucid" / "cli" / "msweb" / "visits.csv"
HISTORIES = st.dictionaries(st.integers(0, 60), st.lists(st.integers(0, 9), min_size=1, max_size=8), max_size=25)


@pytest.fixture(scope="module")
def visits() -> pa.Table:
    return csv.read_csv(MSWEB)


def table(histories: dict[int, list[int]]) -> pa.Table:
    rows = [(unit, item) for unit, items in histories.items() for item in items]
    return pa.table({"u": pa.array([row[0] for row in rows], pa.int64()), "i": pa.array([row[1] for row in rows], pa.int64())})


def fixed_model() -> Model:
    weights = np.random.default_rng(0).normal(size=(8, 8))
    return Model("ease", {"items": np.arange(8), "weights": weights, "popularity": np.zeros(8)}, {"tie_break": 0.0})


@given(histories=HISTORIES)
@settings(max_examples=50, deadline=None)
def test_removing_a_person_leaves_everyone_elses_rows_in_split_and_ranking_as_they_were(histories: dict[int, list[int]]) -> None:
    model = fixed_model()

    def all_rows(histories: dict[int, list[int]]) -> tuple[set[tuple[object, ...]], ...]:
        train, holdout = split(table(histories), "u", "i", share=0.5)
        ranked = per_person(model, holdout, "u", "i")
        return tuple(set(zip(*found.to_pydict().values(), strict=True)) for found in (train, holdout, ranked))

    full = all_rows(histories)
    for gone in list(histories)[:4]:
        less = all_rows({unit: items for unit, items in histories.items() if unit != gone})
        for before, after in zip(full, less, strict=True):
            assert after == {row for row in before if row[0] != gone}


def test_a_split_has_its_shares_and_hides_a_fifth_but_at_least_one(visits: pa.Table) -> None:
    train, holdout = split(visits, "user_id", "area_id", seed=3)
    people = pc.count_distinct(visits["user_id"]).as_py()
    assert pc.count_distinct(train["user_id"]).as_py() / people == pytest.approx(0.8, abs=0.01)
    assert not set(train["user_id"].to_pylist()) & set(holdout["user_id"].to_pylist())
    per = holdout.group_by("user_id").aggregate([([], "count_all"), ("hidden", "sum")])
    sizes, hidden = np.asarray(per["count_all"]), np.asarray(per["hidden_sum"])
    assert sizes.min() >= 2
    assert np.array_equal(hidden, np.maximum(1, np.floor(sizes * 0.2)))
    assert split(visits, "user_id", "area_id", seed=3).holdout.equals(holdout)
    assert not split(visits, "user_id", "area_id", seed=4).holdout.equals(holdout)


def test_a_split_by_order_hides_the_last_first_visits() -> None:
    rows = pa.table({"u": ["a"] * 6, "i": [1, 2, 3, 1, 4, 5], "t": [1, 2, 3, 9, 4, 5]})
    holdout = next(found for seed in range(99) if (found := split(rows, "u", "i", seed, order="t", hide=0.4).holdout).num_rows)
    assert dict(zip(holdout["i"].to_pylist(), holdout["hidden"].to_pylist(), strict=True)) == {
        1: False, 2: False, 3: False, 4: True, 5: True,
    }  # fmt: skip


def test_metrics_are_those_computed_by_hand() -> None:
    model = Model("popularity", {"items": np.array(["a", "b", "c", "d"]), "popularity": np.array([4.0, 3.0, 3.0, 1.0])}, {})
    holdout = pa.table(
        {
            "u": [1, 1, 1, 2, 2, 3, 3, 4, 5],
            "i": ["a", "b", "d", "d", "zz", "a", "c", "a", "b"],
            "hidden": [False, True, True, False, True, False, True, False, True],
        }
    )
    found = {row["u"]: (row["ndcg_10"], row["recall_20"]) for row in per_person(model, holdout, "u", "i").to_pylist()}
    assert set(found) == {1, 2, 3, 5}  # 4 hides nothing
    ideal = 1 + 1 / math.log2(3)
    assert found[1] == pytest.approx(((1 + 1 / math.log2(4)) / ideal, 1.0))  # ranked b, c, d: b first, d third
    assert found[2] == (0.0, 0.0)  # an item the model does not know is a miss
    assert found[3] == pytest.approx((1 / math.log2(3), 1.0))  # b before c: a tie, ordered by item
    assert found[5] == pytest.approx((1 / math.log2(3), 1.0))  # no history at all
    assert mean(per_person(model, holdout, "u", "i"))["people"] == 4


def test_ease_beats_popularity_on_msweb_and_blocks_change_nothing(visits: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.evaluation import ranking_measures

    train, holdout = split(visits, "user_id", "area_id")
    gram = private_gram(train, "area_id", "user_id")
    rows = per_person(ease.fit(gram), holdout, "user_id", "area_id")
    assert mean(rows)["ndcg_10"] > 1.3 * mean(per_person(popularity.fit(gram), holdout, "user_id", "area_id"))["ndcg_10"]
    monkeypatch.setattr(ranking_measures, "BLOCK_SCORES", 285 * 100)
    assert per_person(ease.fit(gram), holdout, "user_id", "area_id").equals(rows)


def test_unusable_input_is_refused() -> None:
    rows = table({1: [1, 2]})
    with pytest.raises(DataError, match="no column 'x'"):
        split(rows, "x", "i")
    with pytest.raises(DataError, match="without a value"):
        split(pa.table({"u": [1, None], "i": [1, 2]}), "u", "i")
    for share in (0, 1, -1, True, float("nan")):
        with pytest.raises(UsageError):
            split(rows, "u", "i", share=share)
    empty = split(table({}), "u", "i")
    assert empty.train.num_rows == empty.holdout.num_rows == 0
    assert per_person(fixed_model(), empty.holdout, "u", "i").num_rows == 0


def test_two_hold_outs_stand_in_one_pipeline(tmp_path: Path) -> None:
    (tmp_path / "visits.csv").write_text(
        "u,i\n" + "".join(f"u{who},i{(who * step) % 9}\n" for who in range(60) for step in range(1, 5))
    )
    (tmp_path / "two.py").write_text(
        """
import pellucid as pl

visits = pl.source("visits.csv", label="private", unit="u")
people = pl.evaluation.hold_out(visits, item="i", share=0.2, seed=1)
others = pl.evaluation.hold_out(visits, item="i", share=0.5, seed=2, name="others")
inner = pl.evaluation.hold_out(others.train, item="i", share=0.5, seed=3, name="inner")


@pl.step
def sizes(train: pl.Table, others_train: pl.Table, inner_train: pl.Table) -> pl.Metrics:
    return {"train": train.num_rows, "others": others_train.num_rows, "inner": inner_train.num_rows}


pipeline = pl.Pipeline("two", [visits, people, others, inner, sizes])
"""
    )
    command = [sys.executable, "-m", "pellucid", "run", "two.py", "--json", "--private"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["steps"]["sizes"]["metrics"]
    assert found["train"] > found["others"] > found["inner"] > 0
