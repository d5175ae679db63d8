"""Noting what is due: a row for each moment that has come since the last look, once, whoever looks."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

from pellucid.pipeline.record import Record
from pellucid.schedule.schedules import Firing, Schedule, Schedules, look_at_file
from pellucid.schedule.triggers import iso
from pellucid.store import StateConnection, transaction

AT_ONCE = 1000  # moments written in one transaction
GRACE = 120.0  # seconds after its moment within which a firing is no missed one
PASSED_OVER = "no scheduler was free at that moment"


def note_due(schedules: Schedules, schedule: Schedule, now: float) -> list[Firing]:
    """Write a row for each moment up to `now` that has none, and give all that are due, oldest first; none where it is paused.

    Of several moments that came since the last look, those that its policy for missed ones passes over are written as missed.
    """
    if schedule.paused is not None:
        return []
    if schedule.trigger.timed:
        _note_moments(schedules, schedule, now)
    elif schedule.trigger.kind == "after":
        _note_runs(schedules, schedule, now)
    else:
        _note_change(schedules, schedule, now)
    with schedules.opened() as db:
        query = "SELECT * FROM firings WHERE schedule = ? AND state = 'due' ORDER BY number"
        return [Firing(**dict(row)) for row in db.execute(query, (schedule.name,)).fetchall()]


def _note_moments(schedules: Schedules, schedule: Schedule, now: float) -> None:
    considered, more = schedule.considered, True
    while more:
        following = schedule.trigger.next(considered, schedule.made, AT_ONCE + 1)
        moments = list(takewhile(lambda one: one <= now, following))
        more = len(moments) > AT_ONCE
        moments = moments[:AT_ONCE]
        if not moments:
            return
        with schedules.opened() as db, transaction(db):
            if not _there(db, schedule):
                return
            for at, moment in enumerate(moments):
                last = at == len(moments) - 1 and not more
                runs = schedule.missed == "all" or (last and (schedule.missed == "latest" or moment > now - GRACE))
                _insert(db, schedule, iso(moment), now, missed=not runs)
            db.execute("UPDATE schedules SET considered = max(considered, ?) WHERE name = ?", (moments[-1], schedule.name))
        considered = moments[-1]


def _note_runs(schedules: Schedules, schedule: Schedule, now: float) -> None:
    """The finished runs of the pipeline it follows, since it was made or resumed."""
    Record(schedules.home).close()  # its tables
    with schedules.opened() as db, transaction(db):
        rows = db.execute(
            "SELECT run FROM runs WHERE pipeline = ? AND status = 'done' AND started + seconds > ?"
            " AND NOT EXISTS (SELECT 1 FROM firings WHERE schedule = ? AND occasion = 'after ' || run) ORDER BY started, run",
            (schedule.trigger.text, schedule.considered, schedule.name),
        ).fetchall()
        for at, row in enumerate(rows if _there(db, schedule) else ()):
            _insert(db, schedule, f"after {row['run']}", now, missed=schedule.missed != "all" and at < len(rows) - 1)


def _note_change(schedules: Schedules, schedule: Schedule, now: float) -> None:
    """Whether the file it watches holds something else than when it was last looked at."""
    with schedules.opened() as db:
        row = db.execute("SELECT seen FROM schedules WHERE name = ?", (schedule.name,)).fetchone()
        before = row["seen"] if row is not None else ""
        found = look_at_file(Path(schedule.trigger.text), before)
        if row is None or found is None or found == before:
            return
        with transaction(db):
            changed = db.execute(
                "UPDATE schedules SET seen = ? WHERE name = ? AND seen = ?", (found, schedule.name, before)
            ).rowcount
            if changed and found.rpartition(" ")[2] != before.rpartition(" ")[2]:
                (count,) = db.execute("SELECT count(*) FROM firings WHERE schedule = ?", (schedule.name,)).fetchone()
                _insert(db, schedule, f"change {count + 1}", now)


def _there(db: StateConnection, schedule: Schedule) -> bool:
    """Whether it was not removed meanwhile."""
    return db.execute("SELECT 1 FROM schedules WHERE name = ?", (schedule.name,)).fetchone() is not None


def _insert(db: StateConnection, schedule: Schedule, occasion: str, now: float, missed: bool = False) -> None:
    """A row for an occasion. One that is already there is left as it is: another scheduler noted it."""
    db.execute(
        "INSERT OR IGNORE INTO firings (schedule, occasion, number, noticed, state, attempts, not_before, run, said, ended)"
        " SELECT ?, ?, coalesce(max(number), 0) + 1, ?, ?, 0, 0, '', ?, ? FROM firings WHERE schedule = ?",
        (
            schedule.name,
            occasion,
            now,
            "missed" if missed else "due",
            PASSED_OVER if missed else "",
            now if missed else None,
            schedule.name,
        ),
    )
