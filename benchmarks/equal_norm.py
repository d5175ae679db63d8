"""What the equal-norm release is worth on msweb: EASE on it as a share of EASE without privacy, user-level epsilon 1, 2 and 4.

The product's own split (a fifth of the people held out, a fifth of each one's areas hidden), delta 1e-6, items not declared. Three splits
times four keys; people who are held out under the seeds "val0" and "val1", on which settings were chosen, are in no test. Beside it the
counts at their default cap. nDCG@10. Exits 1 where a mean is below its bar.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

import pellucid
from pellucid.evaluation import per_person, split
from pellucid.models import ease, popularity, private_gram
from pellucid.privacy import gram

BARS = {1.0: 0.960, 2.0: 0.980, 4.0: 0.990}
DELTA, KEYS, SPLITS = 1e-6, 4, 3


def ndcg(model: object, holdout: pa.Table) -> float:
    return float(np.mean(per_person(model, holdout, "user_id", "area_id").column("ndcg_10")))


def main() -> int:
    visits = csv.read_csv(Path(pellucid.__file__).parent / "cli" / "msweb" / "visits.csv")
    chosen_on = pa.concat_arrays(
        [split(visits, "user_id", "area_id", seed=seed).holdout.column("user_id").combine_chunks() for seed in ("val0", "val1")]
    ).unique()
    shares: dict[tuple[str, float], list[float]] = {}
    named: dict[tuple[str, float], list[int]] = {}
    floor = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(SPLITS):
            people = split(visits, "user_id", "area_id", seed=f"test{number}")
            holdout = people.holdout.filter(pc.invert(pc.is_in(people.holdout.column("user_id"), value_set=chosen_on)))
            exact = private_gram(people.train, "area_id", "user_id")
            ceiling = ndcg(ease.fit(exact, noise=0.0), holdout)
            floor.append(ndcg(popularity.fit(exact), holdout) / ceiling)
            print(f"split {number}: {holdout.column('user_id').unique().__len__()} people, ceiling {ceiling:.4f}", flush=True)
            path = Path(scratch) / "train.parquet"
            pq.write_table(people.train, path)
            for epsilon in BARS:
                for norm in ("equal", "counts"):
                    release = gram("area_id", norm=norm)
                    for key in range(KEYS):
                        secret = hashlib.sha256(f"{number} {key} {epsilon} {norm}".encode()).digest()
                        table = release.run(path, "user_id", epsilon, DELTA, secret, Path(scratch))
                        model = ease.fit(table, noise=release.numbers(epsilon, DELTA)["sigma"])
                        shares.setdefault((norm, epsilon), []).append(ndcg(model, holdout) / ceiling)
                        named.setdefault((norm, epsilon), []).append(len(model.arrays["items"]))
    wrong = 0
    print(
        f"share of the ceiling (popularity {np.mean(floor):.3f})\n{'':<8}{'epsilon':>8}{'mean':>8}{'worst':>8}{'bar':>8}{'areas':>8}"
    )
    for (norm, epsilon), found in sorted(shares.items()):
        bar = BARS[epsilon] if norm == "equal" else 0.0
        wrong += np.mean(found) < bar
        shown = f"{bar:8.3f}" if bar else " " * 8
        print(f"{norm:<8}{epsilon:8g}{np.mean(found):8.3f}{min(found):8.3f}{shown}{np.mean(named[norm, epsilon]):8.0f}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
