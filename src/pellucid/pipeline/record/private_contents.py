"""What came in by sources that are not open, in any run of a state folder, and what steps made of it. Never forgotten: `gc` leaves it.

And whether this process has read any of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

from pellucid.store import StateConnection

_read = threading.Event()  # whether this process has read a result that is not open


def note_read() -> None:
    """Note that this process has read a result that is not open: from now on it may be anywhere in its memory."""
    _read.set()


def was_read() -> bool:
    """Whether this process has read a result that is not open."""
    return _read.is_set()


DDL = """
CREATE TABLE IF NOT EXISTS private_contents (
    digest TEXT PRIMARY KEY, source TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS private_paths (
    path TEXT PRIMARY KEY, source TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


def note_private(db: StateConnection, digests: Iterable[str], source: str, path: Path | None = None) -> None:
    """Note that contents with these digests came in by a source that is not open, and where it lies."""
    db.executemany("INSERT OR IGNORE INTO private_contents VALUES (?, ?)", [(digest, source) for digest in sorted(digests)])
    if path is not None:
        db.execute("INSERT OR IGNORE INTO private_paths VALUES (?, ?)", (os.fspath(path), source))


def private_source(db: StateConnection, digests: Iterable[str]) -> str | None:
    """The source, not open, by which content with one of these digests came in; None where there is none."""
    for digest in sorted(digests):
        row = db.execute("SELECT source FROM private_contents WHERE digest = ?", (digest,)).fetchone()
        if row is not None:
            return str(row[0])
    return None


def private_paths(db: StateConnection) -> list[tuple[Path, str]]:
    """Where sources that are or were not open lie or lay, with their names."""
    return [(Path(path), source) for path, source in db.execute("SELECT path, source FROM private_paths ORDER BY path")]


def private_result(db: StateConnection, sha256: str) -> str | None:
    """The step, not open, that gave a file with this SHA-256, which no open step gave; None where there is none."""
    query = "SELECT step FROM steps WHERE (label = 'open') = ? AND instr(outputs, ?) LIMIT 1"
    if db.execute(query, (True, sha256)).fetchone() is not None:
        return None
    row = db.execute(query, (False, sha256)).fetchone()
    return str(row[0]) if row is not None else None
