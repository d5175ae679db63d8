"""Where two values part: the first place, how many cells, and by how much."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.store import Model, compare, save


def difference(kind, one, other, folder):
    return compare(kind, save(one, kind, folder, "one").path, save(other, kind, folder, "other").path)


def test_the_same_rows_in_another_file_do_not_differ(tmp_path):
    table = pa.table({"x": [0.0, math.nan, None], "s": ["a", "b", None]})
    ours = save(table, "table", tmp_path, "ours").path
    theirs = tmp_path / "theirs.parquet"
    turned = pa.table({"s": table["s"].dictionary_encode(), "x": pa.array([-0.0, math.nan, None])})
    pq.write_table(turned, theirs, compression="none", row_group_size=1)
    assert compare("table", ours, theirs) is None


TABLES = [
    ({"x": [1.0, 2.0]}, {"x": [1.0, 2.5]}, "column 'x'", 1, 0.5, 0.2, "1 of 2 cells"),
    ({"a": [1.0], "b": [1.0], "c": [1.0]}, {"a": [1.0], "b": [1.5], "c": [5.0]}, "column 'b'", 2, 4.0, 0.8, "also in column 'c'"),
    ({"x": [1, 2]}, {"x": [1, 3]}, "column 'x'", 1, None, None, "1 of 2"),
    ({"x": [1.0, 2.0]}, {"x": [1.5, None]}, "column 'x'", 2, None, None, "2 of 2"),
    ({"x": [1.0]}, {"x": [math.nan]}, "column 'x'", 1, None, None, "1 of 1"),
    ({"x": [math.inf]}, {"x": [1.0]}, "column 'x'", 1, math.inf, math.inf, "1 of 1"),
    ({"x": ["a", "b"]}, {"x": ["a", "c"]}, "column 'x'", 1, None, None, "1 of 2"),
    ({"x": [[1.0, 2.0], [3.0]]}, {"x": [[1.0, 2.5], [3.0]]}, "column 'x'", 1, 0.5, 0.2, "1 of 2"),
    ({"x": [[1.0]]}, {"x": [[1.0, 2.0]]}, "column 'x'", 1, None, None, "1 of 1"),
    ({"x": [{"y": 1}]}, {"x": [{"y": 2}]}, "column 'x'", 1, None, None, "1 of 1"),
    ({"x": [1]}, {"x": [1.0]}, "column 'x'", 0, None, None, "the first is int64, the second double"),
    ({"x": [1]}, {"y": [1]}, "columns", 0, None, None, "only the first has 'x'; only the second has 'y'"),
    ({"x": [1, 2]}, {"x": [1]}, "rows", 0, None, None, "the first has 2 rows, the second 1"),
]


@pytest.mark.parametrize(("one", "other", "where", "cells", "max_abs", "max_rel", "detail"), TABLES)
def test_tables(one, other, where, cells, max_abs, max_rel, detail, tmp_path):
    found = difference("table", pa.table(one), pa.table(other), tmp_path)
    assert (found.where, found.cells, found.max_abs, found.max_rel) == (where, cells, max_abs, pytest.approx(max_rel))
    assert detail in found.detail


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 1.0, math.nan, None]), st.sampled_from([0.0, -0.0, 1.0, math.nan, None])), max_size=9
    )
)
def test_the_count_is_that_of_the_cells_that_differ(tmp_path_factory, pairs):
    xs, ys = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    count = sum(not (x == y or (x is not None and y is not None and math.isnan(x) and math.isnan(y))) for x, y in pairs)
    one, other = (pa.table({"x": pa.array(cells, pa.float64())}) for cells in (xs, ys))
    found = difference("table", one, other, tmp_path_factory.mktemp("d"))
    assert (found.cells if found else 0) == count


def test_a_difference_in_a_late_row_group_is_found(tmp_path):
    x = np.zeros(300_000)
    y = x.copy()
    y[[5, 299_999]] = 1e-9
    found = difference("table", pa.table({"x": x, "n": x}), pa.table({"x": y, "n": x}), tmp_path)
    assert (found.where, found.cells, found.max_abs) == ("column 'x'", 2, 1e-9)


ARRAYS = [
    (np.array([1.0, 2.0]), np.array([1.0, 2.5]), "array", 1, 0.5),
    (np.array([1 + 1j]), np.array([1 + 2j]), "array", 1, 1.0),
    (np.array([[1, 2]]), np.array([[1, 3]]), "array", 1, None),
    (np.array(["a"]), np.array(["b"]), "array", 1, None),
    (np.zeros(2), np.zeros(3), "array", 0, None),
    (np.zeros(2), np.zeros(2, "f4"), "array", 0, None),
]


@pytest.mark.parametrize(("one", "other", "where", "cells", "max_abs"), ARRAYS)
def test_arrays(one, other, where, cells, max_abs, tmp_path):
    found = difference("array", one, other, tmp_path)
    assert (found.where, found.cells, found.max_abs) == (where, cells, max_abs)
    assert difference("array", one, one.copy(order="F"), tmp_path) is None


METRICS = [
    ({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.5}, "metric 'b'", 1, 0.5),
    ({"a": 1, "b": 2}, {"a": 1, "b": 3}, "metric 'b'", 1, None),
    ({"a": 1}, {"a": 1.0}, "metric 'a'", 1, None),
    ({"a": 1.0}, {"a": math.nan}, "metric 'a'", 1, None),
    ({"a": 1.0}, {"b": 1.0}, "metrics", 0, None),
]


@pytest.mark.parametrize(("one", "other", "where", "cells", "max_abs"), METRICS)
def test_metrics(one, other, where, cells, max_abs, tmp_path):
    found = difference("metrics", one, other, tmp_path)
    assert (found.where, found.cells, found.max_abs) == (where, cells, max_abs)
    assert difference("metrics", one, dict(reversed(one.items())), tmp_path) is None


MODEL = Model("ease", {"a": np.zeros(2), "w": np.eye(2)}, {"x": 1})
MODELS = [
    (Model("ease", {"a": np.zeros(2), "w": np.eye(2) + 0.5}, {"x": 1}), "array 'w'", 4, 0.5),
    (Model("als", MODEL.arrays, {"x": 1}), "kind", 0, None),
    (Model("ease", MODEL.arrays, {"x": 1.0}), "setting 'x'", 0, None),
    (Model("ease", MODEL.arrays, {"y": 1}), "settings", 0, None),
    (Model("ease", {"a": np.zeros(2)}, {"x": 1}), "arrays", 0, None),
    (Model("ease", {"a": np.zeros(3), "w": np.eye(2)}, {"x": 1}), "array 'a'", 0, None),
]


@pytest.mark.parametrize(("other", "where", "cells", "max_abs"), MODELS)
def test_models(other, where, cells, max_abs, tmp_path):
    found = difference("model", MODEL, other, tmp_path)
    assert (found.where, found.cells, found.max_abs) == (where, cells, max_abs)
    assert difference("model", MODEL, MODEL, tmp_path) is None


def test_files(tmp_path):
    assert difference("file", b"abc", b"abc", tmp_path) is None
    assert difference("file", b"abc", b"abd", tmp_path).where == "byte 2"
    assert difference("file", b"abc", b"abcd", tmp_path).where == "byte 3"


SCALED = [  # first, second, the largest deviation relative to the cell or to the typical cell
    ([1e9, 5.0, 4.0, 3.0], [1e9, 5.0, 999.0, 3.0], 995 / 999),  # one large cell makes no room for another
    ([1e9, 1e9, 5.0, 4.0, 3.0], [1e9, 1e9, 5.0, -500.0, 3.0], 504 / 500),  # nor do two
    ([1e9 + 1, 5.0, 4.0], [1e9, 5.0, 4.0], 1e-9),
    ([1.0, 2.0, 1e-17, 3.0], [1.0, 2.0, -1e-17, 3.0], 2e-17),  # rounding beside cells of an ordinary size
    ([0.0, 0.0, 1e-17], [0.0, 0.0, 2e-17], 0.5),
    ([7.0], [8.0], 1 / 8),
]


@pytest.mark.parametrize(("one", "other", "scaled"), SCALED)
def test_a_deviation_is_measured_by_the_cell_or_by_a_typical_one(one, other, scaled, tmp_path):
    for kind, x, y in (
        ("table", pa.table({"x": one}), pa.table({"x": other})),
        ("array", np.array(one), np.array(other)),
        ("model", Model("m", {"x": np.array(one)}, {}), Model("m", {"x": np.array(other)}, {})),
    ):
        found = difference(kind, x, y, tmp_path)
        assert scaled / 2 <= found.max_scaled <= scaled * 2.1, kind


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40))
def test_a_typical_size_is_the_lower_median_to_a_factor_of_two(values):
    from pellucid.store.difference.deviation import Sizes

    kept = sorted(abs(value) for value in values if value and math.isfinite(value))
    typical = Sizes().add(np.array(values[:7])).add(np.array(values[7:])).typical
    assert (typical == 0.0) if not kept else typical <= kept[(len(kept) - 1) // 2] <= 2 * typical
