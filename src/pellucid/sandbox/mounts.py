"""The files of a cell: a tree that shows what may be read, read-only, and what may be written, and has nothing else in it.

Made in a mount namespace: an empty file system in memory, what is given bound into it at the path it has outside, a /proc of the cell's
own processes, and then that is the root (mount_namespaces(7), pivot_root(2), mount_setattr(2)).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress

from pellucid.sandbox.namespaces import NEW_MOUNTS, libc

_SYSTEM = (
    "/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/sys/devices/system", "/sys/fs/cgroup",
)  # fmt: skip
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_PROC = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/sys/vm", "/proc/sys/kernel")
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_BIND, _REC, _PRIVATE, _DETACH = 4096, 16384, 1 << 18, 2
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_SETATTR, _HERE, _RECURSIVE = 442, -100, 0x8000


def enter(root: str, read: Iterable[str], write: Iterable[str]) -> None:
    """Make the tree on the empty folder `root`, in a mount namespace of this process alone, and go there. Raises OSError."""
    if libc().unshare(NEW_MOUNTS):
        raise OSError(ctypes.get_errno(), "unshare")
    _mount(None, "/", None, _REC | _PRIVATE)
    _mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, "size=1m,mode=755")
    shown: list[str] = []
    places = {os.path.abspath(path) for path in (*_SYSTEM, *read)}
    for path in sorted(places | {os.path.realpath(path) for path in places}, key=lambda path: (path.count("/"), path)):
        if os.path.lexists(path) and path != "/" and not _below(path, shown):
            _show(root, path, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV)
            shown.append(path)
    for path in _DEVICES:
        _show(root, path, _ATTR_RDONLY | _ATTR_NOSUID)
    for path in sorted(os.path.realpath(path) for path in write):
        _show(root, path, _ATTR_NOSUID | _ATTR_NODEV)
    _own_proc(root)
    _set(root, _ATTR_RDONLY, recursive=False)
    os.chdir(root)
    if libc().pivot_root(b".", b"."):
        os.chroot(".")  # where this is in a chroot already; without privileges nothing leads out of it
    elif libc().umount2(b".", _DETACH):
        raise OSError(ctypes.get_errno(), "umount2")
    os.chdir("/")


def _show(root: str, path: str, attributes: int) -> None:
    """Bind what is at a path outside to the same path inside; a link is made anew."""
    at = root + path
    if os.path.islink(path):
        os.makedirs(os.path.dirname(at), exist_ok=True)
        if not os.path.lexists(at):
            os.symlink(os.readlink(path), at)
        return
    if os.path.isdir(path):
        os.makedirs(at, exist_ok=True)
    elif not os.path.exists(at):
        os.makedirs(os.path.dirname(at), exist_ok=True)
        os.close(os.open(at, os.O_CREAT | os.O_WRONLY, 0o600))
    _mount(path, at, None, _BIND | _REC)
    _set(at, attributes)


def _own_proc(root: str) -> None:
    """A /proc of the cell's processes; where the system allows none, the few files of the machine that have no process in them."""
    try:
        os.makedirs(f"{root}/proc")
        _mount("proc", f"{root}/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
        _set(f"{root}/proc", _ATTR_RDONLY)
    except OSError:
        for path in _PROC:
            with suppress(OSError):
                _show(root, path, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV)


def _below(path: str, places: Iterable[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places if not os.path.islink(place))


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    coded = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    if libc().mount(coded[0], coded[1], coded[2], ctypes.c_ulong(flags), coded[3]):
        raise OSError(ctypes.get_errno(), "mount", target)


def _set(path: str, attributes: int, *, recursive: bool = True) -> None:
    held = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    flags = _RECURSIVE if recursive else 0
    if libc().syscall(_SETATTR, _HERE, os.fsencode(path), flags, ctypes.byref(held), ctypes.c_size_t(32)):
        raise OSError(ctypes.get_errno(), "mount_setattr", path)
