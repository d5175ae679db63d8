"""What a re-run left, taken out of the reach of what made it: copies of regular files, each under the hash of its own bytes.

The judged process does not name what is compared. Of a file that it claims only one at the very place its hash gives counts; the way there
is walked without following a link, the file has one name and is a regular one, and its bytes must have that hash. All else is left
out, and so found missing.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pellucid.store import KINDS

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PORTION = 1 << 20
_SUFFIXES = frozenset(kind.suffix for kind in KINDS.values())
_DEEPEST = 6  # steps, step, outputs, value; and in it items, item, value


def copy_out(result: Mapping[str, Any], state: Path, to: Path, most: int) -> None:
    """Copy what the result of a re-run names from its state folder to `to`, in the same places, `most` bytes in all at most.

    The processes of the re-run have ended. `result` is their word, and so are names and contents of all files in `state`.
    """
    left = most
    for sha256, suffix in sorted(set(claimed(result.get("steps")))):
        left -= _copy(state, sha256, suffix, to, left)


def claimed(value: Any, depth: int = _DEEPEST) -> Iterator[tuple[str, str]]:
    """Every (hash, suffix) in what the re-run says of its outputs that may be one."""
    if depth < 0:
        return
    if isinstance(value, dict):
        sha256, suffix = value.get("sha256"), value.get("suffix")
        if isinstance(sha256, str) and isinstance(suffix, str) and _SHA256.fullmatch(sha256) and suffix in _SUFFIXES:
            yield sha256, suffix
        for one in value.values():
            yield from claimed(one, depth - 1)
    elif isinstance(value, list):
        for one in value:
            yield from claimed(one, depth - 1)


def place(sha256: str, suffix: str) -> Path:
    """Where a file is, from the folder that it was copied to."""
    return Path("objects", sha256[:2], f"{sha256}{suffix}")


def regular_file(folder: Path, name: str, most: int) -> bytes:
    """What is in a regular file of a folder that was a stranger's to write: no link, no pipe, `most` bytes at most. Raises OSError."""
    source = _opened(folder, [name])
    with os.fdopen(source, "rb") as file:
        found = os.fstat(source)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_size > most:
            raise OSError(f"{name} is no regular file of a fitting size")
        return file.read(most)


def _copy(state: Path, sha256: str, suffix: str, to: Path, most: int) -> int:
    """Copy one file; how many bytes, 0 where there is none that counts."""
    try:
        source = _opened(state, ["objects", sha256[:2], f"{sha256}{suffix}"])
    except OSError:
        return 0
    try:
        found = os.fstat(source)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_size > most:
            return 0
        target = to / place(sha256, suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        hashed, size = hashlib.sha256(), 0
        with target.open("wb") as file:
            while size <= found.st_size and (portion := os.read(source, _PORTION)):
                hashed.update(portion)
                size += file.write(portion)
        if hashed.hexdigest() != sha256:
            target.unlink()
            return 0
        return size
    finally:
        os.close(source)


def _opened(folder: Path, parts: list[str]) -> int:
    """A descriptor of a file below `folder`, no part of the way a link. Raises OSError."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    for part in parts[:-1]:
        try:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        finally:
            os.close(at)
        at = below
    try:
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    finally:
        os.close(at)
