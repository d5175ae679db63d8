"""Rankings against judgements: the field's figures, honest intervals and p values, files of every kind, bad lines named."""

from __future__ import annotations

import itertools
import json
import math

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.cli.main import parse
from pellucid.errors import DataError, UsageError
from pellucid.evaluation import (
    MEASURES,
    evaluate,
    format_of,
    holm,
    interval,
    minus_ones,
    randomisation,
    read_judgements,
    read_run,
    write_run,
)

DOCUMENTS = [f"d{n}" for n in range(12)]
RUNS = st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from(DOCUMENTS), unique=True, max_size=12), max_size=4)
JUDGED = st.dictionaries(
    st.sampled_from("abcd"), st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(0, 4), min_size=1), min_size=1, max_size=4
).filter(lambda judged: any(any(grades.values()) for grades in judged.values()))


def by_hand(run, judged, measure):
    """nDCG@10 (linear gain), AP, RR and P@10 in plain Python, over the queries that have a relevant document."""
    values = {}
    for query, grades in judged.items():
        if not any(grade > 0 for grade in grades.values()):
            continue
        gains = [grades.get(document, 0) for document in run.get(query, [])]
        relevant = sum(grade > 0 for grade in grades.values())
        if measure == "nDCG@10":
            ideal = sum(grade / math.log2(rank + 2) for rank, grade in enumerate(sorted(grades.values(), reverse=True)[:10]))
            values[query] = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains[:10])) / ideal
        elif measure == "AP":
            hits = [rank for rank, gain in enumerate(gains, 1) if gain > 0]
            values[query] = sum(place / rank for place, rank in enumerate(hits, 1)) / relevant
        elif measure == "RR":
            values[query] = next((1 / rank for rank, gain in enumerate(gains, 1) if gain > 0), 0.0)
        elif measure == "P@10":
            values[query] = sum(gain > 0 for gain in gains[:10]) / 10
        else:
            values[query] = sum(document in grades for document in run.get(query, [])[:10]) / 10
    return values


@given(RUNS, JUDGED)
@settings(max_examples=20, deadline=None)
def test_measures_are_those_of_the_field(run, judged):
    counted = [query for query, grades in judged.items() if any(grades.values())]
    if not set(counted) & set(run):
        with pytest.raises(DataError, match="no query in common"):
            evaluate(run, judged)
        return
    found = evaluate(run, judged)
    for measure in ("nDCG@10", "AP", "RR", "P@10"):
        wanted = by_hand(run, judged, measure)
        assert found.per_query[measure] == pytest.approx(wanted)
        assert found.means[measure] == pytest.approx(sum(wanted.values()) / len(wanted))
    assert set(found.left_out) == set(counted) - set(run)
    for name in MEASURES:
        low, high = found.intervals[name]
        assert low - 1e-12 <= found.means[name] <= high + 1e-12


def test_ids_may_be_any_text():
    """Two ids that differ behind a NUL are two; one that is no text (half of a pair) is an id like any other."""
    run = {"q\x00a": ["d\x00b", "d\x00a"], "q\x00b": ["\ud800"], "": [""]}
    judged = {"q\x00a": {"d\x00a": 1}, "q\x00b": {"\ud800": 1}, "": {"": 1}}
    assert evaluate(run, judged).per_query["RR"] == {"q\x00a": 0.5, "q\x00b": 1.0, "": 1.0}


def test_ties_are_broken_as_trec_eval_does(tmp_path):
    (tmp_path / "run").write_text("1 Q0 a 1 0.5 x\n1 Q0 c 2 0.5 x\n1 Q0 b 9 0.5 x\n1 Q0 d 4 0.75 x\n")
    assert read_run(tmp_path / "run") == {"1": ["d", "c", "b", "a"]}
    found = evaluate(read_run(tmp_path / "run"), {"1": {"b": 1}})
    theirs = ir_measures.calc_aggregate([ir_measures.RR], {"1": {"b": 1}}, {"1": {"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.75}})
    assert found.means["RR"] == theirs[ir_measures.RR] == pytest.approx(1 / 3)


@given(st.lists(st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 4)), max_size=20), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_a_written_run_is_read_in_the_same_order_in_single_precision_too(tmp_path_factory, scores):
    path = tmp_path_factory.mktemp("run") / "run"
    rows = [
        (f"q{n}", [(f"d{place:02}", score) for place, score in enumerate(sorted(one, reverse=True))])
        for n, one in enumerate(scores)
    ]
    write_run(path, rows)
    order = {query: [document for document, _ in ranked] for query, ranked in rows if ranked}
    assert (read_run(path) if order else {}) == order
    written = [line.split() for line in path.read_text().splitlines()]
    for query in order:
        singles = [np.float32(cells[4]) for cells in written if cells[0] == query]
        assert all(a > b for a, b in itertools.pairwise(singles)) or max(map(abs, singles)) > 100


def test_the_exact_test_is_the_share_of_signs():
    a, b = [0.9, 0.4, 0.7, 0.6, 0.5], [0.5, 0.5, 0.2, 0.1, 0.5]
    parts = [x - y for x, y in zip(a, b, strict=True) if x != y]
    sums = [
        abs(sum(sign * part for sign, part in zip(signs, parts, strict=True))) for signs in itertools.product((1, -1), repeat=4)
    ]
    wanted = sum(one >= abs(sum(parts)) - 1e-9 for one in sums) / 16
    assert randomisation(a, b) == pytest.approx(wanted)
    assert randomisation(a, a) == 1.0
    assert randomisation(a, b) == pytest.approx(randomisation(b, a))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_p_values_are_honest_where_nothing_differs():
    """Of 300 comparisons of two systems that are alike, about a twentieth is below 0.05; the bound is five standard deviations."""
    random = np.random.Generator(np.random.PCG64(11))
    below = sum(randomisation(*random.random((2, 60)).tolist(), seed=n) < 0.05 for n in range(300))
    assert below / 300 < 0.05 + 5 * math.sqrt(0.05 * 0.95 / 300)
    covered = 0
    for n in range(300):
        low, high = interval(random.random(60).tolist(), seed=n)
        covered += low <= 0.5 <= high
    assert covered / 300 > 0.95 - 0.02 - 5 * math.sqrt(0.05 * 0.95 / 300)  # the percentile interval is a little narrow


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_is_not_below_what_it_adjusts(p_values):
    adjusted = holm(p_values)
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    assert [adjusted[place] for place in order] == sorted(adjusted)
    assert all(p <= q <= min(1.0, len(p_values) * max(p_values)) + 1e-12 for p, q in zip(p_values, adjusted, strict=True))
    assert min(adjusted) == pytest.approx(min(1.0, len(p_values) * min(p_values)))


def test_cranfields_codes_and_both_readings_of_minus_one(tmp_path, capsys):
    (tmp_path / "qrel").write_text("1 10 1\n1 11 4\n1 12 -1\n1 13 5\n")
    assert format_of(tmp_path / "qrel") == "cranfield" and minus_ones(tmp_path / "qrel") == 1
    assert read_judgements(tmp_path / "qrel") == {"1": {"10": 4, "11": 1, "12": 1, "13": 0}}
    assert read_judgements(tmp_path / "qrel", minus_one=0)["1"]["12"] == 0
    (tmp_path / "cisi").write_text("     1     28\t0\t0.000000\n     1     35\t0\t0.000000\n")
    assert read_judgements(tmp_path / "cisi") == {"1": {"28": 1, "35": 1}}
    (tmp_path / "trec").write_text("1 0 28 2\n1 0 35 -1\n")
    assert read_judgements(tmp_path / "trec") == {"1": {"28": 2, "35": -1}}
    (tmp_path / "run").write_text("1 Q0 12 1 3 x\n1 Q0 10 2 2 x\n")
    arguments = parse(["evaluate", "--run", str(tmp_path / "run"), "--qrels", str(tmp_path / "qrel"), "--json"])
    assert arguments.call(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["measures"]["RR"]["mean"] == 1.0 and told["code_minus_one"]["other_means"]["RR"] == 0.5
    arguments = parse(["evaluate", "--run", str(tmp_path / "run"), "--qrels", str(tmp_path / "qrel"), "--per-query"])
    assert arguments.call(arguments) == 0
    shown = capsys.readouterr().out
    assert "with -1 as 0" in shown and max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 Q0 a 1 0.5\n", "line 1: not a line of a run"),
        ("1 Q0 a 1 high x\n", 'the score "high" is not a number'),
        ("1 Q0 a 1 nan x\n", "not a number"),
        ("1 Q0 a 1 2 x\n\n1 Q0 a 2 1 x\n", "line 3: document a stands twice"),
        ("\n\n", "holds no lines"),
        (b"\xff\xfe1", "is not UTF-8"),
    ],
)
def test_files_that_are_no_runs(tmp_path, text, said):
    (tmp_path / "run").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=said):
        read_run(tmp_path / "run")


def test_a_judgement_that_contradicts_itself_and_runs_of_other_queries(tmp_path):
    (tmp_path / "qrels").write_text("1 0 a 1\n1 0 a 2\n")
    with pytest.raises(DataError, match="line 2: document a is judged again, differently"):
        read_judgements(tmp_path / "qrels")
    with pytest.raises(DataError, match="no query in common"):
        evaluate({"x": ["a"]}, {"1": {"a": 1}})
    with pytest.raises(DataError, match="no query has a relevant document"):
        evaluate({"1": ["a"]}, {"1": {"a": 0}})
    with pytest.raises(UsageError, match="no such file"):
        read_run(tmp_path / "none")
    with pytest.raises(DataError, match="white space"):
        write_run(tmp_path / "out", [("1", [("two words", 1.0)])])


def test_comparisons_are_symmetric_and_adjusted_over_all_of_them():
    judged = {f"q{n}": {"a": 1} for n in range(8)}
    better = {f"q{n}": ["a", "b"] for n in range(8)}
    worse = {f"q{n}": ["b", "a"] for n in range(8)}
    one, other = evaluate(better, judged, {"w": worse}), evaluate(worse, judged, {"b": better})
    for mine, theirs in zip(one.comparisons, other.comparisons, strict=True):
        assert (mine.difference, mine.p) == (pytest.approx(-theirs.difference), pytest.approx(theirs.p))
        assert mine.adjusted >= mine.p
    assert next(c for c in one.comparisons if c.measure == "RR").p == pytest.approx(2 / 256)
