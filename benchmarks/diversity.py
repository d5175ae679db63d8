"""What diversity costs on MovieLens: EASE's lists of ten for people with their last fifth hidden, at several weights of likeness.

`--people N` takes the first N of them (default 120). Likeness: the mean over pairs of a list, as `pellucid.models.diversity` measures it;
films: how many different ones are shown to all of them together.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import numpy as np
import polars
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from pellucid.evaluation import split_by_time
from pellucid.models import ease, recommend
from pellucid.models.diversity import profiles

MOVIELENS = Path(__file__).parents[2] / "shared" / "data" / "ml-latest-small" / "ratings.csv"
WEIGHTS = (0.0, 0.1, 0.3, 0.5)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=120)
    arguments = parser.parse_args()
    if not MOVIELENS.exists():
        print(f"MovieLens is not here: {MOVIELENS}")
        return 0
    rated = polars.read_csv(MOVIELENS).select(user="userId", item="movieId", at="timestamp")
    split = split_by_time(rated.to_arrow(), "user", "item", "at")
    model = ease.fit_people(split.train, "item", "user")
    place = {item: at for at, item in enumerate(model.arrays["items"].tolist())}
    known: dict[int, list[int]] = {}
    hidden: dict[int, set[int]] = {}
    for row in split.train.to_pylist():
        known.setdefault(row["user"], []).append(row["item"])
    for row in split.holdout.to_pylist():
        if row["hidden"]:
            hidden.setdefault(row["user"], set()).add(row["item"])
    people = sorted(known.keys() & hidden.keys())[: arguments.people]
    print(
        f"{len(people)} people, {len(place)} films\n{'diversity':>9} {'nDCG@10':>8} {'likeness':>9} {'films':>6} {'ms a list':>10}"
    )
    for weight in WEIGHTS:
        gains, alike, shown, begun = [], [], set(), time.perf_counter()
        lists = [[item for item, _ in recommend(model, known[one], 10, diversity=weight)] for one in people]
        took = (time.perf_counter() - begun) / len(people)
        for one, found in zip(people, lists, strict=True):
            shown.update(found)
            ideal = sum(1 / math.log2(rank + 2) for rank in range(min(10, len(hidden[one]))))
            gains.append(sum(1 / math.log2(rank + 2) for rank, item in enumerate(found) if item in hidden[one]) / ideal)
            places = np.array([place[item] for item in found])
            rows = profiles(
                np.asarray(
                    csr_array((np.ones(len(places)), (np.arange(len(places)), places)), shape=(len(places), len(place)))
                    @ model.arrays["weights"]
                ),
                places,
            )
            alike.append(float((rows @ rows.T)[np.triu_indices(len(rows), 1)].mean()))
        print(f"{weight:9.1f} {np.mean(gains):8.4f} {np.mean(alike):9.3f} {len(shown):6} {took * 1000:10.1f}")
    return 0


if __name__ == "__main__":
    with threadpool_limits(1):
        sys.exit(main())
