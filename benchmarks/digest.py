"""How fast the canonical digest is, beside a plain SHA-256 of the same bytes in the same run.

    python benchmarks/digest.py [rows]

The goal: at least 1 GB/s on numeric tables of 10 million rows with two threads. "plain" is hashlib over the column buffers one
after the other, in one thread: what a file hash would cost. A ratio above 1 means the digest is faster than that.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from pellucid.store import kinds
from pellucid.store.canonical_digest import table_digest

REPEATS = 3


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of a few runs."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def plain(table: pa.Table) -> None:
    for column in table.columns:
        total = hashlib.sha256()
        for chunk in column.chunks:
            for buffer in chunk.buffers():
                if buffer is not None:
                    total.update(buffer)


def tables(rows: int) -> dict[str, pa.Table]:
    random = np.random.default_rng(20230801)
    missing = random.random(rows) < 0.1
    return {
        "integers, 4 columns": pa.table({f"n{i}": random.integers(0, 1 << 40, rows) for i in range(4)}),
        "floats, 4 columns": pa.table({f"x{i}": random.random(rows) for i in range(4)}),
        "one integer column": pa.table({"n": random.integers(0, 1 << 40, rows)}),
        "numbers with 10 % nulls": pa.table({f"x{i}": pa.array(random.random(rows), mask=missing) for i in range(2)}),
        "short strings": pa.table({"s": pa.array(random.integers(0, 1 << 30, rows)).cast(pa.string())}),
        "categorical": pa.table({"c": pa.array(random.integers(0, 200, rows)).cast(pa.string()).dictionary_encode()}),
    }


def main(rows: int) -> None:
    print(f"{rows:,} rows, best of {REPEATS}")
    print(f"{'':26}{'MB':>8}{'plain GB/s':>12}{'digest GB/s':>13}{'ratio':>8}")
    made = tables(rows)
    for name, table in made.items():
        size = sum(chunk.nbytes for column in table.columns for chunk in column.chunks)
        base = best(lambda table=table: plain(table))
        ours = best(lambda table=table: table_digest(table.to_batches(), table.schema))
        print(f"{name:26}{size / 1e6:8.0f}{size / base / 1e9:12.2f}{size / ours / 1e9:13.2f}{base / ours:8.2f}")
    table = made["integers, 4 columns"]
    with tempfile.TemporaryDirectory() as folder:
        save = best(lambda: kinds.save(table, "table", Path(folder), "t"))
        read = best(lambda: kinds.digest(Path(folder) / "t.parquet", "table"))
    speeds = f"save {table.nbytes / save / 1e9:.2f} GB/s, digest from Parquet {table.nbytes / read / 1e9:.2f} GB/s"
    print(f"integers, 4 columns: {speeds}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
