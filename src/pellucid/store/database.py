"""The state file: one SQLite database for runs, releases and accounts.

Write-ahead logging lets readers work beside a writer. Whoever writes, or brings the log into the file (a checkpoint), has the turn: a
lock on a file beside the state file, waited for up to `BUSY_SECONDS`. SQLite has locks of its own for this, but up to 3.51.2 a
checkpoint that meets a commit which starts the log anew can take commits for checkpointed that are not, and they are lost
(sqlite.org/wal.html, "The WAL-Reset Bug"). That needs two connections that write or checkpoint at once.

Each room that keeps state hands its own tables to `connect` (CREATE ... IF NOT EXISTS). That is all while tables are only added. A change
of a table that is there is a step of `CHANGES`: it is made when the file is next opened, in one transaction with the file's new format
number (`PRAGMA user_version`), by whoever has the turn. A file of a newer format is refused: an older program cannot know what it would
break. Why not alembic: it needs SQLAlchemy (0.5 s and 30 MB at import, and each command opens the file), keeps a version beside the number
that is there, and writes by a connection that takes no turns.

A new step: change the room's DDL, append the change to `CHANGES`, and keep a file of the format before as
`tests/store/formats/<number>.sql`. A test fails while one of the three is missing.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import StoreError
from pellucid.store.atomic_write import lasting

BUSY_SECONDS = 60.0
STATE_FILE = "pellucid.db"
_READS = re.compile(r"\s*(select|pragma|begin|commit|rollback|explain)\b", re.IGNORECASE)
_MAKING = threading.Lock()  # no connection of another thread before the file that was made is closed


@dataclass(frozen=True)
class Change:
    """One statement for one table. A file in which a room never wrote has no such table: it is then made new, and needs no change."""

    table: str
    sql: str


CHANGES: tuple[Sequence[Change], ...] = ()
"""At place n what makes format n + 2 of format n + 1."""


def newest_format() -> int:
    """The format that this version writes."""
    return len(CHANGES) + 1


class StateConnection(sqlite3.Connection):
    """A connection that has the turn while it writes."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, **options)
        self._lock_file = path.with_name(path.name + "-lock")
        self._has_turn = False
        self._own = threading.RLock()  # threads that share a connection take turns too

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else writes or checkpoints within. Turns nest. Raises sqlite3.OperationalError ("locked") after `BUSY_SECONDS`."""
        with self._own:
            if self._has_turn:
                yield
                return
            # opened for each turn: a lock is on what was opened, and a process that was forked since would go on holding it
            lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _wait_for(lock)
                self._has_turn = True
                try:
                    yield
                finally:
                    self._has_turn = False
                    fcntl.flock(lock, fcntl.LOCK_UN)
            finally:
                os.close(lock)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if _READS.match(sql):
            return super().execute(sql, parameters)
        with self.turn():
            return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        with self.turn():
            return super().executemany(sql, parameters)

    def executescript(self, script: str, /) -> sqlite3.Cursor:
        with self.turn():
            return super().executescript(script)


def _wait_for(lock: int) -> None:
    deadline, pause = time.monotonic() + BUSY_SECONDS, 0.0005
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise sqlite3.OperationalError("database is locked: another command has been writing for a minute") from None
        time.sleep(pause)
        pause = min(0.01, pause * 1.5)


def home_for(pipeline_file: Path | None = None) -> Path:
    """The folder that holds state: `PELLUCID_HOME`, or `.pellucid` beside the pipeline file (or in the current folder)."""
    named = os.environ.get("PELLUCID_HOME")
    if named:
        return Path(named).expanduser().absolute()
    return ((pipeline_file.parent if pipeline_file else Path.cwd()) / ".pellucid").absolute()


def connect(home: Path, ddl: str, *, durable: bool = False) -> StateConnection:
    """Open the state file of `home`, creating folder, file and the tables of `ddl` (CREATE ... IF NOT EXISTS) as needed.

    `durable` asks for synchronous=FULL: a committed row survives power loss, as the ledger needs. The connection is in
    autocommit mode; group writes with `transaction`. Raises StoreError for a read-only, newer or damaged state file.
    """
    path = home / STATE_FILE
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _keep_private(home, path)
        db = StateConnection(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            "the state folder cannot be opened",
            where=str(home),
            why=str(error),
            fix="Make it writable, or set PELLUCID_HOME to a folder that is",
        ) from error
    try:
        with db.turn():
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


def _keep_private(home: Path, path: Path) -> None:
    """The state file is for its owner alone: it holds logs and digests of private steps. SQLite gives the files beside it the same mode.

    Raises StoreError for a folder in which others can read: they would see the names of what is there, and a file before it is closed.
    """
    mode = home.stat().st_mode & 0o777
    if mode & 0o077 and home.stat().st_uid == os.geteuid():
        raise StoreError(
            f"others can read the state folder (mode {mode:o})",
            where=str(home),
            why="it holds logs and digests of private data",
            fix=f"chmod 700 {home}",
        )
    with _MAKING:
        if not path.exists():
            _make_empty(path)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _make_empty(path: Path) -> None:
    """An empty state file that only its owner reads, unless another process was first.

    Only the process that makes the file opens it here, before it has a connection to it. To open and close an existing state file
    is never allowed: closing any descriptor of a file drops every POSIX lock that the process has on it (fcntl(2)), SQLite's
    among them, and another process would then take the log away under the connection (sqlite.org/howtocorrupt.html, 2.2).
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def checkpoint(db: StateConnection) -> None:
    """Bring what was committed into the state file itself, so that a copy of that one file, without its log, holds it."""
    with db.turn():
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _prepare(db: StateConnection, path: Path, ddl: str, durable: bool) -> None:
    """Bring the file to this format, set the modes, create the tables.

    Taking the file to write-ahead logging answers "locked" at once while another process does the same, whatever the time-out,
    so that is tried again here.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            _bring_up(db, path)
            if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                db.execute("PRAGMA journal_mode=WAL")
            kept = ("FULL" if durable else "NORMAL") if lasting() else "OFF"
            db.execute(f"PRAGMA synchronous={kept}")
            db.execute("PRAGMA foreign_keys=ON")
            db.executescript(ddl)
            if not db.execute("PRAGMA user_version").fetchone()[0]:
                db.execute(f"PRAGMA user_version={newest_format()}")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _bring_up(db: StateConnection, path: Path) -> None:
    """Make an earlier format this one, all of it or nothing; a new file has format 0 until its tables are there.

    The caller has the turn, and foreign keys are not yet enforced. Raises StoreError for a newer format.
    """
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    if found > newest_format():
        raise StoreError(
            f"the state file has format {found}, this pellucid reads up to {newest_format()}",
            where=str(path),
            fix="Upgrade pellucid, or set PELLUCID_HOME to another folder",
        )
    if found in (0, newest_format()):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        there = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()}
        for change in (change for step in CHANGES[found - 1 :] for change in step):
            if change.table in there:
                db.execute(change.sql)
        db.execute(f"PRAGMA user_version={newest_format()}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


@contextmanager
def transaction(db: StateConnection) -> Iterator[StateConnection]:
    """All or nothing: take the turn at once, commit at the end, roll back on any error."""
    with db.turn():
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
