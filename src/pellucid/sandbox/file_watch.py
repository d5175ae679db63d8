"""Which files some code opens: by Python's audit events, with the line that did it, and by the kernel (inotify) for native code."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from pellucid.sandbox.namespaces import libc

_IN_OPEN, _NONBLOCK, _CLOEXEC = 0x20, 0o4000, 0o2000000
_HEAD = struct.Struct("iIII")


@dataclass(frozen=True)
class Opened:
    """A file that Python opened, and the lines of the project's own code that led there, the innermost first."""

    path: str
    lines: tuple[tuple[str, int], ...]

    @property
    def place(self) -> str:
        """The innermost line, as FILE:LINE, or ""."""
        return f"{self.lines[0][0]}:{self.lines[0][1]}" if self.lines else ""


_watching: list[tuple[list[Opened], Callable[[str], bool]]] = []
_hooked = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or event not in ("open", "sqlite3.connect"):
        return
    if not arguments or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    opened, is_project_file = _watching[-1]
    opened.append(Opened(os.path.abspath(os.fsdecode(arguments[0])), project_lines(sys._getframe(1), is_project_file)))


def project_lines(frame: FrameType | None, is_project_file: Callable[[str], bool]) -> tuple[tuple[str, int], ...]:
    """The lines of a stack that are in files of the project, the innermost first."""
    lines = []
    while frame is not None:
        if is_project_file(frame.f_code.co_filename):
            lines.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return tuple(lines)


@contextmanager
def python_opens(is_project_file: Callable[[str], bool]) -> Iterator[list[Opened]]:
    """The files that Python opens within the block, in order."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_hook)  # for good: an audit hook cannot be taken out again
        _hooked = True
    opened: list[Opened] = []
    _watching.append((opened, is_project_file))
    try:
        yield opened
    finally:
        _watching.pop()


class KernelWatch:
    """Which of some files anybody opens from now on, native code too. Where the system has no inotify, it sees nothing."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths: dict[int, str] = {}
        self._fd = libc().inotify_init1(_NONBLOCK | _CLOEXEC)
        for path in paths if self._fd >= 0 else ():
            watch = libc().inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(_IN_OPEN))
            if watch >= 0:
                self._paths[watch] = path

    def opened(self) -> list[str]:
        """The files that were opened so far, sorted; ends the watch."""
        found: set[str] = set()
        if self._fd < 0:
            return []
        try:
            while body := os.read(self._fd, 1 << 16):
                at = 0
                while at < len(body):
                    watch, _, _, size = _HEAD.unpack_from(body, at)
                    at += _HEAD.size + size
                    if watch in self._paths:
                        found.add(self._paths[watch])
        except BlockingIOError:
            pass
        finally:
            os.close(self._fd)
        return sorted(found)
