"""The child process that reads strangers' files: held to its limits, ended and started again when a file is too much for it.

Parsers of HTML and PDF are written in C and read what anybody made. So they run in a process of their own with 1 GiB of memory, no writing,
few open files, and `SECONDS` for a file (`PAGE_SECONDS` between two pages of a WARC). What kills it, or keeps it too long, costs that file
alone, by the name "took too long or too much memory".
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from pellucid.data import text_extraction
from pellucid.errors import DataError, UsageError

SECONDS = 20.0
START_SECONDS = 120.0
PAGE_SECONDS = 60.0
LONGEST_ANSWER = 1 << 24  # bytes of a line
TOO_MUCH = {"title": "", "text": "", "problem": "took too long or too much memory"}


def checked(kinds: set[str]) -> None:
    """Raises UsageError where the library for one of the kinds is not installed."""
    missing = sorted(
        {
            text_extraction.NEEDS[kind]
            for kind in kinds
            if kind in text_extraction.NEEDS and find_spec(text_extraction.NEEDS[kind]) is None
        }
    )
    if missing:
        raise UsageError(
            f"reading {', '.join(sorted(kind for kind in kinds if text_extraction.NEEDS.get(kind) in missing))} needs {', '.join(missing)}",
            fix="Install the extra documents of pellucid, or leave these files out",
        )


class Extraction:
    """A child process, started when it is first asked. Not for several threads at once."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._held = b""

    def file(self, kind: str, path: str) -> dict[str, Any]:
        """What a file says: `title`, `text`, `problem`."""
        self._ask(kind, path)
        return self._line(SECONDS) or dict(TOO_MUCH)

    def warc(self, path: str) -> Iterator[dict[str, Any]]:
        """The pages of a WARC, with `url` and `date`; the last may be the problem that ended it."""
        self._ask("warc", path)
        while True:
            one = self._line(PAGE_SECONDS)
            if one is None:
                yield dict(TOO_MUCH)
                return
            if one.get("end"):
                return
            yield one

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            self._child, self._held = None, b""

    def _ask(self, kind: str, path: str) -> None:
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._child = subprocess.Popen(
                [sys.executable, "-P", text_extraction.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONWARNINGS": "ignore"},
            )  # fmt: skip
            if self._line(START_SECONDS) != {"ready": True}:
                raise DataError(
                    "the process that reads pages does not start",
                    fix=f"See what it says: {sys.executable} {text_extraction.__file__}",
                )
        assert self._child is not None
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its death is seen when its answer is read
            self._child.stdin.write(json.dumps({"kind": kind, "path": path}).encode() + b"\n")
            self._child.stdin.flush()

    def _line(self, seconds: float) -> dict[str, Any] | None:
        """The next answer; None, and the process is ended, where none comes in time or it is none."""
        assert self._child is not None
        assert self._child.stdout is not None
        stream, until = self._child.stdout, time.monotonic() + seconds
        while b"\n" not in self._held:
            ready, _, _ = select.select([stream], [], [], max(0.0, until - time.monotonic()))
            more = os.read(stream.fileno(), 1 << 16) if ready else b""
            if not more or len(self._held) > LONGEST_ANSWER:
                self.close()
                return None
            self._held += more
        line, _, self._held = self._held.partition(b"\n")
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            self.close()
            return None
        return found
