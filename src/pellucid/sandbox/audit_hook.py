"""What a step may touch, as seen by Python: an audit hook that stops undeclared files, sockets and programs.

In process it is the only guard (native code is not held by it). In a confined worker the kernel holds everything; there the hook
gives the better message, because it knows the path before the kernel says no.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import sys
import threading
import urllib.parse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pellucid.sandbox.landlock import environment_paths

_everywhere: _Rules | None = None
_threads: dict[int, _Rules] = {}  # by thread; those a guarded thread starts are guarded too
_installed = threading.Lock()
_READS = ("open", "os.listdir", "os.scandir", "sqlite3.connect")
_WRITES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink", "os.chmod", "os.utime")
_TWO_PATHS = ("os.rename", "os.link")
_NETWORK = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo")
_PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty")


class UndeclaredError(Exception):
    """A step reached for something it had not declared: a file, the network, or (in process) another program."""

    def __init__(self, path: str, what: str = "file") -> None:
        self.path, self.what = path, what
        super().__init__(path)


@functools.lru_cache(maxsize=1)
def _environment() -> tuple[str, ...]:
    return tuple(os.path.realpath(path) for path in environment_paths())


class _Rules:
    def __init__(self, read: Iterable[str], write: Iterable[str], processes: bool) -> None:
        self.processes = processes
        self.read = (*_environment(), *(os.path.realpath(path) for path in read))
        self.write = tuple(os.path.realpath(path) for path in write)

    def allows(self, path: str, writing: bool) -> bool:
        real = os.path.realpath(path)
        if real in ("/dev/null", "/dev/tty") or (not writing and real == f"/proc/{os.getpid()}/maps"):
            return (
                True  # its own memory map tells a process nothing new; threadpoolctl looks there for the libraries that compute
            )
        places = self.write if writing else (*self.read, *self.write)
        return any(real == place or real.startswith(place.rstrip("/") + "/") for place in places)


def _rules() -> _Rules | None:
    if _everywhere is not None or not _threads:
        return _everywhere
    ident = threading.get_ident()
    if ident in _threads:
        return _threads[ident]
    return getattr(threading._active.get(ident), "_pellucid_rules", None)  # type: ignore[attr-defined]


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _everywhere is None and not _threads:
        return
    if event in _NETWORK:
        if _rules() is not None:
            address = arguments[1] if event.startswith("socket.") and len(arguments) > 1 else arguments[:1]
            raise UndeclaredError(str(address), "network")
    elif event in _PROCESSES:
        rules = _rules()
        if rules is not None and not rules.processes:
            raise UndeclaredError(str(arguments[0]) if arguments else event, "program")
    elif event in _READS or event in _WRITES:
        rules = _rules()
        if rules is not None:
            _check(rules, event, arguments)


def _check(rules: _Rules, event: str, arguments: tuple[Any, ...]) -> None:
    path = arguments[0] if arguments else None
    if isinstance(path, int) or path in (":memory:", ""):
        return
    flags = arguments[2] if event == "open" and len(arguments) > 2 and isinstance(arguments[2], int) else 0
    mode = arguments[1] if event == "open" and len(arguments) > 1 and isinstance(arguments[1], str) else ""
    writing = event in _WRITES or bool(
        flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) or any(c in mode for c in "wax+")
    )
    for each in arguments[:2] if event in _TWO_PATHS else [path]:
        name = os.fsdecode(each) if each is not None else "."
        if event == "sqlite3.connect" and name.startswith("file:"):
            name = urllib.parse.unquote(name[5:].partition("?")[0])
        shown = os.path.abspath(name)
        if not rules.allows(shown, writing):
            raise UndeclaredError(shown)


_hooked = False
_start_thread = threading.Thread.start


def _start_guarded(self: threading.Thread) -> None:
    """Start a thread under the rules of the one that starts it."""
    self._pellucid_rules = _rules()  # type: ignore[attr-defined]
    _start_thread(self)


def install() -> None:
    """Add the audit hook to this process, once. It does nothing outside of `guarded`; it cannot be taken out again."""
    global _hooked
    _environment()
    with _installed:
        if not _hooked:
            sys.addaudithook(_hook)
            threading.Thread.start = _start_guarded  # type: ignore[method-assign]
            _hooked = True


@contextmanager
def guarded(read: Iterable[str], write: Iterable[str], *, everywhere: bool = False, processes: bool = False) -> Iterator[None]:
    """Within this block, Python opens nothing but `read`, `write` and the environment, and no socket.

    That goes for this thread and those started in it, or for all of the process (`everywhere`). It starts no program either,
    unless the kernel holds what this process starts (`processes`).
    """
    global _everywhere
    install()
    rules = _Rules(read, write, processes)
    if everywhere:
        _everywhere = rules
    else:
        _threads[threading.get_ident()] = rules
    try:
        yield
    finally:
        _everywhere = None
        _threads.pop(threading.get_ident(), None)


SHARED_MEMORY = (
    "it used multiprocessing, whose locks and pools need memory that processes share (/dev/shm), and a step has none: use threads"
    " (concurrent.futures.ThreadPoolExecutor), or fan the step out with over="
)
_NAMED = re.compile(r"local file '([^']+)'|os error 2\)[^:]*: (\S+)|^(\S+)$")
_NO_MATCH = re.compile(r'No files found that match the pattern "([^"]+)"')
_QUOTED = re.compile(r"""['"`]?(/[^'"`\s:]+)""")


def refusal(error: BaseException) -> tuple[str, str] | None:
    """What an error says was not allowed, and what it names: "file", "import", "network", "program", "shared memory", or "missing": a file
    that is looked for in the step's own folder, and is not there. None for others."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        if isinstance(at, UndeclaredError):
            return _of_file(at.path) if at.what == "file" else (at.what, at.path)
        text = str(at)
        refused = isinstance(at, PermissionError) and (at.errno == errno.EACCES or at.filename is not None)
        if refused or "ermission denied" in text or "EACCES" in text:
            if _raised_in(at, "/multiprocessing/"):
                return "shared memory", ""
            path = getattr(at, "filename", None)
            match = _QUOTED.search(text)
            return _of_file(os.fsdecode(path) if path else match[1] if match else "a file")
        if (isinstance(at, OSError) and at.errno in (97, 101, 111, 113)) or "etwork is unreachable" in text:
            return "network", ""
        if at is error and (path := _sought(at)) and not os.path.isabs(path):
            return "missing", path
        if "nable to open database file" in text:
            return "file", "a database file"
        at = at.__cause__ or at.__context__
    return None


def _sought(error: BaseException) -> str:
    """The file that was not found: what Python notes, or what polars, pyarrow or duckdb say of it; "" where nothing tells."""
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    match = (_NAMED if isinstance(error, FileNotFoundError) else _NO_MATCH).search((str(error).splitlines() or [""])[0])
    return next(filter(None, match.groups())) if match else ""


def _raised_in(error: BaseException, package: str) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if package in trace.tb_frame.f_code.co_filename:
            return True
        trace = trace.tb_next
    return False


def _of_file(path: str) -> tuple[str, str]:
    return ("import" if path.endswith(".py") else "file"), path


def explain(what: str, path: str) -> str:
    """How to declare what `refusal` found, in one line."""
    if what == "network":
        named = f" ({path})" if path else ""
        return f"it used the network{named}; steps have none: fetch the data first and declare it with pl.source"
    if what == "program":
        return f"it started a program ({path}), which nothing would hold here: use `pellucid run`"
    if what == "shared memory":
        return SHARED_MEMORY
    if what == "import":
        return f"it imported {Path(path).stem} in a way that cannot be seen beforehand; import it by name at the top of its file"
    name = re.sub(r"\W", "_", Path(path).stem) or "data"
    declare = f"add {name} = pl.source({path!r}, label=...) to the pipeline and a parameter {name} to the step"
    if what == "missing":
        return f"{path} is not in its working folder, which is its own; to read one of your files, {declare}: it was looked for"
    return f"it used {path}, which it does not declare: {declare}; what it writes belongs in its working folder"
