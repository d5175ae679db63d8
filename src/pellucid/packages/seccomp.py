"""A system call filter: no socket that could reach anyone, whatever namespaces and Landlock leave open.

A path-named Unix socket is reached past every network namespace, and Landlock knows no rule for it; a virtual machine's socket to its
host (AF_VSOCK) belongs to no namespace. So what opens a socket is filtered by its family. A pair of connected stream sockets stays
(a datagram one could be connected to a path later). io_uring opens sockets past any filter, and a keyring is the user's: both are refused.
https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

from pellucid.pipeline.namespaces import libc

_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CALLS = {  # socket, socketpair, and those that are refused
    "x86_64": (41, 53, (248, 249, 250, 425, 426, 427)),
    "aarch64": (198, 199, (217, 218, 219, 425, 426, 427)),
}
_INET, _INET6, _NETLINK, _STREAM = 2, 10, 16, 1
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _WHICH, _FIRST, _SECOND = 0, 4, 16, 24  # offsets in struct seccomp_data, of the low half of an argument
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NO_NEW_PRIVS, _SECCOMP, _FILTER = 38, 22, 2
_ANOTHER_ABI = 0x40000000  # x32: other numbers for the same calls

Instruction = tuple[int, int | str, int | str, int]  # code, where to if true, where to if false, operand


def program(machine: str, *, inet: bool) -> bytes:
    """The filter for a machine; `inet` leaves internet sockets, for a process that is in no network anyway."""
    socket, pair, refused = _CALLS[machine]
    families = [_NETLINK, *([_INET, _INET6] if inet else [])]
    lines: list[Instruction | str] = [
        (_LOAD, 0, 0, _WHICH), (_EQUAL, 0, "unknown", _ARCH[machine]),
        (_LOAD, 0, 0, _NUMBER), (_AT_LEAST, "unknown", 0, _ANOTHER_ABI),
        (_EQUAL, "socket", 0, socket), (_EQUAL, "pair", 0, pair),
        *[(_EQUAL, "unknown", 0, number) for number in refused],
        (_RETURN, 0, 0, _ALLOW),
        "socket", (_LOAD, 0, 0, _FIRST), *[(_EQUAL, "allowed", 0, family) for family in families],
        (_RETURN, 0, 0, _ERROR | errno.EAFNOSUPPORT),
        "pair", (_LOAD, 0, 0, _SECOND), (_AND, 0, 0, 0xF), (_EQUAL, "allowed", 0, _STREAM),
        (_RETURN, 0, 0, _ERROR | errno.EAFNOSUPPORT),
        "allowed", (_RETURN, 0, 0, _ALLOW),
        "unknown", (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
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
