"""Each kind of value comes back as it was saved, in the same bytes each time, and another type is refused in one line."""

from __future__ import annotations

import json
import math
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import duckdb
import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import DamagedError, DataError
from pellucid.store import KINDS, Array, File, Metrics, Model, Table, kind_of, load, save, table
from pellucid.store.canonical_form import normal_batches
from pellucid.store.kinds import digest

ROWS = pa.table({"user": [1, 2, None], "area": ["a", None, "c"], "score": [0.5, math.nan, None]})


class OnlyStream:
    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class OnlyArray:
    def __arrow_c_array__(self, requested_schema=None):
        return ROWS.to_batches()[0].__arrow_c_array__(requested_schema)


WAYS = {
    "pyarrow table": lambda: ROWS,
    "record batch": lambda: ROWS.to_batches()[0],
    "reader": lambda: ROWS.to_reader(),
    "reader in small batches": lambda: pa.RecordBatchReader.from_batches(ROWS.schema, ROWS.to_batches(max_chunksize=1)),
    "polars": lambda: polars.from_arrow(ROWS),
    "polars lazy": lambda: polars.from_arrow(ROWS).lazy().filter(polars.lit(True)),
    "polars categorical": lambda: polars.from_arrow(ROWS).with_columns(polars.col("area").cast(polars.Categorical)),
    "pandas": lambda: ROWS.to_pandas(types_mapper=pandas.ArrowDtype),
    "pandas with an index of leftovers": lambda: pandas.concat([ROWS.to_pandas(types_mapper=pandas.ArrowDtype)] * 2).iloc[3:],
    "duckdb": lambda: duckdb.from_arrow(ROWS),
    "anything with a stream": lambda: OnlyStream(ROWS),
    "anything with an array": lambda: OnlyArray(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_table_may_come_as_anything_that_speaks_arrow(way, tmp_path):
    saved = save(WAYS[way](), "table", tmp_path, "out")
    plain = save(ROWS, "table", tmp_path, "plain")
    assert (saved.digest, saved.sha256) == (plain.digest, plain.sha256)
    assert saved.path == tmp_path / "out.parquet"
    assert saved.size == saved.path.stat().st_size


def test_a_named_pandas_index_is_a_column(tmp_path):
    counts = pandas.DataFrame({"area": ["a", "a", "b"], "n": [1, 2, 3]}).groupby("area").sum()
    assert load(save(counts, "table", tmp_path, "t").path, "table").columns == ["n", "area"]


NAMELESS = {
    "text": lambda: pandas.DataFrame({"age": [30, 40, 50]}).describe(),
    "from a dictionary": lambda: pandas.DataFrame({"f1": {"logistic": 0.8, "forest": 0.9}}),
    "two levels": lambda: pandas.DataFrame({"n": [1, 2]}, index=pandas.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
    "times": lambda: pandas.DataFrame({"n": [1, 2]}, index=pandas.date_range("2020-01-01", periods=2)),
    "fractions": lambda: pandas.DataFrame({"n": [1, 2]}, index=[0.25, 0.5]),
}


@pytest.mark.parametrize("index", NAMELESS)
def test_values_of_a_pandas_index_without_a_name_are_never_lost_in_silence(index, tmp_path):
    with pytest.raises(TypeError, match="its index has values but no name"):
        save(NAMELESS[index](), "table", tmp_path, "t")
    assert save(NAMELESS[index]().reset_index(), "table", tmp_path, "t").size > 0


KEPT = {
    "categories": pandas.Series(pandas.Categorical(["b", "a", None], categories=["b", "a", "c"], ordered=True)),
    "time zones": pandas.Series(pandas.date_range("2020-03-29", periods=3, freq="h", tz="Europe/Vienna")),
    "unsigned": pandas.Series(np.array([2**64 - 1, 0, 1], dtype="uint64")),
    "durations": pandas.Series(pandas.to_timedelta([1, 2, 3], unit="s")),
}


@pytest.mark.parametrize("kind", KEPT)
def test_values_come_back_as_they_were(kind, tmp_path):
    saved = load(save(pandas.DataFrame({"v": KEPT[kind]}), "table", tmp_path, "t").path, "table")
    assert saved.arrow()["v"].to_pylist() == KEPT[kind].astype(object).where(KEPT[kind].notna(), None).tolist()


REFUSED = {
    "periods": (pandas.Series(pandas.period_range("2020-01", periods=3, freq="M")), "pandas.period"),
    "intervals": (pandas.Series(pandas.interval_range(0, 3)), "pandas.interval"),
    "complex numbers": (pandas.Series([1 + 2j, 0, 1]), "complex128"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_values_that_would_lose_their_meaning_are_refused_by_name(kind, tmp_path):
    values, name = REFUSED[kind]
    with pytest.raises(TypeError, match=name) as refused:
        save(pandas.DataFrame({"v": values}), "table", tmp_path, "t")
    assert "\n" not in str(refused.value)


def test_a_handle_can_be_saved_again(tmp_path):
    first = save(ROWS, "table", tmp_path, "first")
    assert save(Table(first.path), "table", tmp_path, "second").sha256 == first.sha256


@given(st.lists(st.integers(1, 7), max_size=6), st.data())
def test_the_file_does_not_depend_on_the_batches_the_rows_came_in(tmp_path_factory, sizes, data):
    folder = tmp_path_factory.mktemp("t")
    rows = pa.table({"s": [f"row {i}" * (i % 5) for i in range(sum(sizes))], "n": list(range(sum(sizes)))})
    batches, start = [], 0
    for size in sizes:
        batches.append(rows.slice(start, size).combine_chunks().to_batches()[0])
        start += size
    group = data.draw(st.integers(1, 9))
    cut = list(normal_batches(batches, rows.schema, group))
    assert [table.num_rows for table in cut] == [min(group, rows.num_rows - start) for start in range(0, rows.num_rows, group)]
    reader = pa.RecordBatchReader.from_batches(rows.schema, batches)
    assert save(reader, "table", folder, "a").sha256 == save(rows, "table", folder, "b").sha256


def test_row_groups_have_one_size_however_the_rows_came(tmp_path):
    rows = (1 << 17) + 10
    table = pa.table({"n": np.arange(rows), "s": pa.array(np.arange(rows) % 7).cast(pa.string()).dictionary_encode()})
    small = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=999))
    one, other = save(table, "table", tmp_path, "one"), save(small, "table", tmp_path, "other")
    assert one.sha256 == other.sha256
    about = pq.ParquetFile(one.path).metadata
    assert [about.row_group(i).num_rows for i in range(about.num_row_groups)] == [1 << 17, 10]
    assert list(about.metadata) == [b"ARROW:schema"]


def test_the_digest_of_a_file_is_the_digest_of_what_was_saved(tmp_path):
    for kind, value in VALUES.items():
        saved = save(value, kind, tmp_path, kind)
        assert saved.digest == digest(saved.path, kind)
        assert saved.digest.startswith(f"{kind}:")
        assert saved.kind == kind
        assert save(value, kind, tmp_path, "again").sha256 == saved.sha256


VALUES = {
    "table": ROWS,
    "array": np.arange(12.0).reshape(3, 4),
    "metrics": {"ndcg": 0.5, "users": 3},
    "model": Model("ease", {"weights": np.eye(2)}, {"regularization": 300.0}),
    "file": b"bytes",
}


def test_a_stream_is_never_held_as_a_whole(tmp_path):
    before = pa.total_allocated_bytes()
    most = 0

    def batches():
        nonlocal most
        for i in range(64):
            most = max(most, pa.total_allocated_bytes() - before)
            yield pa.record_batch({"x": np.random.default_rng(i).random(1 << 16)})

    schema = pa.schema([("x", pa.float64())])
    saved = save(pa.RecordBatchReader.from_batches(schema, batches()), "table", tmp_path, "t")
    assert Table(saved.path).num_rows == 64 << 16
    assert most < 16 << 20  # of 32 MiB in all


def test_a_table_handle_reads_in_every_way(tmp_path):
    table = load(save(ROWS, "table", tmp_path, "t").path, "table")
    assert table.arrow().equals(ROWS) is False  # NaN is not NaN to Arrow
    assert table.arrow().schema == table.schema == ROWS.schema
    assert table.columns == ["user", "area", "score"]
    assert len(table) == table.num_rows == 3
    assert table.polars().select("user").collect().to_series().to_list() == [1, 2, None]
    assert table.duckdb().filter("area = 'c'").fetchall() == [(None, "c", None)]
    assert [batch.num_rows for batch in table.batches(2)] == [2, 1]
    assert pa.table(table).num_rows == polars.DataFrame(table).height == 3
    assert bool(load(save(ROWS.slice(0, 0), "table", tmp_path, "empty").path, "table"))


def test_a_path_with_wildcards_means_itself(tmp_path):
    folder = tmp_path / "a[1]*?"
    folder.mkdir()
    table = load(save(ROWS, "table", folder, "t").path, "table")
    assert table.polars().collect().height == len(table.duckdb().fetchall()) == 3


@pytest.mark.parametrize("way", [lambda: polars.DataFrame({}), lambda: pa.table({})], ids=["polars", "pyarrow"])
def test_a_table_without_columns_is_a_table(way, tmp_path):
    saved = save(way(), "table", tmp_path, "t")
    assert load(saved.path, "table").columns == []
    assert saved.digest == digest(saved.path, "table")


ARRAYS = [
    np.arange(5),
    np.array(3.5),
    np.zeros((0, 3)),
    np.array([True, False]),
    np.array(["a", "bcd"]),
    np.array([1 + 2j, complex(math.nan, 1)]),
    np.arange(6, dtype=">i4").reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3)),
    np.arange(10)[::3],
    np.array([1.5], "f2"),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_an_array_comes_back_equal_and_read_only(array, tmp_path):
    saved = save(array, "array", tmp_path, "a")
    back = load(saved.path, "array")
    assert type(back) is np.ndarray
    assert not back.flags.writeable
    np.testing.assert_array_equal(back, array)
    assert back.shape == array.shape
    assert digest(saved.path, "array") == saved.digest
    assert np.load(saved.path, allow_pickle=False).dtype.byteorder in "=|"
    np.save(tmp_path / "numpy.npy", np.asarray(array, array.dtype.newbyteorder("<"), order="C"))
    assert saved.path.read_bytes() == (tmp_path / "numpy.npy").read_bytes()


def test_the_layout_of_an_array_does_not_change_its_file(tmp_path):
    array = np.arange(6, dtype="<i4").reshape(2, 3)
    ways = [array, np.asfortranarray(array), array.astype(">i4")]
    assert len({save(way, "array", tmp_path, "a").sha256 for way in ways}) == 1


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.floats(), max_size=5))
def test_metrics_come_back_exactly(tmp_path_factory, numbers):
    saved = save(numbers, "metrics", tmp_path_factory.mktemp("m"), "m")
    back = load(saved.path, "metrics")
    assert isinstance(back, Metrics)
    assert {name: repr(number) for name, number in back.items()} == {name: repr(number) for name, number in numbers.items()}
    assert digest(saved.path, "metrics") == saved.digest


def test_metrics_are_json_anyone_can_read(tmp_path):
    saved = save({"z": np.float64(0.1), "a": math.nan, "b": -math.inf, "n": np.int64(3)}, "metrics", tmp_path, "m")
    assert json.loads(saved.path.read_text()) == {"a": "NaN", "b": "-Infinity", "n": 3, "z": 0.1}


def test_order_and_the_sign_of_zero_do_not_change_what_metrics_are(tmp_path):
    one = save({"a": 0.0, "b": 1}, "metrics", tmp_path, "one")
    assert save({"b": 1, "a": -0.0}, "metrics", tmp_path, "other").digest == one.digest
    assert save({"b": 1.0, "a": 0.0}, "metrics", tmp_path, "float").digest != one.digest


def test_a_model_needs_numpy_alone(tmp_path):
    model = Model("ease", {"weights": np.eye(2), "items": np.array(["a", "b"])}, {"lambda": 300.0, "cap": [1, 2], "note": None})
    saved = save(model, "model", tmp_path, "m")
    script = (
        "import json, sys, numpy\n"
        f"with numpy.load({str(saved.path)!r}, allow_pickle=False) as file:\n"
        "    print(json.loads(file['__model__'].tobytes()), file['weights'].sum(), file['items'].tolist())\n"
    )
    shown = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown == "{'kind': 'ease', 'settings': {'cap': [1, 2], 'lambda': 300.0, 'note': None}} 2.0 ['a', 'b']\n"
    back = load(saved.path, "model")
    assert (back.kind, dict(back.settings)) == ("ease", {"lambda": 300.0, "cap": [1, 2], "note": None})
    assert not back.arrays["weights"].flags.writeable


def test_the_same_model_gives_the_same_bytes(tmp_path):
    one = Model("m", {"a": np.arange(3), "b": np.eye(2)}, {"x": 1, "y": 2})
    other = Model("m", {"b": np.asfortranarray(np.eye(2)), "a": np.arange(3)}, {"y": np.int64(2), "x": 1})
    saved = save(one, "model", tmp_path, "one")
    assert save(other, "model", tmp_path, "other").sha256 == saved.sha256
    assert {entry.date_time for entry in zipfile.ZipFile(saved.path).infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert save(Model("m", one.arrays, {"x": 1, "y": 3}), "model", tmp_path, "third").digest != saved.digest


def test_a_file_is_kept_byte_for_byte(tmp_path):
    source = tmp_path / "in.json"
    source.write_bytes(b"\0 any bytes \xff")
    for way in (source, str(source), File(source), source.read_bytes()):
        saved = save(way, "file", tmp_path, "f")
        file = load(saved.path, "file")
        assert file.read_bytes() == Path(os.fspath(file)).read_bytes() == source.read_bytes()
        assert saved.digest == f"file:{saved.sha256}"


WRONG = [
    ([1, 2], "table", "returned list, declared a table"),
    (None, "table", "returned nothing (None), declared a table"),
    (np.eye(2), "table", "returned numpy.ndarray, declared a table"),
    (polars.Series([1]), "table", "returned polars.Series without rows"),
    (pa.table([[1], [2]], ["a", "a"]), "table", "more than one column named 'a'"),
    (pa.table({"a": pa.array([{}], pa.struct([]))}), "table", "column 'a' holds structs without fields"),
    (pa.table({"a": pa.array([None], pa.month_day_nano_interval())}), "table", "column 'a': columns of Arrow type"),
    ([1, 2], "array", "returned list, declared an array"),
    (np.array([object()]), "array", "dtype object"),
    (np.ma.masked_array([1], [True]), "array", "masked"),
    (np.array([1], "f16"), "array", "dtype float128"),
    (np.array([1], "datetime64[s]"), "array", "dtype datetime64[s]"),
    (3.0, "metrics", "returned float, declared metrics"),
    ({"a": True}, "metrics", "'a' is bool"),
    ({"a": {"b": 1}}, "metrics", "'a' is dict"),
    ({"a": "1"}, "metrics", "'a' is str"),
    ({1: 1}, "metrics", "the name 1"),
    ({"a": np.True_}, "metrics", "'a' is bool"),
    (object(), "model", "returned object, declared a model"),
    (Model("m", {"a": np.array([None])}), "model", "returned a model in which 'a' is an array of dtype object"),
    (Model("m", {"a": [1]}), "model", "returned a model in which 'a' is list"),
    (Model("m", {"../a": np.eye(2)}), "model", "an array named '../a'"),
    (Model("m", {}, {"x": math.nan}), "model", "setting 'x' is nan"),
    (Model("m", {}, {"x": {}}), "model", "setting 'x' is dict"),
    (3, "file", "returned int, declared a file"),
]


@pytest.mark.parametrize(("value", "kind", "says"), WRONG, ids=[f"{kind}: {says}" for _, kind, says in WRONG])
def test_another_type_than_declared_is_refused_in_one_line_and_leaves_no_file(value, kind, says, tmp_path):
    with pytest.raises(TypeError) as caught:
        save(value, kind, tmp_path, "x")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_middle_of_a_stream_is_raised_as_it_is_and_leaves_no_file(tmp_path):
    def batches():
        yield pa.record_batch({"n": [1]})
        raise DataError("row 7 is ragged")

    with pytest.raises(DataError, match="row 7 is ragged"):
        save(pa.RecordBatchReader.from_batches(pa.schema([("n", pa.int64())]), batches()), "table", tmp_path, "t")
    assert list(tmp_path.iterdir()) == []


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch exploded",))


def test_nothing_that_is_loaded_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    np.savez("m.npz", __model__=np.array([Bomb()], dtype=object))
    Path("p.npy").write_bytes(pickle.dumps(Bomb()))
    for name, kind in (("a.npy", "array"), ("p.npy", "array"), ("m.npz", "model"), ("p.npy", "metrics")):
        with pytest.raises(DamagedError):
            load(Path(name), kind)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("kind", ["table", "array", "metrics", "model"])
def test_a_torn_file_is_named_when_it_is_read(kind, tmp_path):
    path = save(VALUES[kind], kind, tmp_path, "x").path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DamagedError, match="x\\."):
        digest(path, kind)


def test_annotations_say_the_kind():
    for kind in KINDS.values():
        assert kind_of(kind.annotation) == kind.name
        for written in ("{}", "pl.{}", "pellucid.{}", "pellucid.store.{}"):
            assert kind_of(written.format(kind.annotation.__name__)) == kind.name
    assert kind_of(np.ndarray) == kind_of(np.ndarray[tuple[int], np.dtype[np.float64]]) == "array"
    assert kind_of(Array) == "array"
    assert [kind_of(other) for other in (int, float, "float", "pa.Table", pa.Table, None, dict, list[int])] == [None] * 8


def test_importing_the_store_loads_nothing_heavy():
    rooms = ", ".join(f"pellucid.store{part}" for part in ("", ".objects", ".kinds", ".labels", ".database"))
    script = f"import sys, {rooms}; print({{'numpy', 'pyarrow', 'polars', 'duckdb', 'pandas'}} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_a_dictionary_of_arrays_and_settings_is_a_model(tmp_path: Path) -> None:
    saved = save({"weights": np.eye(2), "rate": 0.5}, "model", tmp_path, "m")
    model = load(saved.path, "model")
    assert model.kind == "arrays" and model["rate"] == 0.5 and (model["weights"] == np.eye(2)).all()
    same = save(Model("arrays", {"weights": np.eye(2)}, {"rate": 0.5}), "model", tmp_path, "n")
    assert same.digest == saved.digest
    with pytest.raises(TypeError, match="'deep' is dict"):
        save({"weights": np.eye(2), "deep": {}}, "model", tmp_path, "o")
    with pytest.raises(KeyError):
        model["missing"]


def test_reading_a_table_in_batches_holds_a_small_part_of_it(tmp_path: Path) -> None:
    """A reader that keeps what it has read needs the memory of the whole file: 1 GiB for a table of 1 GiB."""
    rows = np.random.default_rng(1).random(1 << 20)
    table.write(pa.table({"x": rows}), tmp_path / "t.parquet")
    before = pa.total_allocated_bytes()
    most = max(pa.total_allocated_bytes() - before for _ in table.read(tmp_path / "t.parquet").batches())
    assert most < (tmp_path / "t.parquet").stat().st_size / 2


def test_no_reader_of_a_table_keeps_what_it_has_read() -> None:
    sources = [path.read_text() for path in Path(table.__file__).parents[1].rglob("*.py")]
    opened = [line for text in sources for line in text.splitlines() if "pq.ParquetFile(" in line]
    assert opened
    assert [line for line in opened if "pre_buffer=False" not in line] == []
