"""Ten million visits by 200,000 people, resampled from msweb: from the CSV file to the released Gram matrix, by `pellucid run`.

Bar: at most 60 s, and 2 GiB for all its processes together; for a hundred million visits of two million people 45 s, and 1.5 GiB.
Run: python benchmarks/ten_million.py [--json] [--visits N] [--people N] [--bar SECONDS] [--memory GIB]

Each person has 50 visits on average, in random order of rows: half to areas of the msweb user they stand for, half to areas
drawn with the popularity they have on msweb; repeats included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIPELINE = """
import pellucid as pl
visits = pl.source("visits.csv", label="private", unit="user_id")
matrix = pl.release(pl.privacy.gram(item="area_id", max_contributions=5), of=visits, epsilon=1.0, delta=1e-6)
pipeline = pl.Pipeline("ten_million", [visits, matrix])
"""
MSWEB = Path(__file__).parent.parent / "src" / "pellucid" / "cli" / "msweb" / "visits.csv"


def write(path: Path, visits: int, people: int) -> None:
    """Resample: every visit picks a person; a person stands for one msweb user throughout."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv as csv

    rng = np.random.default_rng(7)  # public data made for a benchmark, no private randomness
    source = csv.read_csv(MSWEB)
    users, areas = np.asarray(source["user_id"]), np.asarray(source["area_id"])
    order = np.argsort(users, kind="stable")
    users, areas = users[order], areas[order]
    starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]])
    sizes = np.diff(np.r_[starts, len(users)])
    stand_in = rng.integers(0, len(starts), people)
    with csv.CSVWriter(path, pa.schema([("user_id", pa.int64()), ("area_id", pa.int64())])) as writer:
        for left in range(visits, 0, -1_000_000):
            size = min(left, 1_000_000)
            person = rng.integers(0, people, size)
            user = stand_in[person]
            own = areas[starts[user] + rng.integers(0, sizes[user])]
            any_area = areas[rng.integers(0, len(areas), size)]
            writer.write_table(pa.table({"user_id": person, "area_id": np.where(rng.random(size) < 0.5, own, any_area)}))


def memory(root: int) -> int:
    """Resident bytes of a process and all its descendants, each counted with its share of what is shared (PSS)."""
    total, children = 0, [root]
    while children:
        pid = children.pop()
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
            for thread in Path(f"/proc/{pid}/task").iterdir():
                children += [int(child) for child in (thread / "children").read_text().split()]
        except (OSError, StopIteration):
            continue
    return total


def measured(folder: Path) -> dict[str, float]:
    """Seconds and peak memory of `pellucid run`, with the seconds of its two steps."""
    environment = {**os.environ, "PELLUCID_KEYS": str(folder / "keys")}
    command = [sys.executable, "-m", "pellucid", "run", str(folder / "pipeline.py"), "--json", "--quiet"]
    started, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        peak = max(peak, memory(process.pid))
        time.sleep(0.05)
    took = time.perf_counter() - started
    assert process.stdout is not None
    told = json.loads(process.stdout.read())
    assert process.returncode == 0, told
    steps = {f"{name}_seconds": told["steps"][name]["seconds"] for name in ("visits", "matrix")}
    used = os.times()
    return {"seconds": took, "cpu_seconds": used.children_user + used.children_system, "peak_gib": peak / 2**30, **steps}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--visits", type=int, default=10_000_000)
    parser.add_argument("--people", type=int, default=200_000)
    parser.add_argument("--bar", type=float, default=60.0, help="seconds that it may take")
    parser.add_argument("--memory", type=float, default=2.0, help="GiB that all its processes together may hold")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "visits.csv", options.visits, options.people)
        (folder / "pipeline.py").write_text(PIPELINE)
        started = time.perf_counter()
        size = len((folder / "visits.csv").read_bytes())
        baseline = time.perf_counter() - started
        result = measured(folder)
    if options.json:
        print(json.dumps({**result, "csv_bytes": size}))
    else:
        print(
            f"{options.visits:,} visits, {options.people:,} people, {size / 1e6:.0f} MB of CSV:"
            f" {result['seconds']:.1f} s (bar {options.bar:g}), {result['seconds'] / baseline:.0f} x reading the file;"
            f" processor {result['cpu_seconds']:.1f} s;"
            f" ingest {result['visits_seconds']:.1f} s, release {result['matrix_seconds']:.1f} s;"
            f" peak {result['peak_gib']:.2f} GiB (bar {options.memory:g})"
        )
    return 0 if result["seconds"] <= options.bar and result["peak_gib"] <= options.memory else 1


if __name__ == "__main__":
    raise SystemExit(main())
