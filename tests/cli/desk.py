"""The command as a person runs it: a real process, in a folder of its own, with keys of its own."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

# A little of everything: private and open sources, a release, a model, metrics on either side, a fan-out and back in.
PIPELINE = """\
import numpy
import pellucid as pl

visits = pl.source("visits.csv", label="private", unit="person", budget=pl.Budget(epsilon=2.0, delta=1e-5))
areas = pl.source("areas.csv", label="open")
counts = pl.release(pl.privacy.histogram("area", max_contributions=3), of=visits, epsilon=1.0, delta=1e-6)


@pl.step(kind="train")
def model(counts: pl.Table, areas: pl.Table, regularization: float = 10.0) -> pl.Array:
    found = counts.polars().collect()["count"].to_numpy()
    return found / (found + regularization)


@pl.step(over={"power": [1, 2, 3]})
def powers(model: pl.Array, power: int) -> pl.Array:
    return model**power


@pl.step(kind="evaluate")
def quality(powers: list[pl.Array]) -> pl.Metrics:
    return {f"mean_{at}": float(numpy.mean(found)) for at, found in enumerate(powers)}


@pl.step(kind="evaluate")
def ceiling(visits: pl.Table) -> pl.Metrics:
    return {"rows": visits.num_rows}


pipeline = pl.Pipeline("small", [visits, areas, counts, model, powers, quality, ceiling])
"""


def people(count: int = 300) -> str:
    """Visits of `count` people to three of eight areas each, always the same."""
    draw = random.Random(1)
    rows = [f"{person},area{area}" for person in range(count) for area in draw.sample(range(8), 3)]
    return "\n".join(["person,area", *rows]) + "\n"


@dataclass(frozen=True)
class Done:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """All of stdout, which must be one JSON value as strict readers take it."""
        return json.loads(self.out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))

    @property
    def complaint(self) -> str:
        """The one line on stderr that says what is wrong."""
        said = [line for line in self.err.splitlines() if line.startswith("pellucid: ")]
        assert len(said) == 1, self.err
        assert "Traceback" not in self.err + self.out
        return said[0]


@dataclass
class Desk:
    """A folder with a pipeline, and the command run in it."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        keep = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH") if name in os.environ}
        own = {"HOME": str(self.folder), "PELLUCID_KEYS": str(self.folder / "keys"), "COLUMNS": "80", "LC_ALL": "C.UTF-8"}
        return keep | own | self.variables

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def __call__(self, *words: str | Path, cwd: Path | None = None, timeout: float = 60.0) -> Done:
        command = [sys.executable, "-m", "pellucid", *map(str, words)]
        done = subprocess.run(
            command, cwd=cwd or self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def run(self, *words: str | Path) -> dict[str, Any]:
        """Run the pipeline; its JSON."""
        done = self("run", "small.py", "--json", *words)
        assert done.code == 0, done.err
        found: dict[str, Any] = done.json
        return found


def laid(folder: Path) -> Desk:
    """A desk with the small pipeline and its data on it."""
    desk = Desk(folder)
    desk.write("visits.csv", people())
    desk.write("areas.csv", "area,title\n" + "".join(f"area{at},Area {at}\n" for at in range(8)))
    desk.write("small.py", PIPELINE)
    return desk


def actions(found: dict[str, Any]) -> dict[str, str]:
    return {name: step["action"] for name, step in found["steps"].items()}


def digests(found: dict[str, Any]) -> dict[str, str]:
    return {name: step["digest"] for name, step in found["steps"].items()}


ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
