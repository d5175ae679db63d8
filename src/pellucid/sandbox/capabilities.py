"""Giving up, for good, all of root's privileges (capabilities(7))."""

from __future__ import annotations

import ctypes

from pellucid.sandbox.namespaces import libc

_BOUNDING_DROP, _SECUREBITS, _AMBIENT, _CLEAR_ALL, _NO_NEW_PRIVS = 24, 28, 47, 4, 38
_ALL_LOCKED = 0xEF  # root is a user like any other, and stays one
_CAPSET_VERSION = 0x20080522


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
