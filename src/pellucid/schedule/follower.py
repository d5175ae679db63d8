"""Following the schedules while a service runs: a thread that looks, and few others that work."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

from pellucid.errors import PellucidError
from pellucid.schedule.due_work import work_on
from pellucid.schedule.schedules import Schedule, Schedules

SECONDS = 2.0  # between two looks
AT_ONCE = 2  # schedules worked for at once


class ScheduleFollower:
    """Does what is due in one state folder, until stopped. `trouble`: why the last look came to nothing, or ""; `looked`: when it was, in
    seconds since 1970, or None.

    Its threads end with the process, whatever they do: a command at work goes on by itself, and a firing that is cut short goes on with the
    next scheduler.
    """

    def __init__(self, home: Path) -> None:
        self.schedules = Schedules(home)
        self.trouble = ""
        self.looked: float | None = None
        self._stop = threading.Event()
        self._free = threading.Semaphore(AT_ONCE)
        self._at_work: dict[str, threading.Thread] = {}
        self._thread = threading.Thread(target=self._follow, name="follow-schedules", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def look(self) -> None:
        """Begin to work for each schedule that nobody works for here."""
        for schedule in self.schedules.all():
            before = self._at_work.get(schedule.name)
            if schedule.paused is None and (before is None or not before.is_alive()):
                thread = threading.Thread(target=self._work, args=(schedule,), name=f"schedule-{schedule.name}", daemon=True)
                self._at_work[schedule.name] = thread
                thread.start()
        self.looked = time.time()

    def _work(self, schedule: Schedule) -> None:
        with self._free:
            try:
                work_on(self.schedules, schedule)
            except (PellucidError, sqlite3.Error, OSError) as error:
                self.trouble = f"{schedule.name}: {error}"

    def _follow(self) -> None:
        while not self._stop.wait(SECONDS):
            try:
                self.trouble = ""
                self.look()
            except (PellucidError, sqlite3.Error, OSError) as error:  # a full disk, a locked state file: look again later
                self.trouble = str(error)
