"""The door: formats are found by name, and what is not there or not readable is named with the way out."""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data import READERS, detect, is_file, open_table
from pellucid.errors import DataError, UsageError

ROOT = Path(__file__).parents[2]
EXAMPLE = next(path for path in (ROOT / "src" / "pellucid" / "cli" / "msweb", ROOT / "examples" / "msweb") if path.is_dir())


def test_the_shipped_visits_are_read():
    visits = open_table(EXAMPLE / "visits.csv").read_all()
    assert visits.num_rows == 98_653
    assert visits.schema == pa.schema([("user_id", pa.int64()), ("area_id", pa.int64())])
    assert len(visits["user_id"].unique()) == 32_710
    areas = open_table(EXAMPLE / "areas.csv").read_all()
    assert areas.num_rows == len(areas["area_id"].unique()) == 285


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.csv", "csv"),
        ("a.CSV", "csv"),
        ("a.b.tsv.gz", "csv"),
        ("a.jsonl", "jsonlines"),
        ("a.ndjson.zst", "jsonlines"),
        ("a.parquet", "parquet"),
        ("mmdata.json", "mattermost"),
        ("a.parquet.gz", None),
        ("a.json", None),
        ("README", None),
        (".gz", None),
    ],
)
def test_the_name_tells_the_format(name, found):
    assert detect(Path("folder.csv") / name) == found


def test_files_are_not_tables(tmp_path):
    assert is_file("file")
    assert not any(is_file(name) for name in [*READERS, None])
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UsageError, match=r"Take it as a pl\.File"):
        open_table(tmp_path / "a.txt", format="file")


def test_what_is_not_there_or_not_readable_is_one_line(tmp_path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "a.txt").write_text("x")
    for path, named, error, says in (
        ("none.csv", None, DataError, "there is no such file"),
        ("empty.csv", None, DataError, "the file is empty"),
        (".", "csv", DataError, "is a folder, not a file"),
        ("a.txt", None, UsageError, "the name does not tell the format. Say format= (to init: --format), one of csv,"),
        ("a.txt", "excel", UsageError, "no reader named 'excel'. Readers are: csv,"),
        ("a.txt", "parquet", DataError, "not a whole Parquet file"),
    ):
        with pytest.raises(error) as caught:
            open_table(tmp_path / path, format=named)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", READERS)
def test_a_reader_keeps_the_protocol(name):
    module = import_module(READERS[name])
    assert isinstance(module.FOLDERS, bool)
    assert all(isinstance(meaning, str) and meaning for meaning in module.OPTIONS.values())
    assert callable(module.read)
    assert "columns" in module.OPTIONS


@pytest.mark.parametrize("name", READERS)
def test_every_option_a_reader_takes_is_one_it_tells_of(name):
    module = import_module(READERS[name])
    tree = ast.parse(Path(module.__file__).read_text())
    asked = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "options.get" and isinstance(node.args[0], ast.Constant)
    }
    assert asked <= set(module.OPTIONS)


def test_parquet_is_streamed_and_narrowed(tmp_path):
    path = tmp_path / "a.parquet"
    polars.DataFrame({"a": range(10), "s": ["x", None] * 5}).write_parquet(path, row_group_size=3)
    assert open_table(path).read_all().num_rows == 10
    table = open_table(path, options={"columns": ["s"]}).read_all()
    assert table.schema.names == ["s"]
    assert table["s"].to_pylist() == ["x", None] * 5
    with pytest.raises(DataError, match=r"no column 'z'\. Its columns: a, s"):
        open_table(path, options={"columns": ["z"]})


def test_parquet_that_was_damaged_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": list(range(10_000))}), path, compression="zstd", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[20:2000] = bytes(1980)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.parquet: is damaged"):
        open_table(path).read_all()


def test_importing_the_room_loads_nothing_heavy():
    script = "import sys, pellucid.data; print({'numpy', 'pyarrow', 'ijson', 'polars'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "set()\n"


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=50))
def test_rows_are_numbered_from_one_whatever_the_blocks(values: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        path.write_text("a\n" + "".join(f"{value}\n" for value in values))
        rows = open_table(path, options={"row_number": "at"}).read_all()
        assert rows.column("at").to_pylist() == list(range(1, len(values) + 1))
        assert rows.column("a").to_pylist() == values
        with pytest.raises(DataError, match="there is a column 'a' already"):
            open_table(path, options={"row_number": "a"})
