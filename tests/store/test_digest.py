"""The canonical digest says what a table is: the same for every way to write the same rows, another for any other rows."""

from __future__ import annotations

import datetime
import decimal
import io
import itertools
import math

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pellucid.store.canonical_digest import TableDigest, array_digest, table_digest
from pellucid.store.canonical_form import normal_batches, normal_schema


def digest_of(table) -> str:
    reader = pa.RecordBatchReader.from_stream(table)
    return table_digest(reader, reader.schema)[0]


CELLS = {
    pa.int64(): st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1),
    pa.int8(): st.integers(-128, 127),
    pa.uint32(): st.integers(0, 2**32 - 1),
    pa.float64(): st.sampled_from([0.0, -0.0, math.nan, math.inf, 1.5]) | st.floats(),
    pa.float32(): st.sampled_from([0.0, -0.0, math.nan]) | st.floats(width=32),
    pa.float16(): st.sampled_from([0.0, -0.0, math.nan, 1.5]).map(np.float16),
    pa.bool_(): st.booleans(),
    pa.string(): st.sampled_from(["", "a", "ab", "b", "\0"]) | st.text(max_size=4),
    pa.binary(): st.binary(max_size=3),
    pa.binary(2): st.binary(min_size=2, max_size=2),
    pa.date32(): st.dates(datetime.date(1900, 1, 1)),
    pa.timestamp("us"): st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1)),
    pa.timestamp("ms", "UTC"): st.integers(0, 2**40),
    pa.duration("s"): st.integers(-5, 5),
    pa.time32("ms"): st.integers(0, 86_399_999),
    pa.decimal128(5, 2): st.decimals(-99, 99, places=2),
    pa.list_(pa.int64()): st.lists(st.integers(-2, 2) | st.none(), max_size=3),
    pa.list_(pa.list_(pa.string())): st.lists(st.lists(st.sampled_from(["", "a", "b"]), max_size=2) | st.none(), max_size=2),
    pa.struct([("x", pa.int64()), ("y", pa.string())]): st.fixed_dictionaries(
        {"x": st.integers(0, 1) | st.none(), "y": st.text(max_size=1)}
    ),
    pa.list_(pa.struct([("x", pa.float64())])): st.lists(
        st.fixed_dictionaries({"x": st.sampled_from([0.0, -0.0, math.nan])}), max_size=2
    ),
    pa.map_(pa.string(), pa.int64()): st.lists(st.tuples(st.sampled_from(["k", "l"]), st.integers(0, 2)), max_size=2),
    pa.struct([("x", pa.list_(pa.int64()))]): st.fixed_dictionaries(
        {"x": st.lists(st.integers(0, 1) | st.none(), max_size=2) | st.none()}
    ),
    pa.map_(pa.string(), pa.list_(pa.int64())): st.lists(
        st.tuples(st.sampled_from(["k", "l"]), st.lists(st.integers(0, 2), max_size=2) | st.none()), max_size=2
    ),
    pa.null(): st.none(),
}
KINDS = st.sampled_from(list(CELLS))


@st.composite
def columns(draw, kind=None, rows=None):
    kind = kind or draw(KINDS)
    rows = draw(st.integers(0, 8)) if rows is None else rows
    return pa.array(draw(st.lists(CELLS[kind] | st.none(), min_size=rows, max_size=rows)), kind)


@st.composite
def tables(draw, kinds=KINDS):
    rows, width = draw(st.integers(0, 8)), draw(st.integers(1, 4))
    return pa.table({f"c{i}": draw(columns(draw(kinds), rows)) for i in range(width)})


def canonical(value):
    """A cell as the plainest Python value that is equal exactly when the cells are: an independent statement of the rule."""
    if isinstance(value, float | np.floating):
        return "nan" if math.isnan(value) else float(value) + 0.0
    if isinstance(value, dict):
        return [(name, canonical(cell)) for name, cell in value.items()]
    if isinstance(value, list | tuple):
        return [canonical(cell) for cell in value]
    return value


def rechunked(table: pa.Table, cuts: list[int]) -> pa.Table:
    edges = [0, *sorted(min(cut, table.num_rows) for cut in cuts), table.num_rows]
    pieces = [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    return pa.concat_tables(pieces) if pieces else table


@given(tables(), st.lists(st.integers(0, 8), max_size=4))
def test_chunks_do_not_count(table, cuts):
    assert digest_of(rechunked(table, cuts)) == digest_of(table)


@given(tables(), st.integers(1, 9))
def test_a_stream_has_the_digest_of_the_whole_however_it_is_cut(table, rows):
    schema = normal_schema(table.schema)
    digest = TableDigest(schema)
    for part in normal_batches(table.to_batches(), schema, rows):
        digest.start(part)
    assert digest.finish()[0] == digest_of(table)


@given(tables(), st.integers(0, 8), st.integers(0, 8))
def test_a_slice_is_what_it_shows_not_what_it_is_cut_from(table, start, length):
    part = table.slice(start, length)
    fresh = pa.table([pa.array(column.to_pylist(), column.type) for column in part.columns], part.schema.names)
    assert digest_of(part) == digest_of(fresh)


@given(
    tables(),
    st.sampled_from(["none", "snappy", "zstd", "gzip"]),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from(["1.0", "2.6"]),
)
def test_neither_compression_nor_row_groups_nor_encodings_of_parquet_count(table, compression, rows, dictionary, data_page):
    assume(table.num_columns)
    file = io.BytesIO()
    pq.write_table(
        table,
        file,
        compression=compression,
        row_group_size=rows,
        use_dictionary=dictionary,
        data_page_version=data_page[0] + ".0",
    )
    assert digest_of(pq.ParquetFile(io.BytesIO(file.getvalue())).read()) == digest_of(table)


@given(tables(), st.sampled_from(["lz4", "zstd", "uncompressed"]), st.integers(1, 9))
def test_feather_and_arrow_streams_are_the_table_they_hold(table, compression, rows):
    file = io.BytesIO()
    feather.write_feather(table, file, compression=compression, chunksize=rows)
    assert digest_of(feather.read_table(io.BytesIO(file.getvalue()))) == digest_of(table)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    assert digest_of(pa.ipc.open_stream(sink.getvalue()).read_all()) == digest_of(table)


@given(columns(), st.randoms())
def test_a_categorical_is_its_decoded_values(column, random):
    assume(not pa.types.is_nested(column.type) and column.type != pa.float16())
    values = column.dictionary_encode()
    order = list(range(len(values.dictionary)))
    random.shuffle(order)
    back = {old: new for new, old in enumerate(order)}
    codes = pa.array([None if code is None else back[code] for code in values.indices.to_pylist()], pa.int32())
    shuffled = pa.DictionaryArray.from_arrays(codes, values.dictionary.take(pa.array(order, pa.int64())))
    assert digest_of(pa.table({"c": values})) == digest_of(pa.table({"c": shuffled})) == digest_of(pa.table({"c": column}))


SAME_TYPES = [
    (pa.string(), pa.large_string()),
    (pa.string(), pa.string_view()),
    (pa.binary(), pa.large_binary()),
    (pa.list_(pa.int64()), pa.large_list(pa.int64())),
    (pa.list_(pa.int64()), pa.list_view(pa.int64())),
    (pa.list_(pa.list_(pa.string())), pa.large_list(pa.list_view(pa.large_string()))),
    (pa.list_(pa.list_(pa.string())), pa.large_list_view(pa.large_list(pa.string_view()))),
    (pa.struct([("x", pa.list_(pa.int64()))]), pa.struct([("x", pa.list_view(pa.int64()))])),
    (pa.map_(pa.string(), pa.list_(pa.int64())), pa.map_(pa.large_string(), pa.list_view(pa.int64()))),
]


@pytest.mark.parametrize(("kind", "other"), SAME_TYPES, ids=str)
def test_ways_to_lay_out_text_and_lists_do_not_count(kind, other):
    @given(columns(kind), st.integers(0, 3))
    def holds(column, start):
        alike = pa.array(column.to_pylist(), other)
        assert digest_of(pa.table({"c": alike})) == digest_of(pa.table({"c": column}))
        assert digest_of(pa.table({"c": alike.slice(start)})) == digest_of(pa.table({"c": column.slice(start)}))

    holds()


@given(st.lists(st.none() | st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=5), st.integers(0, 2))
def test_a_list_of_fixed_size_is_a_list(cells, start):
    fixed, plain = (pa.array(cells, kind).slice(start) for kind in (pa.list_(pa.int64(), 2), pa.list_(pa.int64())))
    assert digest_of(pa.table({"c": fixed})) == digest_of(pa.table({"c": plain}))


@given(st.lists(st.integers(0, 2) | st.none(), max_size=8), st.integers(0, 3))
def test_run_end_encoding_does_not_count(cells, start):
    plain = pa.array(cells, pa.int64())
    runs = pc.run_end_encode(plain).slice(start)
    assert digest_of(pa.table({"c": runs})) == digest_of(pa.table({"c": plain.slice(start)}))


@given(tables(KINDS.filter(lambda kind: not pa.types.is_map(kind) and kind not in (pa.binary(2), pa.float16()))))
def test_polars_hands_back_the_same_table(table):
    back = polars.from_arrow(table).to_arrow()
    for i, field in enumerate(table.schema):  # polars has no seconds, and counts times in nanoseconds
        if back.schema.field(i).type != field.type and not pa.types.is_nested(field.type):
            back = back.set_column(i, field.name, back.column(i).cast(field.type))
    assert digest_of(back) == digest_of(table)


def test_duckdb_hands_back_the_same_table():
    rows = pa.table({"n": [1, None, 3], "x": [0.5, math.nan, None], "s": ["a", None, ""], "l": [[1], [], None]})
    assert digest_of(duckdb.from_arrow(rows)) == digest_of(rows)


@settings(max_examples=300)
@given(KINDS, st.data())
def test_two_columns_have_one_digest_exactly_when_they_are_equal(kind, data):
    rows = data.draw(st.integers(0, 3))
    a, b = data.draw(columns(kind, rows)), data.draw(columns(kind, rows))
    same = canonical(a.to_pylist()) == canonical(b.to_pylist())
    assert (digest_of(pa.table({"c": a})) == digest_of(pa.table({"c": b}))) is same


@settings(max_examples=200)
@given(columns(), columns())
def test_columns_of_other_types_or_lengths_never_share_a_digest(a, b):
    assume(a.type != b.type or len(a) != len(b))
    assert digest_of(pa.table({"c": a})) != digest_of(pa.table({"c": b}))


@given(tables(), st.randoms())
def test_the_order_of_columns_does_not_count_but_their_names_do(table, random):
    names = list(table.schema.names)
    random.shuffle(names)
    assert digest_of(table.select(names)) == digest_of(table)
    assert digest_of(table.rename_columns(["renamed", *table.schema.names[1:]])) != digest_of(table)


@given(tables(), st.permutations(range(8)))
def test_the_order_of_rows_counts(table, order):
    moved = table.take(pa.array([i for i in order if i < table.num_rows], pa.int64()))
    same = canonical(moved.to_pylist()) == canonical(table.to_pylist())
    assert (digest_of(moved) == digest_of(table)) is same


def test_swapping_the_names_of_two_columns_is_another_table():
    assert digest_of(pa.table({"a": [1], "b": [2]})) != digest_of(pa.table({"a": [2], "b": [1]}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        (["", "a"], ["a", ""]),
        (["", None], [None, ""]),
        ([[1], [2, 3]], [[1, 2], [3]]),
        ([[], [1]], [[1], []]),
        ([None, []], [[], None]),
        ([[None]], [[]]),
        ([[["a"], []]], [[["a"]], []][:1]),
        ([[["ab"], ["c"]]], [[["a"], ["bc"]]]),
        ([math.nan], [None]),
        ([0], [None]),
        ([0, None], [None, 0]),
        ([False], [None]),
        ([{"x": None}], [None]),
        ([{"x": 1, "y": 2}], [{"y": 2, "x": 1}]),
        ([1], [1.0]),
        ([1], ["1"]),
        (["1"], [b"1"]),
        ([[1, 2]], [{"x": 1, "y": 2}]),
        ([True], [1]),
    ],
    ids=str,
)
def test_values_that_only_look_alike_differ(one, other):
    kind = pa.float64() if math.nan in one else None
    assert digest_of(pa.table({"c": pa.array(one, kind)})) != digest_of(pa.table({"c": pa.array(other, kind)}))


def test_widths_of_numbers_and_time_zones_count():
    cells = [1, 2, None]
    kinds = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64(), pa.float32(), pa.float64(), pa.date32()]
    kinds += [
        pa.timestamp("ms"),
        pa.timestamp("us"),
        pa.timestamp("ns"),
        pa.timestamp("ms", "UTC"),
        pa.timestamp("ms", "Europe/Zurich"),
    ]
    kinds += [pa.duration("s"), pa.duration("ms"), pa.time32("ms"), pa.time64("us"), pa.decimal128(3, 0), pa.decimal128(4, 0)]
    digests = {digest_of(pa.table({"c": _as(cells, kind)})) for kind in kinds}
    assert len(digests) == len(kinds)


def _as(cells, kind):
    if pa.types.is_decimal(kind):
        return pa.array([None if cell is None else decimal.Decimal(cell) for cell in cells], kind)
    return pa.array(cells, kind)


def test_seconds_are_the_milliseconds_parquet_makes_of_them():
    for seconds, milliseconds in ((pa.timestamp("s"), pa.timestamp("ms")), (pa.time32("s"), pa.time32("ms"))):
        one, other = pa.array([1, None, 7], seconds), pa.array([1000, None, 7000], milliseconds)
        assert digest_of(pa.table({"c": one})) == digest_of(pa.table({"c": other}))
    midnight = pa.array([86_400_000], pa.date64())
    assert digest_of(pa.table({"c": midnight})) == digest_of(pa.table({"c": pa.array([1], pa.date32())}))


def test_bytes_hidden_under_a_null_are_not_content():
    shown = pa.array(["a", None, "c"])
    valid, _offsets, _data = shown.buffers()
    hiding = pa.StringArray.from_buffers(3, pa.array([0, 1, 5, 6], pa.int32()).buffers()[1], pa.py_buffer(b"aHIDEc"), valid)
    assert hiding.to_pylist() == shown.to_pylist()
    assert digest_of(pa.table({"c": hiding})) == digest_of(pa.table({"c": shown}))
    zero = pa.array([1, None], pa.int64())
    other = pa.Array.from_buffers(pa.int64(), 2, [zero.buffers()[0], pa.array([1, 99]).buffers()[1]])
    assert digest_of(pa.table({"c": zero})) == digest_of(pa.table({"c": other}))
    lists = pa.array([[1], None, [2]])
    hidden = pa.ListArray.from_arrays([0, 1, 3, 4], pa.array([1, 8, 9, 2]), mask=pa.array([False, True, False]))
    assert digest_of(pa.table({"c": lists})) == digest_of(pa.table({"c": hidden}))


def test_a_struct_under_a_null_shows_nothing_of_its_fields():
    fields = [pa.array([1, 2]), pa.array(["a", "b"])]
    masked = pa.StructArray.from_arrays(fields, ["x", "y"], mask=pa.array([False, True]))
    plain = pa.array([{"x": 1, "y": "a"}, None], masked.type)
    assert digest_of(pa.table({"c": masked})) == digest_of(pa.table({"c": plain}))


def test_metadata_and_nullability_do_not_count():
    schema = pa.schema([pa.field("c", pa.int64(), nullable=False, metadata={"k": "v"})], metadata={"pandas": "{}"})
    assert digest_of(pa.table({"c": [1]}, schema=schema)) == digest_of(pa.table({"c": [1]}))


def test_empty_tables_differ_by_their_columns():
    nothing = [pa.table({}), pa.table({"c": pa.array([], pa.int64())}), pa.table({"d": pa.array([], pa.int64())})]
    nothing += [pa.table({"c": pa.array([], pa.int32())}), pa.table({"c": pa.array([], pa.list_(pa.int32()))})]
    nothing += [
        pa.table({"c": pa.array([], pa.list_(pa.int64()))}),
        pa.table({"c": pa.array([], pa.struct([("x", pa.int64())]))}),
    ]
    assert len({digest_of(table) for table in nothing}) == len(nothing)


def test_large_tables_take_the_parallel_path_to_the_same_digest():
    rows = 400_000
    table = pa.table({"n": np.arange(rows), "x": np.arange(rows) / 7, "s": pa.array(np.arange(rows)).cast(pa.string())})
    tiny = table.to_batches(max_chunksize=1000)
    assert digest_of(table) == table_digest(tiny, table.schema)[0]
    x = table.column("x").to_numpy().copy()
    x[314_159] = np.nextafter(x[314_159], np.inf)
    assert digest_of(table.set_column(1, "x", pa.array(x))) != digest_of(table)


def test_the_recipe_is_frozen():
    """Digests are published: a change of the recipe must be a new FORMAT, not an accident."""
    table = pa.table({"n": [1, None], "x": [-0.0, math.nan], "s": ["a", None], "l": [[1], None], "b": [True, None]})
    assert digest_of(table) == "table:4f67e80df5a60e85eefb587c29b72c151b17bb92de1457d2e8b6e8d74439e96e"


@given(st.lists(st.sampled_from([0.0, -0.0, math.nan, 1.0]), max_size=4))
def test_arrays_have_one_zero_and_one_nan(cells):
    array = np.array(cells)
    other = np.where(np.isnan(array), np.float64(np.frombuffer(b"\1\0\0\0\0\0\xf8\xff")[0]), array)
    other = np.where(other == 0, 0.0, other)
    assert array_digest(array) == array_digest(other)


def test_dtype_shape_and_order_of_an_array_count_but_its_layout_does_not():
    array = np.arange(6, dtype="<i4").reshape(2, 3)
    assert (
        array_digest(array)
        == array_digest(np.asfortranarray(array))
        == array_digest(np.arange(12).astype("i4")[:6].reshape(2, 3))
    )
    others = [array.T, array.reshape(3, 2), array.reshape(6), array.astype("<i8"), array.astype("<u4"), array[::-1]]
    assert array_digest(array) not in {array_digest(other) for other in others}
