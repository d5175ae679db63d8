"""CSV: types are those of the whole file, nothing is lost in silence, and what is broken is named with its row."""

from __future__ import annotations

import csv
import gzip
import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data import open_table
from pellucid.errors import DataError, UsageError


def rows(folder, text, name="in.csv", **options):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_table(path, options=options).read_all()


def small_blocks(monkeypatch, size=64):
    monkeypatch.setattr("pellucid.data.csv._BLOCK", size)


def test_types_are_guessed(tmp_path):
    table = rows(tmp_path, "n,x,s,b,d\n1,0.5,a,true,2020-01-02\n,,,,\n")
    assert [str(field.type) for field in table.schema] == ["int64", "double", "string", "bool", "date32[day]"]
    assert table.to_pylist()[1] == {"n": None, "x": None, "s": "", "b": None, "d": None}


LATE = [
    ("1", "x", "string", ["1", "x"]),
    ("1", "2.5", "double", [1.0, 2.5]),
    ("", "7", "int64", [None, 7]),
    ("", "2020-01-02", "date32[day]", None),
    ("", "text", "string", ["", "text"]),
    ("true", "maybe", "string", ["true", "maybe"]),
    ("2020-01-02", "2020-01-02 03:04:05", "timestamp[s]", None),
    ("2020-01-02", "soon", "string", ["2020-01-02", "soon"]),
    ("1", "99999999999999999999", "string", ["1", "99999999999999999999"]),
]


@pytest.mark.parametrize(("early", "late", "kind", "values"), LATE)
def test_a_type_is_that_of_the_whole_file_not_of_its_first_block(early, late, kind, values, tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    table = rows(tmp_path, "k,c,z\n" + f"a,{early},1\n" * 100 + f"a,{late},1\n")
    assert str(table.schema.field("c").type) == kind
    assert table.num_rows == 101
    if values:
        assert [table["c"][0].as_py(), table["c"][100].as_py()] == values
    chosen = rows(tmp_path, "k,c,z\n" + f"a,{early},1\n" * 100 + f"a,{late},1\n", columns=["z", "c"])
    assert chosen.equals(table.select(["z", "c"]))


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6), min_size=2, max_size=2), max_size=8
    )
)
def test_text_that_is_declared_comes_back_exactly(tmp_path_factory, cells):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([["a", "b"], *cells])
    table = rows(tmp_path_factory.mktemp("csv"), text.getvalue(), types={"a": "string", "b": "string"})
    assert [[row["a"], row["b"]] for row in table.to_pylist()] == cells


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1, max_size=8))
def test_integers_come_back_exactly(tmp_path_factory, numbers):
    text = "n,k\n" + "".join(f"{'' if number is None else number},k\n" for number in numbers)
    table = rows(tmp_path_factory.mktemp("csv"), text)
    assert table["n"].to_pylist() == numbers


def test_identifiers_that_floats_would_round_are_text(tmp_path):
    table = rows(tmp_path, "id,x\n12345678901234567890,1e300\n12345678901234567891,0.5\n")
    assert table["id"].to_pylist() == ["12345678901234567890", "12345678901234567891"]
    assert table["x"].to_pylist() == [1e300, 0.5]


def test_leading_zeros_are_kept_when_the_type_is_said(tmp_path):
    assert rows(tmp_path, "code\n007\n")["code"].to_pylist() == [7]
    assert rows(tmp_path, "code\n007\n", types={"code": "string"})["code"].to_pylist() == ["007"]


def test_missing_values_are_null_but_text_stands_as_it_is(tmp_path):
    table = rows(tmp_path, "country,n,x\nNA,NA,nan\nnull,7,N/A\nCH,null,0\n")
    assert table["country"].to_pylist() == ["NA", "null", "CH"]
    assert table["n"].to_pylist() == [None, 7, None]
    assert str(table["x"].to_pylist()) == "[nan, None, 0.0]"


def test_line_breaks_in_quotes_belong_to_the_field(tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    assert rows(tmp_path, "a,b\n" + '1,"two\nlines"\n' * 50)["b"].to_pylist() == ["two\nlines"] * 50


def test_dialects(tmp_path):
    for text, name, options in (
        (b"a\tb\n1\t2\n", "in.tsv", {}),
        (b"a;b\n1;2\n", "in.csv", {"delimiter": ";"}),
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n", "in.csv", {}),
        (gzip.compress(b"a,b\n1,2\n"), "in.csv.gz", {}),
        (gzip.compress(b"a\tb\n1\t2\n"), "in.tsv.gz", {}),
        ("a,b\n1,2\n".encode("utf-16"), "in.csv", {"encoding": "utf-16"}),
    ):
        assert rows(tmp_path, text, name, **options).to_pylist() == [{"a": 1, "b": 2}]
    assert rows(tmp_path, b"a\ncaf\xe9\n", encoding="latin-1").to_pylist() == [{"a": "café"}]


def test_a_header_alone_is_an_empty_table(tmp_path):
    table = rows(tmp_path, "a,b\n")
    assert (table.num_rows, table.schema.names) == (0, ["a", "b"])


BROKEN = [
    ("", {}, "is empty"),
    ("\n\n", {}, "Empty CSV file"),
    ("1,2\n3,4\n", {}, "no header"),
    ("a,a\n1,2\n", {}, "more than one column 'a'"),
    (
        "a,b\n1,2\n3\n",
        {},
        "row has more or fewer fields than the header: row 3 (the header is row 1) has 1 fields, the header has 2",
    ),
    ("a,b\n1,2\n3,4,5\n", {}, "row 3 (the header is row 1) has 3 fields, the header has 2"),
    ("a,b\n1,2\n", {"columns": ["b", "z"]}, "no column 'z'. Its columns: a, b"),
    ("a,b\n1,2\n", {"types": {"z": "string"}}, "no column 'z'. Its columns: a, b"),
    ("a,b\n1,2\nx,4\n", {"types": {"a": "int64"}}, "column 'a': not int64: row 3 (the header is row 1): invalid value 'x'"),
    ("a,b\n1,2\nx,4\n", {"types": {"a": "int64", "b": "int64"}}, 'say types={"a": "string"}'),
    (b"a,b\n1,\xff\n", {}, "column 'b': not UTF-8 text: row 2 (the header is row 1). Say encoding="),
    (b"a,\xff\n1,2\n", {}, "not text in the encoding utf-8"),
    ("a,b\n1,2\n", {"encoding": "klingon"}, "no encoding 'klingon'"),
    ("a;b\n1;2\n", {}, "its only column is 'a;b'"),
    ("a;b\n1;2\n", {}, "Say delimiter=';' (to init: --option 'delimiter=;'), or ',' if it is one column"),
    ("a\tb\n1\t2\n", {}, "--option 'delimiter=\\t'"),
    ("a|b\n1|2\n", {}, "delimiter='|'"),
    ("area,b\n1,2\n", {"columns": ["aera"]}, "no column 'aera'. Did you mean \"area\"?"),
    ('a,b\n1,"x\n2,3\n', {}, "a quote is opened and never closed: in the field that begins 'x'"),
    ('a,b\n1,"x\n2,3\n', {"types": {"a": "int64", "b": "string"}}, "never closed"),
]


@pytest.mark.parametrize(("text", "options", "says"), BROKEN)
def test_what_cannot_be_read_is_one_line_with_the_way_out(text, options, says, tmp_path):
    with pytest.raises(DataError) as caught:
        rows(tmp_path, text, **options)
    assert says in str(caught.value)
    assert str(tmp_path / "in.csv") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_column_whose_name_holds_a_delimiter_is_one_column_where_that_is_said(tmp_path):
    assert rows(tmp_path, "a;b\n1\n", delimiter=",").to_pydict() == {"a;b": [1]}
    assert rows(tmp_path, "a;b\n1;2\n", delimiter=";").to_pydict() == {"a": [1], "b": [2]}


def test_a_broken_archive_is_named(tmp_path):
    for content in (b"not gzip", gzip.compress(b"a,b\n1,2\n" * 1000)[:-9]):
        with pytest.raises(DataError, match=r"in\.csv\.gz"):
            rows(tmp_path, content, "in.csv.gz")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"columns": "a"}, "columns must be a list of names"),
        ({"columns": []}, "columns must be a list of names"),
        ({"types": {"a": "strung"}}, "'strung' is not a type"),
        ({"types": ["a"]}, "types must be given by column"),
        ({"delimiter": "::"}, "the delimiter must be one ASCII character"),
        ({"delimeter": ";"}, "no option 'delimeter'. Did you mean \"delimiter\"?"),
        ({"split": ";"}, "no option 'split'. Its options: columns"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line(options, says, tmp_path):
    with pytest.raises(UsageError) as caught:
        rows(tmp_path, "a,b\n1,2\n", **options)
    assert says in str(caught.value)


def test_rows_after_a_broken_one_are_not_made_up(tmp_path, monkeypatch):
    """With every type said the file is read once: what comes before the broken row is streamed, then the error is raised."""
    small_blocks(monkeypatch)
    path = tmp_path / "in.csv"
    path.write_text("a,b\n" + "1,2\n" * 100 + "1,2,3\n")
    reader = open_table(path, options={"types": {"a": "int64", "b": "int64"}})
    read = 0
    with pytest.raises(DataError, match="row 102"):  # noqa: PT012 -- the error comes from within the loop
        for batch in reader:
            read += batch.num_rows
    assert 0 < read <= 100
    assert isinstance(reader, pa.RecordBatchReader)
