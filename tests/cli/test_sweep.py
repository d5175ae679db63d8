"""Sweeps: every combination once, what fails is said and does not stop the others, and nothing private is swept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.cli import main
from pellucid.cli.sweep import MOST, combinations
from pellucid.errors import UsageError
from pellucid.pipeline.record import Record, RunQuery, list_runs
from pellucid.privacy import Ledger

PIPELINE = """
import pellucid as pl

rows = pl.source("rows.csv", label="open")
people = pl.source("people.csv", label="private", unit="person", budget=pl.Budget(epsilon=3.0, delta=1e-5))


@pl.step(per_unit=True)
def cut(people: pl.Table, least: int = 0) -> pl.Table:
    return people.polars()


@pl.step
def catalogue(rows: pl.Table, first: int = 0) -> pl.Table:
    return rows.polars()


@pl.step
def checked(cut: pl.Table, catalogue: pl.Table) -> pl.Table:
    return cut.polars()


counts = pl.release(pl.privacy.histogram("item", public_keys=["a"]), of=cut, epsilon=1.0, delta=1e-6)


@pl.step
def slow(rows: pl.Table) -> pl.Table:
    return rows.polars()


@pl.step
def net(slow: pl.Table, rate: float = 0.1, width: int = 4) -> pl.Metrics:
    if rate > 5:
        raise ValueError("it diverged")
    return {"score": rate * width}


pipeline = pl.Pipeline("swept", [rows, people, cut, catalogue, checked, counts, slow, net])
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "keys"))
    (tmp_path / "swept.py").write_text(PIPELINE)
    (tmp_path / "rows.csv").write_text("a\n1\n")
    (tmp_path / "people.csv").write_text("person,item\n1,a\n2,a\n")
    return tmp_path / "swept.py"


def called(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(str(ended.value.code))


def test_every_combination_runs_once_and_failures_do_not_stop_the_others(file: Path, capsys: pytest.CaptureFixture[str]):
    code = called(
        "run", str(file), "--sweep", "net.rate=0.5,9,2", "--sweep", "net.width=4,8", "--json", "--quiet", "--tag", "kind=try"
    )
    told = json.loads(capsys.readouterr().out)
    assert code == 1 and len(told["runs"]) == 6
    chosen = [(one["settings"]["net.rate"], one["settings"]["net.width"]) for one in told["runs"]]
    assert chosen == [("0.5", "4"), ("0.5", "8"), ("9", "4"), ("9", "8"), ("2", "4"), ("2", "8")]
    assert [one["metrics"].get("net.score") for one in told["runs"]] == [2.0, 4.0, None, None, 8.0, 16.0]
    assert [bool(one["failed"]) for one in told["runs"]] == [False, False, True, True, False, False]
    assert "it diverged" in told["runs"][2]["failed"]
    record = Record(file.parent / ".pellucid")
    found, total = list_runs(record, RunQuery(tags=(f"sweep={told['sweep']}", "kind=try")))
    assert total == 6
    assert [step.action for one in found[:-1] for step in record.steps(one.run) if step.step == "slow"] == ["reused"] * 5
    record.close()
    assert len(Ledger(file.parent / ".pellucid").spends()) == 1, "the release is the same in every run, and paid once"


@pytest.mark.slow
def test_the_table_fits_and_says_where_to_look(file: Path, capsys: pytest.CaptureFixture[str]):
    assert called("run", str(file), "--sweep", "net.rate=0.5,1") == 0
    told = capsys.readouterr()
    assert (
        "2 runs, with the tag sweep=" in told.out
        and all(len(line) <= 80 for line in told.out.splitlines())
        and "2 of 2: net.rate=1: done" in told.err
    )


@pytest.mark.parametrize("setting", ["counts.epsilon=1,2", "cut.least=1,2", "catalogue.first=1,2"])
def test_nothing_private_is_swept(file: Path, capsys: pytest.CaptureFixture[str], setting: str):
    assert called("run", str(file), "--sweep", setting) == 2
    assert "paid from the account" in capsys.readouterr().err
    assert not (file.parent / ".pellucid").exists() or not Ledger(file.parent / ".pellucid").spends()


@pytest.mark.parametrize(
    ("sweep", "said"),
    [("net.rate", "STEP.SETTING=VALUE,VALUE"), ("rate=1,2", "STEP.SETTING=VALUE,VALUE"), ("net.rate=", "STEP.SETTING=VALUE,VALUE"),
     ("net.rate=1,,2", "STEP.SETTING=VALUE,VALUE"), ("net.rat=1,2", "rate"), ("nte.rate=1,2", "net"), ("net.rate=1,x", "rate")],
)  # fmt: skip
def test_what_cannot_be_swept_is_refused_before_the_first_run(
    file: Path, capsys: pytest.CaptureFixture[str], sweep: str, said: str
):
    assert called("run", str(file), "--sweep", sweep) == 2
    assert said in capsys.readouterr().err
    assert called("run", str(file), "--sweep", "net.rate=1,2", "--dry-run") == 2
    record = Record(file.parent / ".pellucid")
    assert record.runs(5) == []
    record.close()


@given(st.dictionaries(st.sampled_from(["a.x", "b.y", "c.z"]), st.lists(st.integers(0, 9), min_size=1, max_size=5), min_size=1))
def test_combinations_are_all_in_order(values: dict[str, list[int]]):
    found = combinations([f"{name}={','.join(map(str, held))}" for name, held in values.items()])
    expected = 1
    for held in values.values():
        expected *= len(held)
    assert len(found) == expected and all(list(one) == list(values) for one in found)


def test_a_sweep_is_bounded():
    with pytest.raises(UsageError, match=f"a sweep has {MOST} at most"):
        combinations([f"a.x={','.join(map(str, range(30)))}", f"a.y={','.join(map(str, range(30)))}"])
