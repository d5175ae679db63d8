"""Counts with unknown keys at scale: seconds and kept keys, against PipelineDP on the same data at the same parameters.

1 million rows of 200,000 people over 100,000 keys (Zipf), at most 10 keys of each person, epsilon 1, delta 1e-6. Bars: 15 s, and at
least as many keys as PipelineDP keeps; where only keys are selected both do the same, and differ by chance, so 95% of its number.
PipelineDP runs in its own environment and process (scripts/tool pipeline-dp), on its local backend.

Run: python benchmarks/counts.py [--json]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pellucid.privacy.mechanisms import histogram, partitions

ROWS, PEOPLE, KEYS, CAP, EPSILON, DELTA, BAR = 1_000_000, 200_000, 100_000, 10, 1.0, 1e-6, 15.0
ROOT = Path(__file__).parents[1]
PEER = """
import sys, time, csv
import pipeline_dp as dp
rows = [tuple(map(int, line)) for line in csv.reader(open(sys.argv[1]))]
start = time.perf_counter()
accountant = dp.NaiveBudgetAccountant(total_epsilon=float(sys.argv[3]), total_delta=float(sys.argv[4]))
engine = dp.DPEngine(accountant, dp.LocalBackend())
extract = dp.DataExtractors(privacy_id_extractor=lambda r: r[0], partition_extractor=lambda r: r[1], value_extractor=lambda r: 0)
noise, select = getattr(dp.NoiseKind, sys.argv[5]), getattr(dp.PartitionSelectionStrategy, sys.argv[6])
params = dp.AggregateParams(metrics=[dp.Metrics.PRIVACY_ID_COUNT], noise_kind=noise, max_partitions_contributed=int(sys.argv[2]),
                            max_contributions_per_partition=1, partition_selection_strategy=select)
result = engine.aggregate(rows, params, extract)
accountant.compute_budgets()
print(len(list(result)), time.perf_counter() - start)
"""
SELECT = """
import sys, time, csv
import pipeline_dp as dp
rows = [tuple(map(int, line)) for line in csv.reader(open(sys.argv[1]))]
start = time.perf_counter()
accountant = dp.NaiveBudgetAccountant(total_epsilon=float(sys.argv[3]), total_delta=float(sys.argv[4]))
engine = dp.DPEngine(accountant, dp.LocalBackend())
extract = dp.DataExtractors(privacy_id_extractor=lambda r: r[0], partition_extractor=lambda r: r[1], value_extractor=lambda r: 0)
params = dp.SelectPartitionsParams(max_partitions_contributed=int(sys.argv[2]),
                                   partition_selection_strategy=getattr(dp.PartitionSelectionStrategy, sys.argv[6]))
result = engine.select_partitions(rows, params, extract)
accountant.compute_budgets()
print(len(list(result)), time.perf_counter() - start)
"""


def data(folder: Path) -> tuple[Path, Path]:
    """The log as Parquet, and as CSV for the peer."""
    rng = np.random.default_rng(0)
    weights = 1 / np.arange(1, KEYS + 1) ** 0.9
    keys = rng.choice(KEYS, ROWS, p=weights / weights.sum())
    keys[:KEYS] = np.arange(KEYS)  # every key is there
    people = rng.integers(0, PEOPLE, ROWS)
    pq.write_table(pa.table({"person": people, "key": keys}), folder / "log.parquet")
    np.savetxt(folder / "log.csv", np.stack([people, keys], axis=1), fmt="%d", delimiter=",")
    return folder / "log.parquet", folder / "log.csv"


def own(mechanism: Any, path: Path, scratch: Path) -> tuple[int, float]:
    start = time.perf_counter()
    kept = mechanism.run(path, "person", EPSILON, DELTA, bytes(32), scratch).num_rows
    return kept, time.perf_counter() - start


def peer(python: str, script: str, path: Path, noise: str, select: str) -> tuple[int, float] | None:
    given = [python, "-c", script, str(path), str(CAP), str(EPSILON), str(DELTA), noise, select]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"pipeline-dp: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    kept, seconds = done.stdout.split()[-2:]
    return int(kept), float(seconds)


def main() -> int:
    made = subprocess.run([ROOT / "scripts" / "tool", "pipeline-dp"], capture_output=True, text=True, check=True)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        path, text = data(scratch)
        for what, mechanism, script, noise, select in (
            ("counts, Gaussian", histogram("key", max_contributions=CAP), PEER, "GAUSSIAN", "GAUSSIAN_THRESHOLDING"),
            (
                "counts, Laplace",
                histogram("key", max_contributions=CAP, noise="laplace"),
                PEER,
                "LAPLACE",
                "LAPLACE_THRESHOLDING",
            ),
            ("keys, truncated geometric", partitions("key", max_contributions=CAP), SELECT, "", "TRUNCATED_GEOMETRIC"),
            ("keys, Gaussian", partitions("key", max_contributions=CAP, method="gaussian"), SELECT, "", "GAUSSIAN_THRESHOLDING"),
        ):
            kept, seconds = own(mechanism, path, scratch)
            theirs = peer(made.stdout.strip(), script, text, noise, select)
            rows.append({"what": what, "kept": kept, "seconds": seconds, "pipeline_dp": theirs})
    if "--json" in sys.argv:
        print(json.dumps(rows))
    else:
        print(f"{'':<28}{'kept':>7}{'s':>7}{'PipelineDP kept':>17}{'s':>7}")
        for row in rows:
            kept, seconds = row["pipeline_dp"] or (0, float("nan"))
            print(f"{row['what']:<28}{row['kept']:>7}{row['seconds']:>7.1f}{kept:>17}{seconds:>7.1f}")
    least = [(0.95 if row["what"].startswith("keys") else 1.0) * (row["pipeline_dp"] or (0, 0))[0] for row in rows]
    fits = all(row["seconds"] <= BAR and row["kept"] >= low for row, low in zip(rows, least, strict=True))
    return 0 if fits and all(row["pipeline_dp"] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
