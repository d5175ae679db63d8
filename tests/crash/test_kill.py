"""kill -9 at any moment: the next run goes on from there and ends as if nothing had happened.

What this does not show is power loss: a killed process leaves its writes with the kernel, a power cut does not. That files and
ledger are synced before anyone may name them is tested where they are written (tests/store, tests/privacy).
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, actions, digests, people

from pellucid.privacy.accounting.ledger import Ledger
from pellucid.store.objects import Objects

PIPELINE = """\
import time
from typing import NamedTuple

import numpy
import pellucid as pl

visits = pl.source("visits.csv", label="private", unit="person", budget=pl.Budget(epsilon=2.0, delta=1e-5))
areas = pl.source("areas.csv", label="open")
people = pl.evaluation.hold_out(visits, item="area", share=0.2, seed=1)
counts = pl.release(pl.privacy.histogram("area", max_contributions=3), of=people.train, epsilon=1.0, delta=1e-6)


@pl.step(kind="train")
def model(counts: pl.Table, areas: pl.Table) -> pl.Array:
    time.sleep(0.02)
    found = counts.polars().collect()["count"].to_numpy()
    return found / (found + 10.0)


@pl.step(over={"power": [1, 2, 3, 4]})
def powers(model: pl.Array, power: int) -> pl.Array:
    time.sleep(0.02)
    return model**power


class Parts(NamedTuple):
    low: pl.Array
    high: pl.Table


@pl.step
def parts(powers: list[pl.Array], areas: pl.Table) -> Parts:
    time.sleep(0.02)
    return Parts(numpy.concatenate(powers), areas.polars().sort("area"))


@pl.step(kind="evaluate")
def quality(low: pl.Array, seed: int) -> pl.Metrics:
    time.sleep(0.02)
    return {"mean": float(numpy.mean(low)), "drawn": float(numpy.random.default_rng(seed).random())}


@pl.step(kind="evaluate")
def ceiling(train: pl.Table, holdout: pl.Table) -> pl.Metrics:
    time.sleep(0.02)
    return {"train": train.num_rows, "holdout": holdout.num_rows}


@pl.step
def summary(quality: pl.Metrics, high: pl.Table) -> pl.Metrics:
    return {"mean": quality["mean"], "areas": high.num_rows}


pipeline = pl.Pipeline("killed", [visits, areas, people, counts, model, powers, parts, quality, ceiling, summary])
"""


@dataclass
class Bench:
    """A folder with the pipeline and a key; each trial has a home of its own in it."""

    desk: Desk
    expected: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def at(self, home: Path) -> Desk:
        # the zygote is started with a few variables only; PATH is one of them, so it can carry a mark to find stray processes by
        path = f"{os.environ['PATH']}:{home}"
        return Desk(self.desk.folder, {"PELLUCID_HOME": str(home), "PATH": path, "PELLUCID_KEYS": str(self.desk.folder / "keys")})


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """What an undisturbed run gives, and how long it takes."""
    desk = Desk(tmp_path_factory.mktemp("killed"))
    desk.write("visits.csv", people())
    desk.write("areas.csv", "area,title\n" + "".join(f"area{at},Area {at}\n" for at in range(8)))
    desk.write("killed.py", PIPELINE)
    bench = Bench(desk)
    started = time.monotonic()
    done = bench.at(desk.folder / "undisturbed")("run", "killed.py", "--json", "--jobs", "2")
    bench.seconds = time.monotonic() - started
    assert done.code == 0, done.err
    bench.expected = digests(done.json)
    return bench


def marked(home: Path) -> list[int]:
    """Processes of this home, by the mark in their environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if str(home).encode() in (place / "environ").read_bytes() and (place / "stat").read_text().split(") ")[1][0] != "Z":
                found.append(int(place.name))
        except (OSError, IndexError):
            continue
    return found


def rows(home: Path, query: str) -> list[tuple[Any, ...]]:
    """A look into the state file from outside, without taking part; nothing when there is none yet."""
    try:
        db = sqlite3.connect(f"file:{home / 'pellucid.db'}?mode=ro", uri=True, timeout=1.0)
    except sqlite3.Error:
        return []
    try:
        return db.execute(query).fetchall()
    except sqlite3.Error:
        return []
    finally:
        db.close()


def results(home: Path) -> dict[str, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in rows(home, "SELECT key, outputs, made, run FROM results")}


Moment = Callable[[Path, float], bool]  # (home, seconds since the start) -> is it time?


def after(seconds: float) -> Moment:
    return lambda home, gone: gone >= seconds


def once_spent(home: Path, gone: float) -> bool:
    """The release is paid for, and has not given anything out yet."""
    return bool(rows(home, "SELECT 1 FROM ledger WHERE kind = 'spend'"))


def once_finished(home: Path, gone: float) -> bool:
    """The release has been settled in the ledger; its result may not be in the record yet."""
    return bool(rows(home, "SELECT 1 FROM ledger WHERE kind = 'finish'"))


def once_results(count: int) -> Moment:
    return lambda home, gone: rows(home, "SELECT COUNT(*) FROM results") >= [(count,)]


def killed(bench: Bench, home: Path, moment: Moment, whom: str) -> tuple[int, set[str]]:
    """Start a run, kill -9 it when the moment has come, see that nothing of it goes on.

    Its exit code (0 where it was faster), and the steps it had reported as done."""
    desk = bench.at(home)
    child = subprocess.Popen(
        [sys.executable, "-m", "pellucid", "run", "killed.py", "--jobs", "2"], cwd=desk.folder, env=desk.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    started = time.monotonic()
    while child.poll() is None and not moment(home, time.monotonic() - started):
        time.sleep(0.001)
        assert time.monotonic() - started < 60
    if child.poll() is None:
        if whom == "group":
            os.killpg(child.pid, signal.SIGKILL)
        else:  # the zygote and its workers, with or without the command
            for pid in marked(home):
                if whom == "all" or pid != child.pid:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
    _, err = child.communicate(timeout=30)
    assert "Traceback" not in err, err
    deadline = time.monotonic() + 30
    while marked(home) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert not marked(home), "processes were left behind"
    return child.returncode, {line.split()[1] for line in err.splitlines() if line.startswith(("✓", "·"))}


def check_books(home: Path, settled: bool) -> None:
    """The ledger is whole, has paid once at most, and never less than what was given out."""
    if not rows(home, "SELECT 1 FROM sqlite_master WHERE name = 'ledger'"):
        assert not settled
        return
    ledger = Ledger(home)
    ledger.verify()
    spends, accounts = ledger.spends(), ledger.accounts()
    ledger.close()
    assert len(spends) <= 1
    assert sum(account["spent_epsilon"] for account in accounts) == len(spends)
    paid = {spend["release"]: spend for spend in spends}
    given_out = {key for (key,) in rows(home, "SELECT DISTINCT key FROM steps WHERE kind = 'release' AND action = 'ran'")}
    assert given_out <= paid.keys()
    assert all(paid[key]["state"] == "finished" for key in given_out)
    if settled:
        assert [spend["state"] for spend in spends] == ["finished"]


def trial(bench: Bench, home: Path, kills: list[tuple[Moment, str]]) -> None:
    """Kill a run, and the run that resumes it, and so on; then let one finish and look at everything."""
    kept: dict[str, tuple[Any, ...]] = {}
    reported: set[str] = set()
    for moment, whom in kills:
        code, ended = killed(bench, home, moment, whom)
        reported |= ended
        assert code in (0, -signal.SIGKILL) or (whom == "zygote" and code in (1, 2)), code
        check_books(home, settled=False)
        found = results(home)
        assert kept.items() <= found.items(), "a finished step was run again"
        kept = found
        (status,) = next(iter(rows(home, "SELECT status FROM runs ORDER BY started DESC LIMIT 1")), ("none",))
        if code == -signal.SIGKILL and status == "running":
            (last,) = bench.at(home)("runs", "--json", "--limit", "1").json["runs"]
            assert last["status"] == "interrupted"
    done = bench.at(home)("run", "killed.py", "--json", "--quiet", "--jobs", "2")
    assert done.code == 0, done.err
    assert digests(done.json) == bench.expected
    assert {actions(done.json)[name] for name in reported} <= {"reused"}, "a step that was reported as done was run again"
    assert kept.items() <= results(home).items(), "a finished step was run again"
    reran = {row[0] for row in rows(home, f"SELECT key FROM steps WHERE run = '{done.json['run']}' AND action = 'ran'")}
    assert not reran & kept.keys()
    check_books(home, settled=True)
    released = rows(home, "SELECT body FROM ledger WHERE kind = 'finish'")
    assert [json.loads(body)["digest"] for (body,) in released] == [bench.expected["counts"]]
    objects = Objects(home)
    assert len([objects.open(sha256, suffix) for sha256, suffix, _ in objects]) > 5
    assert rows(home, "PRAGMA integrity_check") == [("ok",)]
    assert set(actions(bench.at(home)("run", "killed.py", "--json").json).values()) == {"reused"}


def trials(bench: Bench, folder: Path, kills: int, seed: int) -> None:
    """`kills` kills at moments drawn over the whole length of a run, three to a home."""
    draw = random.Random(seed)
    for at in range(0, kills, 3):
        plan = [
            (after(draw.uniform(0, 1.05 * bench.seconds)), draw.choice(("group", "group", "all")))
            for _ in range(min(3, kills - at))
        ]
        trial(bench, folder / f"home-{at}", plan)


@pytest.mark.quick(1)
def test_a_run_killed_at_random_moments_ends_as_if_nothing_had_happened(bench: Bench, tmp_path: Path) -> None:
    trials(bench, tmp_path, kills=6, seed=20261124)


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_two_thousand_kills(bench: Bench, tmp_path: Path, soak: Callable[[int], int]) -> None:
    trials(bench, tmp_path, kills=soak(2000), seed=1998)


@pytest.mark.quick(1)
@pytest.mark.parametrize("moment", [once_spent, once_finished], ids=["paid", "settled"])
def test_a_release_killed_after_its_spend_is_finished_under_it(bench: Bench, tmp_path: Path, moment: Moment) -> None:
    trial(bench, tmp_path / "home", [(moment, "all"), (moment, "group")])


@pytest.mark.slow
def test_a_run_killed_after_each_of_its_results(bench: Bench, tmp_path: Path) -> None:
    trial(bench, tmp_path / "home", [(once_results(count), "group") for count in (1, 4, 9)])


@pytest.mark.slow
def test_a_run_whose_workers_are_killed_fails_and_can_be_resumed(bench: Bench, tmp_path: Path) -> None:
    trial(bench, tmp_path / "home", [(once_results(3), "zygote"), (after(0.7 * bench.seconds), "zygote")])


@pytest.mark.slow
def test_workers_die_with_the_zygote_and_the_zygote_with_the_command(bench: Bench, tmp_path: Path) -> None:
    bench.desk.write("sleeps.py", PIPELINE.replace("time.sleep(0.02)", "time.sleep(100)"))
    for whom in ("zygote", "command"):
        home = tmp_path / whom
        desk = bench.at(home)
        child = subprocess.Popen(
            [sys.executable, "-m", "pellucid", "run", "sleeps.py", "--only", "ceiling"], cwd=desk.folder, env=desk.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while not (once_results(2)(home, 0) and len(marked(home)) >= 3):  # the command, the zygote, a worker
            assert time.monotonic() < deadline
            time.sleep(0.01)
        parents = {pid: int(Path(f"/proc/{pid}/stat").read_text().split(") ")[1].split()[1]) for pid in marked(home)}
        (zygote,) = [pid for pid, parent in parents.items() if parent == child.pid]
        os.kill(zygote if whom == "zygote" else child.pid, signal.SIGKILL)
        _, err = child.communicate(timeout=30)
        assert child.returncode == (1 if whom == "zygote" else -signal.SIGKILL)
        assert "Traceback" not in err
        assert whom == "command" or "the process that starts its workers ended" in err
        deadline = time.monotonic() + 30
        while marked(home) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not marked(home)
