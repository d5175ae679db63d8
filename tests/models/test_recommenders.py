"""Every kind of recommender by one protocol: its formula, its ties, its explanations, the same bytes in every process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from pellucid.errors import DataError, UsageError
from pellucid.evaluation import per_person, split_by_time
from pellucid.models import (
    KINDS,
    als,
    ease,
    explain,
    item_neighbours,
    markov,
    popularity,
    private_gram,
    recommend,
    rp3beta,
    scores,
)
from pellucid.store import kinds

HISTORIES = st.dictionaries(
    st.integers(0, 30), st.lists(st.integers(0, 9), min_size=1, max_size=6, unique=True), min_size=2, max_size=15
)


def table_of(histories: dict[int, list[int]]) -> pa.Table:
    rows = [(who, f"i{item}", at) for who, items in histories.items() for at, item in enumerate(items)]
    who, what, at = zip(*rows, strict=True)
    return pa.table({"who": who, "what": what, "at": at})


def fitted(table: pa.Table) -> dict[str, Any]:
    gram = private_gram(table, "what", "who")
    return {
        "als": als.fit(table, "what", "who", factors=4, rounds=3),
        "ease": ease.fit_people(table, "what", "who", 2.0),
        "ease of counts": ease.fit(gram, noise=0.0),
        "item-neighbours": item_neighbours.fit_people(table, "what", "who"),
        "item-neighbours of counts": item_neighbours.fit(gram, noise=0.0),
        "markov": markov.fit(table, "what", "who", "at"),
        "popularity": popularity.fit_people(table, "what", "who"),
        "rp3beta": rp3beta.fit(table, "what", "who"),
    }


@given(HISTORIES)
@settings(max_examples=20, deadline=None)
def test_every_kind_recommends_explains_and_is_kept(tmp_path_factory, histories):
    folder = tmp_path_factory.mktemp("models")
    table = table_of(histories)
    items = sorted(set(table.column("what").to_pylist()))
    history = items[:2]
    for name, model in fitted(table).items():
        assert model.kind == name.split(" of ")[0] and model.kind in KINDS
        assert model.arrays["items"].tolist() == items
        found = recommend(model, [*history, "unknown"], 5)
        assert not {item for item, _ in found} & set(history)
        assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
        assert (
            recommend(model, history, 5, without=items[2:3], only=items[2:6])
            == [one for one in recommend(model, history, 99) if one[0] in items[3:6]][:5]
        )
        for item, score in found[:2]:
            parts = explain(model, history, item)
            if model.kind != "popularity":
                assert sum(part for _, part in parts) == pytest.approx(score, abs=2e-6)
                assert {one for one, _ in parts} == set(history)
        kept = kinds.load(kinds.save(model, "model", folder, name.replace(" ", "-")).path, "model")
        assert recommend(kept, history, 5) == recommend(model, history, 5)


@given(HISTORIES)
@settings(max_examples=20, deadline=None)
def test_both_forms_of_a_fit_are_the_same(histories):
    table = table_of(histories)
    gram = private_gram(table, "what", "who")
    dual, plain = ease.fit_people(table, "what", "who", 3.0), ease.fit(gram, regularization=3.0, noise=0.0)
    assert np.abs(dual.arrays["weights"] - plain.arrays["weights"]).max() < 1e-9
    ours, theirs = item_neighbours.fit_people(table, "what", "who"), item_neighbours.fit(gram, noise=0.0)
    assert np.allclose(ours.arrays["weights"], theirs.arrays["weights"])
    row = csr_array(np.ones((1, len(ours.arrays["items"]))))
    assert np.allclose(scores(ours, row), scores(theirs, row))


@given(HISTORIES)
@settings(max_examples=20, deadline=None)
def test_nobodys_scores_depend_on_who_else_is_scored(histories):
    table = table_of(histories)
    for name, model in fitted(table).items():
        count = len(model.arrays["items"])
        held = csr_array((np.random.Generator(np.random.PCG64(3)).random((6, count)) < 0.5).astype(float))
        together = scores(model, held)
        for row in range(6):
            assert np.array_equal(scores(model, held[[row]])[0], together[row]), name


def test_rp3beta_is_its_walk_by_hand():
    histories = {0: [0, 1], 1: [0, 2], 2: [1, 2, 3]}
    model = rp3beta.fit(table_of(histories), "what", "who", beta=0.5)
    people_of = {item: [who for who, items in histories.items() if item in items] for item in range(4)}
    for a in range(4):
        for b in range(4):
            chance = sum(1 / len(people_of[a]) / len(histories[who]) for who in people_of[a] if b in histories[who])
            wanted = 0.0 if a == b else chance / len(people_of[b]) ** 0.5
            row = csr_array(([1.0], ([0], [a])), shape=(1, 4))
            assert scores(model, row)[0, b] == pytest.approx(wanted)


def test_markov_counts_what_came_after():
    model = markov.fit(table_of({0: [0, 1, 2], 1: [0, 1]}), "what", "who", "at", smoothing=1.0)
    row = csr_array(([1.0], ([0], [0])), shape=(1, 3))
    assert scores(model, row)[0].tolist() == pytest.approx([0.0, 2 / 3.5, 0.5 / 3.5])
    assert recommend(model, ["i0", "i1"], 1)[0][0] == "i2"
    # the last item counts most
    chain = markov.fit(table_of({n: [0, 1] for n in range(9)} | {n: [2, 3] for n in range(10, 19)}), "what", "who", "at")
    assert recommend(chain, ["i0", "i2"], 1)[0][0] == "i3" and recommend(chain, ["i2", "i0"], 1)[0][0] == "i1"


def test_als_solves_its_own_equations():
    table = table_of(
        {n: [n % 5, (n * 3 + 1) % 5, (n * 7 + 2) % 5][: 2 + n % 2] if n % 5 != (n * 3 + 1) % 5 else [n % 5] for n in range(20)}
    )
    model = als.fit(table, "what", "who", factors=3, regularization=0.5, alpha=2.0, rounds=4)
    known = model.arrays["factors"]
    row = csr_array(([1.0, 1.0], ([0, 0], [0, 2])), shape=(1, 5))
    confidence, preference = np.array([3.0, 1, 3, 1, 1]), np.array([1.0, 0, 1, 0, 0])
    person = np.linalg.solve(known.T @ (confidence[:, None] * known) + 0.5 * np.eye(3), known.T @ (confidence * preference))
    assert np.allclose(scores(model, row)[0], known @ person)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_bytes_in_fresh_processes_with_other_hash_seeds(tmp_path):
    program = """
import sys, pathlib, pyarrow as pa
from threadpoolctl import threadpool_limits
from pellucid.models import als, ease, item_neighbours, markov, rp3beta
from pellucid.store import kinds
rows = [(u, f"i{(u * 7 + k * k) % 40}", k) for u in range(120) for k in range(3 + u % 5)]
table = pa.table(dict(zip(("who", "what", "at"), map(list, zip(*rows)))))
with threadpool_limits(1):
    models = [als.fit(table, "what", "who"), ease.fit_people(table, "what", "who"), item_neighbours.fit_people(table, "what", "who"),
              rp3beta.fit(table, "what", "who"), markov.fit(table, "what", "who", "at")]
for model in models:
    print(kinds.save(model, "model", pathlib.Path(sys.argv[1]), model.kind).sha256)
"""
    found = set()
    for seed in ("0", "41"):
        (tmp_path / seed).mkdir()
        environment = {"PYTHONHASHSEED": seed, "PATH": "/usr/bin"}
        made = subprocess.run(
            [sys.executable, "-c", program, tmp_path / seed], env=environment, capture_output=True, text=True, check=True
        )
        found.add(made.stdout)
    assert len(found) == 1


def test_what_cannot_be_fitted_or_explained_is_said():
    table = table_of({0: [0, 1], 1: [1]})
    with pytest.raises(UsageError, match="above 0"):
        als.fit(table, "what", "who", regularization=0)
    with pytest.raises(UsageError, match="beta"):
        rp3beta.fit(table, "what", "who", beta=2)
    with pytest.raises(DataError, match="no rows"):
        popularity.fit_people(table.slice(0, 0), "what", "who")
    with pytest.raises(DataError, match="without a value"):
        als.fit(pa.table({"who": [1, None], "what": ["a", "b"]}), "what", "who")
    with pytest.raises(UsageError, match="does not know the item 'i9'"):
        explain(popularity.fit_people(table, "what", "who"), [], "i9")


@given(HISTORIES, st.sampled_from([0.2, 0.5, 0.9]))
@settings(max_examples=30, deadline=None)
def test_the_split_by_time_hides_the_last_and_leaks_nothing(histories, hide):
    found = split_by_time(table_of(histories), "who", "what", "at", hide)
    train: dict[int, list[str]] = {}
    for row in found.train.to_pylist():
        train.setdefault(row["who"], []).append(row["what"])
    for who, items in histories.items():
        names = [f"i{item}" for item in items]
        count = min(max(1, int(len(names) * hide)), len(names) - 1)
        assert train.get(who, []) == names[: len(names) - count]
        rows = [row for row in found.holdout.to_pylist() if row["who"] == who]
        assert {row["what"] for row in rows if row["hidden"]} == (set(names[len(names) - count :]) if len(names) > 1 else set())
    if found.holdout.num_rows:
        assert per_person(popularity.fit_people(found.train, "what", "who"), found.holdout, "who", "what").num_rows > 0
