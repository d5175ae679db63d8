"""Watching a canary: how its answers compare with those of the model that stands there, and when to end it.

Counts only: how many were asked, failed, had nothing to say, and how long they took. Who asks what is not looked at: each request is given
to one of the two by a coin of its own.
"""

from __future__ import annotations

import secrets
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Full, Queue
from typing import Any, TypeVar

from pellucid.registry import Canary

T = TypeVar("T")
ENOUGH = 20  # answers of the canary before it is judged
FAILING = 0.05  # share of failures by which it may be worse
SILENT = 0.2  # share of empty answers by which it may be worse
SLOWER, SLACK = 3.0, 0.05  # times the present model's median, and seconds
GRACE = 20.0  # seconds after its window in which a service that has asked it little says nothing
WAITING = 16  # questions to a shadow that wait; more are dropped


@dataclass
class CanaryCounts:
    """What came of the questions to one model."""

    asked: int = 0
    failed: int = 0
    silent: int = 0
    times: deque[float] = field(default_factory=lambda: deque(maxlen=500))

    def add(self, seconds: float, *, failed: bool = False, silent: bool = False) -> None:
        self.asked, self.failed, self.silent = self.asked + 1, self.failed + failed, self.silent + silent
        self.times.append(seconds)

    def share(self, count: int) -> float:
        return count / self.asked if self.asked else 0.0


class CanaryWatch:
    """An open canary at work: `served` answers for it. `verdict` says how it is to end, once that is plain."""

    def __init__(self, canary: Canary, served: Any) -> None:
        self.canary, self.served = canary, served
        self.mine, self.present = CanaryCounts(), CanaryCounts()
        self._lock = threading.Lock()
        self._questions: Queue[Callable[[Any], tuple[Any, bool]] | None] = Queue(WAITING)
        if not canary.share:
            threading.Thread(target=self._shadow, name=f"shadow-{canary.number}", daemon=True).start()

    def ask(self, present: Any, question: Callable[[Any], tuple[T, bool]]) -> T:
        """The answer of one of the two; `question` gives it with whether it is empty. Where the canary fails, the present model answers."""
        if self.canary.share and secrets.randbelow(1_000_000) < self.canary.share * 1_000_000:
            begun = time.perf_counter()
            try:
                answer, silent = question(self.served)
            except Exception:  # noqa: BLE001 - whatever it is, nobody who asks is to meet it
                answer, _ = question(present)  # a question that nobody can answer raises here, and counts for neither
                self._add(self.mine, begun, failed=True)
                return answer
            self._add(self.mine, begun, silent=silent)
            return answer
        begun = time.perf_counter()
        answer, silent = question(present)
        self._add(self.present, begun, silent=silent)
        if not self.canary.share:
            with suppress(Full):  # it is slower than what it is asked: that shows in its times
                self._questions.put_nowait(question)
        return answer

    def verdict(self, now: float) -> tuple[str, str] | None:
        """How it ends and why; None while it is to go on."""
        with self._lock:
            if self.mine.asked >= ENOUGH and (worse := self._worse()):
                return "rolled back", worse
            if now < self.canary.ends:
                return None
            if not self.canary.share:
                return (
                    "ended",
                    f"asked {self.mine.asked} times beside the present model: {self.mine.failed} failed, {self.mine.silent} empty",
                )
            if self.mine.asked < ENOUGH:
                if now < self.canary.ends + GRACE:
                    return None  # another service of this state folder may have asked it more
                return "rolled back", f"too few answers to tell: {self.mine.asked}, {ENOUGH} are needed"
            return "promoted", f"stood {self.mine.asked} questions as a canary"

    def _worse(self) -> str:
        mine, present = self.mine, self.present
        if mine.share(mine.failed) > present.share(present.failed) + FAILING:
            return f"{mine.failed} of {mine.asked} answers failed"
        if mine.share(mine.silent) > present.share(present.silent) + SILENT:
            return f"{mine.silent} of {mine.asked} answers were empty, of the present model {present.silent} of {present.asked}"
        if present.times and statistics.median(mine.times) > SLOWER * statistics.median(present.times) + SLACK:
            mine_ms, present_ms = (statistics.median(one.times) * 1000 for one in (mine, present))
            return f"{mine_ms:.0f} ms an answer, the present model {present_ms:.0f} ms"
        return ""

    def stop(self) -> None:
        """Ask it no more."""
        with suppress(Full):
            self._questions.put_nowait(None)

    def _add(self, tally: CanaryCounts, begun: float, **outcome: bool) -> None:
        with self._lock:
            tally.add(time.perf_counter() - begun, **outcome)

    def _shadow(self) -> None:
        while (question := self._questions.get()) is not None:
            begun = time.perf_counter()
            try:
                _, silent = question(self.served)
                self._add(self.mine, begun, silent=silent)
            except Exception:  # noqa: BLE001 - its failures are what is looked for
                self._add(self.mine, begun, failed=True)
