"""The state file: one SQLite database for runs, releases and accounts.

Write-ahead logging lets readers and several writers work side by side; writers take turns (BEGIN IMMEDIATE), and wait up to
`BUSY_SECONDS` for theirs. Each room that keeps state hands its own tables to `connect`; a file written by a newer version is
refused, because an older program cannot know what it would break.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pellucid.errors import StoreError

VERSION = 1
BUSY_SECONDS = 60.0
STATE_FILE = "pellucid.db"


def home_for(pipeline_file: Path | None = None) -> Path:
    """The folder that holds state: `PELLUCID_HOME`, or `.pellucid` beside the pipeline file (or in the current folder)."""
    named = os.environ.get("PELLUCID_HOME")
    if named:
        return Path(named).expanduser().absolute()
    return ((pipeline_file.parent if pipeline_file else Path.cwd()) / ".pellucid").absolute()


def connect(home: Path, ddl: str, *, durable: bool = False) -> sqlite3.Connection:
    """Open the state file of `home`, creating folder, file and the tables of `ddl` (CREATE ... IF NOT EXISTS) as needed.

    `durable` asks for synchronous=FULL: a committed row survives power loss, as the ledger needs. The connection is in
    autocommit mode; group writes with `transaction`. Raises StoreError for a read-only, newer or damaged state file.
    """
    path = home / STATE_FILE
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            "the state folder cannot be opened",
            where=str(home),
            why=str(error),
            fix="Make it writable, or set PELLUCID_HOME to a folder that is",
        ) from error
    try:
        _prepare(db, path, ddl, durable)
    except sqlite3.Error as error:
        db.close()
        raise StoreError(
            "the state file cannot be used",
            where=str(path),
            why=str(error),
            fix="Check that the disk is not full and the folder is writable, or restore the file from a backup",
        ) from error
    except StoreError:
        db.close()
        raise
    db.row_factory = sqlite3.Row
    return db


def _prepare(db: sqlite3.Connection, path: Path, ddl: str, durable: bool) -> None:
    """Check the version, set the modes, create the tables.

    Taking the file to write-ahead logging answers "locked" at once while another process does the same, whatever the time-out,
    so that is tried again here.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise StoreError(
                    f"the state file has format {version}, this pellucid reads up to {VERSION}",
                    where=str(path),
                    fix="Upgrade pellucid, or set PELLUCID_HOME to another folder",
                )
            if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            db.execute("PRAGMA foreign_keys=ON")
            db.executescript(ddl)
            if version == 0:
                db.execute(f"PRAGMA user_version={VERSION}")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing: take the write turn at once, commit at the end, roll back on any error."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
