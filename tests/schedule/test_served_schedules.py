"""Schedules of a running service: new data are noticed, the service ends at once, and what it had begun is neither lost nor done twice."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid.pipeline.record import Record
from pellucid.schedule import Schedules, Trigger

PIPELINE = """
import time
import pellucid as pl

rows = pl.source("rows.csv", label="open")


@pl.step
def slow(rows: pl.Table) -> pl.Metrics:
    time.sleep(4)
    return {"rows": rows.arrow().num_rows}


pipeline = pl.Pipeline("slow", [rows, slow])
"""


def served(home: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "pellucid", "serve", "--home", str(home), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert re.match(r"http://", process.stdout.readline())
    return process


def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def ended(process: subprocess.Popen[str]) -> int:
    process.terminate()
    code = process.wait(20)
    assert process.stdout is not None
    process.stdout.close()
    return code


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_service_that_ends_in_the_middle_of_a_run(tmp_path: Path):
    (tmp_path / "slow.py").write_text(PIPELINE)
    data, home = tmp_path / "rows.csv", tmp_path / ".pellucid"
    data.write_text("a\n1\n")
    Record(home).close()
    schedules = Schedules(home)
    schedules.add("fresh", tmp_path / "slow.py", Trigger("changed", str(data)))

    def statuses() -> list[str]:
        record = Record(home)
        try:
            return [one["status"] for one in record.runs(10)]
        finally:
            record.close()

    first = served(home)
    data.write_text("a\n1\n2\n")
    until(lambda: statuses() == ["running"])
    assert ended(first) == 0
    assert statuses() == ["running"], "the run goes on by itself"
    second = served(home)
    firing = until(lambda: next((one for one in schedules.firings("fresh") if one.state == "done"), None))
    assert statuses() == ["done"] and (firing.occasion, firing.attempts) == ("change 1", 1)
    assert ended(second) == 0
