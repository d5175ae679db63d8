"""Packages of many steps and of a large table, and the demo's again: how long they take, and how much memory.

Bars: reproduce of 50 levels 15 s beside the environment, of 1,000 steps 30 s; 5,000 steps publish 60 s and check 15 s; check and
reproduce of a table of 1 GiB in 600 MB. The demo's package again, warm: 4 s.
Run: python benchmarks/package_scale.py [levels] [steps] [many] [table] [demo]   (all of them where none is named)
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ABOUT = 'about=pl.About(title="t", description="d", creators=("A, B",), licence="MIT", data_licence="CC0-1.0")'
EXAMPLE = Path(__file__).parents[1] / "src" / "pellucid" / "cli" / "msweb"
TABLE = f"""
import numpy as np
import pyarrow as pa
import pellucid as pl

@pl.step
def large(rows: int = 45_000_000) -> pl.Table:
    def batches():
        for at in range(0, rows, 1 << 20):
            drawn = np.random.default_rng(at).random((3, min(1 << 20, rows - at)))
            yield pa.record_batch({{"x": drawn[0], "y": drawn[1], "z": drawn[2]}})
    return pa.RecordBatchReader.from_batches(pa.schema([("x", pa.float64()), ("y", pa.float64()), ("z", pa.float64())]), batches())

pipeline = pl.Pipeline("p", [large], {ABOUT})
"""


def steps(count: int, wide: int) -> str:
    """A pipeline of so many steps, each of which gives its result to `wide` others."""
    lines = ["import pellucid as pl", "@pl.step", "def s0() -> pl.Metrics:", "    return {'n': 1.0}"]
    for at in range(1, count):
        before = f"s{(at - 1) // wide}"
        lines += ["@pl.step", f"def s{at}({before}: pl.Metrics) -> pl.Metrics:", f"    return {{'n': {before}['n'] + {at}}}"]
    names = ", ".join(f"s{at}" for at in range(count))
    return "\n".join([*lines, f"pipeline = pl.Pipeline('p', [{names}], {ABOUT})", ""])


@dataclass(frozen=True)
class Done:
    """A command: seconds by the clock and of the processor, the largest process in MB, and what it printed."""

    clock: float
    processor: float
    peak: float
    output: str

    def __format__(self, form: str) -> str:
        return f"{self.clock:{form}} (processor {self.processor:{form}})"


def pellucid(folder: Path, *words: str) -> Done:
    """Run the command in `folder`."""
    started = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = {**os.environ, "PELLUCID_KEYS": str(folder / "keys")}
    done = subprocess.run(
        [sys.executable, "-m", "pellucid", *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr + done.stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Done(time.perf_counter() - started, processor, after.ru_maxrss / 1024, done.stdout)


def told(folder: Path, text: str) -> dict[str, Done | float]:
    """Run, publish, check and reproduce of a pipeline, the re-run beside its environment, and the largest process so far in MB."""
    (folder / "p.py").write_text(text)
    took: dict[str, Done | float] = {"run": pellucid(folder, "run", "p.py", "--quiet")}
    took["publish"] = pellucid(folder, "publish", "last", "package")
    took["check"] = check = pellucid(folder, "check", "package")
    took["reproduce with its environment"] = done = pellucid(folder, "reproduce", "package", "--json")
    verdict = json.loads(done.output)
    if verdict["verdict"] != "bit-identical":
        raise SystemExit(done.output)
    took["reproduce beside it"] = sum(seconds for part, seconds in verdict["seconds"].items() if part != "environment")
    return took | {"MB at check": check.peak, "MB": done.peak}


def demo(folder: Path) -> dict[str, Done | float]:
    for path in EXAMPLE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    pellucid(folder, "run", "areas.py")
    pellucid(folder, "publish", "last", "package")
    pellucid(folder, "reproduce", "package")
    return {"reproduce": pellucid(folder, "reproduce", "package")}


PARTS = {
    "levels": lambda folder: told(folder, steps(50, 1)),
    "steps": lambda folder: told(folder, steps(1000, 10)),
    "many": lambda folder: told(folder, steps(5000, 10)),
    "table": lambda folder: told(folder, TABLE),
    "demo": demo,
}


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            found = PARTS[name](Path(folder))
        print(name, ", ".join(f"{what} {value:,.1f}" for what, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
