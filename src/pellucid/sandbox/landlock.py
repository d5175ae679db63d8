"""Confinement by the kernel: a process that gives up, for good, all files but those it is told, and the network.

Linux Landlock (Documentation/userspace-api/landlock.rst), by raw system calls. It holds native code and child processes as well
as Python. What it does not cover: it does not hide that a path exists (stat), and its network part covers TCP alone, so the
process is also taken out of every network where namespaces are allowed. The record says which.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import os
import socket
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from pellucid.sandbox import namespaces
from pellucid.sandbox.namespaces import libc

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_ALL_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_FILE_ONLY = _EXECUTE | _WRITE | _READ_FILE | (1 << 14) | (1 << 15)
_TCP = 0b11
_SCOPED = 0b11
_NO_NEW_PRIVS = 38
_GET_FLAGS = 0x8913  # SIOCGIFFLAGS

_SYSTEM = (
    "/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/proc/self", "/proc/cpuinfo", "/proc/meminfo",
    "/proc/stat", "/proc/filesystems", "/proc/sys/vm", "/proc/sys/kernel", "/sys/devices/system", "/sys/fs/cgroup",
    "/dev/urandom", "/dev/random", "/dev/zero",
)  # fmt: skip


def _call(number: int, *arguments: object) -> int:
    return int(libc().syscall(number, *arguments))


@functools.lru_cache(maxsize=1)
def abi() -> int:
    """The Landlock version of the running kernel; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, _call(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))


@functools.lru_cache(maxsize=1)
def environment_paths() -> tuple[str, ...]:
    """What a step may read besides its inputs: the interpreter, the installed packages, system libraries, a few kernel files."""
    own = {
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        str(Path(sys.executable).parent),
        str(Path(__file__).resolve().parents[1]),
    }
    places = own | {str(Path(path).resolve()) for path in own} | set(_SYSTEM)
    return tuple(sorted(path for path in places if os.path.exists(path) and path != "/"))


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            access &= _FILE_ONLY
        rule = struct.pack("=Qi", access, fd)
        if _call(_ADD, ruleset, 1, rule, 0):
            raise OSError(ctypes.get_errno(), "landlock_add_rule", path)
    finally:
        os.close(fd)


def restrict(read: Iterable[str], write: Iterable[str]) -> None:
    """Give up everything but reading `read` and the environment, and reading and writing `write`. There is no way back.

    Raises OSError where the kernel refuses; ask `abi()` first.
    """
    version = abi()
    everything = _ALL_BY_ABI[min(version, 5)]
    attributes = struct.pack("=QQQ", everything, _TCP, _SCOPED)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _call(_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    try:
        for path in (*environment_paths(), *read):
            _allow(ruleset, path, _READ)
        _allow(ruleset, "/dev/null", _READ | _WRITE)
        for path in write:
            _allow(ruleset, path, everything)
        if libc().prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or _call(_RESTRICT, ruleset, 0):
            raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def leave_network() -> bool:
    """Move this (single-threaded) process into a network namespace that is connected to nothing. False where not allowed."""
    return _unconnected() or namespaces.leave(namespaces.NEW_NET)


def _unconnected() -> bool:
    """Whether there is no network to leave: no interface is up, or this process may open no internet socket at all."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            for _, name in socket.if_nameindex():
                flags = fcntl.ioctl(probe, _GET_FLAGS, struct.pack("16s16x", os.fsencode(name)))
                if struct.unpack_from("=h", flags, 16)[0] & 1:
                    return False
    except OSError as error:
        return error.errno == errno.EAFNOSUPPORT
    return True
