"""What synthetic people are worth on msweb: models trained on them as a share of the same models on clear data; and how fast they are
made.

Epsilon 1 in all: 0.95 for the equal-norm matrix, 0.05 for the histogram of history sizes, delta 1e-6, items not declared. The product's
own split, three splits times four keys; people held out under the seeds "val0" and "val1", on which settings were chosen, are in no test.
nDCG@10. Item counts: rms error over the areas with 300 holders or more. Exits 1 where a mean is below its bar.
"""

from __future__ import annotations

import hashlib
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

import pellucid
from pellucid.evaluation import per_person, split
from pellucid.models import als, ease, item_neighbours, popularity, private_gram
from pellucid.privacy import gram, histogram
from pellucid.synthesize import make_histories

BARS = {"EASE": 0.95, "item neighbours": 0.93, "ALS": 0.93}
ITEM_BAR, SECONDS, MEBIBYTES = 0.10, 60.0, 1024
SPLITS, KEYS, CAP, OFTEN = 3, 4, 15, 300


def ndcg(model: object, holdout: pa.Table) -> float:
    return float(np.mean(per_person(model, holdout, "user_id", "area_id").column("ndcg_10")))


def models(rows: pa.Table) -> dict[str, object]:
    matrix = private_gram(rows, "area_id", "user_id")
    return {
        "EASE": ease.fit(matrix, noise=0.0),
        "item neighbours": item_neighbours.fit(matrix, noise=0.0),
        "ALS": als.fit(rows, "area_id", "user_id"),
        "popularity": popularity.fit(matrix),
    }


def counts(rows: pa.Table) -> dict[int, int]:
    return {one["values"]: one["counts"] for one in rows.column("area_id").value_counts().to_pylist()}


def worth() -> int:
    visits = csv.read_csv(Path(pellucid.__file__).parent / "cli" / "msweb" / "visits.csv")
    chosen_on = pa.concat_arrays(
        [split(visits, "user_id", "area_id", seed=seed).holdout.column("user_id").combine_chunks() for seed in ("val0", "val1")]
    ).unique()
    shares: dict[str, list[float]] = {}
    items, pairs = [], []
    release, sizes = gram("area_id", norm="equal"), histogram("size", max_contributions=1, public_keys=tuple(range(1, CAP + 1)))
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(SPLITS):
            parts = split(visits, "user_id", "area_id", seed=f"test{number}")
            holdout = parts.holdout.filter(pc.invert(pc.is_in(parts.holdout.column("user_id"), value_set=chosen_on)))
            clear = {name: ndcg(model, holdout) for name, model in models(parts.train).items()}
            train, lengths = Path(scratch) / "train.parquet", Path(scratch) / "sizes.parquet"
            pq.write_table(parts.train, train)
            held = polars.DataFrame(polars.from_arrow(parts.train)).group_by("user_id").agg(size=polars.col("area_id").n_unique())
            held.with_columns(polars.col("size").cast(polars.Int64).clip(1, CAP)).write_parquet(lengths)
            true = counts(parts.train)
            for key in range(KEYS):
                secret = hashlib.sha256(f"{number} {key}".encode()).digest()
                matrix = release.run(train, "user_id", 0.95, 0.95e-6, secret, Path(scratch))
                law = sizes.run(lengths, "user_id", 0.05, 0.05e-6, secret, Path(scratch))
                rows, quality = make_histories(matrix, release.numbers(0.95, 0.95e-6), law, None, "user_id", "area_id", seed=key)
                for name, model in models(rows).items():
                    shares.setdefault(name, []).append(ndcg(model, holdout) / clear[name])
                own = ease.fit(matrix, noise=release.numbers(0.95, 0.95e-6)["sigma"])
                shares.setdefault("the matrix itself, EASE", []).append(ndcg(own, holdout) / clear["EASE"])
                made = counts(rows)
                items.append(float(np.sqrt(np.mean([(made.get(one, 0) / n - 1) ** 2 for one, n in true.items() if n >= OFTEN]))))
                pairs.append(quality["pair_error"])
    wrong = 0
    for name, found in shares.items():
        low = np.mean(found) < BARS.get(name, 0)
        wrong += low
        print(
            f"{name:<26}{np.mean(found):7.3f}  worst {min(found):.3f}  bar {BARS.get(name, 0):.2f}{'   BELOW ITS BAR' if low else ''}"
        )
    low = np.mean(items) > ITEM_BAR
    print(
        f"item counts, rms error: {np.mean(items):.3f} (worst {max(items):.3f}, bar {ITEM_BAR}){'   ABOVE ITS BAR' if low else ''}"
    )
    print(f"kept pairs against the release, rms error: {np.mean(pairs):.3f}")
    return int(wrong > 0 or low)


def speed() -> int:
    """A million people over 300 items, in this process, which has loaded everything above."""
    random = np.random.Generator(np.random.PCG64(1))
    count, people = 300, 1_000_000
    held = 1 / np.arange(1, count + 1) ** 0.8
    held = 3 * held / held.sum()  # three items a person
    together = np.outer(held, held) * (1 + 4 * (random.random((count, count)) < 0.1))
    together = (together + together.T) / 2
    first, second = np.triu_indices(count)
    cells = np.where(
        first == second, held[first], np.minimum(together[first, second], 0.5 * np.minimum(held[first], held[second]))
    )
    matrix = pa.table({"item_a": first, "item_b": second, "count": np.rint(cells * people).astype(np.int64)})
    begun = time.perf_counter()
    rows, quality = make_histories(matrix, {"sigma": 100.0, "max_contributions": 15.0}, None, people, seed=1)
    took, memory = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{people:,} people over {count} items: {rows.num_rows:,} rows in {took:.1f} s, the process at most {memory:.0f} MiB; {quality}"
    )
    return int(took > SECONDS or memory > MEBIBYTES)


if __name__ == "__main__":
    sys.exit(speed() + worth())
