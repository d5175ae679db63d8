"""Linkage on real and on synthetic logs: hashed identifiers fail; a release tells no more of its people than of a control group.

Real: msweb (one week of visits). Synthetic: communities of the size of the CERN Mattermost data set (20,794 people), made by
mattermost_synthetic.py; no record of it is about anybody; and the same size without communities, where people are told apart more easily.
Three quarters of the people are in the data, the rest are the control
group. Run: python benchmarks/linkage.py [--json]
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars
from mattermost_synthetic import Synthetic

from pellucid.privacy import attacks
from pellucid.privacy.mechanisms import gram

VISITS = Path(__file__).parents[1] / "src" / "pellucid" / "cli" / "msweb" / "visits.csv"
KEY = hashlib.sha256(b"linkage benchmark").digest()
EPSILON, DELTA = 1.0, 1e-6


def synthetic() -> polars.DataFrame:
    made = Synthetic(20794)
    parts = [
        polars.DataFrame({"unit": members.astype(np.int64), "item": np.full(len(members), channel)})
        for channel, members in made._in_channels()
    ]
    return polars.concat(parts)


def independent() -> polars.DataFrame:
    """The same size with independent choices: no communities, popularity after Zipf's law with exponent 0.9."""
    draw, people, items, pairs = np.random.default_rng(0), 20_794, 12_773, 277_017
    popularity = 1 / np.arange(1, items + 1) ** 0.9
    units, chosen = draw.integers(0, people, 2 * pairs), draw.choice(items, 2 * pairs, p=popularity / popularity.sum())
    return polars.DataFrame({"unit": units, "item": chosen}).unique(maintain_order=True).head(pairs)


def released(members: attacks.Histories, cap: int, scratch: Path) -> tuple[Any, np.ndarray[Any, Any], float]:
    """The noised Gram matrix of the people, square over the named items; the items' columns; the ridge for its noise."""
    rows, columns = members.matrix.nonzero()
    path = scratch / "members.parquet"
    polars.DataFrame({"unit": rows, "item": columns}).write_parquet(path)
    mechanism = gram("item", max_contributions=cap)
    frame = polars.DataFrame(mechanism.run(path, "unit", EPSILON, DELTA, KEY, scratch))
    named = frame.filter(polars.col("item_a") == polars.col("item_b"))["item_a"].to_numpy()
    a, b = (np.searchsorted(named, frame[name].to_numpy()) for name in ("item_a", "item_b"))
    counts = np.zeros((len(named), len(named)))
    counts[a, b] = counts[b, a] = frame["count"].to_numpy()
    return counts, named, 2 * mechanism.numbers(EPSILON, DELTA)["sigma"] * math.sqrt(len(named))


def main() -> int:
    told: dict[str, Any] = {}
    good = True
    msweb = polars.read_csv(VISITS).rename({"user_id": "unit", "area_id": "item"})
    for name, table, cap in (("msweb", msweb, 5), ("synthetic, Mattermost size", synthetic(), 10)):
        start = time.perf_counter()
        log = attacks.histories(table, "unit", "item")
        places = np.arange(len(log.people))
        members, control = log.rows(places[places % 4 > 0]), log.rows(places[places % 4 == 0])
        findings = [attacks.linkage(log, log, target=f"{name}, hashed identifiers", known=known) for known in (2, 4, 8)]
        with tempfile.TemporaryDirectory() as scratch:
            counts, named, ridge = released(members, cap, Path(scratch))
        findings.append(
            attacks.attribute_inference(
                members,
                control,
                attacks.from_counts(counts, named, len(log.items), ridge=ridge),
                target=f"{name}, Gram matrix at epsilon {EPSILON:g}",
                references={"hashed identifiers": attacks.from_records(members)},
            )
        )
        good = good and findings[-1].within_control and findings[2].rate.value > 0.85
        told[name] = [finding.to_json() for finding in findings]
        if "--json" not in sys.argv:
            size = f"{len(log.people):,} people, {len(log.items):,} items, {int(log.sizes.sum()):,} pairs"
            print(f"--- {name}: {size}, {len(named)} released")
            print("\n".join(line for finding in findings for line in finding.to_lines()))
            print(f"within the control group's interval: {findings[-1].within_control}; {time.perf_counter() - start:.0f} s\n")
    log = attacks.histories(independent(), "unit", "item")
    alone = [attacks.linkage(log, log, target="independent choices, hashed identifiers", known=known) for known in (2, 4, 8)]
    good = good and alone[1].rate.value > 0.9
    told["independent choices"] = [finding.to_json() for finding in alone]
    if "--json" not in sys.argv:
        print("\n".join(line for finding in alone for line in finding.to_lines()))
    if "--json" in sys.argv:
        print(json.dumps(told))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
