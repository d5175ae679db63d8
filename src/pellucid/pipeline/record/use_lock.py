"""The lock that runs share and the collection of garbage has alone, so that nothing goes while a run is about to use it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def in_use(home: Path, how: int) -> int:
    """Take the lock that runs share (LOCK_SH) and the collection of garbage has alone (LOCK_EX); it is held until the descriptor is closed.

    Raises BlockingIOError with LOCK_NB, where it is taken.
    """
    lock = os.open(home / "runs.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, how)
    except BaseException:
        os.close(lock)
        raise
    return lock
