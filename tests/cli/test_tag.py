"""Runs are found again by what people call them: names, tags, notes; no key and no package has any of it."""

from __future__ import annotations

import pytest
from desk import Desk


def test_a_run_is_found_by_its_name_and_its_tags(desk: Desk) -> None:
    first = desk.run("--name", "baseline", "--tag", "split=1", "--note", "before the change")["run"]
    second = desk.run("--set", "model.regularization=20")["run"]
    assert desk("show", "baseline", "--json").json["run"] == first
    assert desk("compare", "baseline", "last", "--json").json["runs"] == [first, second]
    assert "baseline split=1; before the change" in desk("show", first).out
    assert [run["run"] for run in desk("runs", "--tag", "split=1", "--json").json["runs"]] == [first]
    assert desk("runs", "--tag", "split=2").out == "no run has these tags\n"
    told = desk("tag", "last", "split=2", "kind=trial", "--name", "baseline", "--json").json
    assert (told["run"], told["name"], told["tags"]) == (second, "baseline", {"kind": "trial", "split": "2"})
    assert desk("show", "baseline", "--json").json["run"] == second, "the newest of that name"
    assert "baseline #kind=trial #split=2" in desk("runs").out
    again = desk("tag", "last", "split=3", "--json").json
    assert again["tags"] == {"kind": "trial", "split": "3"}
    assert again["name"] == "baseline"


def test_what_a_run_is_called_is_in_no_key(desk: Desk) -> None:
    desk.run()
    again = desk.run("--name", "again", "--tag", "a=b", "--note", "c")
    assert {step["action"] for step in again["steps"].values()} == {"reused"}


@pytest.mark.quick(3)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "small.py", "--name", "20240101"], "cannot name a run or a tag"),
        (["run", "small.py", "--name", "last"], 'Use letters, digits, "_", "." and "-", a letter first; not "last"'),
        (["run", "small.py", "--tag", "split"], "this is not KEY=VALUE"),
        (["tag", "last"], "nothing is given"),
        (["tag", "last", "a b=c"], "cannot name a run or a tag"),
        (["tag", "nowhere", "a=b"], 'run "nowhere"'),
    ],
)
def test_what_cannot_be_a_name_is_one_line(desk: Desk, words: list[str], said: str) -> None:
    desk.run("--only", "areas")
    before = desk("runs", "--json").json
    done = desk(*words)
    assert done.code == 2
    assert said in done.complaint
    assert desk("runs", "--json").json == before


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_runs_are_listed_by_a_metric_a_pipeline_or_a_state(desk: Desk) -> None:
    for much in ("1", "1000", "30"):
        desk.run("--set", f"model.regularization={much}")
    told = desk("runs", "--sort", "quality.mean_0", "--json").json["runs"]
    values = [one["metrics"]["quality.mean_0"] for one in told]
    assert values == sorted(values, reverse=True) and len(set(values)) == 3
    assert "quality.mean_0" in desk("runs", "--sort", "quality.mean_0").out
    assert desk("runs", "--pipeline", "other").out == desk("runs", "--status", "failed").out == "no run is like this\n"
    assert len(desk("runs", "--pipeline", "small", "--status", "done", "--limit", "2", "--json").json["runs"]) == 2
    assert 'nothing to sort by called "quality.maen_0"' in desk("runs", "--sort", "quality.maen_0").complaint
    assert "there is no status" in desk("runs", "--status", "odd").complaint
