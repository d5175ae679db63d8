"""Seconds and loss of the least-loss generalisation of adult, in ratio to trying every choice in the same run.

Bar: 8 quasi-identifiers, k = 5, at most 60 s, and the loss (NCP) of exhaustive search. Run: python benchmarks/generalise.py [--json]
"""

from __future__ import annotations

import json
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data import open_table
from pellucid.privacy.transforms import least_loss, read_hierarchy
from pellucid.privacy.transforms.information_loss import ncp
from pellucid.privacy.transforms.lattice import Check, Goal, compact

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "adult"
QUASI = ["age", "education", "marital-status", "native-country", "occupation", "race", "sex", "workclass"]


def exhaustive(data: Any, hierarchies: dict[str, Any], goal: Goal) -> float:
    """The least loss over all choices, each tried on the data."""
    table = compact({name: data.column(name) for name in hierarchies}, hierarchies)
    check, penalties = Check(table, goal, ordered=False), table.penalties(ncp)
    best = float("inf")
    for choice in product(*map(range, table.shape)):
        gone = check.failing(choice)
        if int(table.counts[gone].sum()) <= check.limit:
            kept = sum(level[n] for level, n in zip(penalties, choice, strict=True))
            best = min(best, float((np.where(gone, len(choice), kept) * table.counts).sum() / (table.rows * len(choice))))
    return best


def main() -> int:
    if not FOLDER.is_dir():
        print(f"the real data are not at {FOLDER}")
        return 1
    data = open_table(FOLDER / "adult.csv", options={"delimiter": ";"}).read_all()
    hierarchies = {name: read_hierarchy(FOLDER / f"adult_hierarchy_{name}.csv") for name in QUASI}
    rows: list[dict[str, Any]] = []
    for count, suppress in ((4, 0.0), (4, 0.02), (8, 0.0), (8, 0.02), (8, 0.04)):
        some = {name: hierarchies[name] for name in QUASI[:count]}
        start = time.perf_counter()
        found = least_loss(data, some, k=5, suppress=suppress)
        own = time.perf_counter() - start
        start = time.perf_counter()
        least = exhaustive(data, some, Goal(5, suppress=suppress))
        rows.append(
            {**found.to_json(), "columns": count, "seconds": own, "exhaustive": time.perf_counter() - start, "least": least}
        )
    if "--json" in sys.argv:
        print(json.dumps(rows))
    else:
        heads = ("columns", "suppressed", "choices", "tested", "s", "all, s", "ratio", "NCP", "least", "Iyengar", "precision")
        print(" ".join(f"{head:>10}" for head in [*heads, "discernible"]))
        for r in rows:
            whole = (r["columns"], r["suppressed"], r["choices"], r["looked_at"])
            times = (r["seconds"], r["exhaustive"], r["exhaustive"] / r["seconds"])
            losses = (r["loss"], r["least"], r["iyengar"], r["precision"])
            cells = [f"{n:>10,}" for n in whole] + [f"{n:>10.2f}" for n in times] + [f"{n:>10.4f}" for n in losses]
            print(" ".join([*cells, f"{r['discernibility']:>12,}"]))
    return 0 if all(abs(r["loss"] - r["least"]) < 1e-12 and r["seconds"] <= 60 for r in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
