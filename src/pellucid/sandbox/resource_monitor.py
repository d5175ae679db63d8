"""Watching a process and all it starts, from outside: until it ends, or until it has used more than it may."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path

from pellucid.sandbox.limits import GIB, Limits

_LOOK, _COUNT = 0.1, 0.5  # seconds between two looks at the disk, and between two counts of the memory
_PROCESSES = 2000
_PAGE = os.sysconf("SC_PAGE_SIZE")


def until_ended(pid: int, folder: Path | None, limits: Limits) -> str:
    """Wait for the child `pid`, which may write below `folder`: "" when it has ended, else which limit it passed. Ends nothing.

    What it writes is told by what the disk loses: so files without a name count too, and so does what others write meanwhile.
    """
    started, free = time.monotonic(), _free(folder)
    counted = started
    end = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(end, select.POLLIN)
        while not poll.poll(_LOOK * 1000):
            now = time.monotonic()
            if now - started > limits.seconds:
                return f"it took longer than the {limits.seconds:.0f} s it may"
            if free - _free(folder) > limits.disk:
                return f"it wrote more than the {_gib(limits.disk)} it may"
            if now - counted > _COUNT:
                counted = now
                said = _too_much(pid, limits)
                if said:
                    return said
        return ""
    finally:
        os.close(end)


def _too_much(pid: int, limits: Limits) -> str:
    found = family(pid)
    if len(found) > _PROCESSES:
        return f"it started more than {_PROCESSES:,} processes"
    if sum(found.values()) > limits.memory and sum(_proportional(one, size) for one, size in found.items()) > limits.memory:
        return f"it took more than the {_gib(limits.memory)} of memory it may"
    return ""


def family(pid: int) -> dict[int, int]:
    """The process and all that came of it, as far as they are still its descendants: process -> resident bytes."""
    children: dict[int, list[int]] = {}
    sizes: dict[int, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError, ValueError, IndexError):  # it ended meanwhile
            fields = Path("/proc", name, "stat").read_bytes().rpartition(b")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(name))
            sizes[int(name)] = int(fields[21]) * _PAGE
    found: dict[int, int] = {}
    todo = [pid]
    while todo:
        one = todo.pop()
        if one in sizes and one not in found:
            found[one] = sizes[one]
            todo += children.get(one, [])
    return found


def end_descendants(own: int) -> None:
    """End all descendants of this process, which must be the one that inherits its orphans, and wait until none is left."""
    while True:
        for pid in family(own).keys() - {own}:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def _proportional(pid: int, resident: int) -> int:
    """The memory of a process where what it shares is shared out; what it has in all, where that cannot be told."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return resident


def _free(folder: Path | None) -> int:
    if folder is None:
        return 0
    found = os.statvfs(folder)
    return found.f_bfree * found.f_frsize


def _gib(size: int) -> str:
    return f"{size / GIB:.3g} GiB"
