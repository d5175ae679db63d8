"""Connections to one state file: what one does to the file must not take away what another holds."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pellucid.store import STATE_FILE, checkpoint, connect, database, transaction

TABLE = "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY)"
OTHER = f"""
import sys
from pathlib import Path
from pellucid.store import connect
db = connect(Path(sys.argv[1]), "{TABLE}")
db.execute("INSERT INTO t VALUES (NULL)")
db.close()
"""


def closed_by_another(home: Path) -> None:
    """Another process that opens the state file, writes and closes it. The last connection of all takes the log away."""
    subprocess.run([sys.executable, "-c", OTHER, str(home)], check=True)


@pytest.mark.parametrize("more", [0, 1, 3])
def test_a_second_connection_of_a_process_leaves_the_locks_of_the_first(tmp_path: Path, more: int) -> None:
    """Without its locks a connection loses its log to the next process that closes: the file is then read as damaged, or rows are lost."""
    home = tmp_path / "home"
    first = connect(home, TABLE, durable=True)
    first.execute("INSERT INTO t VALUES (NULL)")
    others = [connect(home, TABLE) for _ in range(more)]
    log = os.stat(home / f"{STATE_FILE}-wal").st_ino
    for at in range(2):
        closed_by_another(home)
        assert os.stat(home / f"{STATE_FILE}-wal").st_ino == log, "another process took the log away"
        with transaction(first):
            first.execute("INSERT INTO t VALUES (NULL)")
        for db in others:
            assert db.execute("SELECT count(*) FROM t").fetchone()[0] == 3 + 2 * at
    for db in [first, *others]:
        db.close()
    after = sqlite3.connect(home / STATE_FILE)
    assert after.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert after.execute("SELECT count(*) FROM t").fetchone()[0] == 5
    after.close()


def test_threads_that_make_the_state_file_together_all_keep_their_locks(tmp_path: Path) -> None:
    home, made = tmp_path / "home", []
    threads = [threading.Thread(target=lambda: made.append(connect(home, TABLE))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made[0].execute("INSERT INTO t VALUES (NULL)")
    log = os.stat(home / f"{STATE_FILE}-wal").st_ino
    closed_by_another(home)
    assert os.stat(home / f"{STATE_FILE}-wal").st_ino == log
    assert made[1].execute("SELECT count(*) FROM t").fetchone()[0] == 2
    for db in made:
        db.close()


def test_who_writes_or_checkpoints_has_the_turn(tmp_path: Path) -> None:
    """SQLite up to 3.51.2 may lose a commit where two connections write or checkpoint at once; so two never do."""
    first, second = connect(tmp_path / "home", TABLE), connect(tmp_path / "home", TABLE)

    def grouped() -> None:
        with transaction(second):
            second.execute("INSERT INTO t VALUES (NULL)")

    writes = {
        "a statement": lambda: second.execute("INSERT INTO t VALUES (NULL)"),
        "a common table": lambda: second.execute("WITH one AS (SELECT 7000 n) INSERT INTO t SELECT n FROM one"),
        "many": lambda: second.executemany("INSERT INTO t VALUES (?)", [(1000,)]),
        "a script": lambda: second.executescript(TABLE),
        "a transaction": grouped,
        "a checkpoint": lambda: checkpoint(second),
    }
    for name, write in writes.items():
        with first.turn():
            waiting = threading.Thread(target=write, daemon=True)
            waiting.start()
            waiting.join(0.05)
            assert waiting.is_alive(), f"{name} did not wait"
            assert second.execute("SELECT count(*) FROM t").fetchone() is not None, "reading needs no turn"
        waiting.join(10)
        assert not waiting.is_alive(), name


def test_a_turn_ends_with_its_process(tmp_path: Path) -> None:
    home = tmp_path / "home"
    connect(home, TABLE).close()
    taken = f"import os, signal; from pathlib import Path; from pellucid.store import connect; db = connect(Path({str(home)!r}), '{TABLE}')"
    subprocess.run([sys.executable, "-c", f"{taken}\nwith db.turn(): os.kill(os.getpid(), signal.SIGKILL)"], check=False)
    connect(home, TABLE).execute("INSERT INTO t VALUES (NULL)")


def test_who_waits_too_long_for_a_turn_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    first = connect(tmp_path / "home", TABLE)
    second = connect(tmp_path / "home", TABLE)
    with first.turn(), pytest.raises(sqlite3.OperationalError, match="another command has been writing"):
        second.execute("INSERT INTO t VALUES (NULL)")
    second.execute("INSERT INTO t VALUES (NULL)")
