"""What commands share: the state folder, JSON output, durations and digests as people read them, errors as one line."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError, UsageError
from pellucid.store.database import STATE_FILE, home_for


class Formatter(argparse.HelpFormatter):
    """Help at the terminal's width, but never wider than reads well."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=min(100, shutil.get_terminal_size().columns) - 2)


def add_home(parser: argparse.ArgumentParser) -> None:
    """The option that names the state folder."""
    parser.add_argument(
        "--home", type=Path, help="the state folder (default: PELLUCID_HOME, or .pellucid here or in a folder above)"
    )


def home_of(arguments: argparse.Namespace) -> Path:
    """The state folder of a command that names no pipeline file: given, in the environment, or found from here upwards."""
    if arguments.home is not None:
        home = Path(arguments.home).absolute()
    else:
        home = home_for(None)
        for place in [Path.cwd(), *Path.cwd().parents]:
            if (home / STATE_FILE).exists():
                break
            if (place / ".pellucid" / STATE_FILE).exists():
                home = place / ".pellucid"
    if not (home / STATE_FILE).exists():
        raise UsageError(
            "there is no state here",
            where=str(home),
            why="no pipeline has run in this folder",
            fix="Run one (pellucid run FILE), go to its folder, or name it with --home",
        )
    return home


def print_json(value: Any) -> None:
    """One JSON value on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=True))


def fail(error: PellucidError, *, as_json: bool) -> int:
    """One line on stderr; with --json also an object on stdout."""
    print(f"pellucid: {error}", file=sys.stderr)
    if as_json:
        print_json({"status": "failed", "error": {"type": type(error).__name__, "message": str(error)}})
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


def metrics(values: Mapping[str, Any]) -> str:
    """Metrics on one line."""
    return ", ".join(f"{name} {number(value)}" for name, value in values.items())


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
