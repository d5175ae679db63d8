"""Giving up, for good: namespaces of one's own, and all of root's privileges (namespaces(7), capabilities(7))."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

_NEW_IPC, _NEW_USER, _NEW_PIDS, _NEW_NET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
_BOUNDING_DROP, _SECUREBITS, _AMBIENT, _CLEAR_ALL, _NO_NEW_PRIVS = 24, 28, 47, 4, 38
_ALL_LOCKED = 0xEF  # root is a user like any other, and stays one
_CAPSET_VERSION = 0x20080522


@functools.lru_cache(maxsize=1)
def libc() -> ctypes.CDLL:
    """The C library."""
    return ctypes.CDLL(None, use_errno=True)


def leave_all() -> bool:
    """Leave network and IPC; the next child is the first of a process namespace, and may make itself a mount namespace. False where the
    system allows none of it.

    Root needs no user namespace for it; anyone else does, where the system lets them have one. Single-threaded processes only.
    """
    wanted = _NEW_IPC | _NEW_PIDS | _NEW_NET
    return libc().unshare(wanted) == 0 or _as_user(wanted)


def _as_user(wanted: int) -> bool:
    uid, gid = os.getuid(), os.getgid()
    if libc().unshare(wanted | _NEW_USER):
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    except OSError:
        return False
    return True


def drop_all() -> None:
    """Give up every capability, and the ways to get one again: no program that is started gives one either."""
    call = libc().prctl
    for number in range(64):
        call(_BOUNDING_DROP, number, 0, 0, 0)
    call(_SECUREBITS, _ALL_LOCKED, 0, 0, 0)
    call(_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    header, nothing = (ctypes.c_uint32 * 2)(_CAPSET_VERSION, 0), (ctypes.c_uint32 * 6)()
    libc().capset(ctypes.byref(header), ctypes.byref(nothing))
    call(_NO_NEW_PRIVS, 1, 0, 0, 0)
