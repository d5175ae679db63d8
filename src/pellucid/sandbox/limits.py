"""Limits: how long a stranger's code or file may take, how much memory, and how much it may write.

Each process is held to memory and size of a file by the kernel (RLIMIT_DATA, RLIMIT_FSIZE); all of them together, and the time,
are watched from outside (`watch`).
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30
SECONDS = 3600.0
READING_SECONDS, READING_MEMORY, READING_DISK = 600.0, 2 * GIB, 4 * GIB  # others write to the disk meanwhile
READING_SHARE = 4  # bytes of memory for a byte of a file that is read


@dataclass(frozen=True)
class Limits:
    """Seconds; bytes of memory; bytes that may be written. Of the last two each process may have as much, and all of them together."""

    seconds: float
    memory: int
    disk: int

    def less(self, seconds: float) -> Limits:
        """The same when some of the time is gone."""
        return Limits(max(0.0, self.seconds - seconds), self.memory, self.disk)


def of_a_rerun(folder: Path, *, seconds: float | None = None, memory: float | None = None, disk: float | None = None) -> Limits:
    """What a re-run may use that writes below `folder`, `memory` and `disk` in GiB: as asked for, else an hour, three quarters of the
    machine's memory and half of the disk that is free."""
    return Limits(
        SECONDS if seconds is None else seconds,
        machine_memory() * 3 // 4 if memory is None else int(memory * GIB),
        shutil.disk_usage(folder).free // 2 if disk is None else int(disk * GIB),
    )


def of_reading(files: Iterable[Path]) -> Limits:
    """What reading a stranger's artifacts may use: 2 GiB and 4 times the largest, so that a small file cannot unpack to a large machine's
    memory; ten minutes, and a second for each 10 MB; 4 GiB of disk, and room to write the largest again."""
    sizes = [path.stat().st_size for path in files if path.is_file()]
    memory = min(READING_MEMORY + READING_SHARE * max(sizes, default=0), machine_memory() * 3 // 4)
    return Limits(READING_SECONDS + sum(sizes) / 1e7, memory, READING_DISK + 2 * max(sizes, default=0))


def machine_memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def hold(limits: Limits) -> None:
    """Hold this process, and each that it starts, to its memory and size of a file; it leaves no core file. There is no way back."""
    for what, most in (
        (resource.RLIMIT_DATA, limits.memory),
        (resource.RLIMIT_FSIZE, limits.disk),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
