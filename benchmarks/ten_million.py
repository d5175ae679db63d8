"""Ten million visits by 200,000 people, resampled from msweb, to the released Gram matrix: seconds and peak memory.

Bar: at most 60 s and 2 GiB, in a fresh process. Run: python benchmarks/ten_million.py [--json] [--visits N] [--people N]

Each person has 50 visits on average, in random order of rows: half to areas of the msweb user they stand for, half to areas
drawn with the popularity they have on msweb; repeats included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MSWEB = Path(__file__).parent.parent / "src" / "pellucid" / "cli" / "msweb" / "visits.csv"


def write(path: Path, visits: int, people: int) -> None:
    """Resample: every visit picks a person; a person stands for one msweb user throughout."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv as csv
    import pyarrow.parquet as pq

    rng = np.random.default_rng(7)  # public data made for a benchmark, no private randomness
    source = csv.read_csv(MSWEB)
    users, areas = np.asarray(source["user_id"]), np.asarray(source["area_id"])
    order = np.argsort(users, kind="stable")
    users, areas = users[order], areas[order]
    starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]])
    sizes = np.diff(np.r_[starts, len(users)])
    stand_in = rng.integers(0, len(starts), people)
    with pq.ParquetWriter(path, pa.schema([("user_id", pa.int64()), ("area_id", pa.int64())])) as writer:
        for left in range(visits, 0, -1_000_000):
            size = min(left, 1_000_000)
            person = rng.integers(0, people, size)
            user = stand_in[person]
            own = areas[starts[user] + rng.integers(0, sizes[user])]
            any_area = areas[rng.integers(0, len(areas), size)]
            writer.write_table(pa.table({"user_id": person, "area_id": np.where(rng.random(size) < 0.5, own, any_area)}))


def release(path: Path) -> None:
    """The measured process: one release, then seconds and peak resident memory as JSON."""
    start = time.perf_counter()
    from pellucid.privacy import gram

    with tempfile.TemporaryDirectory() as scratch:
        table = gram(item="area_id", cap=5).run(path, "user_id", 1.0, 1e-6, bytes(range(32)), Path(scratch))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": time.perf_counter() - start, "peak_gib": peak, "pairs": table.num_rows}))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--visits", type=int, default=10_000_000)
    parser.add_argument("--people", type=int, default=200_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--release", type=Path)
    options = parser.parse_args()
    if options.release:
        release(options.release)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "visits.parquet"
        write(path, options.visits, options.people)
        found = subprocess.run([sys.executable, __file__, "--release", str(path)], check=True, capture_output=True, text=True)
    result = json.loads(found.stdout)
    if options.json:
        print(json.dumps(result))
    else:
        print(
            f"{options.visits:,} visits, {options.people:,} people: {result['seconds']:.1f} s (bar 60),"
            f" peak {result['peak_gib']:.2f} GiB (bar 2), {result['pairs']:,} pairs released"
        )
    return 0 if result["seconds"] <= 60 and result["peak_gib"] <= 2 else 1


if __name__ == "__main__":
    raise SystemExit(main())
