"""Workers: a zygote forks a confined process for each task, and that process talks to this one alone."""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.pipeline.keys import DETERMINISM, Closure
from pellucid.pipeline.running.executors import LOG_LIMIT
from pellucid.pipeline.running.messages import Inbox, receive, send
from pellucid.pipeline.running.pipeline_file import read_while_loading
from pellucid.pipeline.running.task import Failure, Outcome, Task

ATTEMPTS = 3  # how often a private file must be seen to be read while the pipeline file loads
_KEPT = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PELLUCID_LOCK", "OPENBLAS_CORETYPE", "VIRTUAL_ENV")


@dataclass
class _Out:
    """A task that is out: its time limit, this side's end of the worker's socket, its log, and when it began."""

    timeout: float | None
    inbox: Inbox
    log: int
    started: float
    told: int = 0  # bytes of the log that `printed` gave


class _Fork:
    """A zygote that is a fork of this process. Only its socket and what it prints are left to it."""

    def __init__(self, mine: socket.socket, theirs: socket.socket, environment: Mapping[str, str]) -> None:
        from pellucid.pipeline.running import zygote

        self.pid = os.fork()
        if not self.pid:
            try:
                mine.close()
                os.setsid()
                os.environ.clear()
                os.environ.update(environment)
                zygote.run(theirs)
            finally:
                os._exit(1)
        self._end = os.pidfd_open(self.pid)

    def wait(self, timeout: float | None = None) -> None:
        if not select.select([self._end], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("zygote", timeout or 0.0)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Workers:
    """A zygote with up to `slots` workers at once. Started with the first task, so that a run with nothing to do starts none.

    `environment` holds what the pipeline file reads of the user's environment while it loads; nothing else of it reaches a step. `private`
    are the files of sources that are not open: one that is read while the file loads ends the run. `opened` are the files it opens then.
    With `forked` the zygote is a fork of this process, which has the libraries already and has not loaded the file: call `ready` before.
    """

    def __init__(
        self,
        file: Path,
        settings: Mapping[str, Any],
        *,
        slots: int,
        hash_seed: str = "0",
        environment: Mapping[str, str] | None = None,
        private: Iterable[Path] = (),
        opened: Iterable[str] = (),
        forked: bool = False,
    ) -> None:
        self.slots, self.hash_seed = max(1, slots), hash_seed
        try:
            json.dumps(dict(settings))
        except TypeError as error:
            raise UsageError(
                "a setting cannot be handed to workers", why=str(error), fix="Give it as text, or plain data"
            ) from error
        self._file, self._settings, self._environment = file, dict(settings), dict(environment or {})
        self._private, self._opened = [str(path) for path in private], sorted(opened)
        self._in_worker = False  # whether each worker loads the file, since loading it starts threads
        self._process: subprocess.Popen[bytes] | _Fork | None = None
        self._forked = forked
        self._sock: socket.socket | None = None
        self._held = ""
        self._attempt = 1
        self._loaded: dict[str, str] = {}
        self._out: dict[int, _Out] = {}
        self._left: list[tuple[int, str]] = []  # what tasks that have ended printed last
        self.blas: list[dict[str, Any]] = []

    def start(self) -> None:
        """Begin warming up the zygote, without waiting for it."""
        if self._process is not None:
            return
        mine, theirs = socket.socketpair()
        settings = {**DETERMINISM, "PYTHONHASHSEED": self.hash_seed, "PYTHONDONTWRITEBYTECODE": "1"}
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | settings
        if self._forked:
            self._process = _Fork(mine, theirs, environment)
        else:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pellucid.pipeline.running.zygote", str(theirs.fileno())],
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # the pipeline file has said what it says when the command loaded it
                start_new_session=True,
            )
        theirs.close()
        self._sock = mine
        try:
            send(
                mine,
                {
                    "file": str(self._file),
                    "settings": self._settings,
                    "environment": self._environment,
                    "private": self._private,
                    "opened": self._opened,
                    "in_worker": self._in_worker,
                },
            )
        except TypeError as error:
            fix = "Give numbers, text, lists and dictionaries, or set it in the file"
            raise UsageError("a setting cannot be handed to workers", where=str(self._file), why=str(error), fix=fix) from error

    def ready(self) -> socket.socket:
        """The socket of a zygote that has loaded the file. Raises UsageError where it cannot."""
        self.start()
        assert self._sock is not None
        if not self._held:
            hello = receive(self._sock)
            if hello is None or "error" in hello:
                why = hello["error"] if hello else "its process ended at once"
                raise UsageError("the workers could not be started", where=str(self._file), why=why)
            if "threads" in hello:
                self._in_worker = True
                self._again()
                return self.ready()
            if hello["read"] and self._attempt < ATTEMPTS:  # it may have been somebody else, such as a backup: look again
                self._again()
                return self.ready()
            if hello["read"]:
                raise read_while_loading(hello["read"][0], str(self._file))
            self._held, self._loaded, self.blas = hello["held"], hello["loaded"], hello["blas"]
        return self._sock

    def _again(self) -> None:
        """Start another zygote in place of this one."""
        self.close()
        self._process = self._sock = None
        self._attempt += 1

    def submit(self, ticket: int, task: Task, closure: Closure) -> None:
        sock = self.ready()
        texts = {}
        for name, path in closure.modules:
            module = f"_pellucid_file_{name}" if path == self._file else name
            texts[module] = hashlib.sha256(path.read_bytes()).hexdigest()
            if self._loaded.get(module, texts[module]) != texts[module]:
                raise UsageError(f"{path.name} was changed while the run was under way", where=str(path), fix="Run again")
        modules = [name for name, path in closure.modules if path != self._file]
        mine, theirs = socket.socketpair()
        log = _log(Path(task.scratch).parent)
        try:
            send(sock, {"ticket": ticket, "timeout": task.timeout, "modules": modules, "texts": texts}, [theirs.fileno(), log])
        finally:
            theirs.close()
        with suppress(OSError):  # it has died already, which `wait` will find
            send(mine, task.to_json())  # the key of a release is in it
        self._out[ticket] = _Out(task.timeout, Inbox(mine), log, time.monotonic())

    def wait(self, timeout: float | None = None) -> tuple[int, Outcome] | None:
        assert self._sock is not None
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            inboxes: list[Any] = [out.inbox for out in self._out.values() if out.inbox.open]
            left = None if until is None else max(0.0, until - time.monotonic())
            ready = select.select([self._sock, *inboxes], [], [], left)[0]
            if not ready:
                return None
            for inbox in inboxes:
                if inbox in ready:
                    inbox.drain()
            if self._sock in ready:
                break
        message = receive(self._sock)
        if message is None:
            ticket = next(iter(self._out))
            said = "the process that starts its workers ended (out of memory?)"
            return ticket, self._ended(ticket, Failure("Died", said, "", said, retry=False, by_runner=True))
        return message["ticket"], self._ended(message["ticket"], _died(message, self._out[message["ticket"]].timeout))

    def printed(self) -> list[tuple[int, str]]:
        found, self._left = self._left, []
        for ticket, out in self._out.items():
            found += _unread(ticket, out, whole_lines=True)
        return found

    def _ended(self, ticket: int, otherwise: Failure) -> Outcome:
        """What came of a task: what its worker sent, unless it was ended or sent nothing that is an outcome."""
        out = self._out.pop(ticket)
        out.inbox.drain()
        self._left += _unread(ticket, out)
        outcome = Outcome(failure=otherwise)
        if otherwise.type != "TimedOut":
            with suppress(ValueError):
                outcome = Outcome.from_json(out.inbox.message())
        log = read_log(out.log)
        out.inbox.sock.close()
        os.close(out.log)
        return replace(outcome, log=log, seconds=time.monotonic() - out.started, confined=self._held)

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
        if self._process is not None:
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for out in self._out.values():
            out.inbox.sock.close()
            os.close(out.log)
        self._out.clear()


def _died(message: Mapping[str, Any], timeout: float | None) -> Failure:
    """The failure of a worker that ended without a result: by its timeout, by a signal, or on its own."""
    if message["late"] and timeout is not None:
        said = f"it took longer than its timeout of {timeout:g} s"
        return Failure("TimedOut", said, "", said, by_runner=True)
    name = str(message["signal"])
    said = f"its process was killed by {name}" if name else "its process ended without a result"
    said += " (out of memory?)" if name == "SIGKILL" else ""
    return Failure("Died", said, "", said, reason="died")


def _log(folder: Path) -> int:
    """A file without a name, for what a worker prints: no link can be put in its place."""
    with tempfile.TemporaryFile(dir=folder) as file:
        handle = os.dup(file.fileno())
    os.set_blocking(handle, True)
    return handle


def _unread(ticket: int, out: _Out, *, whole_lines: bool = False) -> list[tuple[int, str]]:
    """What came into a log since it was last read, at most `LOG_LIMIT` bytes of it."""
    held = os.pread(out.log, LOG_LIMIT, out.told)
    if whole_lines and len(held) < LOG_LIMIT:
        held = held[: held.rfind(b"\n") + 1]
    out.told += len(held)
    return [(ticket, held.decode(errors="replace"))] if held else []


def read_log(handle: int) -> str:
    """What a worker printed, its end when it is long."""
    size = os.fstat(handle).st_size
    start = max(0, size - LOG_LIMIT)
    text = os.pread(handle, LOG_LIMIT, start).decode(errors="replace")
    return text if not start else f"[the first {start} bytes are left out]\n{text}"
