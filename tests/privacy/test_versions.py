"""A mechanism that computes something else must have another version: its noise stream must not serve two statistics.

Each digest below is what one version releases from fixed data under a fixed key. When a change makes this test fail, it has
altered the statistic or its noise: raise the mechanism's `version` and write the new digest under it. Never edit a digest alone.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pellucid.privacy.mechanisms import (
    bins,
    clicks,
    gram,
    histogram,
    marginals,
    mean,
    pairs,
    partitions,
    quantiles,
    select_best,
    top_k,
)
from pellucid.privacy.mechanisms import sum as bounded_sum

KEY = hashlib.sha256(b"a key for tests").digest()
RELEASED = {
    ("gram", 1): "df5787dc03bb8e16",
    ("equal_norm_gram", 1): "5cc683421682ea4a",
    ("histogram", 1): "d4ff9a482b38779c",
    ("marginals", 1): "6e0ac69ee2080f5a",
    ("mean", 1): "8e662712da5adbb9",
    ("sum", 2): "58e46ec1123acf69",
    ("quantiles", 1): "b31ea44da8f053d0",
    ("select_best", 1): "d83c3301b3e5de17",
    ("partitions", 1): "c92a1e8c1ff7ad7f",
    ("top_k", 1): "fe1a53574f71df47",
    ("clicks", 1): "6dbda2fe9599a9bf",
    ("pairs", 1): "a458e1509870e6ce",
}


def visits() -> pa.Table:
    """300 people with up to 7 of 9 items, made by arithmetic."""
    rows = [(person, f"item {(person * step + step) % 9}") for person in range(300) for step in range(1, 2 + person % 7)]
    return pa.table({"person": [p for p, _ in rows], "item": [i for _, i in rows], "place": [p % 2 for p, _ in rows]})


def values() -> pa.Table:
    shares = [(person * 37 % 101) / 100 for person in range(300)]
    return pa.table({"person": list(range(300)), "share": shares, "other": shares[::-1]})


def digest(released: Any) -> str:
    if isinstance(released, dict):
        return hashlib.sha256(json.dumps(released, sort_keys=True).encode()).hexdigest()[:16]
    columns = {name: released.column(name).to_pylist() for name in released.column_names}
    return hashlib.sha256(json.dumps(columns, sort_keys=True).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("mechanism", "table"),
    [
        (gram(item="item", max_contributions=3), visits()),
        (gram(item="item", max_contributions=3, norm="equal"), visits()),
        (histogram(key="item", max_contributions=3), visits()),
        (
            marginals(
                {
                    "place": [0, 1],
                    "item": {f"item {at}": "odd" if at % 2 else "even" for at in range(7)},
                    "who": bins(0, 300, 5),
                },
                target="place",
                other="rest",
            ),
            visits().append_column("who", visits().column("person")),
        ),
        (mean(columns=("share",)), values()),
        (bounded_sum(columns=("share",)), values()),
        (quantiles("share", 0.0, 1.0, levels=(0.1, 0.5)), values()),
        (select_best(("share", "other")), values()),
        (partitions("item", max_contributions=3), visits()),
        (top_k("item", public_keys=[f"item {at}" for at in range(9)], k=3), visits()),
        (clicks("item", "place", queries=3, clicks=3), visits()),
        (pairs("item", max_contributions=3), visits()),
    ],
    ids=lambda given: getattr(given, "name", ""),
)
def test_a_version_releases_what_it_always_released(mechanism: Any, table: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(table, path)
    released = mechanism.run(path, "person", 1.0, 1e-6, KEY, tmp_path)
    assert (mechanism.name, mechanism.version) in RELEASED, "write down what the new version releases"
    assert digest(released) == RELEASED[mechanism.name, mechanism.version], "the statistic changed: raise its version"
