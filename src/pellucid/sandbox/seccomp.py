"""A system call filter: nothing that reaches another process or leaves something behind, whatever namespaces and Landlock allow.

Sockets. A path-named Unix socket is reached past every network namespace, and Landlock knows no rule for it; a virtual machine's socket to
its host (AF_VSOCK) belongs to no namespace. So what opens a socket is filtered by its family. A pair of connected stream sockets stays
(a datagram one could be connected to a path later). io_uring opens sockets past any filter.

Channels past the file system's contents. System V and POSIX queues, extended attributes, keyrings, ptrace and its kin, limits and
scheduling of other processes, new namespaces. Extended attributes answer "not supported", as on a file system without them.

Modes and times of files are not governed by Landlock. Programs change them out of habit (shutil.copy), so such a call does nothing and
succeeds, and so does flock, whose lock another process would see; changing an owner is refused.
https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

from pellucid.sandbox.namespaces import libc

_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SOCKET, _PAIR, _CLONE = "socket", "socketpair", "clone"
_CALLS = {
    "x86_64": {
        _SOCKET: (41,), _PAIR: (53,), _CLONE: (56,),
        "of others": (302, 203, 144, 142, 314),  # prlimit64, sched_setaffinity, _setscheduler, _setparam, _setattr: for pid 0 only
        "unknown": (248, 249, 250, 425, 426, 427, 435),  # keyrings, io_uring, clone3 (its flags cannot be seen; there is clone)
        "unsupported": (*range(188, 200),),  # extended attributes
        "forbidden": (
            29, 30, 31, 64, 65, 66, 220, 68, 69, 70, 71, *range(240, 246),  # System V memory, semaphores, queues; POSIX queues
            101, 310, 311, 298, 321, 323,  # ptrace, process_vm_*, perf_event_open, bpf, userfaultfd
            272, 308, 165, 166, 155, 161,  # unshare, setns, mount, umount2, pivot_root, chroot
            92, 93, 94, 260,  # owners
        ),
        "nothing": (90, 91, 268, 452, 132, 235, 261, 280, 73),  # modes and times, and flock (another process would see the lock)
    },
    "aarch64": {
        _SOCKET: (198,), _PAIR: (199,), _CLONE: (220,),
        "of others": (261, 122, 119, 118, 274),
        "unknown": (217, 218, 219, 425, 426, 427, 435),
        "unsupported": (*range(5, 17),),
        "forbidden": (
            *range(186, 198), *range(180, 186),
            117, 270, 271, 241, 280, 282,
            97, 268, 40, 39, 41, 51,
            54, 55,
        ),
        "nothing": (52, 53, 452, 88, 32),
    },
}  # fmt: skip
_NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW*
_INET, _INET6, _NETLINK, _STREAM = 2, 10, 16, 1
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _WHICH, _FIRST, _SECOND = 0, 4, 16, 24  # offsets in struct seccomp_data, of the low half of an argument
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NO_NEW_PRIVS, _SECCOMP, _FILTER = 38, 22, 2
_ANOTHER_ABI = 0x40000000  # x32: other numbers for the same calls

Instruction = tuple[int, int | str, int | str, int]  # code, where to if true, where to if false, operand


def program(machine: str, *, inet: bool) -> bytes:
    """The filter for a machine; `inet` leaves internet sockets, for a process that is in no network anyway."""
    families = [_NETLINK, *([_INET, _INET6] if inet else [])]
    lines: list[Instruction | str] = [
        (_LOAD, 0, 0, _WHICH), (_EQUAL, 0, "unknown", _ARCH[machine]),
        (_LOAD, 0, 0, _NUMBER), (_AT_LEAST, "unknown", 0, _ANOTHER_ABI),
        *[(_EQUAL, answer, 0, number) for answer, numbers in _CALLS[machine].items() for number in numbers],
        "allowed", (_RETURN, 0, 0, _ALLOW),
        _SOCKET, (_LOAD, 0, 0, _FIRST), *[(_EQUAL, "fine", 0, family) for family in families],
        "no family", (_RETURN, 0, 0, _ERROR | errno.EAFNOSUPPORT),
        _PAIR, (_LOAD, 0, 0, _SECOND), (_AND, 0, 0, 0xF), (_EQUAL, "fine", 0, _STREAM),
        (_RETURN, 0, 0, _ERROR | errno.EAFNOSUPPORT),
        _CLONE, (_LOAD, 0, 0, _FIRST), (_AND, 0, 0, _NEW_NAMESPACES), (_EQUAL, "fine", "forbidden", 0),
        "of others", (_LOAD, 0, 0, _FIRST), (_EQUAL, "fine", "forbidden", 0),
        "fine", (_RETURN, 0, 0, _ALLOW),
        "unknown", (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
        "unsupported", (_RETURN, 0, 0, _ERROR | errno.ENOTSUP),
        "forbidden", (_RETURN, 0, 0, _ERROR | errno.EPERM),
        "nothing", (_RETURN, 0, 0, _ERROR),
    ]  # fmt: skip
    places: dict[str, int] = {}
    for line in lines:
        if isinstance(line, str):
            places[line] = sum(not isinstance(one, str) for one in lines[: lines.index(line)])
    built = []
    for at, (code, yes, no, operand) in enumerate(line for line in lines if not isinstance(line, str)):
        jumps = [places[to] - at - 1 if isinstance(to, str) else to for to in (yes, no)]
        built.append(struct.pack("=HBBI", code, *jumps, operand))
    return b"".join(built)


def install(*, inet: bool) -> bool:
    """Filter this process and all it starts, for good. False where the system does not offer it."""
    machine = platform.machine()
    if machine not in _CALLS:
        return False
    body = ctypes.create_string_buffer(program(machine, inet=inet))
    count = (len(body) - 1) // 8

    class _Program(ctypes.Structure):
        _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    held = _Program(count, ctypes.cast(body, ctypes.c_void_p))
    refused = libc().prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc().prctl(_SECCOMP, _FILTER, ctypes.byref(held), 0, 0)
    return not refused
