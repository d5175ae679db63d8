"""A run that fails says so once, keeps what was finished, and shows private text to nobody but the steward."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from desk import Desk, actions

MARKER = "zebra-4711"  # stands for what only the steward may see

# Each mode is another way in which a private step might give away what it has seen.
PRIVATE = f'''\
import pellucid as pl
from pellucid.errors import DataError

visits = pl.source("visits.csv", label="private", unit="person")


@pl.step
def secret(visits: pl.Table, mode: str = "raise") -> pl.Metrics:
    print("{MARKER} printed")
    if mode == "raise":
        raise ValueError("{MARKER} raised")
    if mode == "ours":
        raise DataError("{MARKER} raised", where="{MARKER}", why="{MARKER}", fix="{MARKER}")
    if mode == "name":
        return {{"{MARKER}": "{MARKER}"}}
    if mode == "exit":
        raise SystemExit("{MARKER}")
    if mode == "note":
        error = KeyError("{MARKER}")
        error.add_note("{MARKER}")
        raise error
    if mode == "warn":
        import warnings

        warnings.warn("{MARKER}")
    if mode == "cause":
        try:
            int("{MARKER}")
        except ValueError as error:
            raise RuntimeError from error
    if mode == "descriptor":
        import os

        os.write(2, b"{MARKER}\\n")
        os.write(1, b"{MARKER}\\n")
        os.abort()
    if mode == "native":
        visits.duckdb().sql("select error('{MARKER}')").fetchall()
    return {{"one": 1}}


pipeline = pl.Pipeline("private", [visits, secret])
'''
MODES = ["raise", "ours", "name", "exit", "note", "cause", "descriptor", "native"]


@pytest.mark.quick(1)
@pytest.mark.parametrize("mode", MODES)
def test_what_a_private_step_says_is_for_its_steward_only(desk: Desk, mode: str) -> None:
    desk.write("private.py", PRIVATE)
    words = ["run", "private.py", "--set", f"secret.mode={mode}"]
    done = desk(*words)
    assert done.code == 1, done
    assert 'step "secret" failed' in done.complaint
    told = desk(*words, "--json")
    assert told.code == 1
    assert (told.json["status"], told.json["steps"]["secret"]["action"]) == ("failed", "failed")
    looked = [desk(*look) for look in (["show"], ["show", "--json"], ["runs"], ["why", "secret"], ["ledger"], ["compare"])]
    refused = desk("show", "--log", "secret")
    assert refused.code == 2 and "--private" in refused.complaint
    for seen in (done, told, refused, *looked):
        assert MARKER not in seen.out + seen.err
    assert MARKER in desk("show", "--log", "secret", "--private").out
    assert MARKER in desk("show", "--log", "secret", "--private", "--json").json["log"]


def test_what_a_private_step_prints_is_kept_apart_also_when_it_succeeds(desk: Desk) -> None:
    desk.write("private.py", PRIVATE)
    done = desk("run", "private.py", "--set", "secret.mode=warn")
    assert done.code == 0
    assert MARKER not in done.out + done.err
    assert desk("show", "--log", "secret", "--private").out.count(MARKER) >= 2


def test_a_cell_of_a_private_file_is_not_quoted(desk: Desk) -> None:
    desk.write("odd.csv", f"person,area,age\n1,a,20\n2,b,{MARKER}\n")
    desk.write(
        "odd.py",
        'import pellucid as pl\nodd = pl.source("odd.csv", label="private", unit="person", types={"age": "int64"})\n'
        'pipeline = pl.Pipeline("odd", [odd])\n',
    )
    done = desk("run", "odd.py")
    assert done.code == 1
    assert "age" in done.complaint
    assert MARKER not in done.out + done.err
    assert MARKER in desk("show", "--log", "odd", "--private").out


def test_the_hint_after_a_failure_works_from_where_it_is_given(desk: Desk, tmp_path: Path) -> None:
    desk.write("inner/private.py", PRIVATE)
    desk.write("inner/visits.csv", (desk.folder / "visits.csv").read_text())
    hint = desk("run", "inner/private.py").complaint.partition("Its log and traceback: pellucid ")[2]
    assert "--private" in hint
    assert MARKER in desk(*hint.split()).out


OPEN = """\
import pellucid as pl

areas = pl.source("areas.csv", label="open")


@pl.step
def first(areas: pl.Table) -> pl.Metrics:
    return {"rows": areas.num_rows, "odd": float("nan")}


@pl.step
def second(first: pl.Metrics, broken: bool = True) -> pl.Metrics:
    print("about to divide")
    return {"x": 1 / (0 if broken else 2)}


@pl.step
def third(second: pl.Metrics) -> pl.Metrics:
    return {"y": second["x"]}


pipeline = pl.Pipeline("open", [areas, first, second, third])
"""


def test_a_failed_step_of_open_data_says_why(desk: Desk) -> None:
    desk.write("open.py", OPEN)
    done = desk("run", "open.py")
    assert done.code == 1
    assert done.complaint.startswith(
        'pellucid: step "second" failed: it raised ZeroDivisionError in open.py, line 14: division by zero'
    )
    assert "failed in" in done.out
    told = desk("run", "open.py", "--json")
    assert told.code == 1
    assert actions(told.json) == {"areas": "reused", "first": "reused", "second": "failed"}
    assert told.json["steps"]["second"]["digest"] is None
    assert told.json["steps"]["first"]["metrics"]["odd"] == "NaN"
    assert "about to divide" in desk("show", "--log", "second").out
    mended = desk("run", "open.py", "--set", "second.broken=false", "--json").json
    assert actions(mended) == {"areas": "reused", "first": "reused", "second": "ran", "third": "ran"}


BUDGET = """\
import time

import pellucid as pl

visits = pl.source("visits.csv", label="private", unit="person", budget=pl.Budget(epsilon=1.0, delta=1e-5))
counts = pl.release(pl.privacy.histogram("area", max_contributions=3), of=visits, epsilon=3.0, delta=1e-6)


@pl.step
def slow() -> pl.Metrics:
    time.sleep(1.5)
    return {"slept": 1.5}


pipeline = pl.Pipeline("budget", [slow, visits, counts])
"""


def test_a_release_over_budget_ends_the_run_after_what_is_under_way(desk: Desk) -> None:
    desk.write("budget.py", BUDGET)
    done = desk("run", "budget.py", "--jobs", "2", "--json")
    assert done.code == 2
    assert "'visits' has epsilon 1 and delta 1e-05 left" in done.complaint
    assert actions(done.json) == {"visits": "ran", "counts": "failed", "slow": "ran"}
    assert done.json["error"]["type"] == "BudgetError"
    again = desk("run", "budget.py", "--set", "counts.epsilon=0.5", "--json").json
    assert actions(again) == {"visits": "reused", "counts": "ran", "slow": "reused"}
    assert desk("ledger", "--json").json["accounts"]["visits"]["spent"] == 0.5


@pytest.mark.quick(1)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_can_be_resumed(desk: Desk, how: signal.Signals) -> None:
    desk.write(
        "slow.py",
        BUDGET.replace("sleep(1.5)", "sleep(60 if rough else 0)").replace("def slow()", "def slow(rough: bool = True)"),
    )
    words = [sys.executable, "-m", "pellucid", "run", "slow.py", "--only", "slow", "--json"]
    child = subprocess.Popen(
        words,
        cwd=desk.folder,
        env=desk.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and desk("runs").code != 0:
        time.sleep(0.05)
    time.sleep(1.0)
    started = time.monotonic()
    os.killpg(child.pid, how)
    out, err = child.communicate(timeout=60)
    assert time.monotonic() - started < 30, "it waited for the step's 60 s"
    assert "Traceback" not in out + err
    assert child.returncode == (130 if how == signal.SIGINT else -signal.SIGTERM)
    if how == signal.SIGINT:
        assert "interrupted" in err and '"interrupted"' in out
    assert desk("runs", "--json").json["runs"][0]["status"] == "interrupted"
    mended = desk("run", "slow.py", "--only", "slow", "--set", "slow.rough=false", "--json").json
    assert actions(mended) == {"slow": "ran"}
