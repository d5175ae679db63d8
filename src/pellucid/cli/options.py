"""What commands share: JSON output, durations and digests as people read them, errors as one line."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from pellucid.pipeline.declaration import Pipeline


class Formatter(argparse.HelpFormatter):
    """Help at the terminal's width, but never wider than reads well."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=min(100, width()) - 2)

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action.choices, dict):  # commands are indented once more than argparse counts
            self._action_max_length += self._indent_increment


def whole(least: int) -> Callable[[str], int]:
    """The type of an option that takes a whole number from `least` on."""

    def read(text: str) -> int:
        if not text.removeprefix("-").isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f'"{text}" is not a whole number from {least} on')
        return int(text)

    return read


def above_zero(text: str) -> float:
    """The type of an option that takes a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f'"{text}" is not a number above 0')
    return value


def width() -> int:
    """How wide a line may be: the terminal's width, or COLUMNS, or 80."""
    return shutil.get_terminal_size((80, 24)).columns


def wrapped(text: str) -> str:
    """Each line broken between words where it is longer than the terminal is wide, and what follows set in under it.

    What has no space in it (a digest, a path) stays whole, on a line of its own.
    """
    lines = []
    for line in text.splitlines():
        below = " " * (len(line) - len(line.lstrip()) + 4)
        broken = textwrap.wrap(line, min(width(), 100), subsequent_indent=below, break_long_words=False, break_on_hyphens=False)
        lines += broken if len(line) > min(width(), 100) else [line]
    return "\n".join(lines)


def then(said: str, *command: str | os.PathLike[str]) -> str:
    """What to do next, and its command as a shell takes it: never broken, on a line of its own where both do not fit on one."""
    words = shlex.join([os.fspath(word) for word in command])
    line = f"{said}: {words}"
    return line if len(line) <= min(width(), 100) else f"{wrapped(said)}:\n  {words}"


def load(file: Path) -> Pipeline:
    """The pipeline of a file. What the file prints while it loads goes to stderr: stdout is for results."""
    from pellucid.pipeline.running import load as load_file

    with contextlib.redirect_stdout(sys.stderr):
        return load_file(file)


def print_json(value: Any) -> None:
    """One JSON value on stdout. NaN and the infinities, for which JSON has no word, are strings, as in a file of metrics."""
    plain = str(getattr(sys.stdout, "encoding", "utf-8")).lower().replace("-", "") != "utf8"
    print(json.dumps(_finite(value), indent=2, ensure_ascii=plain, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def fail(error: PellucidError, *, as_json: bool, told: Mapping[str, Any] | None = None) -> int:
    """One line on stderr, broken between words in a terminal; with --json also an object on stdout: what is `told` (else the run), and
    the error."""
    line = f"pellucid: {' '.join(str(error).split())}"
    print(wrapped(line) if sys.stderr is not None and sys.stderr.isatty() else line, file=sys.stderr)
    if as_json:
        if told is None:
            told = {**(error.run.to_json() if error.run is not None else {}), "status": "failed"}
        print_json({**told, "error": {"type": type(error).__name__, "message": str(error)}})
    return error.exit_code


def seconds(value: float) -> str:
    """A duration in three digits or so."""
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    if value < 99.5:
        return f"{value:.2f} s" if value < 9.95 else f"{value:.1f} s"
    return f"{value / 60:.1f} min"


def size(value: int) -> str:
    """A number of bytes as people read it (powers of 1000)."""
    amount, unit = float(value), "B"
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def short(digest: str | None) -> str:
    """The first digits of a digest, enough to compare by eye."""
    return digest.partition(":")[2][:12] if digest else "-"


def number(value: Any) -> str:
    """A number in at most six digits; anything else as it is."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def metrics(head: str, values: Mapping[str, Any]) -> str:
    """Metrics on the line of their head where they fit there, else one to a line below it."""
    line = f"{head}: " + ", ".join(f"{name} {number(value)}" for name, value in values.items())
    if len(line) <= min(width(), 100):
        return line
    longest = max(map(len, values))
    return "\n".join([f"{head}:", *(f"  {name:<{longest}}  {number(value)}" for name, value in values.items())])


def table(rows: Sequence[Sequence[str]], header: Sequence[str], *, right: Sequence[int] = ()) -> str:
    """Columns aligned with two spaces between; `right` names the columns aligned to the right."""
    widths = [max(len(str(row[at])) for row in [header, *rows]) for at in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [
            str(cell).rjust(w) if at in right else str(cell).ljust(w)
            for at, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
