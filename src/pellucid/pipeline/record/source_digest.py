"""The content digest of a source: of its file, or of all files in its folder."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from pellucid.errors import DataError
from pellucid.pipeline.record.run_record import Record
from pellucid.store import STATE_FILE

_CACHED_ABOVE = 16 * 1024 * 1024  # smaller files are hashed every time: it costs less than trusting a time stamp
_RACY_SECONDS = 2.0


def _hash_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_state(paths: list[Path], where: str) -> None:
    """A state file is no data. It changes with every run, and reading it here would drop the locks of this process on it."""
    for path in paths:
        if path.name.startswith(STATE_FILE):
            raise DataError(
                f"the source holds a state folder of pellucid ({path.parent})",
                where=where,
                fix="Name a folder with the data alone, or set PELLUCID_HOME to a folder elsewhere",
            )


def file_digest(path: Path, record: Record, where: str, *, may_be_empty: bool = False) -> str:
    """The content digest of a source's file, or of all files in its folder.

    The digest of a large file is remembered by its identity (device, inode, size, modification and change time); a file changed
    within the last two seconds is not, since the clock of a file system ticks coarsely. The change time moves with every write,
    also when the modification time is set back. Raises DataError, also for an empty file, which holds no rows; as a mere file it may be.
    """
    if not path.exists():
        raise DataError("there is no such file", where=f"{where} ({path})", fix="Put it there, or correct the path of the source")
    try:
        if path.is_dir():
            entries = sorted(entry for entry in path.rglob("*") if entry.is_file())
            _refuse_state(entries, where)
            listed = [f"{entry.relative_to(path).as_posix()}\0{_hash_file(entry)}" for entry in entries]
            return hashlib.sha256("\n".join(listed).encode()).hexdigest()
        _refuse_state([path], where)
        stat = path.stat()
        if stat.st_size == 0 and not may_be_empty:
            raise DataError("the file is empty", where=f"{where} ({path})", fix="Check how it was made")
        if stat.st_size < _CACHED_ABOVE:
            return _hash_file(path)
        identity = f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"
        known = record.file_digest(os.fspath(path), identity)
        if known is not None:
            return known
        found = _hash_file(path)
        if max(stat.st_ctime, stat.st_mtime) < time.time() - _RACY_SECONDS and path.stat().st_ctime_ns == stat.st_ctime_ns:
            record.note_file(os.fspath(path), identity, found)
        return found
    except OSError as error:
        raise DataError("it cannot be read", where=f"{where} ({path})", why=str(error)) from error
