"""The log of predictions: how many answers each version of a model gave on a day, how many were empty, how many failed. Nothing of what was
asked, by whom, or what was answered."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pellucid.store import connect, transaction

DDL = """
CREATE TABLE IF NOT EXISTS answers (
    day TEXT NOT NULL, alias TEXT NOT NULL, digest TEXT NOT NULL, asked INTEGER NOT NULL, empty INTEGER NOT NULL, failed INTEGER NOT NULL,
    PRIMARY KEY (day, alias, digest)
) STRICT, WITHOUT ROWID;
"""
SECONDS = 30.0  # between two writes
OUTCOMES = ("asked", "empty", "failed")


class AnswerCounts:
    """Counts in memory, added to the state file now and then and when the service ends. Safe for several threads and services."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, str, str]] = Counter()
        self._written = time.monotonic()

    def add(self, alias: str, digest: str, outcome: str = "") -> None:
        """One answer of a model; `outcome` is "", "empty" or "failed"."""
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        with self._lock:
            self._counts[day, alias, digest, "asked"] += 1
            if outcome:
                self._counts[day, alias, digest, outcome] += 1

    def write(self, *, now: bool = False) -> None:
        """Add what was counted to the state file, if it is time or `now`. What cannot be written is kept for the next time."""
        with self._lock:
            if not self._counts or (not now and time.monotonic() - self._written < SECONDS):
                return
            taken, self._counts = self._counts, Counter()
            self._written = time.monotonic()
        try:
            db = connect(self.home, DDL)
            try:
                with transaction(db):
                    for key in sorted({key[:3] for key in taken}):
                        asked, empty, failed = (taken[(*key, outcome)] for outcome in OUTCOMES)
                        db.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, 0, 0, 0)", key)
                        db.execute(
                            "UPDATE answers SET asked = asked + ?, empty = empty + ?, failed = failed + ?"
                            " WHERE day = ? AND alias = ? AND digest = ?",
                            (asked, empty, failed, *key),
                        )
            finally:
                db.close()
        except BaseException:
            with self._lock:
                self._counts += taken
            raise


def counted_answers(home: Path, days: int = 30) -> list[dict[str, Any]]:
    """What was counted on the newest days, newest first."""
    db = connect(home, DDL)
    try:
        rows = db.execute(
            "SELECT * FROM answers WHERE day IN (SELECT DISTINCT day FROM answers ORDER BY day DESC LIMIT ?)"
            " ORDER BY day DESC, alias, digest",
            (days,),
        ).fetchall()
    finally:
        db.close()
    return [dict(row) for row in rows]
