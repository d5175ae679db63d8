"""What a step may touch, as seen by Python: an audit hook that stops undeclared files and sockets, and says how to declare.

In process it is the only guard (native code is not held by it). In a confined worker the kernel holds everything; there the hook
gives the better message, because it knows the path before the kernel says no.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pellucid.pipeline.landlock import environment_paths

_active = threading.local()
_installed = threading.Lock()
_READS = ("open", "os.listdir", "os.scandir", "sqlite3.connect", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate")
_NETWORK = ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo")


class UndeclaredError(Exception):
    """A step reached for something it had not declared. `path` is what it reached for."""

    def __init__(self, path: str, *, network: bool = False) -> None:
        self.path, self.network = path, network
        super().__init__(f"{'network ' if network else ''}{path}")


@functools.lru_cache(maxsize=1)
def _environment() -> tuple[str, ...]:
    return tuple(os.path.realpath(path) for path in environment_paths())


class _Rules:
    def __init__(self, read: Iterable[str], write: Iterable[str]) -> None:
        self.read = (*_environment(), *(os.path.realpath(path) for path in read))
        self.write = tuple(os.path.realpath(path) for path in write)

    def allows(self, path: str, writing: bool) -> bool:
        real = os.path.realpath(path)
        if real in ("/dev/null", "/dev/tty"):
            return True
        places = self.write if writing else (*self.read, *self.write)
        return any(real == place or real.startswith(place.rstrip("/") + "/") for place in places)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    rules: _Rules | None = getattr(_active, "rules", None)
    if rules is None:
        return
    if event in _NETWORK:
        address = arguments[1] if event.startswith("socket.") and len(arguments) > 1 else arguments[:1]
        raise UndeclaredError(str(address), network=True)
    if event not in _READS:
        return
    path = arguments[0] if arguments else None
    if path is None:
        path = "."
    if isinstance(path, int) or path == ":memory:":
        return
    flags = arguments[2] if event == "open" and len(arguments) > 2 and isinstance(arguments[2], int) else 0
    mode = arguments[1] if event == "open" and len(arguments) > 1 and isinstance(arguments[1], str) else ""
    writing = event not in ("open", "os.listdir", "os.scandir") or bool(
        flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) or any(c in mode for c in "wax+")
    )
    shown = os.path.abspath(os.fsdecode(path))
    if not rules.allows(shown, writing):
        raise UndeclaredError(shown)


_hooked = False


def install() -> None:
    """Add the audit hook to this process, once. It does nothing outside of `guarded`; it cannot be taken out again."""
    global _hooked
    _environment()
    with _installed:
        if not _hooked:
            sys.addaudithook(_hook)
            _hooked = True


@contextmanager
def guarded(read: Iterable[str], write: Iterable[str]) -> Iterator[None]:
    """Within this block and thread, Python opens nothing but `read`, `write` and the environment, and no socket."""
    install()
    rules = _Rules(read, write)
    _active.rules = rules
    try:
        yield
    finally:
        _active.rules = None


_QUOTED = re.compile(r"""['"`]?(/[^'"`\s:]+)""")


def explain(error: BaseException) -> str | None:
    """How to declare what an error says was not allowed; None for an error of another kind."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        if isinstance(at, UndeclaredError):
            if at.network:
                return f"it used the network ({at.path}); steps have none: fetch the data first and declare it with pl.source"
            return _how(at.path)
        text = str(at)
        if isinstance(at, PermissionError) or "ermission denied" in text or "EACCES" in text:
            path = getattr(at, "filename", None)
            match = _QUOTED.search(text)
            return _how(os.fsdecode(path) if path else match[1] if match else "a file")
        if (isinstance(at, OSError) and at.errno in (101, 111, 113)) or "etwork is unreachable" in text:
            return "it used the network; steps have none: fetch the data first and declare it with pl.source"
        if "nable to open database file" in text:
            return _how("a database file")
        at = at.__cause__ or at.__context__
    return None


def _how(path: str) -> str:
    name = re.sub(r"\W", "_", Path(path).stem) or "data"
    return (
        f"it used {path}, which it does not declare: add {name} = pl.source({path!r}, label=...) to the pipeline "
        f"and a parameter {name} to the step; what it writes belongs in its working folder"
    )
