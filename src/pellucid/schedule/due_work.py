"""Doing what is due: one firing of a schedule at a time, by `pellucid run` or `pellucid reproduce` in a process of its own.

Whoever works for a schedule holds a lock on a file; the process that does the work inherits it. So the lock is free again only when both
are gone, and another scheduler that finds a firing still due then knows that it was cut short. Before it is done again the record is asked
whether its run had ended well: a run carries its firing as tags.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pellucid.pipeline.record import Record
from pellucid.schedule.occasions import note_due
from pellucid.schedule.schedules import Firing, Schedule, Schedules

PAUSE = 30.0  # seconds before the first retry; twice as long before each next
CUT_SHORT = 3  # times that a command which a signal ended is begun again, whatever the retries
INTERRUPTED = 130  # the exit code after Ctrl-C
CLOSE_ENOUGH = (3, 4)  # exit codes of verdicts: within a declared tolerance, or within what another kernel may do
MOST_SAID = 500  # characters of an error
MOST_OUTPUT = 4 << 20  # bytes that are read of what a command printed


def run_due(home: Path, now: Callable[[], float] = time.time) -> list[Firing]:
    """Note what is due of every schedule of the state folder and do it, one after another. What ended in this call, in that order."""
    schedules, ended = Schedules(home), []
    for schedule in schedules.all():
        ended += work_on(schedules, schedule, now)
    return ended


def work_on(schedules: Schedules, schedule: Schedule, now: Callable[[], float] = time.time) -> list[Firing]:
    """Do what is due of one schedule. Nothing where another process is at it: firings of one schedule never overlap."""
    with _turn(schedules.home, schedule.name) as lock:
        if lock is None:
            return []
        ended = []
        for firing in note_due(schedules, schedule, now()):
            if firing.not_before > now() or not schedules.active(schedule.name):
                break  # the later ones wait for it
            done = _work(schedules, schedule, firing, lock, now)
            if done.state == "due":
                break
            ended.append(done)
        return ended


@contextmanager
def _turn(home: Path, name: str) -> Iterator[int | None]:
    """The lock of a schedule, or None where somebody has it."""
    folder = home / "locks"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(
        folder / f"schedule-{hashlib.sha256(name.encode()).hexdigest()[:16]}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield lock
    except BlockingIOError:
        yield None
    finally:
        os.close(lock)


def _work(schedules: Schedules, schedule: Schedule, firing: Firing, lock: int, now: Callable[[], float]) -> Firing:
    """Do one firing and note what came of it."""
    before = _ended_well(schedules.home, firing) if firing.attempts else None
    if before is not None:
        return _note(schedules, firing, "done", before, "the scheduler ended before it could note this", now)
    with schedules.opened() as db:
        db.execute(
            "UPDATE firings SET attempts = attempts + 1 WHERE schedule = ? AND occasion = ?", (firing.schedule, firing.occasion)
        )
    code, told, said = _command(schedules.home, schedule, firing, lock)
    run = str(told.get("run") or "")
    if code == 0 or (schedule.target.suffix != ".py" and code in CLOSE_ENOUGH):
        return _note(schedules, firing, "done", run, str(told.get("verdict") or "")[:MOST_SAID], now)
    error = told.get("error")
    if isinstance(error, dict) and error.get("type") == "BudgetError":
        schedules.pause(schedule.name, "the privacy budget is spent")
        return _note(schedules, firing, "failed", run, said, now)
    cut_short = code < 0 or code == INTERRUPTED  # by a signal: the machine goes down, or the memory was not enough
    if firing.attempts < max(schedule.retries, CUT_SHORT if cut_short else 0):
        with schedules.opened() as db:
            db.execute(
                "UPDATE firings SET not_before = ?, said = ?, run = ? WHERE schedule = ? AND occasion = ?",
                (now() + PAUSE * 2**firing.attempts, said, run, firing.schedule, firing.occasion),
            )
        return firing
    return _note(schedules, firing, "failed", run, said, now)


def _command(home: Path, schedule: Schedule, firing: Firing, lock: int) -> tuple[int, dict[str, Any], str]:
    """The command's exit code, what it told as JSON, and its error in one line."""
    words = [sys.executable, "-m", "pellucid"]
    if schedule.target.suffix == ".py":
        words += ["run", str(schedule.target), "--home", str(home), "--json", "--quiet"]
        words += ["--tag", f"schedule={schedule.name}", "--tag", f"occasion={firing.occasion}"]
        words += [word for setting in schedule.settings for word in ("--set", setting)]
    else:
        words += ["reproduce", str(schedule.target), "--json"]
    folder = schedule.target.parent if schedule.target.parent.is_dir() else home
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = subprocess.call(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, pass_fds=[lock], start_new_session=True
        )
        try:
            told = json.loads(_end(out))
        except ValueError:
            told = {}
        lines = [line for line in _end(err).splitlines() if line.startswith("pellucid: ")] or [f"it ended with exit code {code}"]
    return code, told if isinstance(told, dict) else {}, lines[-1].removeprefix("pellucid: ")[:MOST_SAID]


def _end(file: Any) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - MOST_OUTPUT))
    return str(file.read().decode(errors="replace"))


def _ended_well(home: Path, firing: Firing) -> str | None:
    """The run of this firing that ended well, where there is one."""
    record = Record(home)
    try:
        rows = record.db.execute(
            "SELECT run FROM run_tags JOIN runs USING (run) WHERE status = 'done' AND json_extract(tags, '$.schedule') = ?"
            " AND json_extract(tags, '$.occasion') = ?",
            (firing.schedule, firing.occasion),
        ).fetchall()
    finally:
        record.close()
    return str(rows[0]["run"]) if rows else None


def _note(schedules: Schedules, firing: Firing, state: str, run: str, said: str, now: Callable[[], float]) -> Firing:
    with schedules.opened() as db:
        db.execute(
            "UPDATE firings SET state = ?, run = ?, said = ?, ended = ? WHERE schedule = ? AND occasion = ?",
            (state, run, said, now(), firing.schedule, firing.occasion),
        )
        row = db.execute(
            "SELECT * FROM firings WHERE schedule = ? AND occasion = ?", (firing.schedule, firing.occasion)
        ).fetchone()
    return Firing(**dict(row)) if row is not None else firing
