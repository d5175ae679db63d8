"""What running steps print, as it comes: a file of a run beside its lock, gone when the run ends.

It is as private as its steps: each line says which step printed it, and whether it is open. Whoever shows it asks that first.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

MOST = 16 << 20  # bytes kept of one run; what comes later is in the steps' logs


class LiveOutput:
    """The file of one run. Made with the first line."""

    def __init__(self, home: Path, run: str) -> None:
        self.path = _path(home, run)
        self._file: int | None = None
        self._written = 0

    def add(self, step: str, open: bool, text: str) -> None:
        """A step printed this; "" where it has just begun. `open` says whether anybody may read it."""
        line = json.dumps({"step": step, "open": open, "text": text}).encode() + b"\n"
        if self._written + len(line) > MOST:
            return
        if self._file is None:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.write(self._file, line)
        self._written += len(line)

    def close(self) -> None:
        """The run has ended: its steps' logs are in the record."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self.path.unlink(missing_ok=True)


def read_live(home: Path, run: str, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The whole lines from an offset in bytes on, and the offset after them; nothing for a run that prints nothing or has ended."""
    try:
        with _path(home, run).open("rb") as file:
            file.seek(offset)
            held = file.read(1 << 20)
    except OSError:
        return [], offset
    whole = held[: held.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()], offset + len(whole)


def _path(home: Path, run: str) -> Path:
    return home / "locks" / f"{run}.output"
