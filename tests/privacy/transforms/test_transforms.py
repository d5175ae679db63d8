"""Each transform does what it says on real rows, streamed, the same each time, and shows no value when it refuses."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data import open_table
from pellucid.errors import DataError, PellucidError, PrivacyError, UsageError
from pellucid.privacy.transforms import (
    Clip,
    Coarsen,
    Drop,
    DropRare,
    Generalise,
    Mask,
    Pseudonym,
    Sample,
    SuppressSmall,
    intervals,
    read_hierarchy,
    transformed,
)
from pellucid.privacy.transforms.row_transform import Rows, rows_from

KEY, OTHER = bytes(32), bytes([1]) * 32


@pytest.fixture(scope="session")
def visits(data: Path) -> pa.Table:
    return open_table(data / "msweb" / "visits.csv").read_all()


def applied(table: Any, *transforms: Any, key: bytes = KEY) -> pa.Table:
    return transformed(table, list(transforms), key=key).read_all()


def in_batches(table: pa.Table, rows: int) -> Rows:
    return Rows(table.schema, lambda: iter(table.to_batches(max_chunksize=rows)))


def test_two_releases_do_not_join(visits: pa.Table) -> None:
    one = applied(visits, Pseudonym("user_id", release="spring"))
    two = applied(visits, Pseudonym("user_id", release="autumn"))
    other = applied(visits, Pseudonym("user_id", release="spring"), key=OTHER)
    people = [set(t["user_id"].to_pylist()) for t in (one, two, other)]
    assert [len(p) for p in people] == [len(set(visits["user_id"].to_pylist()))] * 3
    assert not (people[0] & people[1]) and not (people[0] & people[2]) and not (people[1] & people[2])
    pairs = set(zip(visits["user_id"].to_pylist(), one["user_id"].to_pylist(), strict=True))
    assert len(pairs) == len(people[0])  # one pseudonym a person, one person a pseudonym
    assert applied(visits, Pseudonym("user_id", release="spring")).equals(one)


def test_columns_of_one_release_join_by_their_namespace() -> None:
    table = pa.table({"from": ["ann", "bob", None], "to": ["bob", "ann", "ann"]})
    made = applied(table, Pseudonym("from", "r", "people"), Pseudonym("to", "r", "people"))
    assert made["from"][0] == made["to"][1] == made["to"][2]
    assert made["from"][2].as_py() is None
    apart = applied(table, Pseudonym("from", "r"), Pseudonym("to", "r"))
    assert apart["from"][0] != apart["to"][1]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abcd")), max_size=40), st.integers(2, 4), st.integers(1, 7))
def test_small_classes_and_rare_items_go(rows: list[tuple[int, str]], least: int, cut: int) -> None:
    table = pa.table({"who": pa.array([r[0] for r in rows], pa.int64()), "what": pa.array([r[1] for r in rows], pa.string())})
    made = applied(in_batches(table, cut), SuppressSmall(("who", "what"), least))
    assert list(zip(*made.to_pydict().values(), strict=True)) == [r for r in rows if rows.count(r) >= least]
    made = applied(in_batches(table, cut), DropRare("what", "who", least))
    people = {item: len({w for w, i in rows if i == item}) for _, item in rows}
    assert list(zip(*made.to_pydict().values(), strict=True)) == [r for r in rows if people[r[1]] >= least]


def test_a_person_is_sampled_whole_and_by_the_key(visits: pa.Table) -> None:
    made = applied(visits, Sample("user_id", 0.3, release="spring"))
    kept, everyone = set(made["user_id"].to_pylist()), set(visits["user_id"].to_pylist())
    assert abs(len(kept) / len(everyone) - 0.3) < 0.02  # seven standard deviations
    whole = [user for user in visits["user_id"].to_pylist() if user in kept]
    assert made["user_id"].to_pylist() == whole
    few = visits.slice(0, 5000)
    assert set(applied(few, Sample("user_id", 0.3, release="spring"))["user_id"].to_pylist()) == kept & set(
        few["user_id"].to_pylist()
    )
    again = set(applied(visits, Sample("user_id", 0.3, release="autumn"))["user_id"].to_pylist())
    assert 0.05 < len(kept & again) / len(everyone) < 0.13


def test_values_get_coarser(adult: pa.Table, data: Path) -> None:
    education = read_hierarchy(data / "adult" / "adult_hierarchy_education.csv")
    made = applied(adult, Generalise("education", education, 2), Generalise("age", intervals(0, 99, [10, 20]), 1))
    assert set(made["education"].to_pylist()) == {row[2] for row in education.rows}
    assert set(made["age"].to_pylist()) <= {f"{n}-{n + 9}" for n in range(0, 100, 10)}
    assert made.column_names == adult.column_names
    assert applied(pa.table({"zip": ["8001", "80"]}), Mask("zip", 3))["zip"].to_pylist() == ["800*", "80"]
    assert applied(pa.table({"zip": ["8001", "80"]}), Mask("zip", 2, end=True))["zip"].to_pylist() == ["**01", "80"]


def test_numbers_are_bounded() -> None:
    table = pa.table({"n": pa.array([1, 5, None, 99], pa.int8()), "x": [float("nan"), -1e300, 0.5, 2.0]})
    made = applied(table, Clip("n", top=10), Clip("x", bottom=0, top=1))
    assert made["n"].to_pylist() == [1, 5, None, 10]
    assert made["x"].to_pylist() == [None, 0.0, 0.5, 1.0]
    assert made.schema == table.schema


def test_times_become_the_beginning_of_their_unit() -> None:
    moment = datetime(2021, 8, 18, 13, 14, 15, tzinfo=UTC)
    table = pa.table({
        "at": pa.array([moment, None], pa.timestamp("us", "UTC")),
        "on": [date(2021, 8, 18), None],
        "s": [int(moment.timestamp()), None],
        "ms": [int(moment.timestamp() * 1000), None],
    })  # fmt: skip
    for unit, expected in {
        "hour": (8, 18, 13), "day": (8, 18, 0), "week": (8, 16, 0), "month": (8, 1, 0), "quarter": (7, 1, 0), "year": (1, 1, 0),
    }.items():  # fmt: skip
        month, day, hour = expected
        start = datetime(2021, month, day, hour, tzinfo=UTC)
        chain = [Coarsen("at", unit), Coarsen("s", unit, epoch="seconds"), Coarsen("ms", unit, epoch="milliseconds")]
        made = applied(table, *chain, *([Coarsen("on", unit)] if unit != "hour" else []))
        assert made["at"].to_pylist() == [start, None]
        assert made["s"].to_pylist() == [int(start.timestamp()), None]
        assert made["ms"].to_pylist() == [int(start.timestamp()) * 1000, None]
        if unit != "hour":
            assert made["on"].to_pylist() == [start.date(), None]
        assert made.schema == table.schema


def test_batches_and_dictionaries_make_no_difference(adult: pa.Table, data: Path) -> None:
    chain = [
        Pseudonym("occupation", "r"), Generalise("sex", read_hierarchy(data / "adult" / "adult_hierarchy_sex.csv"), 1),
        Mask("race", 1), Clip("age", 20, 60), SuppressSmall(("race", "age"), 20), Drop(("education",)),
    ]  # fmt: skip
    rows = adult.slice(0, 4000)
    encoded = pa.table([c.dictionary_encode() if pa.types.is_string(c.type) else c for c in rows.columns], rows.column_names)
    made = applied(rows, *chain)
    assert applied(in_batches(rows, 77), *chain).equals(made)
    cast = pa.schema([(f.name, f.type) for f in made.schema])
    assert applied(encoded, *chain).cast(cast).equals(made)


def test_a_file_is_streamed(tmp_path: Path, visits: pa.Table) -> None:
    import pyarrow.parquet as pq

    pq.write_table(visits, tmp_path / "visits.parquet", row_group_size=1000)
    assert rows_from(tmp_path / "visits.parquet").schema == visits.schema
    stream = transformed(tmp_path / "visits.parquet", DropRare("area_id", "user_id", 100), key=KEY)
    assert stream.read_all().equals(applied(visits, DropRare("area_id", "user_id", 100)))


@pytest.mark.parametrize(
    ("transform", "says"),
    [
        (Pseudonym("x", "r"), "names nobody"),
        (Pseudonym("nowhere", "r"), 'no column "nowhere"'),
        (Clip("t", top=1), "not a number"),
        (Clip("n", top=1.5), "its bound is none"),
        (Clip("n", top=1000), "does not fit"),
        (Coarsen("n", "day"), "not a time"),
        (Coarsen("t", "day", epoch="seconds"), "not whole numbers"),
        (Sample("gap", 0.5, "r"), "rows without a value"),
        (Generalise("t", intervals(0, 3, [2]), 1), "does not know"),
        (Generalise("gap", intervals(0, 3, [2]), 1), "rows without a value"),
        (Drop(("n", "t", "x", "gap")), "every column"),
    ],
)
def test_wrong_columns_are_refused_without_their_values(transform: Any, says: str) -> None:
    table = pa.table({"n": pa.array([1], pa.int8()), "t": ["hush"], "x": [0.5], "gap": pa.array([None], pa.string())})
    with pytest.raises(DataError, match=says) as caught:
        applied(table, transform)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_settings_are_refused() -> None:
    for wrong in (
        lambda: Pseudonym("", "r"), lambda: Pseudonym("a", ""), lambda: Clip("a"), lambda: Clip("a", 2, 1),
        lambda: Clip("a", float("nan")), lambda: Coarsen("a", "fortnight"), lambda: Coarsen("a", "day", epoch="years"),
        lambda: Sample("a", 0, "r"), lambda: Sample("a", 2, "r"),
        lambda: SuppressSmall("ab", 2), lambda: SuppressSmall(("a",), 1), lambda: DropRare("a", "b", 1), lambda: Mask("a", -1),
    ):  # fmt: skip
        with pytest.raises(PrivacyError):
            wrong()
    with pytest.raises(UsageError, match="no transform"):
        transformed(pa.table({"a": [1]}), [], key=KEY)
    with pytest.raises(PellucidError, match="not one of pellucid's transforms"):
        transformed(pa.table({"a": [1]}), object(), key=KEY)  # type: ignore[arg-type]
