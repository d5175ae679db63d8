"""Progress of a run: a live table in a terminal, plain lines elsewhere. Never what a private step says."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pellucid.cli import options
from pellucid.pipeline.record import StepReport

if TYPE_CHECKING:
    from rich.live import Live

MARKS = {"ran": "✓", "reused": "·", "failed": "✗", "running": "…", "retry": "↻"}
MOST_LINES = 60


class Plain:
    """One line for each step as it ends, on stderr; with `live` also what open steps print."""

    def __init__(self, live: bool = False) -> None:
        self.live = live

    def __call__(self, event: str, report: StepReport) -> None:
        if event == "output" and self.live:
            with suppress(OSError):
                print(output(report), file=sys.stderr, flush=True)
        if event in ("end", "retry", "note"):
            with suppress(OSError):  # nobody reads any more: no reason to stop a run
                print(line(report), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing to tidy."""


def line(report: StepReport) -> str:
    """One step in one line. Why one failed is said once, at the end."""
    if not report.step:
        return f"! {report.message}"
    mark = MARKS.get(report.action, "!")
    many = f" ×{report.branches}" if report.branches and report.label.is_open else ""
    took = options.seconds(report.seconds) if report.action in ("ran", "failed") else ""
    detail = "; ".join(report.why[:2]) if report.action == "ran" else report.message if report.action != "failed" else ""
    head = f"{mark} {report.step + many:<22} {report.action:<7} {took:>8}  {report.label.level.word:<9}"
    return f"{head} {detail}".rstrip()


def output(report: StepReport) -> str:
    """What a step printed, each line behind its name."""
    lines = report.message.rstrip("\n").splitlines()
    return "\n".join(f"  {report.step} | {''.join(char if char.isprintable() else ' ' for char in line)}" for line in lines)


class LiveTable:
    """In a terminal: ended steps scroll by as lines, running ones are shown below with their time."""

    def __init__(self, live: bool = False) -> None:
        from rich.console import Console
        from rich.live import Live

        self.running: dict[str, float] = {}
        self.tells_output = live
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.live: Live = Live(console=self.console, get_renderable=self._render, refresh_per_second=8, transient=True)
        self.live.start()

    def _render(self) -> Any:
        from rich.text import Text

        now = time.monotonic()
        shown = list(self.running.items())[:MOST_LINES]
        return Text("\n".join(f"… {name:<22} running {options.seconds(now - since):>8}" for name, since in shown), style="dim")

    def __call__(self, event: str, report: StepReport) -> None:
        if event == "start":
            self.running[report.step] = time.monotonic()
            return
        if event == "output":
            if self.tells_output:
                self.live.console.print(output(report), style="dim", markup=False)
            return
        if event == "end":
            self.running.pop(report.step, None)
        style = {"failed": "bold red", "reused": "dim", "retry": "yellow"}.get(report.action, "")
        self.live.console.print(line(report), style=style, markup=False)

    def close(self) -> None:
        self.live.stop()


def progress(*, live: bool = False) -> Plain | LiveTable:
    """What fits where stderr goes; `live` for what open steps print too."""
    return LiveTable(live) if sys.stderr.isatty() else Plain(live)
