"""Folders that somebody else filled, walked and removed without trust in their depth, their links or their modes.

The standard library's walks call themselves for each level, so a step that makes a thousand folders in one another would end the program
that tidies up after it; and a path so long is refused by the system.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder, in no order. Follows no links; what cannot be read, also for lying too deep, is left out."""
    waiting = [str(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                yield entry


def remove(folder: Path) -> None:
    """Remove a folder and all below it, as far as the system lets us: what resists stays, and nothing is raised.

    Folders are lifted to the top before they are emptied, so that depth does not matter; by handles, so that a link that somebody puts
    in the way meanwhile leads nowhere.
    """
    with suppress(OSError):
        top = os.open(folder, _FOLDER)
        try:
            waiting = _emptied(top, top)
            while waiting:
                name = waiting.pop()
                with suppress(OSError):
                    at = os.open(name, _FOLDER, dir_fd=top)
                    try:
                        waiting += _emptied(at, top)
                    finally:
                        os.close(at)
                    os.rmdir(name, dir_fd=top)
        finally:
            os.close(top)
        os.rmdir(folder)


def _emptied(at: int, top: int) -> list[str]:
    """Remove the files of a folder and lift its folders to the top; the names that these have there."""
    lifted = []
    with os.scandir(at) as found:
        listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    for name, is_folder in listed:
        with suppress(OSError):
            if not is_folder:
                os.unlink(name, dir_fd=at)
                continue
            _open_up(name, at)
            new = name
            if at != top:
                new = secrets.token_hex(16)
                os.rename(name, new, src_dir_fd=at, dst_dir_fd=top)
            lifted.append(new)
    return lifted


def _open_up(name: str, at: int) -> None:
    """Let its owner into a folder that shuts even them out."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    try:
        if os.fstat(handle).st_mode & 0o700 != 0o700:
            Path(f"/proc/self/fd/{handle}").chmod(0o700)
    finally:
        os.close(handle)
