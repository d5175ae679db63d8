"""What schedulers do: real runs in real processes, missed moments, retries, budgets, kills."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.cli import main
from pellucid.errors import UsageError
from pellucid.packages.format import manifest
from pellucid.packages.publishing import publish
from pellucid.pipeline.record import Record, tags_of_runs
from pellucid.pipeline.running import load, run
from pellucid.schedule import Schedules, Trigger, iso, run_due

PIPELINE = """
import pellucid as pl

rows = pl.source("rows.csv", label="open")


@pl.step
def count(rows: pl.Table, times: int = 1) -> pl.Metrics:
    return {"rows": rows.arrow().num_rows * times}


pipeline = pl.Pipeline("counting", [rows, count])
"""
HOUR = 3600.0
BEGIN = 1_790_000_000.0


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "counting.py").write_text(PIPELINE)
    (tmp_path / "rows.csv").write_text("a\n1\n2\n")
    return tmp_path


def hourly(place: Path, **options: object) -> Schedules:
    schedules = Schedules(place / ".pellucid")
    schedules.add("hourly", place / "counting.py", Trigger("cron", "0 * * * *"), now=BEGIN, **options)  # type: ignore[arg-type]
    return schedules


def moments(first: float, count: int) -> list[str]:
    return [iso(first - first % HOUR + HOUR * at) for at in range(1, count + 1)]


@pytest.mark.quick(1)
@pytest.mark.parametrize("missed", ["latest", "all", "skip"])
def test_every_moment_has_one_row_and_the_policy_says_which_run(place: Path, missed: str):
    schedules = hourly(place, missed=missed)
    assert run_due(schedules.home, lambda: BEGIN) == []
    now = BEGIN + 3 * HOUR
    ended = run_due(schedules.home, lambda: now)
    states = {one.occasion: one.state for one in schedules.firings("hourly")}
    expected = {"latest": ["missed", "missed", "done"], "all": ["done"] * 3, "skip": ["missed"] * 3}[missed]
    assert states == dict(zip(moments(BEGIN, 3), expected, strict=True))
    assert [one.state for one in ended] == [state for state in expected if state == "done"]
    assert run_due(schedules.home, lambda: now) == []
    just_after = schedules.find("hourly").next(1, now)[0] + 1
    assert [one.state for one in run_due(schedules.home, lambda: just_after)] == ["done"], (
        "one that is not late runs by any policy"
    )


def test_a_run_carries_its_firing(place: Path):
    schedules = hourly(place, settings=["count.times=7"])
    (firing,) = run_due(schedules.home, lambda: BEGIN + HOUR)
    record = Record(schedules.home)
    found = record.find(firing.run)
    assert found["status"] == "done" and found["settings"] == {"count.times": "7"}
    assert dict(tags_of_runs(record.db, [firing.run])[firing.run].tags) == {"schedule": "hourly", "occasion": firing.occasion}
    record.close()


def test_more_moments_than_fit_one_look_are_all_noted(place: Path):
    schedules = Schedules(place / ".pellucid")
    schedules.add("often", place / "counting.py", Trigger("every", "1m"), now=BEGIN)
    (done,) = run_due(schedules.home, lambda: BEGIN + 2500 * 60)
    assert done.occasion == iso(BEGIN + 2500 * 60)
    assert Counter(one.state for one in schedules.firings("often", 5000)) == {"missed": 2499, "done": 1}


def test_new_data_fires_once_for_each_change(place: Path):
    schedules = Schedules(place / ".pellucid")
    data = place / "rows.csv"
    schedules.add("fresh", place / "counting.py", Trigger("changed", str(data)))
    assert run_due(schedules.home) == []
    os.utime(data)
    assert run_due(schedules.home) == [], "a touched file holds the same"
    data.write_text("a\n1\n2\n3\n")
    assert [one.state for one in run_due(schedules.home)] == ["done"]
    assert run_due(schedules.home) == []
    data.write_text("a\n1\n2\n")
    assert [one.occasion for one in run_due(schedules.home)] == ["change 2"], "a change back is a change"
    data.unlink()
    assert run_due(schedules.home) == []
    told = json.dumps([schedules.find("fresh").to_json(), *(one.to_json() for one in schedules.firings("fresh"))])
    with schedules.opened() as db:
        seen = db.execute("SELECT seen FROM schedules").fetchone()[0].split()[-1]
    assert len(seen) == 64 and seen not in told, "the digest of a data file may confirm a guess"


def test_after_another_pipeline(place: Path):
    schedules = Schedules(place / ".pellucid")
    (place / "other.py").write_text(PIPELINE.replace('"counting"', '"other"'))
    run(load(place / "other.py"), home=schedules.home)
    schedules.add("then", place / "counting.py", Trigger("after", "other"))
    assert run_due(schedules.home) == [], "runs before it was made do not count"
    other = run(load(place / "other.py"), home=schedules.home)
    assert [one.occasion for one in run_due(schedules.home)] == [f"after {other.id}"]
    assert run_due(schedules.home) == []


def test_a_failing_run_is_tried_again_after_pauses_and_then_noted(place: Path):
    schedules = hourly(place, retries=1)
    (place / "rows.csv").unlink()
    now = BEGIN + HOUR
    assert run_due(schedules.home, lambda: now) == []
    assert run_due(schedules.home, lambda: now) == [], "not before its pause is over"
    (firing,) = run_due(schedules.home, lambda: now + 31)
    assert (firing.state, firing.attempts) == ("failed", 2) and "rows.csv" in firing.said
    (place / "rows.csv").write_text("a\n1\n")
    assert [one.state for one in run_due(schedules.home, lambda: now + HOUR)] == ["done"], "the next moment is a new one"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_spent_budget_pauses_the_schedule(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PELLUCID_KEYS", str(place / "keys"))
    (place / "release.py").write_text("""
import pellucid as pl

rows = pl.source("people.csv", label="private", unit="person", budget=pl.Budget(epsilon=1.0, delta=1e-6))
count = pl.release(pl.privacy.histogram("item", public_keys=["a"]), of=rows, epsilon=0.8, delta=1e-7)
pipeline = pl.Pipeline("release", [rows, count])
""")
    people = place / "people.csv"
    people.write_text("person,item\n" + "\n".join(f"{one},a" for one in range(50)) + "\n")
    schedules = Schedules(place / ".pellucid")
    schedules.add("weekly", place / "release.py", Trigger("every", "1w"), now=BEGIN)
    assert [one.state for one in run_due(schedules.home, lambda: BEGIN + 7 * 86_400)] == ["done"]
    people.write_text("person,item\n" + "\n".join(f"{one},a" for one in range(60)) + "\n")
    (firing,) = run_due(schedules.home, lambda: BEGIN + 14 * 86_400)
    assert firing.state == "failed" and "left; this release asks for" in firing.said
    assert schedules.find("weekly").paused == "the privacy budget is spent"
    assert run_due(schedules.home, lambda: BEGIN + 35 * 86_400) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_package_is_verified_again(place: Path):
    about = (
        'about=pl.About(title="Rows", description="Counted.", creators=("Doe, Jane",), licence="CC0-1.0", data_licence="CC0-1.0")'
    )
    text = PIPELINE.replace('label="open"', 'label="open", licence="CC0-1.0"').replace(
        "[rows, count])", f"[rows, count], {about})"
    )
    (place / "counting.py").write_text(text)
    home, package = place / ".pellucid", place / "package"
    done = run(load(place / "counting.py"), home=home, confined=True)
    publish(home, done.id, package)
    Schedules(home).add("verify", package, Trigger("every", "1d"), now=BEGIN)
    (firing,) = run_due(home, lambda: BEGIN + 86_400)
    assert (firing.state, firing.said) == ("done", "bit-identical")
    damaged = package / manifest.read(package).open["count"].path
    damaged.write_text("{}")
    (firing,) = run_due(home, lambda: BEGIN + 2 * 86_400)
    assert firing.state == "failed" and damaged.name in firing.said


def test_paused_ones_rest_and_resume_from_then_on(place: Path):
    schedules = hourly(place, missed="all")
    schedules.pause("hourly")
    assert run_due(schedules.home, lambda: BEGIN + 5 * HOUR) == [] and schedules.find("hourly").next() == []
    schedules.resume("hourly", BEGIN + 5 * HOUR)
    assert len(run_due(schedules.home, lambda: BEGIN + 6 * HOUR)) == 1
    assert len(schedules.firings("hourly")) == 1


def test_a_clock_that_jumps_doubles_nothing(place: Path):
    schedules = hourly(place)
    for now in (BEGIN + HOUR, BEGIN, BEGIN + HOUR, BEGIN - 30 * HOUR, BEGIN + HOUR):
        run_due(schedules.home, lambda now=now: now)
    assert [one.state for one in schedules.firings("hourly")] == ["done"]


SCHEDULER = """
import sys
from pathlib import Path
from pellucid.schedule import run_due

run_due(Path(sys.argv[1]), lambda: float(sys.argv[2]))
"""


def killed_schedulers(place: Path, kills: int, seed: int) -> None:
    """Two schedulers at once on one state, each killed at a random moment, again and again; then one that ends the work."""
    schedules, draw = hourly(place, missed="all"), random.Random(seed)
    now, alive = BEGIN, []
    for _ in range(kills):
        now += HOUR * draw.choice([0, 0, 1])
        alive = [subprocess.Popen([sys.executable, "-c", SCHEDULER, str(schedules.home), str(now)]) for _ in range(2)]
        time.sleep(draw.uniform(0.05, 1.2))
        for one in alive:
            one.send_signal(signal.SIGKILL)
            one.wait()
    expected = moments(BEGIN, max(1, round((now - BEGIN) / HOUR)))
    deadline = time.monotonic() + 60
    while [one.state for one in schedules.firings("hourly", 1000)] != ["done"] * len(expected):
        assert time.monotonic() < deadline, schedules.firings("hourly", 1000)
        run_due(schedules.home, lambda: max(now, BEGIN + HOUR))
        time.sleep(0.1)
    firings = schedules.firings("hourly", 1000)
    assert [one.occasion for one in reversed(firings)] == expected
    record = Record(schedules.home)
    runs = [one["run"] for one in record.runs(10_000) if one["status"] == "done"]
    tags = tags_of_runs(record.db, runs)
    record.close()
    assert Counter(tags[one].tags["occasion"] for one in runs) == dict.fromkeys(expected, 1), "none lost, none twice"
    assert {one.run for one in firings} == set(runs)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_schedulers_lose_nothing_and_double_nothing(place: Path, seed: int):
    killed_schedulers(place, 4, seed)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a_hundred_kills(place: Path, soak: Callable[[int], int]):
    killed_schedulers(place, max(5, soak(100)), 7)


def test_pipelines_that_would_run_after_themselves(place: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("one", "two", "three"):
        (place / f"{name}.py").write_text(PIPELINE.replace('"counting"', f'"{name}"'))

    def add(file: str, after: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["schedule", "add", str(place / f"{file}.py"), "--after", after])
        return int(str(ended.value.code))

    assert add("one", "one") == 2 and "without end" in capsys.readouterr().err
    assert add("two", "one") == 0 and add("three", "two") == 0
    assert add("one", "three") == 2 and add("one", "two") == 2
    assert add("one", "other") == 0


def test_bad_schedules_are_refused_before_the_night(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(place)
    (place / "broken.py").write_text("import pellucid as pl\npipeline = 3\n")
    cases = [
        (["add", "counting.py"], "says nothing of when"),
        (["add", "counting.py", "--every", "1h", "--cron", "0 0 * * *"], "has 2 triggers"),
        (["add", "nothing.py", "--every", "1h"], "neither a pipeline file nor a package"),
        (["add", "rows.csv", "--every", "1h"], "neither a pipeline file nor a package"),
        (["add", "broken.py", "--every", "1h"], "broken.py"),
        (["add", "counting.py", "--every", "1h", "--set", "count.tims=3"], "times"),
        (["add", "counting.py", "--changed", "nothing.csv"], "no such file to watch"),
        (["add", "counting.py", "--every", "1h", "--name", "a b"], "cannot name a schedule"),
        (["add", "counting.py", "--every", "1h", "--missed", "sometimes"], "there is no policy"),
        (["add", "counting.py", "--every", "1h", "--retries", "99"], "99 retries"),
        (["remove"], "needs a schedule"),
        (["list", "x"], "takes no name"),
        (["pause", "nothing"], "no schedule"),
    ]
    run(load(place / "counting.py"), home=place / ".pellucid")
    for words, said in cases:
        with pytest.raises(SystemExit) as ended:
            main(["schedule", *words])
        assert ended.value.code == 2, words
        assert said in capsys.readouterr().err, words
    with pytest.raises(SystemExit):
        main(["schedule", "add", "counting.py", "--every", "1h"])
    with pytest.raises(SystemExit) as ended:
        main(["schedule", "add", "counting.py", "--every", "2h"])
    assert ended.value.code == 2 and 'a schedule "counting" already' in capsys.readouterr().err
    with pytest.raises(UsageError):
        Schedules(place / ".pellucid").find("nothing")
