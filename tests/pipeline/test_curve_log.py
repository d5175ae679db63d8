"""`pl.log`: curves have the label of their step, belong to its result, and are data when they come from a worker."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pellucid as pl
from pellucid.cli import main
from pellucid.errors import StepError, UsageError
from pellucid.pipeline.record import MOST_POINTS, Record, curves_of, log, stored_run
from pellucid.pipeline.running import load, run
from pellucid.pipeline.running.task import Outcome

PIPELINE = """
import pellucid as pl

rows = pl.source("rows.csv", label="open")
people = pl.source("people.csv", label="private", unit="person")


@pl.step
def train(rows: pl.Table, epochs: int = 3) -> pl.Metrics:
    for epoch in range(epochs):
        print("epoch", epoch)
        pl.log("loss", 1 / (epoch + 1), epoch)
    pl.log("loss", float("nan"), epochs)
    return {"loss": 1 / epochs}


@pl.step
def secret(people: pl.Table) -> pl.Metrics:
    pl.log("count", people.arrow().num_rows, 0)
    return {"rows": people.arrow().num_rows}


@pl.step(over={"rate": [1.0, 2.0]})
def each(rows: pl.Table, rate: float) -> pl.Metrics:
    pl.log("rate", rate, 0)
    return {"rate": rate}


pipeline = pl.Pipeline("curves", [rows, people, train, secret, each])
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "curves.py").write_text(PIPELINE)
    (tmp_path / "rows.csv").write_text("a\n1\n")
    (tmp_path / "people.csv").write_text("person\n1\n2\n")
    return tmp_path


def test_open_curves_are_told_and_others_only_to_the_steward(place: Path):
    home = place / ".pellucid"
    first = run(load(place / "curves.py"), home=home)
    expected = [(0, 1.0), (1, 0.5), (2, 1 / 3), (3, None)]
    assert first.curves["train.loss"] == expected
    assert not any(name.startswith("secret") for name in first.curves)
    record = Record(home)
    assert curves_of(record.db, first.id, private=True)["secret.count"] == [(0, 2.0)]
    rows = record.db.execute(
        "SELECT metric_names.name, value FROM run_metrics JOIN metric_names ON id = run_metrics.name WHERE run = ?", (first.id,)
    )
    listed = {"train.loss": 1 / 3, "each[rate=1.0].rate": 1.0, "each[rate=2.0].rate": 2.0}
    assert dict(map(tuple, rows)) == listed, "of metrics only open ones are listed"
    record.close()
    again = run(load(place / "curves.py"), home=home)
    assert again.steps["train"].action == "reused" and again.curves["train.loss"] == expected


def test_a_failed_step_keeps_what_it_logged(place: Path):
    file = place / "curves.py"
    file.write_text(PIPELINE.replace('    return {"loss": 1 / epochs}', "    raise ValueError('diverged')"))
    with pytest.raises(StepError):
        run(load(file), home=place / ".pellucid")
    assert len(stored_run(place / ".pellucid").curves["train.loss"]) == 4


def test_show_tells_curves(place: Path, capsys: pytest.CaptureFixture[str]):
    run(load(place / "curves.py"), home=place / ".pellucid")
    for words, there in (([], False), (["--private"], True)):
        with pytest.raises(SystemExit):
            main(["show", "--home", str(place / ".pellucid"), *words])
        told = capsys.readouterr().out
        assert "train.loss: 4 points, at 3: no number" in told
        assert ("secret.count" in told) == there


def test_live_output_of_open_steps_is_printed_and_no_other(place: Path, capsys: pytest.CaptureFixture[str]):
    file = place / "curves.py"
    file.write_text(PIPELINE.replace('    return {"rows"', "    print('two people')\n    return {\"rows\""))
    with pytest.raises(SystemExit):
        main(["run", str(file), "--live"])
    told = capsys.readouterr().err
    assert [line for line in told.splitlines() if " | " in line] == [f"  train | epoch {at}" for at in range(3)]
    assert "two people" not in told
    assert list((place / ".pellucid" / "locks").glob("*.output")) == []


@pytest.mark.parametrize(
    ("metric", "value", "step"),
    [("", 1.0, 0), ("a b", 1.0, 0), ("0", 1.0, 0), (3, 1.0, 0), ("loss", "1", 0), ("loss", None, 0), ("loss", True, 0), ("loss", 1.0, -1),
     ("loss", 1.0, 1.5), ("loss", 1.0, True), ("loss", 1.0, 2**60), ("x" * 101, 1.0, 0)],
)  # fmt: skip
def test_what_is_no_point_is_refused(metric: object, value: object, step: object):
    from pellucid.pipeline.record import collected

    with collected() as points, pytest.raises(UsageError):
        log(metric, value, step)  # type: ignore[arg-type]
    assert points == []
    told = {"made": [], "failure": None, "imported": [], "points": [[metric, value, step]]}
    with pytest.raises(ValueError, match="not an outcome"):
        Outcome.from_json(told)


def test_outside_a_step_it_says_where_it_belongs():
    with pytest.raises(UsageError, match="outside a step"):
        pl.log("loss", 1.0, 0)


def test_points_are_bounded():
    from pellucid.pipeline.record import collected

    with collected() as points:
        for step in range(MOST_POINTS):
            log("loss", 1.0, step)
        with pytest.raises(UsageError, match="more than 100,000 points"):
            log("loss", 1.0, MOST_POINTS)
    assert len(points) == MOST_POINTS
    told = {"made": [], "failure": None, "imported": [], "points": [["a", 0, 1.0]] * (MOST_POINTS + 1)}
    with pytest.raises(ValueError, match="not an outcome"):
        Outcome.from_json(told)


@given(st.lists(st.tuples(st.sampled_from(["loss", "acc/top-1", "f1@10"]), st.integers(0, 2**53 - 1), st.floats())))
def test_points_come_through_a_worker_as_they_are(points: list[tuple[str, float, int]]):
    outcome = Outcome(points=tuple(points))  # type: ignore[arg-type]
    back = Outcome.from_json(json.loads(json.dumps(outcome.to_json()))).points
    for (metric, step, value), (other, at, number) in zip(points, back, strict=True):
        assert (metric, step) == (other, at) and (value == number or (math.isnan(value) and math.isnan(number)))
