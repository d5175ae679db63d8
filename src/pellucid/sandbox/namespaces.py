"""Namespaces of one's own: a process leaves the network, and more, for what is empty (namespaces(7)). There is no way back."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

NEW_MOUNTS, NEW_IPC, NEW_PIDS, NEW_NET = 0x00020000, 0x08000000, 0x20000000, 0x40000000
_NEW_USER = 0x10000000


@functools.lru_cache(maxsize=1)
def libc() -> ctypes.CDLL:
    """The C library."""
    return ctypes.CDLL(None, use_errno=True)


def leave(wanted: int) -> bool:
    """Move this (single-threaded) process into new namespaces of the kinds `wanted`. False where the system allows none of it.

    Root needs no user namespace for it; anyone else does, where the system lets them have one.
    """
    uid, gid = os.getuid(), os.getgid()
    if libc().unshare(wanted) == 0:
        return True
    if libc().unshare(wanted | _NEW_USER):
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    except OSError:
        return False
    return True
