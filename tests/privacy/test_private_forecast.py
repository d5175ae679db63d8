"""A forecast from the rows is as good as the releases that follow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pellucid.privacy import gram, histogram, mean
from pellucid.privacy.private_forecast import simulated_forecast
from pellucid.privacy.secret_keys import derive
from pellucid.store import Table

KEY = bytes(range(32))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("people", "items", "each"), [(943, 400, 20.0), (5000, 300, 3.0), (20_000, 200, 4.0)])
def test_it_is_within_a_twentieth_of_what_is_released(people: int, items: int, each: float, tmp_path: Path) -> None:
    draw = np.random.default_rng(7)
    chances = np.minimum(0.5, each * (1 / np.arange(1, items + 1)) / (1 / np.arange(1, items + 1)).sum())
    who, what = np.nonzero(draw.random((people, items)) < chances)
    pq.write_table(pa.table({"user": who, "item": what}), tmp_path / "log.parquet")
    for mechanism in (histogram("item", 5), gram("item", 5)):
        told = simulated_forecast("r", Table(tmp_path / "log.parquet"), "user", mechanism, 1.0, 1e-6).figures["named"]
        named = []
        for at in range(30):
            released: Any = mechanism.run(tmp_path / "log.parquet", "user", 1.0, 1e-6, derive(KEY, f"{at}"), tmp_path)
            named.append(len(set(released.column("item_a" if mechanism.name == "gram" else "item").to_pylist())))
        allowed = 0.05 * np.mean(named) + 3 * math.sqrt(np.var(named) / 10 + np.var(named) / 30)
        assert abs(told - np.mean(named)) <= allowed, (mechanism.name, told, np.mean(named))


@pytest.mark.slow
@pytest.mark.parametrize("top", [0.2, 1.0])
def test_the_error_of_a_mean_is_within_a_twentieth(top: float, tmp_path: Path) -> None:
    people = 2000
    pq.write_table(
        pa.table({"user": range(people), "x": np.random.default_rng(3).uniform(0, top, people)}), tmp_path / "x.parquet"
    )
    told = simulated_forecast("r", Table(tmp_path / "x.parquet"), "user", mean(["x"]), 0.5, 1e-6).figures["x"]
    drawn = [
        mean(["x"]).run(tmp_path / "x.parquet", "user", 0.5, 1e-6, derive(KEY, f"{at}"), tmp_path)["x"] for at in range(2000)
    ]
    assert told == pytest.approx(np.std(drawn), rel=0.05 + 3 / math.sqrt(2 * 300))
