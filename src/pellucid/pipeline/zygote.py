"""The zygote: a process that has everything imported and nothing used, and forks a confined worker for each task.

It is started with the determinism settings in its environment (a hash seed counts only from the start of a process), imports the
table libraries and the pipeline file, leaves the network, and then waits for tasks on a socket. A worker is a fork: it gives up all
files but its own by Landlock, does one task, sends the outcome through a pipe, and is gone. Messages are length-prefixed JSON.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import importlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError
from pellucid.pipeline import landlock, sources
from pellucid.pipeline.environment import blas
from pellucid.pipeline.graph import Pipeline
from pellucid.pipeline.guard import guarded, install
from pellucid.pipeline.task import Failure, Outcome, Task

WARM = ("numpy", "numpy.random", "pyarrow", "pyarrow.parquet", "pyarrow.csv", "polars", "duckdb", "pellucid.data", "pellucid.store.kinds",
         "pellucid.pipeline.worker", "pellucid.pipeline.per_unit", "pellucid.pipeline.partition")  # fmt: skip


def send(sock: socket.socket, message: Any) -> None:
    """One message: its length, then its JSON."""
    body = json.dumps(message).encode()
    sock.sendall(struct.pack("<I", len(body)) + body)


def receive(sock: socket.socket) -> Any | None:
    """The next message; None when the other side has gone."""
    head = _exactly(sock, 4)
    body = _exactly(sock, struct.unpack("<I", head)[0]) if head else None
    return json.loads(body) if body is not None else None


def _exactly(sock: socket.socket, size: int) -> bytes | None:
    parts, left = [], size
    while left:
        part = sock.recv(min(left, 1 << 20))
        if not part:
            return None
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def confinement(landlocked: int, network: bool) -> str:
    """How workers are held, in the words of the record and the verdict."""
    if not landlocked:
        return "audit hook" + ("; no network" if network else "")
    return f"landlock {landlocked}" + (
        "; no network" if network else "; no TCP" if landlocked >= 4 else "; network by audit hook"
    )


class _Child:
    """A worker: the pipe its outcome comes through, and `end`, a descriptor that tells when it has ended. What a step leaves running
    may hold the pipe open, so the end of the worker counts, not that of the pipe."""

    def __init__(self, pid: int, pipe: int, timeout: float | None) -> None:
        self.pid, self.pipe, self.body = pid, pipe, bytearray()
        self.end = os.pidfd_open(pid)
        self.timeout = timeout
        self.deadline = time.monotonic() + timeout if timeout else None
        self.late = False
        os.set_blocking(pipe, False)

    def drain(self) -> bool:
        """Read what there is; whether more may come."""
        while True:
            try:
                part = os.read(self.pipe, 1 << 20)
            except BlockingIOError:
                return True
            if not part:
                return False
            self.body += part


class Zygote:
    """The loop: take tasks, fork, pass outcomes on."""

    def __init__(self, sock: socket.socket, pipeline: Pipeline, held: str) -> None:
        self.sock, self.pipeline, self.held = sock, pipeline, held
        self.children: dict[int, _Child] = {}

    def serve(self) -> None:
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        watched: dict[int, tuple[int, bool]] = {}  # descriptor -> (ticket, whether it tells the end)
        while True:
            deadlines = [c.deadline for c in self.children.values() if c.deadline and not c.late]
            wait = max(0.0, min(deadlines) - time.monotonic()) * 1000 if deadlines else None
            for fd, _ in poll.poll(wait):
                if fd == self.sock.fileno():
                    message = receive(self.sock)
                    if message is None:
                        for child in self.children.values():
                            _kill(child.pid)
                        return
                    ticket = message["ticket"]
                    self._fork(ticket, Task.from_json(message["task"]), message["modules"])
                    for each, ends in ((self.children[ticket].pipe, False), (self.children[ticket].end, True)):
                        poll.register(each, select.POLLIN)
                        watched[each] = (ticket, ends)
                    continue
                if fd not in watched:
                    continue
                ticket, ends = watched[fd]
                child = self.children[ticket]
                if ends:
                    child.drain()
                    for each in (child.pipe, child.end):
                        if watched.pop(each, None):
                            poll.unregister(each)
                    self._ended(ticket)
                elif not child.drain():
                    poll.unregister(fd)
                    del watched[fd]
            for child in self.children.values():
                if child.deadline and not child.late and time.monotonic() >= child.deadline:
                    child.late = True
                    _kill(child.pid)

    def _ended(self, ticket: int) -> None:
        child = self.children.pop(ticket)
        os.close(child.pipe)
        os.close(child.end)
        _kill(child.pid)  # and whatever it started
        _, status = os.waitpid(child.pid, 0)
        try:
            outcome = json.loads(child.body.decode())
        except ValueError:
            outcome = _died(status, child.timeout if child.late else None).to_json()
        send(self.sock, {"ticket": ticket, "outcome": outcome})

    def _fork(self, ticket: int, task: Task, modules: list[str]) -> None:
        readable, writable = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writable)
            self.children[ticket] = _Child(pid, readable, task.timeout)
            return
        try:  # nothing of the parent may run on in the child, whatever happens
            os.close(readable)
            self.sock.close()
            for child in self.children.values():
                os.close(child.pipe)
                os.close(child.end)
            outcome = _work(self.pipeline, task, modules, self.held)
            body = json.dumps(outcome.to_json()).encode()
            while body:
                body = body[os.write(writable, body) :]
        finally:
            os._exit(0)


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _died(status: int, timeout: float | None) -> Outcome:
    if timeout is not None:
        said = f"it took longer than its timeout of {timeout:g} s"
    elif os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        said = f"its process was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    else:
        said = f"its process ended with status {os.waitstatus_to_exitcode(status)} and no result"
    return Outcome(failure=Failure("Died", said, "", said))


def _work(pipeline: Pipeline, task: Task, modules: list[str], held: str) -> Outcome:
    """In the forked child: preload the step's own modules, confine, perform."""
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: die with the zygote
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    scratch = Path(task.scratch)
    log = os.open(scratch / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        for name in modules:
            with suppress(Exception):  # one that a step guards against (`try: import fast`), or never comes to
                importlib.import_module(name)
        sys.path[:] = [path for path in sys.path if not sources.is_project_file(str(Path(path or ".", "x.py")))]
        work = scratch / "work"
        work.mkdir()
        os.chdir(work)
        os.environ.update(TMPDIR=str(work), HOME=str(work))
        if task.threads > 1:
            _allow_threads(task.threads)
        if landlock.abi():
            landlock.restrict(task.read, [str(scratch)])
        from pellucid.pipeline.worker import perform

        guard = guarded(task.read, [str(scratch)], everywhere=True, processes=landlock.abi() > 0)
        outcome = perform(pipeline.steps[task.name], task, guard)
    except BaseException as error:  # noqa: BLE001 - the parent must hear of whatever it was
        said = f"its worker could not be set up ({type(error).__name__})"
        outcome = Outcome(failure=Failure(type(error).__name__, str(error), "", said))
    sys.stdout.flush()
    sys.stderr.flush()
    return replace(outcome, confined=held)


def _allow_threads(threads: int) -> None:
    from threadpoolctl import threadpool_limits

    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), str(threads)))
    threadpool_limits(threads)


def main() -> None:
    """Entry of the zygote process: `python -m pellucid.pipeline.zygote FD`."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(ConnectionError):  # whoever started us has gone: nobody is left to tell
        _serve(sock)
    os._exit(0)  # nothing is left to do, and some libraries are noisy when an interpreter ends


def _serve(sock: socket.socket) -> None:
    hello = receive(sock)
    if hello is None:
        return
    try:
        from pellucid.pipeline.load import load

        network = landlock.leave_network()  # before any library starts a thread: then only root would be allowed to
        for name in WARM:
            importlib.import_module(name)
        # what the file reads from the environment while it loads is part of keys as a value; steps see a bare environment
        bare = dict(os.environ)
        os.environ.update({name: value for name, value in hello["environment"].items() if name not in bare})
        pipeline = load(Path(hello["file"])).with_settings(hello["settings"])
        for name in os.environ.keys() - bare.keys():
            del os.environ[name]
    except PellucidError as error:
        send(sock, {"error": str(error)})
        return
    importlib.util.find_spec("_pellucid_fills_the_import_caches")
    install()
    landlock.environment_paths()
    held = confinement(landlock.abi(), network)
    gc.collect()
    gc.freeze()
    texts = {name: hashlib.sha256(Path(file).read_bytes()).hexdigest() for name, file in _project_modules()}
    send(sock, {"held": held, "loaded": texts, "blas": blas()})
    Zygote(sock, pipeline, held).serve()


def _project_modules() -> list[tuple[str, str]]:
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return [(name, file) for name, file in sorted(files.items()) if file and sources.is_project_file(file)]


if __name__ == "__main__":
    main()
