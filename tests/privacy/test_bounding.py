"""Contribution bounding: how much of a unit is kept, which part, and what is refused."""

from __future__ import annotations

import datetime
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import PrivacyError
from pellucid.privacy.mechanisms import bins, clicks, gram, histogram, marginals, mean, partitions, top_k
from pellucid.privacy.private_tables import bounding, private_columns

KEY = bytes(range(32))
ROWS = st.lists(
    st.tuples(st.sampled_from(["ann", "bob", "", "é", "eve"]), st.sampled_from(["x", "y", "z", "", "ß"])), max_size=40
)


def bounded(table: pa.Table, cap: int, scratch: Path, key: bytes = KEY, **write: Any) -> pa.Table:
    pq.write_table(table, scratch / "rows.parquet", **write)
    path = bounding.bounded_pairs(scratch / "rows.parquet", "unit", "item", cap, key, scratch)
    try:
        return pq.read_table(path)
    finally:
        path.unlink()


@given(rows=ROWS, max_contributions=st.integers(1, 4), order=st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_every_unit_keeps_its_distinct_items_up_to_the_cap_whatever_the_order(
    rows: list[tuple[str, str]], max_contributions: int, order: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scratch = tmp_path_factory.mktemp("b")

    def table(rows: list[tuple[str, str]]) -> pa.Table:
        return pa.table(
            {"unit": pa.array([r[0] for r in rows], pa.string()), "item": pa.array([r[1] for r in rows], pa.string())}
        )

    found = bounded(table(rows), max_contributions, scratch)
    assert len(set(zip(*found.to_pydict().values(), strict=True))) == found.num_rows
    units = sorted({unit for unit, _ in rows})
    sizes = Counter(found.column("unit").to_pylist())
    for place, unit in enumerate(units):
        held = {item for owner, item in rows if owner == unit}
        kept = {item for owner, item in zip(*found.to_pydict().values(), strict=True) if owner == place}
        assert kept <= held
        assert sizes[place] == min(max_contributions, len(held))
    shuffled = list(rows)
    order.shuffle(shuffled)
    assert bounded(table(shuffled), max_contributions, scratch, row_group_size=7).equals(found)


def test_which_items_are_kept_depends_on_the_key_and_is_even(tmp_path: Path) -> None:
    table = pa.table({"unit": np.repeat(np.arange(3000), 4), "item": np.tile(np.arange(4), 3000)})
    kept = bounded(table, 1, tmp_path).column("item").to_numpy()
    counts = np.bincount(kept, minlength=4)
    assert (np.abs(counts - 750) < 5 * np.sqrt(3000 * 0.25 * 0.75)).all()
    assert not np.array_equal(kept, bounded(table, 1, tmp_path, key=bytes(32)).column("item").to_numpy())


def test_a_sort_out_of_order_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"unit": np.arange(100)[::-1], "item": np.arange(100)})
    real = bounding._database

    class Unsorted:
        def __init__(self, db: Any) -> None:
            self.db = db

        def register(self, *given: Any) -> None:
            self.db.register(*given)

        def sql(self, text: str) -> Any:
            return self.db.sql(text.split("ORDER", maxsplit=1)[0])

    from contextlib import contextmanager

    @contextmanager
    def database(scratch: Path) -> Any:
        with real(scratch) as db:
            yield Unsorted(db)

    monkeypatch.setattr(bounding, "_database", database)
    with pytest.raises(PrivacyError, match="out of order"):
        bounded(table, 1, tmp_path)


def test_units_that_cross_blocks_stay_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    table = pa.table({"unit": rng.integers(0, 700, 30_000), "item": rng.integers(0, 50, 30_000)})
    whole = bounded(table, 6, tmp_path)
    monkeypatch.setattr(bounding, "ROWS", 2048)
    assert bounded(table, 6, tmp_path).equals(whole)
    assert np.bincount(whole.column("unit")).max() == 6


VALUES: dict[str, pa.Array] = {
    "int8": pa.array([1, 2, 3, 1], pa.int8()),
    "uint64": pa.array([2**64 - 1, 0, 5, 5], pa.uint64()),
    "large_string": pa.array(["a", "b", "a", "c"], pa.large_string()),
    "binary": pa.array([b"\xff", b"", b"\0", b"a"], pa.binary()),
    "bool": pa.array([True, False, True, True]),
    "date": pa.array([datetime.date(2020, 1, day) for day in (1, 2, 2, 3)]),
    "timestamp": pa.array([datetime.datetime(2020, 1, day) for day in (1, 2, 2, 3)], pa.timestamp("us")),
    "zoned": pa.array([datetime.datetime(2020, 1, day) for day in (1, 2, 2, 3)], pa.timestamp("ms", tz="UTC")),
    "category": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
}


@pytest.mark.parametrize("kind", VALUES)
def test_items_and_units_of_every_plain_type_work_and_keep_their_type(kind: str, tmp_path: Path) -> None:
    values = VALUES[kind]
    found = bounded(pa.table({"unit": pa.array([1, 1, 2, 3]), "item": values}), 5, tmp_path)
    assert found.column("item").type == private_columns.plain_type(values.type)
    assert sorted(map(str, found.column("item").to_pylist())) == sorted(map(str, values.to_pylist()))
    by_unit = bounded(pa.table({"unit": values, "item": pa.array([1, 2, 3, 4])}), 1, tmp_path)
    assert by_unit.num_rows == len(set(values.to_pylist()))


def test_what_cannot_be_bounded_is_refused_by_name_before_and_in_the_run_without_a_value(tmp_path: Path) -> None:
    secret = "MARIA-4711"
    tables = {
        "has rows without a value": pa.table({"unit": [secret, None], "item": ["a", "b"], "x": [1.0, 2.0]}),
        "no column 'item'": pa.table({"unit": [secret], "thing": [1]}),
        "is of type double": pa.table({"unit": [secret], "item": [1.5], "x": [1.0]}),
        "is of type list": pa.table({"unit": [secret], "item": [[1]], "x": [1.0]}),
    }
    for message, table in tables.items():
        pq.write_table(table, tmp_path / "t.parquet")
        for mechanism in (gram("item"), histogram("item")):
            for act in (
                lambda m: m.check(tmp_path / "t.parquet", "unit"),
                lambda m: m.run(tmp_path / "t.parquet", "unit", 1.0, 1e-6, KEY, tmp_path),
            ):
                with pytest.raises(PrivacyError, match=message) as caught:
                    act(mechanism)
                assert secret not in str(caught.value)
    pq.write_table(pa.table({"unit": [1, None], "item": ["a", "b"]}), tmp_path / "t.parquet")
    for names, message in ((["item"], "not a number"), (["unit"], "names the unit"), (["gone"], "no column")):
        with pytest.raises(PrivacyError, match=message):
            mean(names).check(tmp_path / "t.parquet", "unit")
    with pytest.raises(PrivacyError, match="names the unit"):
        gram("unit").check(tmp_path / "t.parquet", "unit")


@pytest.mark.parametrize("far", [None, 300, 70_000, 2**40, -1, -(2**62)])
def test_what_a_unit_keeps_depends_on_no_other_units_numbers(far: int | None, tmp_path: Path) -> None:
    """Whole numbers are sorted in the smallest type that holds them all; a unit with far ones makes that another type for everybody."""
    rng = np.random.default_rng(3)
    units, items = rng.integers(1, 60, 900), rng.integers(0, 100, 900)
    others = {"unit": pa.array(units, pa.int64()), "item": pa.array(items, pa.int64())}
    alone = bounded(pa.table(others), 4, tmp_path)
    if far is not None:
        added = {"unit": pa.array([0, *units], pa.int64()), "item": pa.array([far, *items], pa.int64())}
        both = bounded(pa.table(added), 4, tmp_path)
        assert both.slice(0, 1).to_pylist() == [{"unit": 0, "item": far}]
        rest = both.slice(1)
        assert rest.column("item").to_pylist() == alone.column("item").to_pylist()
        assert [unit - 1 for unit in rest.column("unit").to_pylist()] == alone.column("unit").to_pylist()
        moved = bounded(
            pa.table({"unit": pa.array([far if u == 1 else u for u in units], pa.int64()), "item": items}), 4, tmp_path
        )
        assert Counter(moved.column("item").to_pylist()).total() == alone.num_rows
    for kind in (pa.int16(), pa.uint32(), pa.uint64()):
        same = bounded(pa.table({name: column.cast(kind) for name, column in others.items()}), 4, tmp_path)
        assert same.column("item").to_pylist() == alone.column("item").to_pylist()


@given(values=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 70_000), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_a_smaller_type_holds_all_that_is_there(values: list[int]) -> None:
    kind = private_columns.narrowed(pa.int64(), min(values), max(values))
    assert pa.array(values, pa.int64()).cast(kind).cast(pa.int64()).to_pylist() == values
    assert kind.bit_width <= 64


@pytest.mark.parametrize("place", ["unit", "key"])
def test_bytes_that_are_no_text_are_refused_before_a_spend(place: str, tmp_path: Path) -> None:
    """Such a table cannot be stored; should one come by another way, no sort may take other bytes for it after the spend."""
    plain, no_text = pa.array(["a", "b", "a"]), pa.array([b"fine", b"\xff\xfe secret", b"fine"]).view(pa.string())
    unit, key = (no_text, plain) if place == "unit" else (plain, no_text)
    pq.write_table(pa.table({"who": unit, "k": key, "k2": key, "x": [1.0, 2.0, 3.0]}), tmp_path / "t.parquet")
    keyed = [histogram("k"), gram("k"), partitions("k"), clicks("k", "k2"), top_k("k", ("a", "b"), 1)]
    keyed += [marginals({"k": ["a", "b"], "x": bins(0, 4, 2)}, other="other")]
    for mechanism in keyed + ([mean(("x",))] if place == "unit" else []):
        with pytest.raises(PrivacyError, match="that is not valid UTF-8") as refused:
            mechanism.check(tmp_path / "t.parquet", "who")
        assert "secret" not in str(refused.value), mechanism.name
