"""The table of schedules, and the table of what each fired: one row a moment, never two.

A row of `firings` is inserted before anything runs; (schedule, occasion) is its key. The occasion is a moment in UTC, a run of the pipeline
that it follows, or the number of changes of the file that it watches; what that file was is kept in `seen`, and shown to nobody.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError, suggest
from pellucid.schedule.triggers import Trigger, iso
from pellucid.store import StateConnection, connect, transaction

DDL = """
CREATE TABLE IF NOT EXISTS schedules (
    name TEXT PRIMARY KEY, target TEXT NOT NULL, settings TEXT NOT NULL, kind TEXT NOT NULL, expression TEXT NOT NULL, zone TEXT NOT NULL,
    missed TEXT NOT NULL, retries INTEGER NOT NULL, made REAL NOT NULL, considered REAL NOT NULL, seen TEXT NOT NULL, paused TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS firings (
    schedule TEXT NOT NULL REFERENCES schedules ON DELETE CASCADE, occasion TEXT NOT NULL, number INTEGER NOT NULL, noticed REAL NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, not_before REAL NOT NULL, run TEXT NOT NULL, said TEXT NOT NULL, ended REAL,
    PRIMARY KEY (schedule, occasion)
) STRICT;
CREATE INDEX IF NOT EXISTS firings_by_number ON firings (schedule, number);
"""
MISSED = {
    "latest": "of the moments missed while no scheduler ran, only the latest runs",
    "all": "every missed moment runs, oldest first",
    "skip": "a missed moment is noted and does not run",
}
MOST_RETRIES = 10
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class Schedule:
    """`target`: a pipeline file to run or a package to reproduce. `missed` is one of `MISSED`. `considered`: up to which moment firings are
    noted. `paused` says why it is paused, or is None."""

    name: str
    target: Path
    settings: tuple[str, ...]
    trigger: Trigger
    missed: str
    retries: int
    made: float
    considered: float
    paused: str | None = None

    def next(self, count: int = 3, now: float | None = None) -> list[float]:
        """The moments at which it fires next; none where it is paused or has no clock."""
        if self.paused is not None:
            return []
        return self.trigger.next(max(self.considered, time.time() if now is None else now), self.made, count)

    def to_json(self, now: float | None = None) -> dict[str, Any]:
        """All of it, with its next three moments."""
        return {
            "name": self.name, "target": str(self.target), "settings": list(self.settings), "trigger": self.trigger.kind,
            "expression": self.trigger.text, "zone": self.trigger.zone, "when": self.trigger.in_words(), "missed": self.missed,
            "retries": self.retries, "paused": self.paused, "next": [iso(moment) for moment in self.next(now=now)],
        }  # fmt: skip


@dataclass(frozen=True)
class Firing:
    """One moment of a schedule. `state` is due, done, failed or missed; `run` the run it made, or ""; `said` is what came of it."""

    schedule: str
    occasion: str
    number: int
    noticed: float
    state: str
    attempts: int
    not_before: float
    run: str
    said: str
    ended: float | None

    def to_json(self) -> dict[str, Any]:
        """All but when it may be tried again."""
        return {
            "schedule": self.schedule, "occasion": self.occasion, "state": self.state, "attempts": self.attempts,
            "run": self.run or None, "said": self.said, "noticed": iso(self.noticed),
            "ended": iso(self.ended) if self.ended is not None else None,
        }  # fmt: skip


class Schedules:
    """The schedules of one state folder. Each call opens the state file anew, so that any thread may ask."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @contextmanager
    def opened(self) -> Iterator[StateConnection]:
        """The state file, with what is written on disk when a call returns."""
        db = connect(self.home, DDL, durable=True)
        try:
            yield db
        finally:
            db.close()

    def add(
        self, name: str, target: Path, trigger: Trigger, *, settings: Sequence[str] = (), missed: str = "latest", retries: int = 0,
        now: float | None = None,
    ) -> Schedule:  # fmt: skip
        """A new schedule; it fires from now on. Raises UsageError for a name that is taken or unusable, or a target that is not there."""
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r:.70} cannot name a schedule", fix='Use letters, digits, "_", "." and "-"')
        if missed not in MISSED:
            raise UsageError(f'there is no policy "{missed}"', fix=suggest(missed, MISSED))
        if not 0 <= retries <= MOST_RETRIES:
            raise UsageError(f"{retries} retries", fix=f"Give from 0 to {MOST_RETRIES}")
        if not target.exists():
            raise UsageError("there is no such file", where=str(target), fix="Name a pipeline file or a package")
        if trigger.kind == "changed" and not Path(trigger.text).is_file():
            raise UsageError("there is no such file to watch", where=trigger.text, fix="Name the data file whose changes count")
        at = time.time() if now is None else now
        seen = look_at_file(Path(trigger.text)) if trigger.kind == "changed" else ""
        about = (trigger.kind, trigger.text, trigger.zone)
        row = (name, str(target.absolute()), json.dumps(list(settings)), *about, missed, retries, at, at, seen or "")
        with self.opened() as db, transaction(db):
            if db.execute("SELECT 1 FROM schedules WHERE name = ?", (name,)).fetchone():
                fix = f"Give another name with --name, or remove that one: pellucid schedule remove {name}"
                raise UsageError(f'there is a schedule "{name}" already', fix=fix)
            db.execute("INSERT INTO schedules VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", row)
        return self.find(name)

    def all(self) -> list[Schedule]:
        """Every schedule, by name."""
        with self.opened() as db:
            return [_schedule(row) for row in db.execute("SELECT * FROM schedules ORDER BY name").fetchall()]

    def find(self, name: str) -> Schedule:
        """The schedule of that name. Raises UsageError where there is none."""
        found = {one.name: one for one in self.all()}
        if name not in found:
            known = suggest(name, found, "See: pellucid schedule list")
            raise UsageError(f'there is no schedule "{name:.70}"', fix=known if found else "Add one: pellucid schedule add")
        return found[name]

    def active(self, name: str) -> bool:
        """Whether it is there and not paused."""
        return any(one.name == name and one.paused is None for one in self.all())

    def pause(self, name: str, why: str = "by hand") -> Schedule:
        """Let it rest; its moments pass unnoted until it is resumed."""
        self.find(name)
        with self.opened() as db:
            db.execute("UPDATE schedules SET paused = ? WHERE name = ?", (why, name))
        return self.find(name)

    def resume(self, name: str, now: float | None = None) -> Schedule:
        """Let it fire again, from now on."""
        self.find(name)
        at = time.time() if now is None else now
        with self.opened() as db:
            db.execute("UPDATE schedules SET paused = NULL, considered = max(considered, ?) WHERE name = ?", (at, name))
        return self.find(name)

    def remove(self, name: str) -> None:
        """Forget the schedule and what it fired; the runs it made stay."""
        self.find(name)
        with self.opened() as db:
            db.execute("DELETE FROM schedules WHERE name = ?", (name,))

    def firings(self, name: str, limit: int = 20) -> list[Firing]:
        """What it fired, newest first."""
        with self.opened() as db:
            rows = db.execute("SELECT * FROM firings WHERE schedule = ? ORDER BY number DESC LIMIT ?", (name, limit)).fetchall()
        return [Firing(**dict(row)) for row in rows]


def look_at_file(file: Path, before: str = "") -> str | None:
    """What a watched file is now: its size, times and digest; None where it is not there or being written.

    Where size and times are those of `before` that is given again, and the file is not read.
    """
    try:
        stat = file.stat()
        identity = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
        if before.rpartition(" ")[0] == identity:
            return before
        with file.open("rb") as held:
            digest = hashlib.file_digest(held, "sha256").hexdigest()
        after = file.stat()
    except OSError:
        return None
    return f"{identity} {digest}" if identity == f"{after.st_size} {after.st_mtime_ns} {after.st_ino}" else None


def _schedule(row: Any) -> Schedule:
    return Schedule(
        row["name"], Path(row["target"]), tuple(json.loads(row["settings"])), Trigger(row["kind"], row["expression"], row["zone"]),
        row["missed"], row["retries"], row["made"], row["considered"], row["paused"],
    )  # fmt: skip
