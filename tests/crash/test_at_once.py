"""Several runs of one pipeline on one home at the same time: the same digests, nothing broken, nothing paid twice."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, digests, laid

from pellucid.pipeline.record.use_lock import in_use
from pellucid.privacy.accounting.ledger import Ledger
from pellucid.store.objects import Objects


def at_once(desk: Desk, commands: Sequence[Sequence[str]]) -> list[tuple[int, dict[str, Any], str]]:
    """Start the commands in the same instant; exit code, JSON and stderr of each."""
    gate = desk.folder / "gate"
    gate.unlink(missing_ok=True)
    # everything but the work itself is done before the gate opens
    starter = (
        "import sys, time, pathlib\nimport pellucid.cli.run, pellucid.pipeline.running.execution\n"
        "gate = pathlib.Path(sys.argv[1])\nprint(flush=True)\n"
        "while not gate.exists():\n    time.sleep(0.0005)\n"
        "from pellucid.cli import main\nmain(sys.argv[2:])"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", starter, str(gate), *words], cwd=desk.folder, env=desk.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for words in commands
    ]  # fmt: skip
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    gate.touch()
    told = []
    for child in children:
        out, err = child.communicate(timeout=100)
        assert "Traceback" not in out + err, err
        told.append((child.returncode, json.loads(out), err))
    return told


def check(home: Path, spends: int) -> None:
    """The state file, the ledger and every stored file are whole."""
    db = sqlite3.connect(home / "pellucid.db")
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("SELECT DISTINCT status FROM runs").fetchall() in (
        [("done",)],
        [("done",), ("failed",)],
        [("failed",), ("done",)],
    )
    db.close()
    ledger = Ledger(home)
    ledger.verify()
    assert [spend["state"] for spend in ledger.spends()] == ["finished"] * spends
    ledger.close()
    objects = Objects(home)
    found = [objects.open(sha256, suffix) for sha256, suffix, _ in objects]
    assert len(found) >= 7
    assert not list((home / "damaged").glob("*"))
    assert not list((home / "tmp").glob("*"))


RUN = ["run", "small.py", "--json", "--quiet"]


@pytest.mark.quick(1)
@pytest.mark.parametrize("count", [2, 4])
def test_runs_at_once_agree_and_pay_once(desk: Desk, count: int) -> None:
    told = at_once(desk, [RUN] * count)
    assert [code for code, _, _ in told] == [0] * count, told
    assert len({found["run"] for _, found, _ in told}) == count
    alone = Desk(desk.folder, {"PELLUCID_HOME": str(desk.folder / "alone")}).run()
    assert [digests(found) for _, found, _ in told] == [digests(alone)] * count
    check(desk.folder / ".pellucid", spends=1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_runs_at_once_agree_and_pay_once_in_many_rounds(tmp_path: Path, soak: Callable[[int], int]) -> None:
    expected: dict[str, str] = {}
    for at in range(soak(200)):
        desk = laid(tmp_path)
        shared = Desk(desk.folder, {"PELLUCID_HOME": str(tmp_path / f"home-{at}")})
        told = at_once(shared, [RUN] * (2 + 2 * (at % 2)))
        assert {code for code, _, _ in told} == {0}, told
        expected = expected or digests(told[0][1])
        assert all(digests(found) == expected for _, found, _ in told)
        check(tmp_path / f"home-{at}", spends=1)


@pytest.mark.slow
def test_a_cap_that_admits_one_of_two_releases_admits_exactly_one(desk: Desk) -> None:
    for at in range(2):
        home = desk.folder / f"home-{at}"
        shared = Desk(desk.folder, {"PELLUCID_HOME": str(home)})
        told = at_once(shared, [[*RUN, "--set", f"counts.epsilon={epsilon}"] for epsilon in (1.25, 1.5)])
        assert sorted(code for code, _, _ in told) == [0, 2], told
        (refused,) = [(found, err) for code, found, err in told if code == 2]
        assert refused[0]["error"]["type"] == "BudgetError"
        assert "left" in refused[1]
        check(home, spends=1)


@pytest.mark.slow
def test_different_settings_at_once_share_what_they_have_in_common(desk: Desk) -> None:
    told = at_once(desk, [[*RUN, "--set", f"model.regularization={value}"] for value in (1, 2)])
    assert [code for code, _, _ in told] == [0, 0], told
    first, second = (digests(found) for _, found, _ in told)
    assert {name for name in first if first[name] != second[name]} == {"model", "powers", "quality"}
    check(desk.folder / ".pellucid", spends=1)


# garbage -----------------------------------------------------------------------------------------------------------------


def files(desk: Desk) -> set[str]:
    return {sha256 + suffix for sha256, suffix, _ in Objects(desk.folder / ".pellucid")}


@pytest.mark.slow
def test_collecting_garbage_keeps_releases_and_what_the_latest_runs_name(desk: Desk) -> None:
    first = desk.run()
    for value in ("1", "2"):
        last = desk.run("--set", f"model.regularization={value}")
    other = desk.run("--set", "counts.epsilon=0.5", "--only", "counts")
    before = files(desk)
    foreseen = desk("gc", "--keep", "1", "--dry-run", "--json").json
    assert files(desk) == before
    assert len(desk("runs", "--json").json["runs"]) == 4
    done = desk("gc", "--keep", "1", "--json").json
    assert done == foreseen
    assert done["files"] > 0
    after = files(desk)
    assert len(before) - len(after) == done["files"] and len(after) == done["kept"]
    assert [run["run"] for run in desk("runs", "--json").json["runs"]] == [other["run"]]
    # both releases are there, the models are not; computed anew they are what they were, and nothing is paid again
    spent = desk("ledger", "--json").json["accounts"]["visits"]["spent"]
    again = desk.run()
    assert digests(again) == digests(first)
    assert (again["steps"]["counts"]["action"], again["steps"]["model"]["action"]) == ("reused", "ran")
    assert digests(desk.run("--set", "model.regularization=2")) == digests(last)
    assert desk("ledger", "--json").json["accounts"]["visits"]["spent"] == spent == 1.5


@pytest.mark.slow
def test_collecting_with_all_runs_kept_removes_nothing_that_they_name(desk: Desk) -> None:
    first = desk.run()
    leftover = desk.folder / ".pellucid" / "tmp" / "left-by-a-kill"
    leftover.mkdir(parents=True)
    assert desk("gc", "--json").json["files"] == 0
    assert not leftover.exists()
    again = desk.run()
    assert {step["action"] for step in again["steps"].values()} == {"reused"}
    assert digests(again) == digests(first)


def test_collecting_is_refused_while_a_run_is_under_way(desk: Desk) -> None:
    desk.run()
    slow = (desk.folder / "small.py").read_text().replace("    found = ", "    import time\n    time.sleep(60)\n    found = ")
    desk.write("slow.py", slow)
    child = subprocess.Popen(
        [sys.executable, "-m", "pellucid", "run", "slow.py", "--quiet"],
        cwd=desk.folder,
        env=desk.environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while desk("runs", "--json").json["runs"][0]["status"] != "running":
            assert time.monotonic() < deadline
        before = files(desk)
        done = desk("gc", "--keep", "0")
        assert done.code == 2
        assert "a run is under way" in done.complaint
        assert files(desk) == before
    finally:
        child.kill()
        child.wait()
    assert desk("gc", "--keep", "0").code == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_that_starts_while_files_are_collected_waits_for_that(desk: Desk) -> None:
    """What it is about to reuse must not go between its look into the record and its use."""
    first = desk.run()
    lock = in_use(desk.folder / ".pellucid", fcntl.LOCK_EX)
    child = subprocess.Popen(
        [sys.executable, "-m", "pellucid", *RUN], cwd=desk.folder, env=desk.environment, stdout=subprocess.PIPE, text=True
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(2)
        os.close(lock)
        out, _ = child.communicate(timeout=60)
    finally:
        child.kill()
    assert digests(json.loads(out)) == digests(first)
