"""A file as it was written: what it is, the hash of its bytes, and the care taken that it is whole.

Writing happens in a scratch folder; the file is flushed to the disk before anyone may name it, so that after a power cut a name
in the store never stands for half a file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import StoreError

_lasting = True
RECOMPUTE = "Remove it and run again: it is computed anew"  # the way out from a damaged file


@dataclass(frozen=True)
class Saved:
    """One written file: its kind, canonical `digest`, `sha256` (hex) and `size` (bytes) of its bytes, and where it lies."""

    kind: str
    digest: str
    sha256: str
    size: int
    path: Path


def nothing_lasts() -> None:
    """From here on, what this process and its forks write is thrown away when they end: nothing need survive a power cut, so nothing is
    flushed to the disk. Where a package is checked or re-run, that takes longer than all the rest."""
    global _lasting
    _lasting = False


def lasting() -> bool:
    """Whether what this process writes must survive a power cut."""
    return _lasting


def flush(handle: int) -> None:
    """Flush an open file or folder to the disk, where it is to last."""
    if _lasting:
        os.fsync(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around the system calls that write `path`: a full or read-only disk becomes one clear StoreError.

    Keep the code that produces the value outside, so that its own OSErrors are not blamed on the disk.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            "cannot write",
            where=str(path),
            why=os.strerror(error.errno) if error.errno else str(error),
            fix="Free space or make the folder writable, then run again: finished steps are kept",
        ) from error


@contextmanager
def whole_or_gone(path: Path) -> Iterator[None]:
    """Remove `path` again when writing it fails, whatever the reason."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(path: Path) -> tuple[str, int]:
    """Flush a written file to the disk; return the SHA-256 (hex) and size of its bytes."""
    with writing(path), path.open("rb") as file:
        flush(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size
