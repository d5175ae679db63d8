"""JSON lines: streamed by blocks; the first block says what there is, and a later row that does not fit is named by its line."""

from __future__ import annotations

import gzip

import pytest

from pellucid.data import open_table
from pellucid.errors import DataError, UsageError


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr("pellucid.data.jsonlines._BLOCK", 256)


def rows(folder, text, name="in.jsonl", **options):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_table(path, options=options).read_all()


GOOD = '{"n": 1, "s": "a", "l": [1, 2]}\n'


def test_objects_become_rows_and_a_missing_key_is_null(tmp_path):
    table = rows(tmp_path, GOOD + '{"s": null}\n' + GOOD)
    assert table.to_pylist() == [
        {"n": 1, "s": "a", "l": [1, 2]},
        {"n": None, "s": None, "l": None},
        {"n": 1, "s": "a", "l": [1, 2]},
    ]


def test_columns_can_be_chosen_and_archives_read(tmp_path):
    assert rows(tmp_path, GOOD * 50, columns=["l", "n"]).schema.names == ["l", "n"]
    assert rows(tmp_path, gzip.compress(GOOD.encode() * 50), "in.ndjson.gz").num_rows == 50


def test_a_type_that_is_said_holds_for_later_rows(tmp_path):
    late = GOOD * 50 + '{"n": 1.5, "new": 7}\n'
    table = rows(tmp_path, late, types={"n": "float64", "new": "int64"})
    assert (table["n"][50].as_py(), table["new"][50].as_py(), table["new"][0].as_py()) == (1.5, 7, None)
    times = rows(tmp_path, '{"t": "2020-01-02T03:04:05"}\n', types={"t": "string"})
    assert times["t"].to_pylist() == ["2020-01-02T03:04:05"]


LATE = [
    ('{"n": "x"}', "line 51: column 'n' does not fit: text where the rows before have integer"),
    (
        '{"n": 1.5}',
        'number where the rows before have integer. Say its type, such as types={"n": "float64"}',
    ),
    ('{"n": [1]}', "line 51: column 'n' does not fit: list where"),
    ('{"new": 1}', "line 51: column 'new' is not in the first"),
    ('{"n": ', "line 51: not JSON"),
    ("[1]", "line 51: not a JSON object"),
    ("7", "line 51: not a JSON object"),
]


@pytest.mark.parametrize(("line", "says"), LATE)
def test_a_later_row_that_does_not_fit_is_named_by_its_line(line, says, tmp_path):
    with pytest.raises(DataError) as caught:
        rows(tmp_path, GOOD * 50 + line + "\n" + GOOD)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


BROKEN = [
    ("\n \n", "holds no rows"),
    ('{"a": 1}\n{"a": "x"}\n', "line 2: column 'a' does not fit"),
    (b'{"a": "\xff"}\n', "line 1: not UTF-8"),
    ('{"a": "' + "x" * 1000 + '"}\n', "a row longer than"),
    ("hello\n", "line 1: not JSON"),
]


@pytest.mark.parametrize(("text", "says"), BROKEN)
def test_what_cannot_be_read_is_one_line(text, says, tmp_path):
    with pytest.raises(DataError) as caught:
        rows(tmp_path, text)
    assert says in str(caught.value)
    assert "in.jsonl" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_problems_are_one_line_too(tmp_path):
    with pytest.raises(DataError, match=r"no column 'z'\. Its columns: n, s, l"):
        rows(tmp_path, GOOD, columns=["z"])
    with pytest.raises(UsageError, match="'strung' is not a type"):
        rows(tmp_path, GOOD, types={"n": "strung"})
    with pytest.raises(DataError, match=r"in\.jsonl\.gz"):
        rows(tmp_path, gzip.compress(GOOD.encode() * 50)[:-9], "in.jsonl.gz")


BIG = 12345678901234567890


def test_whole_numbers_are_never_rounded(tmp_path):
    """Two identifiers that differ in the last digit are two."""
    table = rows(tmp_path, f'{{"id": {BIG}}}\n{{"id": {BIG + 1}}}\n{{"id": null}}\n{{"id": 7}}\n')
    assert table["id"].to_pylist() == [BIG, BIG + 1, None, 7]
    assert rows(tmp_path, f'{{"x": {BIG}}}\n{{"x": 1.5}}\n')["x"].to_pylist() == [float(BIG), 1.5], "a column of floats"


TOO_LARGE = {
    "beyond 64 bits": f'{{"id": {BIG * 10}}}\n',
    "with one below 0": f'{{"id": {BIG}}}\n{{"id": -1}}\n',
    "in a list": f'{{"id": [{BIG}, 1]}}\n',
    "in an object": f'{{"id": {{"of": {BIG}}}}}\n',
    "in a later block": '{"id": 1}\n' * 900_000 + f'{{"id": {BIG}}}\n',
}


@pytest.mark.parametrize("how", TOO_LARGE)
def test_whole_numbers_that_no_column_holds_are_refused(how, tmp_path):
    with pytest.raises(DataError) as caught:
        rows(tmp_path, TOO_LARGE[how])
    assert "too large" in str(caught.value) and "as text, in quotes" in str(caught.value)
    assert "id" in str(caught.value) and "\n" not in str(caught.value)


def test_a_later_large_number_fits_where_its_type_is_said(tmp_path):
    assert rows(tmp_path, '{"id": 1}\n' * 900_000 + f'{{"id": {BIG}}}\n', types={"id": "uint64"})["id"][-1].as_py() == BIG
