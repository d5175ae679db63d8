"""EASE without noise: the default ridge beside a range of others, on people the models have not seen.

MovieLens (610 people, films that ten people or more rated) where it is here, and the visits that are shipped; three splits of people each.
Exits 1 where the default is more than a fiftieth below the best.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars

import pellucid
from pellucid.evaluation import per_person, split
from pellucid.models import ease, private_gram

MOVIELENS = Path(__file__).parents[2] / "shared" / "data" / "ml-latest-small" / "ratings.csv"
RIDGES = (10.0, 30.0, 100.0, 300.0, 1000.0)


def logs() -> dict[str, polars.DataFrame]:
    visits = polars.read_csv(Path(pellucid.__file__).parent / "cli" / "msweb" / "visits.csv")
    found = {"msweb": visits.select(user="user_id", item="area_id").filter(polars.col("user") % 4 == 0)}
    if MOVIELENS.exists():
        rated = polars.read_csv(MOVIELENS).select(user="userId", item="movieId")
        found["MovieLens"] = rated.filter(polars.len().over("item") >= 10)
    return found


def main() -> int:
    wrong = 0
    print(f"{'nDCG@10':<12} {'split':>5} {'default':>8} {'at':>6}  " + "".join(f"{ridge:>8g}" for ridge in RIDGES))
    for name, frame in logs().items():
        for seed in range(3):
            people = split(frame.to_arrow(), "user", "item", seed)
            gram = private_gram(people.train, "item", "user")
            fitted = [ease.fit(gram), *(ease.fit(gram, regularization=ridge) for ridge in RIDGES)]
            scored = [float(np.mean(per_person(model, people.holdout, "user", "item").column("ndcg_10"))) for model in fitted]
            wrong += scored[0] < max(scored) * 0.98
            at = fitted[0].settings["regularization"]
            print(
                f"{name:<12} {seed:>5} {scored[0]:>8.3f} {at:>6.0f}  " + "".join(f"{one:>8.3f}" for one in scored[1:]), flush=True
            )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
