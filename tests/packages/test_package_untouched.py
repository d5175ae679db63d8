"""50 untouched re-runs: ten kinds of package, each as it is and where less of the kernel can be had. No false alarm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cells import HANDICAPS, namespaces
from test_package_honest import ABOUT, PARTS, READS, pellucid

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
OUTPUTS = "\n".join(f"    o{at}: pl.Metrics" for at in range(12))
TWELVE = f"""
from typing import NamedTuple
import pellucid as pl
class Parts(NamedTuple):
{OUTPUTS}
@pl.step
def split() -> Parts:
    return Parts(*[{{"n": float(at)}} for at in range(12)])
pipeline = pl.Pipeline("p", [split], {ABOUT})
"""
NESTED = f"""
import pellucid as pl
from deep.down.helper import scale
@pl.step
def one() -> pl.Metrics:
    return {{"n": scale(3.0)}}
pipeline = pl.Pipeline("p", [one], {ABOUT})
"""
FANNED = f"""
import pellucid as pl
rows = pl.source("rows.csv", label="open", licence="CC0-1.0")
@pl.step(over="rows", by="g")
def sums(rows: pl.Table) -> pl.Metrics:
    return {{"n": float(rows.num_rows)}}
@pl.step
def drawn(sums: list[pl.Metrics], seed: int) -> pl.Array:
    import numpy as np
    return np.random.default_rng(seed).normal(size=9) + len(sums)
pipeline = pl.Pipeline("p", [rows, sums, drawn], {ABOUT})
"""
THREADS = f"""
import polars
import pellucid as pl
AREAS = polars.DataFrame({{"n": [1, 2]}}).lazy().filter(polars.col("n") > 0).collect()  # starts threads while the file loads
@pl.step
def many() -> pl.Table:
    return AREAS.with_columns(twice=polars.col("n") * 2)
@pl.step
def text(many: pl.Table) -> pl.File:
    return str(many.num_rows).encode()
pipeline = pl.Pipeline("p", [many, text], {ABOUT})
"""
HELPERS = {"deep/__init__.py": "", "deep/down/__init__.py": "", "deep/down/helper.py": "def scale(x):\n    return x * 1.5\n"}
READ = {"config.json": '{"scale": 2.5}', "queries/top [1].sql": "SELECT 1", "settings.py": "LIMIT = 3\n"}
# kind: (pipeline, files beside it, options of publish, where the command is given, what it names)
KINDS: dict[str, tuple[str, dict[str, str], list[str], str, str]] = {
    "a folder": (PARTS, {}, [], ".", "pk"),
    "a zip": (PARTS, {}, ["--zip"], ".", "pk"),
    "with wheels": (PARTS, {}, ["--with-wheels"], ".", "pk"),
    "twelve outputs": (TWELVE, {}, [], ".", "pk"),
    "nested folders": (NESTED, HELPERS, [], ".", "pk"),
    "files that are read while loading": (READS, READ, [], ".", "pk"),
    "named from elsewhere": (PARTS, {"elsewhere/x": ""}, [], "elsewhere", "../pk"),
    "spaces and brackets": (PARTS, {}, [], ".", "my package [1] (copy)"),
    "a fan-out and a seed": (FANNED, {"rows.csv": "g,n\na,1\nb,2\na,3\n"}, [], ".", "pk"),
    "threads while loading": (THREADS, {}, [], ".", "pk"),
}
MAIN = "\nfrom pellucid.cli.main import main\nimport sys\nraise SystemExit(main(sys.argv[1:]))"


def made(folder: Path, kind: str) -> tuple[Path, str]:
    text, files, options, at, name = KINDS[kind]
    for path, body in {"p.py": text, **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(body)
    pellucid(folder, "run", "p.py", "--quiet")
    pellucid(folder, "publish", "last", os.path.basename(name), *options)
    return folder / at, name


def verdict(at: Path, name: str, handicap: str, *options: str) -> str:
    command = [sys.executable, "-c", HANDICAPS[handicap] + MAIN, "reproduce", name, "--json", *options]
    done = subprocess.run(command, cwd=at, capture_output=True, text=True, check=False)
    return str(json.loads(done.stdout).get("verdict", done.stdout))


HOW: dict[str, Callable[[Path, str], str]] = {
    "twice": lambda at, name: verdict(at, name, "as it is") and verdict(at, name, "as it is"),
    "without privilege": lambda at, name: verdict(at, name, "no privilege"),
    "without namespaces": lambda at, name: verdict(at, name, "no namespaces"),
    "by its whole path": lambda at, name: verdict(Path("/"), str((at / name).resolve()), "as it is"),
    "sealed or not at all": lambda at, name: verdict(at, name, "as it is", "--sandbox"),
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", KINDS)
def test_an_untouched_package_raises_no_alarm(kind: str, how: str, tmp_path: Path) -> None:
    if how == "without privilege" and not namespaces("no privilege"):
        pytest.skip("this system allows no namespaces")
    assert HOW[how](*made(tmp_path, kind)) == "bit-identical"


def test_there_are_fifty_of_them() -> None:
    assert len(KINDS) * len(HOW) >= 50
