"""Business rules of a list: diversity, recency, cold start; the same in every process, and never another item than the model's own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_recommenders import HISTORIES, fitted, table_of

from pellucid.errors import UsageError
from pellucid.models import ease, explain, is_cold_start, popularity, recommend, scores
from pellucid.models.diversity import mmr, profiles


@given(HISTORIES, st.sampled_from([0.1, 0.5, 1.0]), st.integers(1, 12))
@settings(max_examples=15, deadline=None)
def test_rules_order_anew_and_invent_nothing(histories, diversity, count):
    table = table_of(histories)
    items = sorted(set(table.column("what").to_pylist()))
    ages = {item: float(at) for at, item in enumerate(items[:4])}
    for model in fitted(table).values():
        plain = recommend(model, items[:2], 99)
        assert recommend(model, items[:2], 99, diversity=0.0) == plain
        for rules in ({"diversity": diversity}, {"ages": ages, "half_life": 2.0}, {"diversity": diversity, "ages": ages}):
            ruled = recommend(model, items[:2], 99, **rules)
            assert sorted(ruled) == sorted(plain)  # the model's own scores stay beside the items
            assert recommend(model, items[:2], count, **rules) == ruled[:count]
            assert {item for item, _ in recommend(model, items[:2], 99, without=items[2:4], only=items[2:6], **rules)} <= set(
                items[4:6]
            )


def two_worlds() -> pa.Table:
    """Six items of one kind that many hold together, three of another that fewer do; some people hold both kinds."""
    rows = [(who, f"a{item}") for who in range(30) for item in range(6)]
    rows += [(who, f"b{item}") for who in range(20, 34) for item in range(3)]
    who, what = zip(*rows, strict=True)
    return pa.table({"who": who, "what": what})


def test_diversity_brings_in_another_kind():
    model = ease.fit_people(two_worlds(), "what", "who", 5.0)
    plain = [item for item, _ in recommend(model, ["a0"], 5)]
    varied = [item for item, _ in recommend(model, ["a0"], 5, diversity=0.7)]
    assert {item[0] for item in plain[:4]} == {"a"} and plain[0] == varied[0]
    assert varied[1][0] == "b"
    assert explain(model, ["a0"], varied[1])  # what was moved up is explained like any other


def test_popularity_finds_nothing_alike():
    model = popularity.fit_people(two_worlds(), "what", "who")
    assert recommend(model, ["a0"], 9, diversity=0.9) == recommend(model, ["a0"], 9)


def test_mmr_is_its_formula_with_ties_in_the_order_of_relevance():
    likeness = np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0, 0, 1, 0.6], [0, 0, 0.6, 1]])
    values, vectors = np.linalg.eigh(likeness)
    rows = vectors * np.sqrt(np.maximum(values, 0))
    assert mmr(np.array([1.0, 0.9, 0.5, 0.5]), rows, 0.5, 4) == [0, 2, 1, 3]  # -0.05 both
    assert mmr(np.ones(4), np.zeros((4, 4)), 0.5, 3) == [0, 1, 2]
    assert mmr(np.ones(4), rows, 1.0, 4)[:2] == [0, 2]
    led = np.array([[0.0, 3.0, 1.0], [3.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    made = profiles(led, np.array([0, 1, 2]))
    assert (made @ made.T)[0, 1] == pytest.approx(1.0) and not made[
        2
    ].any()  # near twins are alike, what leads nowhere is like nothing


def test_recency_halves_with_each_half_life():
    model = popularity.fit_people(table_of({who: list(range(who + 1)) for who in range(6)}), "what", "who")
    plain = [item for item, _ in recommend(model, ["i9"], 6)]
    assert plain == ["i0", "i1", "i2", "i3", "i4", "i5"]
    # relevance 1, 0.8, 0.6, 0.4, 0.2, 0: what is three half-lives old counts an eighth; i5 has no age and nothing to lose
    ages = {"i0": 30.0, "i1": 30.0, "i2": 0.0, "i3": 10.0, "i4": 0.0}
    assert [item for item, _ in recommend(model, [], 6, ages=ages, half_life=10.0)] == ["i2", "i3", "i4", "i0", "i1", "i5"]
    assert [item for item, _ in recommend(model, [], 6, ages={}, half_life=10.0)] == plain
    assert len(recommend(model, [], 6, ages={"i0": 1e300}, half_life=1e-300)) == 6


def test_a_cold_start_is_popularity_and_is_known_as_such():
    table = two_worlds()
    for name, model in fitted(
        pa.table({**{n: table.column(n) for n in ("who", "what")}, "at": list(range(table.num_rows))})
    ).items():
        for history in ([], ["nobody's"]):
            assert is_cold_start(model, history)
            found = recommend(model, history, 9)
            places = {item: at for at, item in enumerate(model.arrays["items"].tolist())}
            assert [score for _, score in found] == [model.arrays["popularity"][places[item]] for item, _ in found]
            assert {item[0] for item, _ in found[:6]} == {"a"}, name
        assert is_cold_start(model, ["a0", "nobody's"]) == (model.kind == "popularity")


def test_what_is_no_rule_is_refused():
    model = popularity.fit_people(two_worlds(), "what", "who")
    for wrong in (-0.1, 1.1, float("nan"), "0.5", True):
        with pytest.raises(UsageError, match="diversity must be 0 to 1"):
            recommend(model, [], diversity=wrong)
    for ages, half_life, said in (({"a0": -1.0}, 1.0, "age"), ({"a0": float("nan")}, 1.0, "age"), ({}, 0.0, "half_life")):
        with pytest.raises(UsageError, match=said):
            recommend(model, [], ages=ages, half_life=half_life)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_lists_in_fresh_processes_with_other_hash_seeds():
    program = """
import pyarrow as pa
from pellucid.models import als, ease, item_neighbours, markov, popularity, recommend, rp3beta
rows = [(u, f"i{(u * 7 + k * k) % 150:03}", k) for u in range(400) for k in range(3 + u % 5)]
table = pa.table(dict(zip(("who", "what", "at"), map(list, zip(*rows)))))
names = sorted(set(table.column("what").to_pylist()))
ages = {name: float(at % 7) for at, name in enumerate(names)}
for model in (als.fit(table, "what", "who"), ease.fit_people(table, "what", "who"), item_neighbours.fit_people(table, "what", "who"),
              rp3beta.fit(table, "what", "who"), markov.fit(table, "what", "who", "at"), popularity.fit_people(table, "what", "who")):
    for history in ([], names[:3], names[40:42], ["unknown"]):
        print([item for item, _ in recommend(model, history, 30, diversity=0.4, ages=ages, half_life=5.0, without=set(names[5:9]))])
"""
    found = set()
    for seed in ("0", "41"):
        environment = {"PYTHONHASHSEED": seed, "PATH": "/usr/bin"}
        found.add(
            subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True).stdout
        )
    assert len(found) == 1


def test_what_is_alike_is_so_by_what_it_leads_to():
    model = ease.fit_people(two_worlds(), "what", "who", 5.0)
    from scipy.sparse import csr_array

    led = scores(model, csr_array(np.eye(9))) - scores(model, csr_array((1, 9)))
    rows = profiles(led, np.arange(9))
    likeness = rows @ rows.T
    assert likeness[0, 1] > 0.8 > 0.3 > abs(likeness[0, 7])
