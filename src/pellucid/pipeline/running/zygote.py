"""The zygote: a process that has everything imported and nothing used, and forks a confined worker for each task.

It is started with the determinism settings in its environment (a hash seed counts only from the start of a process), imports the
table libraries and the pipeline file, leaves the network, and then waits for tasks on a socket. A worker is a fork: it gives up all
files but its own by Landlock, does one task, and is gone. The task (with its key) and the outcome go by a socket between the main process
and that one worker: nothing private passes through the zygote, whose memory every later worker inherits.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import importlib
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from pellucid.errors import PellucidError
from pellucid.pipeline.declaration import Pipeline, source_code
from pellucid.pipeline.keys import blas
from pellucid.pipeline.running.messages import receive, receive_with_fds, send
from pellucid.pipeline.running.pipeline_file import LoadingInWorker
from pellucid.pipeline.running.task import Failure, Outcome, Task
from pellucid.sandbox import KernelWatch, guarded, install, landlock, seccomp

WARM = ("numpy", "numpy.random", "pyarrow", "pyarrow.parquet", "pyarrow.csv", "polars", "duckdb", "pellucid.data", "pellucid.store.kinds",
         "pellucid.pipeline.running.worker", "pellucid.pipeline.running.per_unit", "pellucid.store.table_partition")  # fmt: skip


def confinement(landlocked: int, network: bool, filtered: bool) -> str:
    """How workers are held, in the words of the record and the verdict."""
    cut = network or filtered  # without a namespace the filter refuses internet sockets
    calls = "; system call filter" if filtered else ""
    if not landlocked:
        return "audit hook" + ("; no network" if cut else "") + calls
    return (
        f"landlock {landlocked}"
        + ("; no network" if cut else "; no TCP" if landlocked >= 4 else "; network by audit hook")
        + calls
    )


class _Child:
    """A worker: a descriptor that tells when it has ended, and its time limit."""

    def __init__(self, pid: int, timeout: float | None) -> None:
        self.pid = pid
        self.end = os.pidfd_open(pid)
        self.deadline = time.monotonic() + timeout if timeout else None
        self.late = False


class Zygote:
    """The loop: fork a worker for each ticket, and say when it has ended. What a worker is given and gives does not pass through here."""

    def __init__(self, sock: socket.socket, pipeline: Pipeline | LoadingInWorker) -> None:
        self.sock, self.pipeline = sock, pipeline
        self.children: dict[int, _Child] = {}

    def serve(self) -> None:
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        ends: dict[int, int] = {}  # descriptor -> ticket
        while True:
            deadlines = [c.deadline for c in self.children.values() if c.deadline and not c.late]
            wait = max(0.0, min(deadlines) - time.monotonic()) * 1000 if deadlines else None
            for fd, _ in poll.poll(wait):
                if fd == self.sock.fileno():
                    message, fds = receive_with_fds(self.sock, 2)
                    if message is None:
                        for child in self.children.values():
                            _kill(child.pid)
                        return
                    ticket = message["ticket"]
                    self._fork(ticket, message["timeout"], message["modules"], message["texts"], fds)
                    ends[self.children[ticket].end] = ticket
                    poll.register(self.children[ticket].end, select.POLLIN)
                elif fd in ends:
                    poll.unregister(fd)
                    self._ended(ends.pop(fd))
            for child in self.children.values():
                if child.deadline and not child.late and time.monotonic() >= child.deadline:
                    child.late = True
                    _kill(child.pid)

    def _ended(self, ticket: int) -> None:
        child = self.children.pop(ticket)
        os.close(child.end)
        _kill(child.pid)  # and whatever it started
        _, status = os.waitpid(child.pid, 0)
        signalled = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else ""
        send(self.sock, {"ticket": ticket, "late": child.late, "signal": signalled})

    def _fork(self, ticket: int, timeout: float | None, modules: list[str], texts: dict[str, str], fds: list[int]) -> None:
        pid = os.fork()
        if pid:
            for fd in fds:
                os.close(fd)
            self.children[ticket] = _Child(pid, timeout)
            return
        try:  # nothing of the parent may run on in the child, whatever happens
            self.sock.close()
            for child in self.children.values():
                os.close(child.end)
            work(self.pipeline, modules, texts, *fds)
        finally:
            os._exit(0)


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def work(pipeline: Pipeline | LoadingInWorker, modules: list[str], texts: dict[str, str], connection: int, log: int) -> None:
    """In the worker: preload the step's own modules, take the task from `connection`, confine, perform, send what came of it."""
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: die with the zygote
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.set_inheritable(connection, False)
    sock = socket.socket(fileno=connection)
    try:
        told = receive(sock)
        if told is None:
            return
        task = Task.from_json(told)
        del told
        if isinstance(pipeline, LoadingInWorker):
            pipeline = pipeline.load(task, texts)
        for name in modules:
            with suppress(Exception):  # one that a step guards against (`try: import fast`), or never comes to
                importlib.import_module(name)
        sys.path[:] = [path for path in sys.path if not source_code.is_project_file(str(Path(path or ".", "x.py")))]
        scratch = Path(task.scratch)
        folder = scratch / "work"
        folder.mkdir()
        os.chdir(folder)
        os.environ.update(TMPDIR=str(folder), HOME=str(folder))
        if task.threads > 1:
            _allow_threads(task.threads)
        if landlock.abi():
            landlock.restrict(task.read, [str(scratch)])
        from pellucid.pipeline.running.worker import perform

        guard = guarded(task.read, [str(scratch)], everywhere=True, processes=landlock.abi() > 0)
        outcome = perform(pipeline.steps[task.name], task, guard)
    except BaseException as error:  # noqa: BLE001 - the main process must hear of whatever it was
        said = f"its worker could not be set up ({type(error).__name__})"
        outcome = Outcome(failure=Failure(type(error).__name__, str(error), "", said))
    sys.stdout.flush()
    sys.stderr.flush()
    send(sock, outcome.to_json())


def _allow_threads(threads: int) -> None:
    from threadpoolctl import threadpool_limits

    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "LOKY_MAX_CPU_COUNT")
    os.environ.update(dict.fromkeys(names, str(threads)))
    threadpool_limits(threads)


def main() -> None:
    """Entry of the zygote process: `python -m pellucid.pipeline.running.zygote FD`."""
    run(socket.socket(fileno=int(sys.argv[1])))


def run(sock: socket.socket) -> NoReturn:
    """Be the zygote at this socket until the other side closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(ConnectionError):  # whoever started us has gone: nobody is left to tell
        _serve(sock)
    os._exit(0)  # nothing is left to do, and some libraries are noisy when an interpreter ends


def _serve(sock: socket.socket) -> None:
    hello = receive(sock)
    if hello is None:
        return
    try:
        from pellucid.pipeline.running.pipeline_file import load

        network = landlock.leave_network()  # before any library starts a thread: then only root would be allowed to
        for name in WARM:
            importlib.import_module(name)
        # what the file reads from the environment while it loads is part of keys as a value, and is all that came of the user's
        bare = dict(os.environ)
        os.environ.update({name: value for name, value in hello["environment"].items() if name not in bare})
        pipeline: Pipeline | LoadingInWorker
        read: list[str] = []
        if hello["in_worker"]:
            pipeline = LoadingInWorker(
                Path(hello["file"]), hello["settings"], hello["environment"], frozenset(hello["private"]), tuple(hello["opened"])
            )
        else:
            watch, warm = KernelWatch(hello["private"]), len(os.listdir("/proc/self/task"))
            pipeline = load(Path(hello["file"]), lambda: read.extend(watch.opened())).with_settings(hello["settings"])
            if len(os.listdir("/proc/self/task")) > warm and not read:
                send(sock, {"threads": True})
                return
        for name in os.environ.keys() - bare.keys():
            del os.environ[name]
    except PellucidError as error:
        send(sock, {"error": str(error)})
        return
    importlib.util.find_spec("_pellucid_fills_the_import_caches")
    install()
    landlock.environment_paths()
    held = confinement(landlock.abi(), network, seccomp.install(inet=network))
    held_blas = blas()
    sys.modules["threadpoolctl"].__dict__["_HAS_PROCFS"] = False  # it finds the libraries another way: a worker has no /proc
    gc.collect()
    gc.freeze()
    texts = {name: hashlib.sha256(Path(file).read_bytes()).hexdigest() for name, file in _project_modules()}
    send(sock, {"held": held, "loaded": texts, "blas": held_blas, "read": read})
    Zygote(sock, pipeline).serve()


def _project_modules() -> list[tuple[str, str]]:
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return [(name, file) for name, file in sorted(files.items()) if file and source_code.is_project_module(name, file)]


if __name__ == "__main__":
    main()
