"""Executors: where tasks run. `InProcess` calls them here, one by one; worker_pool has those that run in workers."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from pellucid.errors import LabelError
from pellucid.pipeline.declaration import Pipeline
from pellucid.pipeline.keys import Closure
from pellucid.pipeline.running.task import Failure, Outcome, Task

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

    def printed(self) -> list[tuple[int, str]]:
        """What tasks that are out have printed since this was last asked, by their tickets."""
        ...

    def close(self) -> None: ...


class InProcess:
    """Runs a task in this process, guarded by the audit hook, as soon as it is submitted. Its steps share memory, and native code is not
    held: so it takes a pipeline only where everything is open. Raises LabelError for any other."""

    slots = 1

    def __init__(self, pipeline: Pipeline) -> None:
        if not pipeline.is_open:
            raise LabelError(
                f'pipeline "{pipeline.name}" has steps that are not open, which do not run in the process of their caller',
                why="steps in one process share memory, so an open step could give what a private one left there",
                fix="Run it in workers: pellucid run FILE",
            )
        self.pipeline = pipeline
        self.hash_seed = os.environ.get("PYTHONHASHSEED") or "random"
        self._done: list[tuple[int, Outcome]] = []

    def submit(self, ticket: int, task: Task, closure: Closure) -> None:
        from pellucid.pipeline.running.worker import perform
        from pellucid.sandbox import guarded

        printed, outcome = io.StringIO(), Outcome()
        importlib.util.find_spec("_pellucid_fills_the_import_caches")  # or the next import lists the project's folder, undeclared
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

    def printed(self) -> list[tuple[int, str]]:
        """Nothing: a task has ended before anybody can ask."""
        return []

    @property
    def blas(self) -> list[dict[str, Any]]:
        from pellucid.pipeline.keys import blas

        return blas() if "numpy" in sys.modules else []

    def close(self) -> None:
        """Nothing to tidy."""


class _Timed:
    """Whether a block ran out of time, and where it was then."""

    late, trace = False, ""


@contextlib.contextmanager
def _alarm(seconds: float | None) -> Iterator[_Timed]:
    """Leave the block after `seconds` (main thread only: elsewhere Python cannot). Another's timer goes on afterwards."""
    from pellucid.pipeline.running.worker import TimedOut

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
    """BLAS and scikit-learn with the declared number of threads, as in a worker. BLAS has none to set while numpy is not loaded."""
    name = "LOKY_MAX_CPU_COUNT"  # else scikit-learn counts the cores by starting `lscpu`, which a step may not, and warns
    before = os.environ.get(name)
    os.environ[name] = str(threads)
    try:
        if "numpy" not in sys.modules:
            yield
            return
        from threadpoolctl import threadpool_limits

        with threadpool_limits(threads):
            yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
