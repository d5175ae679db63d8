"""The audit log: who did what in the service, as a chain in which each entry holds the hash of the one before."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from pellucid.store import connect, transaction

DDL = """
CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, hash TEXT NOT NULL
) STRICT;
"""


class AuditLog:
    """The audit log of one state folder. It holds names of users, runs, models and schedules; no query, no data, no address."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def add(self, actor: str, action: str, subject: str = "") -> None:
        """Note that somebody did something to something; on disk when this returns."""
        db = connect(self.home, DDL, durable=True)
        try:
            with transaction(db):
                last = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
                seq, before = (last["seq"] + 1, last["hash"]) if last is not None else (1, "")
                entry = (seq, time.time(), actor, action, subject[:500])
                db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)", (*entry, _hash(before, entry)))
        finally:
            db.close()

    def newest(self, count: int = 100) -> list[dict[str, Any]]:
        """The newest entries, newest first."""
        db = connect(self.home, DDL)
        try:
            rows = db.execute("SELECT seq, at, actor, action, subject FROM audit ORDER BY seq DESC LIMIT ?", (count,)).fetchall()
        finally:
            db.close()
        return [dict(row) for row in rows]

    def broken_at(self) -> int | None:
        """The first entry that is not what its hash says, or does not follow the one before; None where the chain is whole."""
        db = connect(self.home, DDL)
        try:
            rows = db.execute("SELECT seq, at, actor, action, subject, hash FROM audit ORDER BY seq").fetchall()
        finally:
            db.close()
        before = ""
        for place, row in enumerate(rows, 1):
            entry = tuple(row)[:5]
            if row["seq"] != place or row["hash"] != _hash(before, entry):
                return int(row["seq"])
            before = row["hash"]
        return None


def _hash(before: str, entry: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps([before, *entry]).encode()).hexdigest()
