"""Gram, histogram and mean: what they release, that it repeats, and what defines it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from pellucid.errors import PrivacyError
from pellucid.privacy.mechanisms import gram, histogram, mean

KEY = bytes(range(32))
MSWEB = Path(__file__).parents[2] / "src" / "pellucid" / "cli" / "msweb" / "visits.csv"


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("msweb") / "visits.parquet"
    pq.write_table(csv.read_csv(MSWEB), path)
    return path


def run(mechanism: Any, path: Path, scratch: Path, key: bytes = KEY, epsilon: float = 1.0, delta: float = 1e-6) -> Any:
    return mechanism.run(path, "user_id", epsilon, delta, key, scratch)


def test_a_gram_release_is_a_full_triangle_near_the_truth_and_leaves_nothing_behind(visits: Path, tmp_path: Path) -> None:
    mechanism = gram(item="area_id", max_contributions=35)  # nobody has more: the bound takes nothing away
    table = run(mechanism, visits, tmp_path, epsilon=50.0)
    assert table.schema == pa.schema([("item_a", pa.int64()), ("item_b", pa.int64()), ("count", pa.int64())])
    items = table.column("item_a").unique().to_pylist()
    pairs = list(zip(table.column("item_a").to_pylist(), table.column("item_b").to_pylist(), strict=True))
    assert pairs == [(a, b) for a in items for b in items if a <= b]
    rows = csv.read_csv(MSWEB)
    users, areas = np.asarray(rows["user_id"]), np.asarray(rows["area_id"])
    held = np.zeros((users.max() + 1, areas.max() + 1))
    held[users, areas] = 1
    truth = held.T @ held
    noise = np.asarray(table.column("count")) - np.array([truth[pair] for pair in pairs])
    sigma = mechanism.numbers(50.0, 1e-6)["sigma"]
    assert abs(noise.std() / sigma - 1) < 0.1
    assert abs(noise.mean()) < 5 * sigma / np.sqrt(len(noise))
    assert min(truth[item, item] for item in items) > 1
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "spill"])


def test_the_same_key_gives_the_same_release_and_another_key_another(visits: Path, tmp_path: Path) -> None:
    for mechanism in (gram(item="area_id", max_items=30), histogram(key="area_id"), mean(["area_id"], 0, 300)):
        one, again, other = (run(mechanism, visits, tmp_path, key) for key in (KEY, KEY, bytes(32)))
        assert one == again
        assert one != other


def test_row_order_and_row_groups_do_not_change_a_release(visits: Path, tmp_path: Path) -> None:
    table = pq.read_table(visits)
    shuffled = table.take(np.random.default_rng(3).permutation(table.num_rows))
    pq.write_table(pa.concat_tables([shuffled, table.slice(0, 5000)]), tmp_path / "s.parquet", row_group_size=9_999)
    assert run(gram(item="area_id"), visits, tmp_path).equals(run(gram(item="area_id"), tmp_path / "s.parquet", tmp_path))
    one_row = pa.table({"user_id": np.arange(500), "x": np.linspace(0, 1, 500)})
    pq.write_table(one_row, tmp_path / "x.parquet")
    pq.write_table(one_row.slice(250).slice(0), tmp_path / "half.parquet")
    pq.write_table(pa.concat_tables([one_row.slice(250), one_row.slice(0, 250)]), tmp_path / "y.parquet")
    assert run(mean(["x"]), tmp_path / "x.parquet", tmp_path) == run(mean(["x"]), tmp_path / "y.parquet", tmp_path)


def test_max_items_keeps_the_largest_noised_counts(visits: Path, tmp_path: Path) -> None:
    every, few = (run(gram(item="area_id", max_items=size), visits, tmp_path) for size in (2000, 10))

    def diagonal(table: pa.Table) -> dict[int, int]:
        return {a: count for a, b, count in zip(*table.to_pydict().values(), strict=True) if a == b}

    largest = sorted(diagonal(every).values())[-10:]
    assert sorted(diagonal(few).values()) == largest
    assert few.num_rows == 55


def test_a_histogram_is_the_noised_diagonal_over_its_threshold(visits: Path, tmp_path: Path) -> None:
    mechanism = histogram(key="area_id", max_contributions=5)
    table = run(mechanism, visits, tmp_path)
    numbers = mechanism.numbers(1.0, 1e-6)
    assert table.column_names == ["area_id", "count"]
    assert min(table.column("count").to_pylist()) >= numbers["threshold"]
    assert table.column("area_id").to_pylist() == sorted(table.column("area_id").to_pylist())
    assert numbers["sigma"] < gram("area_id", 5).numbers(1.0, 1e-6)["sigma"]


def test_a_mean_is_near_the_truth_within_its_stated_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    values = {"a": rng.random(4000), "b": (rng.random(4000) < 0.2).astype(float)}
    pq.write_table(pa.table({"user_id": np.arange(4000), **values}), tmp_path / "m.parquet")
    mechanism, scores = mean(["a", "b"]), []
    for key in range(30):
        found = run(mechanism, tmp_path / "m.parquet", tmp_path, bytes([key]) * 32)
        assert set(found) == {"a", "b", "a_error", "b_error", "people"}
        scores += [(found[name] - values[name].mean()) / found[f"{name}_error"] for name in values]
    assert 0.7 < np.std(scores) < 1.3
    assert abs(found["people"] - 4000) < 6 * 2 * mechanism.numbers(1.0, 1e-6)["noise"]


def test_means_are_clamped_and_finite_for_nobody_and_for_one_person(tmp_path: Path) -> None:
    for count in (0, 1):
        pq.write_table(pa.table({"user_id": np.arange(count), "x": np.full(count, 1e9)}), tmp_path / "n.parquet")
        for key in range(10):
            found = run(mean(["x"], lower=2.0, upper=5.0), tmp_path / "n.parquet", tmp_path, bytes([key]) * 32)
            assert 2.0 <= found["x"] <= 5.0
            assert all(np.isfinite(value) for value in found.values())


def test_empty_data_release_nothing_but_noise(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": pa.array([], pa.int64()), "item": pa.array([], pa.string())}), tmp_path / "e.parquet")
    table = run(gram("item"), tmp_path / "e.parquet", tmp_path)
    assert table.num_rows == 0
    assert table.schema.field("item_a").type == pa.string()
    assert run(histogram("item"), tmp_path / "e.parquet", tmp_path).num_rows == 0


@pytest.mark.parametrize("mechanism", [gram("i"), histogram("i"), mean(["x", "y"], 0, 5)], ids=lambda m: m.name)
def test_parameters_cover_every_field_and_the_version_and_are_json(mechanism: Any) -> None:
    parameters = mechanism.parameters()
    assert json.loads(json.dumps(parameters)) == parameters
    assert parameters["mechanism"] == mechanism.name
    assert parameters["version"] == mechanism.version
    for field in dataclasses.fields(mechanism):  # a field may be left out while it is at its default
        assert field.name in parameters or getattr(mechanism, field.name) == field.default
    guarantee = mechanism.guarantee(1.0, 1e-6)
    assert json.loads(json.dumps(guarantee)) == guarantee
    assert guarantee["relation"] == "add or remove one unit"
    assert guarantee["not_covered"]
    assert all(type(value) is float for value in mechanism.numbers(1.0, 1e-6).values())


def test_unusable_bounds_are_refused() -> None:
    bad: list[Any] = [
        lambda: gram("i", max_contributions=0), lambda: gram("i", max_contributions=101), lambda: gram("i", max_contributions=True),
        lambda: gram("i", max_contributions=2.0),  # type: ignore[arg-type]
        lambda: gram(""), lambda: gram("i", max_items=0), lambda: histogram("k", max_contributions=-1), lambda: mean([]),
        lambda: mean(["a", "a"]), lambda: mean(["a", "a_error"]), lambda: mean(["people"]), lambda: mean(["a"], 1.0, 1.0),
        lambda: mean(["a"], 0.0, float("inf")), lambda: mean(["a"], float("nan"), 1.0),
    ]  # fmt: skip
    for make in bad:
        with pytest.raises(PrivacyError):
            make()


def test_importing_the_room_loads_nothing_heavy_and_keeps_its_functions() -> None:
    code = (
        "import sys, pellucid.privacy as p, pellucid.privacy.mechanisms.gram_matrix, pellucid.privacy.mechanisms.mean\n"
        "p.gram('a'), p.mean(['x']), p.histogram('k')\n"
        "print([m for m in ('numpy', 'pyarrow', 'scipy', 'duckdb', 'cryptography') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"
