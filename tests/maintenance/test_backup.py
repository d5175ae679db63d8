"""A backup is whole whatever goes on beside it, and a restored folder is what it was; anything else is refused and leaves nothing."""

from __future__ import annotations

import io
import json
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pellucid
from pellucid.errors import PellucidError, UsageError
from pellucid.maintenance import restore, write_backup
from pellucid.pipeline.running import load, run
from pellucid.privacy import Ledger

PIPELINE = """
import pellucid as pl

people = pl.source("people.csv", label="private", unit="person", budget=pl.Budget(epsilon=5.0, delta=1e-5))
counts = pl.release(pl.privacy.histogram("item", public_keys=["a", "b"]), of=people, epsilon=1.0, delta=1e-6)


@pl.step
def double(counts: pl.Table) -> pl.Table:
    return counts.polars().with_columns(pl_twice=2).collect()


pipeline = pl.Pipeline("small", [people, counts, double])
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backup")
    (folder / "people.csv").write_text("person,item\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(200)))
    (folder / "small.py").write_text(PIPELINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PELLUCID_KEYS", str(folder / "keys"))
        assert run(load(folder / "small.py"), home=folder / ".pellucid", jobs=1).status == "done"
    return folder / ".pellucid"


@pytest.fixture(scope="module")
def backup(home: Path) -> Path:
    file = home.parent / "whole.tar"
    write_backup(home, file)
    return file


def test_a_restored_folder_is_what_it_was(home: Path, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backup.stat().st_mode & 0o777 == 0o600
    other = tmp_path / "other"
    found = restore(backup, other)
    assert found.runs == 1 and found.events > 0 and other.stat().st_mode & 0o077 == 0
    assert [one.id for one in pellucid.runs(home=other)] == [one.id for one in pellucid.runs(home=home)]
    theirs, ours = Ledger(home), Ledger(other)
    try:
        assert ours.head() == theirs.head() == found.head and ours.verify() == theirs.verify()
        assert ours.accounts() == theirs.accounts()
    finally:
        theirs.close()
        ours.close()
    monkeypatch.setenv("PELLUCID_KEYS", str(home.parent / "keys"))
    again = run(load(home.parent / "small.py"), home=other, jobs=1)
    assert again.status == "done" and {step.action for step in again.steps.values()} == {"reused"}


def test_nothing_is_overwritten(home: Path, backup: Path, tmp_path: Path) -> None:
    before = backup.read_bytes()
    with pytest.raises(UsageError, match="already"):
        write_backup(home, backup)
    assert backup.read_bytes() == before
    with pytest.raises(UsageError, match="already"):
        restore(backup, home)
    with pytest.raises(UsageError, match="no state"):
        write_backup(tmp_path, tmp_path / "none.tar")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_backups_taken_while_accounts_are_written_hold_all_that_was_acknowledged(tmp_path: Path) -> None:
    home, stop, done = tmp_path / "busy", threading.Event(), []
    ledger = Ledger(home)
    ledger.open_account("people", "person", 1000.0, 0.5)

    def spend() -> None:
        while not stop.is_set():
            number = len(done)
            ledger.spend(["people"], f"release {number}", 0.01, 0.0, {"mechanism": "test"}, f"{number:064x}")
            done.append(number)

    thread = threading.Thread(target=spend)
    thread.start()
    try:
        for number in range(4):
            while len(done) < 5 * (number + 1):
                assert thread.is_alive()
                time.sleep(0.005)
            acknowledged = len(done)
            write_backup(home, tmp_path / f"{number}.tar")
            restore(tmp_path / f"{number}.tar", tmp_path / f"home{number}")
            copy = Ledger(tmp_path / f"home{number}")
            try:
                copy.verify()
                assert len(copy.spends()) >= acknowledged
            finally:
                copy.close()
    finally:
        stop.set()
        thread.join()
        ledger.close()


def _content(home: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and "db" not in path.name
    }


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_backup_is_refused_or_restores_the_same(backup: Path, tmp_path: Path, data: Any) -> None:
    whole = backup.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        bad = whole[:place]
    else:
        bad = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    file, home = tmp_path / "bad.tar", tmp_path / "restored"
    file.write_bytes(bad)
    try:
        restore(file, home)
    except PellucidError:
        assert not home.exists()
    else:  # the change was where nothing is said: padding, or a time
        restore(backup, tmp_path / "same")
        assert _content(home) == _content(tmp_path / "same")
        for made in (home, tmp_path / "same"):
            _remove(made)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar"]


def _remove(folder: Path) -> None:
    from pellucid.store import folders

    folders.remove(folder)


def _entry(name: str, **changed: Any) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    for key, value in changed.items():
        setattr(entry, key, value)
    return entry


@pytest.mark.parametrize(
    "evil",
    [
        lambda tar: tar.addfile(_entry("../outside", size=3), io.BytesIO(b"abc")),
        lambda tar: tar.addfile(_entry("/tmp/pellucid-outside", size=3), io.BytesIO(b"abc")),
        lambda tar: tar.addfile(_entry("objects/ab/../../x", size=3), io.BytesIO(b"abc")),
        lambda tar: tar.addfile(_entry("objects", type=tarfile.SYMTYPE, linkname="/tmp")),
        lambda tar: tar.addfile(_entry("objects/ab/" + "ab" * 32, type=tarfile.LNKTYPE, linkname="pellucid.db")),
        lambda tar: tar.addfile(_entry("pipe", type=tarfile.FIFOTYPE)),
        lambda tar: tar.addfile(_entry("backup.json", size=2), io.BytesIO(b"{}")),
        lambda tar: tar.addfile(_entry("objects/ab/" + "ab" * 32, size=3), io.BytesIO(b"abc")),
    ],
)
def test_what_does_not_belong_in_a_backup_is_refused(
    backup: Path, tmp_path: Path, evil: Callable[[tarfile.TarFile], None]
) -> None:
    file = tmp_path / "evil.tar"
    file.write_bytes(backup.read_bytes())
    with tarfile.open(file, "a") as tar:
        evil(tar)
    with pytest.raises(PellucidError):
        restore(file, tmp_path / "home")
    assert [path.name for path in tmp_path.iterdir()] == ["evil.tar"]
    assert not (tmp_path.parent / "outside").exists()


def test_heads_that_are_none_and_files_that_are_no_backup(backup: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.tar"
    for content in (b"", b"hello", b"\0" * 10240, b"{" * 2000):
        file.write_bytes(content)
        with pytest.raises(PellucidError):
            restore(file, tmp_path / "home")
    with tarfile.open(backup) as tar:
        member = tar.extractfile("backup.json")
        assert member is not None
        honest = json.loads(member.read())
    for change in ({"format": 2}, {"format": "1"}, {"objects": 10**9}, {"head": "0" * 64}, {"database": None}, {"runs": True}):
        with tarfile.open(file, "w") as tar, tarfile.open(backup) as whole:
            for entry in whole:
                data = whole.extractfile(entry)
                assert data is not None
                held = data.read()
                if entry.name == "backup.json":
                    held = json.dumps({**honest, **change}).encode()
                    entry.size = len(held)
                tar.addfile(entry, io.BytesIO(held))
        with pytest.raises(PellucidError):
            restore(file, tmp_path / "home")
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]
