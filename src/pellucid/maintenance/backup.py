"""A backup: one file that holds a state folder as it was at one moment, taken while others work with it.

A tar file: `backup.json` (what is in it), `pellucid.db` (a copy of the state file by SQLite's own backup, so that what was committed is
in it whether it stood in the file or in its log), `objects/ab/...` (stored files by their hashes). The copy of the state file comes
first, and garbage is not collected meanwhile, so each file that it names is there; files that come later do no harm.

It holds private artifacts, logs and the accounts: it is as private as the state folder. It does not hold the steward's keys, which lie
apart on purpose. What was spent after it was taken is not in it: a restored account that goes on spending would spend that part twice. So
restoring never writes into a folder that is there, and says up to which spend the accounts go.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from pellucid import __version__
from pellucid.errors import DamagedError, StoreError, UsageError
from pellucid.pipeline.record import in_use
from pellucid.privacy import Ledger
from pellucid.store import STATE_FILE, connect

FORMAT = 1
FIRST = "backup.json"
LARGEST_HEAD = 1 << 16
CHUNK = 1 << 20
_OBJECT = re.compile(r"objects/([0-9a-f]{2})/(\1[0-9a-f]{62})(\.[a-z0-9]+)?")


@dataclass(frozen=True)
class Backup:
    """What a backup holds. `created` is UTC; `events` and `head`: how far the accounts go; `runs` and `objects`: how many."""

    created: str
    version: str
    runs: int
    objects: int
    bytes: int
    events: int
    head: str


def write_backup(home: Path, file: Path) -> Backup:
    """Write a backup of a state folder to a new file, for its owner alone.

    Raises UsageError where there is no state or the file is there already; StoreError where it cannot be written, and then leaves
    nothing.
    """
    if not (home / STATE_FILE).is_file():
        raise UsageError("there is no state to back up", where=str(home), fix="Name the state folder: --home FOLDER")
    if file.exists():
        raise UsageError("the file is there already", where=str(file), fix="Name another; nothing is overwritten")
    partial = file.with_name(f".{file.name}.partial")
    use = in_use(home, fcntl.LOCK_SH)  # no garbage is collected while this goes on
    try:
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            copy = Path(scratch) / STATE_FILE
            _copy_state(home, copy)
            objects = sorted(path for path in (home / "objects").glob("??/*") if path.is_file() and not path.is_symlink())
            found = _described(copy, objects)
            head = {"format": FORMAT, **found.__dict__, "database": _sha256(copy)}
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as out:
                with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                    _add(tar, FIRST, io.BytesIO(json.dumps(head, sort_keys=True).encode()))
                    for name, path in [(STATE_FILE, copy), *((str(path.relative_to(home)), path) for path in objects)]:
                        with path.open("rb") as data:
                            _add(tar, name, data)
                out.flush()
                os.fsync(out.fileno())
            os.link(partial, file)  # fails where another was faster
    except FileExistsError:
        raise UsageError("the file is there already", where=str(file), fix="Name another; nothing is overwritten") from None
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            "the backup cannot be written", where=str(file), why=str(error), fix="Make room, or name another place"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
        os.close(use)
    return found


def restore(file: Path, home: Path) -> Backup:
    """Make a new state folder from a backup. Every file is held against its hash, the accounts' chain is recomputed.

    Raises UsageError where the folder is there already, DamagedError for a file that is no whole backup; then nothing is left.
    """
    if home.exists():
        fix = "Name a folder that is not there: --home FOLDER. Nothing is overwritten, for a newer account may be in it"
        raise UsageError("the state folder is there already", where=str(home), fix=fix)
    home.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    try:
        try:
            with tarfile.open(file, "r:") as tar:
                found = _unpack(tar, scratch, file)
        except (tarfile.TarError, EOFError, UnicodeDecodeError) as error:
            raise DamagedError("it is no whole backup", where=str(file), why=str(error)) from error
        _verify(scratch, found, file)
        os.rename(scratch, home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return found


def _copy_state(home: Path, copy: Path) -> None:
    source = connect(home, "")
    try:
        with source.turn():
            target = sqlite3.connect(copy)
            try:
                source.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")
            finally:
                target.close()
    finally:
        source.close()


def _described(copy: Path, objects: list[Path]) -> Backup:
    db = sqlite3.connect(copy)
    try:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        runs = db.execute("SELECT COUNT(*) FROM runs").fetchone()[0] if "runs" in tables else 0
        last = db.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone() if "ledger" in tables else None
    finally:
        db.close()
    size = copy.stat().st_size + sum(path.stat().st_size for path in objects)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Backup(now, __version__, runs, len(objects), size, last[0] if last else 0, last[1] if last else "")


def _add(tar: tarfile.TarFile, name: str, data: IO[bytes]) -> None:
    entry = tarfile.TarInfo(name)
    data.seek(0, os.SEEK_END)
    entry.size, entry.mode = data.tell(), 0o600
    data.seek(0)
    tar.addfile(entry, data)


def _unpack(tar: tarfile.TarFile, scratch: Path, file: Path) -> Backup:
    """Write what the backup says it holds, and nothing else."""
    head: dict[str, Any] = {}
    seen: set[str] = set()
    for entry in tar:
        name, data = entry.name, tar.extractfile(entry) if entry.isreg() else None
        if data is None or name in seen or (not head) != (name == FIRST):
            raise DamagedError("it is no backup of pellucid", where=str(file), why=f'"{name[:80]}" does not belong in one')
        seen.add(name)
        if name == FIRST:
            head = _head(data.read(LARGEST_HEAD), file)
            continue
        named = _OBJECT.fullmatch(name)
        wanted = head["database"] if name == STATE_FILE else named[2] if named else None
        if wanted is None:
            raise DamagedError("it is no backup of pellucid", where=str(file), why=f'"{name[:80]}" does not belong in one')
        target = scratch / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as out:
            shutil.copyfileobj(data, out, CHUNK)
            out.flush()
            os.fsync(out.fileno())
        if _sha256(target) != wanted:
            raise DamagedError("a file in the backup is damaged", where=f"{file}: {name}", fix="Take another backup")
        if named:
            target.chmod(0o400)
    if STATE_FILE not in seen or len(seen) != head["objects"] + 2:
        raise DamagedError(
            "the backup is cut off", where=str(file), why="not all that it says it holds is there", fix="Take another"
        )
    return Backup(**{name: head[name] for name in Backup.__dataclass_fields__})


def _head(text: bytes, file: Path) -> dict[str, Any]:
    try:
        head = json.loads(text)
        kinds = {
            "created": str,
            "version": str,
            "runs": int,
            "objects": int,
            "bytes": int,
            "events": int,
            "head": str,
            "database": str,
        }
        whole = all(type(head[name]) is kind for name, kind in kinds.items())
        if type(head["format"]) is not int or not whole:
            raise ValueError("a value of another kind")
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError("it is no backup of pellucid", where=str(file), why=f"{type(error).__name__}: {error}") from error
    if head["format"] != FORMAT:
        raise UsageError(
            f"the backup has format {head['format']}, this pellucid reads {FORMAT}", where=str(file), fix="Upgrade pellucid"
        )
    return dict(head)


def _verify(scratch: Path, found: Backup, file: Path) -> None:
    """The state file is whole, and so is the chain of the accounts, up to the head that the backup names."""
    db = connect(scratch, "")
    try:
        said = db.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        said = str(error)
    finally:
        db.close()
    if said != "ok":
        raise DamagedError(
            "the state file in the backup is damaged", where=str(file), why=str(said)[:200], fix="Take another backup"
        )
    ledger = Ledger(scratch)
    try:
        ledger.verify([found.head] if found.head else [])
    finally:
        ledger.close()


def _sha256(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
