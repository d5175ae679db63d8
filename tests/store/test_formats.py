"""State files of every format that was given out: opened, brought to this format, and used. They are kept as SQL in `formats/`."""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from importlib import import_module
from pathlib import Path

import pytest

import pellucid
from pellucid.cli import main
from pellucid.errors import StoreError
from pellucid.pipeline.record import Record
from pellucid.privacy.accounting import Ledger
from pellucid.registry import Canaries, Deployments, model_versions
from pellucid.schedule import Schedules
from pellucid.service.access import Accounts
from pellucid.store import STATE_FILE, connect, database

FORMATS = sorted((Path(__file__).parent / "formats").glob("*.sql"), key=lambda path: int(path.stem))
NEWEST = database.newest_format()


def rooms() -> list[str]:
    """The tables of every room that keeps state."""
    root = Path(pellucid.__file__).parent
    files = [file for file in sorted(root.rglob("*.py")) if re.search(r"^DDL = ", file.read_text(), re.MULTILINE)]
    return [import_module(".".join(("pellucid", *file.relative_to(root).with_suffix("").parts))).DDL for file in files]


def schema(path: Path) -> dict[str, str]:
    db = sqlite3.connect(path)
    rows = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    db.close()
    return {name: re.sub(r"\s+", " ", sql) for name, sql in rows}


def made(file: Path, home: Path) -> Path:
    """A state folder with the file that the SQL makes."""
    home.mkdir(mode=0o700)
    path = home / STATE_FILE
    path.touch(mode=0o600)
    db = sqlite3.connect(path)
    db.executescript(file.read_text())
    db.close()
    return path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command that ends well prints."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    found = capsys.readouterr()
    assert not ended.value.code, found.err
    return found.out


def test_the_newest_format_is_kept_and_its_tables_are_those_of_the_code(tmp_path: Path):
    """A table that was changed without a step of CHANGES differs here from the file that people have."""
    assert [int(path.stem) for path in FORMATS] == list(range(1, NEWEST + 1))
    kept = schema(made(FORMATS[-1], tmp_path / "kept"))
    (tmp_path / "new").mkdir(mode=0o700)
    connect(tmp_path / "new", "".join(rooms())).close()
    now = schema(tmp_path / "new" / STATE_FILE)
    assert len(kept) > 20 and {name: now.get(name) for name in kept} == kept


@pytest.mark.parametrize("file", FORMATS, ids=lambda path: path.stem)
def test_a_file_of_an_earlier_format_is_brought_up_and_used(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    home = tmp_path / "state"
    path = made(file, home)
    record = Record(home)
    runs = record.runs(limit=10)
    assert [run["pipeline"] for run in runs] == ["areas", "areas"]
    assert [step.step for step in record.steps(runs[-1]["run"])] == ["visits", "gram", "popular", "quality"]
    record.close()
    ledger = Ledger(home)
    assert ledger.verify() == 5  # the chain of the accounts is whole
    ledger.close()
    assert [one.name for one in model_versions(home)] == ["areas.popular"]
    assert sorted(Deployments(home).current()) == ["production", "recommend"]
    assert [one.deployment.alias for one in Canaries(home).all()] == ["recommend"]
    assert [one.name for one in Schedules(home).all()] == ["nightly"]
    assert [(one.name, one.role) for one in Accounts(home).all()] == [("ana", "steward")]
    for command in ("runs", "ledger", "models", "schedule", "user"):
        assert "areas" in said(capsys, command, "--home", str(home)) or command in ("user", "ledger")
    connect(home, "".join(rooms())).close()
    (tmp_path / "new").mkdir(mode=0o700)
    connect(tmp_path / "new", "".join(rooms())).close()
    assert schema(path) == schema(tmp_path / "new" / STATE_FILE)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (NEWEST,)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


CHANGE = (
    database.Change("run_tags", "ALTER TABLE run_tags ADD COLUMN colour TEXT NOT NULL DEFAULT ''"),
    database.Change("never_made", "ALTER TABLE never_made ADD COLUMN colour TEXT"),
)


def test_a_step_is_made_once_with_its_number_and_what_was_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = made(FORMATS[0], tmp_path / "state")
    monkeypatch.setattr(database, "CHANGES", (*database.CHANGES, CHANGE))
    for _ in range(2):
        db = connect(tmp_path / "state", "")
        assert db.execute("SELECT colour, count(*) FROM run_tags").fetchone()[:] == ("", 1)
        assert db.execute("PRAGMA user_version").fetchone()[0] == NEWEST + 1
        db.close()
    monkeypatch.undo()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"has format {NEWEST + 1}, this pellucid reads up to {NEWEST}"):
        connect(tmp_path / "state", "")
    assert path.read_bytes() == before
    (tmp_path / "new").mkdir(mode=0o700)
    monkeypatch.setattr(database, "CHANGES", (*database.CHANGES, CHANGE))
    db = connect(tmp_path / "new", "CREATE TABLE IF NOT EXISTS one (x)")  # a new file has the newest format at once
    assert db.execute("PRAGMA user_version").fetchone()[0] == NEWEST + 1
    db.close()


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = made(FORMATS[0], tmp_path / "state")
    there = schema(path)
    bad = (*CHANGE[:1], database.Change("runs", "ALTER TABLE runs ADD COLUMN run TEXT"))
    monkeypatch.setattr(database, "CHANGES", (*database.CHANGES, bad))
    with pytest.raises(StoreError, match="duplicate column"):
        connect(tmp_path / "state", "")
    monkeypatch.undo()
    assert schema(path) == there
    Record(tmp_path / "state").close()


@pytest.mark.slow
def test_programs_that_open_an_earlier_file_together_bring_it_up_once(tmp_path: Path):
    import subprocess
    import sys

    made(FORMATS[0], tmp_path / "state")
    program = (
        "import sys, time; from pathlib import Path; from pellucid.store import database\n"
        "database.CHANGES = ((database.Change('run_tags', 'ALTER TABLE run_tags ADD COLUMN colour TEXT'),),)\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        "database.connect(Path(sys.argv[1]), '').execute('SELECT colour FROM run_tags').fetchall()\n"
    )
    at = str(time.time() + 3)
    started = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "state"), at]) for _ in range(6)]
    assert [one.wait() for one in started] == [0] * 6


def test_a_backup_of_an_earlier_format_is_restored(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    made(FORMATS[0], tmp_path / "state")
    said(capsys, "backup", str(tmp_path / "one.tar"), "--home", str(tmp_path / "state"))
    shutil.rmtree(tmp_path / "state")
    said(capsys, "restore", str(tmp_path / "one.tar"), "--home", str(tmp_path / "again"))
    assert "areas" in said(capsys, "runs", "--home", str(tmp_path / "again"))
