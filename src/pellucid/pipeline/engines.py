"""Engines: where tasks run. `InProcess` calls them here, one by one; `Workers` has a zygote fork a confined worker for each."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from pellucid.errors import UsageError
from pellucid.pipeline import zygote
from pellucid.pipeline.closure import Closure
from pellucid.pipeline.environment import DETERMINISM
from pellucid.pipeline.graph import Pipeline
from pellucid.pipeline.task import Failure, Outcome, Task

LOG_LIMIT = 256 * 1024


class Engine(Protocol):
    """Where tasks run. `wait` gives the next outcome with its ticket, or None when `timeout` seconds went by without one."""

    slots: int
    hash_seed: str

    @property
    def blas(self) -> list[dict[str, Any]]:
        """The libraries steps compute with, known once one has run."""
        ...

    def submit(self, ticket: int, task: Task, closure: Closure) -> None: ...
    def wait(self, timeout: float | None = None) -> tuple[int, Outcome] | None: ...
    def close(self) -> None: ...


def read_log(scratch: Path) -> str:
    """What a worker printed, its end when it is long."""
    try:
        with open(scratch / "log", "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LOG_LIMIT))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return text if size <= LOG_LIMIT else f"[the first {size - LOG_LIMIT} bytes are left out]\n{text}"


class InProcess:
    """Runs a task in this process, guarded by the audit hook, as soon as it is submitted."""

    slots = 1

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.hash_seed = os.environ.get("PYTHONHASHSEED") or "random"
        self._done: list[tuple[int, Outcome]] = []

    def submit(self, ticket: int, task: Task, closure: Closure) -> None:
        from pellucid.pipeline.guard import guarded
        from pellucid.pipeline.worker import perform

        printed, outcome = io.StringIO(), Outcome()
        with (
            _single_threaded(task.threads),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            _alarm(task.timeout) as timed,
        ):
            outcome = perform(self.pipeline.steps[task.name], task, guarded(task.read, [task.scratch]))
        if timed.late:
            said = f"it took longer than its timeout of {task.timeout:g} s"
            outcome = Outcome(failure=Failure("TimedOut", said, timed.trace, said), seconds=task.timeout or 0.0)
        log = printed.getvalue()[-LOG_LIMIT:]
        self._done.append((ticket, replace(outcome, log=log, confined="audit hook, in process")))

    def wait(self, timeout: float | None = None) -> tuple[int, Outcome] | None:
        if not self._done and timeout is not None:
            time.sleep(timeout)
        return self._done.pop(0) if self._done else None

    @property
    def blas(self) -> list[dict[str, Any]]:
        from pellucid.pipeline.environment import blas

        return blas() if "numpy" in sys.modules else []

    def close(self) -> None:
        """Nothing to tidy."""


class _Timed:
    """Whether a block ran out of time, and where it was then."""

    late, trace = False, ""


@contextlib.contextmanager
def _alarm(seconds: float | None) -> Iterator[_Timed]:
    """Leave the block after `seconds` (main thread only: elsewhere Python cannot). Another's timer goes on afterwards."""
    from pellucid.pipeline.worker import TimedOut

    timed = _Timed()
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield timed
        return

    def ring(*_: Any) -> None:
        raise TimedOut(f"longer than {seconds:g} s")

    started = time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)  # before the handler changes: another's timer must not ring ours
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield timed
    except TimedOut as error:
        timed.late, timed.trace = True, "".join(traceback.format_exception(error))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - started)), interval)


@contextlib.contextmanager
def _single_threaded(threads: int) -> Iterator[None]:
    """BLAS with the declared number of threads, as in a worker. Nothing to do while numpy is not loaded."""
    if "numpy" not in sys.modules:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        yield


class Workers:
    """A zygote with up to `slots` workers at once. Started with the first task, so that a run with nothing to do starts none."""

    def __init__(self, file: Path, settings: Mapping[str, Any], *, slots: int, hash_seed: str = "0") -> None:
        self.slots, self.hash_seed = max(1, slots), hash_seed
        try:
            json.dumps(dict(settings))
        except TypeError as error:
            raise UsageError(
                "a setting cannot be handed to workers", why=str(error), fix="Give it as text, or plain data"
            ) from error
        self._file, self._settings = file, dict(settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._held = ""
        self._loaded: dict[str, str] = {}
        self._scratch: dict[int, Path] = {}
        self.blas: list[dict[str, Any]] = []

    def start(self) -> None:
        """Begin warming up the zygote, without waiting for it."""
        if self._process is not None:
            return
        mine, theirs = socket.socketpair()
        settings = {**DETERMINISM, "PYTHONHASHSEED": self.hash_seed, "PYTHONDONTWRITEBYTECODE": "1"}
        keep = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PELLUCID_LOCK", "OPENBLAS_CORETYPE", "VIRTUAL_ENV")
        environment = {name: os.environ[name] for name in keep if name in os.environ} | settings
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pellucid.pipeline.zygote", str(theirs.fileno())],
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the pipeline file has said what it says when the command loaded it
            start_new_session=True,
        )
        theirs.close()
        self._sock = mine
        try:
            zygote.send(mine, {"file": str(self._file), "settings": self._settings, "environment": dict(os.environ)})
        except TypeError as error:
            fix = "Give numbers, text, lists and dictionaries, or set it in the file"
            raise UsageError("a setting cannot be handed to workers", where=str(self._file), why=str(error), fix=fix) from error

    def _ready(self) -> socket.socket:
        self.start()
        assert self._sock is not None
        if not self._held:
            hello = zygote.receive(self._sock)
            if hello is None or "error" in hello:
                why = hello["error"] if hello else "its process ended at once"
                raise UsageError("the workers could not be started", where=str(self._file), why=why)
            self._held, self._loaded, self.blas = hello["held"], hello["loaded"], hello["blas"]
        return self._sock

    def submit(self, ticket: int, task: Task, closure: Closure) -> None:
        sock = self._ready()
        for name, path in closure.modules:
            module = f"_pellucid_file_{name}" if path == self._file else name
            text = hashlib.sha256(path.read_bytes()).hexdigest()
            if self._loaded.get(module, text) != text:
                raise UsageError(f"{path.name} was changed while the run was under way", where=str(path), fix="Run again")
        modules = [name for name, path in closure.modules if path != self._file]
        self._scratch[ticket] = Path(task.scratch)
        zygote.send(sock, {"ticket": ticket, "task": task.to_json(), "modules": modules})

    def wait(self, timeout: float | None = None) -> tuple[int, Outcome] | None:
        assert self._sock is not None
        if timeout is not None and not select.select([self._sock], [], [], timeout)[0]:
            return None
        message = zygote.receive(self._sock)
        if message is None:
            ticket = next(iter(self._scratch))
            log = read_log(self._scratch.pop(ticket))
            said = "the process that starts its workers ended (out of memory?)"
            return ticket, Outcome(failure=Failure("Died", said, "", said, retry=False), log=log)
        ticket = message["ticket"]
        log = read_log(self._scratch.pop(ticket))
        return ticket, replace(Outcome.from_json(message["outcome"]), log=log)

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
        if self._process is not None:
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
