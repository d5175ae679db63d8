"""Looks at the rows before a release: kept with the accounts, so that the guarantee of every later release from them says so.

A forecast from the rows is computed from private data and paid for by nobody. Whoever chooses a setting by it has used the data in a way
that no guarantee covers; all that can be done is to tell the readers. A look is noted before its outcome is shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from pellucid.store import connect, transaction

DDL = """
CREATE TABLE IF NOT EXISTS looks (account TEXT NOT NULL, time INTEGER NOT NULL, PRIMARY KEY (account, time)) STRICT, WITHOUT ROWID;
"""
LOOKED = "the choice of its settings: before it, a forecast was computed from the private rows themselves, and somebody saw it"


def note_look(home: Path, accounts: Iterable[str]) -> None:
    """Note that a forecast from the rows of these accounts is about to be shown; on disk when this returns."""
    db = connect(home, DDL, durable=True)
    try:
        with transaction(db):
            for account in sorted(accounts):
                db.execute("INSERT OR IGNORE INTO looks VALUES (?, ?)", (account, int(time.time() * 1000)))
    finally:
        db.close()


def looked(home: Path, accounts: Iterable[str]) -> bool:
    """Whether the rows of one of these accounts were looked at for a forecast."""
    db = connect(home, DDL, durable=True)
    try:
        return any(db.execute("SELECT 1 FROM looks WHERE account = ? LIMIT 1", (name,)).fetchone() for name in accounts)
    finally:
        db.close()
