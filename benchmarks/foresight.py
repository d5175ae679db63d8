"""How right foresight is: named items and errors as forecast from declared numbers alone, against releases that are drawn.

Thirty releases on five sets of data: the visits that are shipped, MovieLens ratings where they are here, and made-up logs by Zipf's law.
Declared are the true numbers of people, items and items each; the law is a bracket of exponents. Exits 1 where a bar does not hold.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq

import pellucid
from pellucid.privacy import gram, histogram, mean, partitions, simulate
from pellucid.privacy.foresight import ExpectedNumbers, foresee_release
from pellucid.privacy.foresight.named_items import Naming
from pellucid.privacy.foresight.release_foresight import _naming
from pellucid.store import Table

MOVIELENS = Path(__file__).parents[2] / "shared" / "data" / "ml-latest-small" / "ratings.csv"


def logs(folder: Path) -> dict[str, Table]:
    """Logs of (user, item), each pair once."""
    visits = polars.read_csv(Path(pellucid.__file__).parent / "cli" / "msweb" / "visits.csv")
    found = {"msweb": visits.select(user="user_id", item="area_id")}
    if MOVIELENS.exists():
        found["MovieLens, 610 people"] = polars.read_csv(MOVIELENS).select(user="userId", item="movieId")
    for name, (people, items, each, law) in {
        "made up, 943 people, 1,682 items, exponent 1": (943, 1682, 40.0, 1.0),
        "made up, 20,000 people, 500 items, exponent 1.3": (20_000, 500, 5.0, 1.3),
        "made up, 5,000 people, 300 items, exponent 1.5": (5000, 300, 3.0, 1.5),
    }.items():
        chances = ExpectedNumbers(people, items, each).counts(law, 10**6) / people
        who, what = np.nonzero(np.random.default_rng(1).random((people, items)) < chances)
        found[name] = polars.DataFrame({"user": who, "item": what})
    tables = {}
    for at, (name, frame) in enumerate(found.items()):
        path = folder / f"{at}.parquet"
        pq.write_table(frame.unique(maintain_order=True).to_arrow(), path)
        tables[name] = Table(path)
    return tables


def bracket(naming: Naming, numbers: ExpectedNumbers, cap: int) -> tuple[float, float]:
    low, high = sorted(naming.expected(numbers.counts(exponent, cap)) for exponent in (1.0, 1.5))
    return low, high


def main() -> int:
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        print(f"{'named items':<50} {'release':<24} {'forecast':>12} {'drawn':>7}  within a factor of two")
        for name, table in logs(Path(scratch)).items():
            frame = table.polars().collect()
            people, items = frame["user"].n_unique(), frame["item"].n_unique()
            numbers = ExpectedNumbers(people, items, frame.height / people)
            for mechanism, epsilon in ((histogram("item", 5), 1.0), (gram("item", 5), 1.0), (partitions("item", 5), 0.5)):
                naming = _naming(mechanism, epsilon, 1e-6, "add-remove")
                assert naming is not None
                low, high = bracket(naming, numbers, 5)
                drawn = []
                for draw in range(2):
                    released: Any = simulate(mechanism, table, unit="user", epsilon=epsilon, delta=1e-6, draw=draw)
                    drawn.append(len(set(released.column("item_a" if mechanism.name == "gram" else "item").to_pylist())))
                seen = float(np.mean(drawn))
                holds = low / 2 - 1 <= seen <= 2 * high + 1
                wrong += not holds
                shown = f"{mechanism.name}, epsilon {epsilon:g}"
                print(f"{name:<50} {shown:<24} {f'{low:,.0f} to {high:,.0f}':>12} {seen:>7,.0f}  {'yes' if holds else 'NO'}")
        print(f"\n{'error of a mean in [0, 1]':<50} {'forecast':>10} {'drawn':>10} {'ratio':>7}")
        for people in (100, 1000, 10_000):
            values = np.random.default_rng(int(hashlib.sha256(b"values").hexdigest()[:8], 16)).uniform(0, 0.6, people)
            path = Path(scratch, "values.parquet")
            pq.write_table(pa.table({"user": range(people), "x": values}), path)
            said = float(
                foresee_release("r", mean(["x"]), 1.0, 1e-6, ExpectedNumbers(people)).lines[0].split("off by ")[1].split()[0]
            )
            draws = [
                simulate(mean(["x"]), Table(path), unit="user", epsilon=1.0, delta=1e-6, draw=draw)["x"] for draw in range(300)
            ]
            spread = float(np.std(draws))
            holds = 0.8 <= said / spread <= 1.25
            wrong += not holds
            print(f"{f'{people:,} people':<50} {said:>10.5f} {spread:>10.5f} {said / spread:>7.2f}{'' if holds else '  NO'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
