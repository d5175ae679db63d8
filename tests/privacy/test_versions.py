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

from pellucid.privacy import gram, histogram, mean

KEY = hashlib.sha256(b"a key for tests").digest()
RELEASED = {
    ("gram", 1): "df5787dc03bb8e16",
    ("histogram", 1): "d4ff9a482b38779c",
    ("mean", 1): "8e662712da5adbb9",
}


def visits() -> pa.Table:
    """300 people with up to 7 of 9 items, made by arithmetic."""
    rows = [(person, f"item {(person * step + step) % 9}") for person in range(300) for step in range(1, 2 + person % 7)]
    return pa.table({"person": [p for p, _ in rows], "item": [i for _, i in rows]})


def values() -> pa.Table:
    return pa.table({"person": list(range(300)), "share": [(person * 37 % 101) / 100 for person in range(300)]})


def digest(released: Any) -> str:
    if isinstance(released, dict):
        return hashlib.sha256(json.dumps(released, sort_keys=True).encode()).hexdigest()[:16]
    columns = {name: released.column(name).to_pylist() for name in released.column_names}
    return hashlib.sha256(json.dumps(columns, sort_keys=True).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("mechanism", "table"),
    [(gram(item="item", cap=3), visits()), (histogram(key="item", cap=3), visits()), (mean(columns=("share",)), values())],
    ids=["gram", "histogram", "mean"],
)
def test_a_version_releases_what_it_always_released(mechanism: Any, table: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(table, path)
    released = mechanism.run(path, "person", 1.0, 1e-6, KEY, tmp_path)
    assert (mechanism.name, mechanism.version) in RELEASED, "write down what the new version releases"
    assert digest(released) == RELEASED[mechanism.name, mechanism.version], "the statistic changed: raise its version"
