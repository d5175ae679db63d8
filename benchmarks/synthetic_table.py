"""What synthetic rows of a census are worth: models of income trained on them against the same on clear rows, and how near they are.

Adult (30,162 people; nine columns; age in bins of five years), two thirds to release from, one third to test on, three splits (4, 5, 6)
times four keys; delta 1e-9. What is fixed in the mechanism was looked at on the splits 0 and 1, which are in no test. Beside it, in the
same run: columns made independently of each other, from their own released marginals. Distance: mean total variation over all pairs of
columns, against the rows released from. Exits 1 where a mean is below its bar.
"""

from __future__ import annotations

import hashlib
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars
import pyarrow.parquet as pq
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder

from pellucid.privacy import bins, marginals
from pellucid.synthesize import make_table

ADULT = Path(__file__).resolve().parents[2] / "shared/data/adult/adult.csv"
DELTA, TARGET, SPLITS, KEYS = 1e-9, "salary-class", (4, 5, 6), 4
BARS = {1.0: (0.03, 0.03, 0.08), 3.0: (0.02, 0.02, 0.05)}  # logistic regression, LightGBM, distance
EDGES = bins(15, 95, 16)


def coded(rows: polars.DataFrame, values: dict[str, list[str]]) -> np.ndarray[Any, Any]:
    columns = [
        np.clip((rows[name].to_numpy() - 15) // 5, 0, 15)
        if name == "age"
        else np.searchsorted(values[name], rows[name].to_numpy())
        for name in rows.columns
    ]
    return np.stack(columns, axis=1).astype(int)


def accuracies(train: np.ndarray[Any, Any], test: np.ndarray[Any, Any], sizes: list[int]) -> tuple[float, float]:
    encoder = OneHotEncoder(categories=[range(size) for size in sizes[:-1]]).fit(train[:, :-1])
    linear = LogisticRegression(max_iter=400).fit(encoder.transform(train[:, :-1]), train[:, -1])
    trees = lightgbm.LGBMClassifier(n_estimators=100, verbosity=-1, n_jobs=1, deterministic=True, force_row_wise=True)
    trees.fit(train[:, :-1], train[:, -1], categorical_feature=[0, *range(2, len(sizes) - 1)])
    found = (linear.predict(encoder.transform(test[:, :-1])), trees.predict(test[:, :-1]))
    return float(np.mean(found[0] == test[:, -1])), float(np.mean(found[1] == test[:, -1]))


def distance(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any], sizes: list[int]) -> float:
    found = []
    for a, b in itertools.combinations(range(len(sizes)), 2):
        shares = [np.bincount(x[:, a] * sizes[b] + x[:, b], minlength=sizes[a] * sizes[b]) / len(x) for x in (one, other)]
        found.append(np.abs(shares[0] - shares[1]).sum() / 2)
    return float(np.mean(found))


def main() -> int:
    everybody = polars.read_csv(ADULT, separator=";")
    values = {name: sorted(everybody[name].unique().to_list()) for name in everybody.columns if name != "age"}
    sizes = [16 if name == "age" else len(values[name]) for name in everybody.columns]
    columns = {name: EDGES if name == "age" else values[name] for name in everybody.columns}
    mechanism, alone = marginals(columns, target=TARGET), marginals(columns)
    missed = False
    for epsilon, bars in BARS.items():
        rows: list[tuple[float, ...]] = []
        seconds = 0.0
        for part in SPLITS:
            order = np.random.Generator(np.random.PCG64(part)).permutation(everybody.height)
            train, test = everybody[order[:20_108].tolist()], coded(everybody[order[20_108:].tolist()], values)
            clear = accuracies(coded(train, values), test, sizes)
            for key in range(KEYS):
                with tempfile.TemporaryDirectory() as scratch:
                    path, secret = Path(scratch) / "people.parquet", hashlib.sha256(f"{part}/{key}".encode()).digest()
                    pq.write_table(train.with_row_index("person").to_arrow(), path)
                    made = {}
                    for name, asked in (("tree", mechanism), ("alone", alone)):
                        told = polars.DataFrame(asked.run(path, "person", epsilon, DELTA, secret, Path(scratch)))
                        told = told.filter(polars.col("marginal") < len(columns)) if name == "alone" else told
                        begun = time.perf_counter()
                        table, _ = make_table(told.to_arrow(), asked.numbers(epsilon, DELTA), train.height, key)
                        seconds = max(seconds, time.perf_counter() - begun)
                        made[name] = coded(polars.DataFrame(table), values)
                tree, apart = (accuracies(made[name], test, sizes) for name in ("tree", "alone"))
                rows.append(
                    (clear[0] - tree[0], clear[1] - tree[1], distance(made["tree"], coded(train, values), sizes),
                     clear[0] - apart[0], clear[1] - apart[1], distance(made["alone"], coded(train, values), sizes), *clear)
                )  # fmt: skip
        means, worst = np.mean(rows, axis=0), np.max(rows, axis=0)
        print(
            f"epsilon {epsilon:g}: clear {means[6]:.3f} (logistic regression), {means[7]:.3f} (LightGBM); rows made in {seconds:.2f} s"
        )
        for at, what in enumerate(
            ("logistic regression: accuracy lost", "LightGBM: accuracy lost", "distance over pairs of columns")
        ):
            print(f"  {what}: {means[at]:.4f} (worst {worst[at]:.4f}), columns alone {means[at + 3]:.4f}; bar {bars[at]}")
            missed |= bool(means[at] > bars[at])
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
