"""`pellucid get`: an output as a file that others read, or a refusal that says why; what is private stays."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from desk import Desk

PIPELINE = """\
import datetime
import numpy
import polars
import pellucid as pl

rows = pl.source("rows.csv", label="open")
secret = pl.source("visits.csv", label="private", unit="person")


@pl.step
def wide(rows: pl.Table) -> pl.Table:
    return polars.DataFrame([
        {"text": 'a "b", c', "number": 0.1, "none": None, "day": datetime.date(2020, 1, 2), "list": [1, 2]},
        {"text": "", "number": 1e300, "none": None, "day": datetime.date(1969, 12, 31), "list": []},
        {"text": "z\\nü", "number": float("nan"), "none": None, "day": None, "list": None},
    ])


@pl.step
def numbers(rows: pl.Table) -> pl.Array:
    return numpy.arange(6.0).reshape(2, 3)


@pl.step
def fitted(numbers: pl.Array) -> pl.Model:
    return pl.Model("mean", {"weights": numbers.mean(0)}, {"rate": 0.5})


@pl.step(over={"power": [1, 2]})
def powers(numbers: pl.Array, power: int) -> pl.Metrics:
    return {"sum": float((numbers**power).sum())}


@pl.step
def page(rows: pl.Table) -> pl.File:
    return b"<p>hello</p>"


@pl.step
def counted(secret: pl.Table) -> pl.Metrics:
    return {"rows": secret.num_rows}


pipeline = pl.Pipeline("kinds", [rows, secret, wide, numbers, fitted, powers, page, counted])
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("get"))
    desk.write("rows.csv", "a,b\n1,x\n2,y\n")
    desk.write("visits.csv", "person,area\n1,x\n2,y\n")
    desk.write("kinds.py", PIPELINE)
    done = desk("run", "kinds.py")
    assert done.code == 0, done.err
    return desk


def test_a_table_is_printed_as_csv_that_reads_back(desk: Desk) -> None:
    printed = desk("get", "last", "wide")
    assert printed.code == 0, printed.err
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert [row["text"] for row in rows] == ['a "b", c', "", "z\nü"]
    assert [float(row["number"]) for row in rows][:2] == [0.1, 1e300]
    assert math.isnan(float(rows[2]["number"]))
    assert [row["day"] for row in rows] == ["2020-01-02", "1969-12-31", ""]
    assert [row["list"] for row in rows] == ["[1, 2]", "[]", ""]


@pytest.mark.parametrize("name", ["wide.csv", "wide.parquet", "wide.jsonl", "wide.CSV"])
def test_a_table_is_written_as_its_ending_says(desk: Desk, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    told = desk("get", "last", "wide", "--out", out, "--json").json
    assert told["file"] == str(out)
    assert told["size"] == out.stat().st_size
    read: dict[str, Any] = {".csv": polars.read_csv, ".parquet": polars.read_parquet, ".jsonl": polars.read_ndjson}
    rows = read[out.suffix.lower()](out)
    assert rows["text"].to_list() == ['a "b", c', "", "z\nü"]
    assert desk("get", "last", "wide", "--out", out).complaint.endswith("Remove it, or name another file")


def test_other_kinds_are_written_as_they_are_kept(desk: Desk, tmp_path: Path) -> None:
    assert desk("get", "last", "numbers", "--out", tmp_path / "n.npy").code == 0
    assert np.load(tmp_path / "n.npy").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert desk("get", "last", "numbers", "--out", tmp_path / "n.csv").code == 0
    assert (tmp_path / "n.csv").read_text() == "0.0,1.0,2.0\n3.0,4.0,5.0\n"
    assert desk("get", "last", "fitted", "--out", tmp_path / "m.npz").code == 0
    assert np.load(tmp_path / "m.npz")["weights"].tolist() == [1.5, 2.5, 3.5]
    assert json.loads(desk("get", "last", "powers[power=2]").out) == {"sum": 55.0}
    assert desk("get", "last", "page").out == "<p>hello</p>"


REFUSED = {
    "a name that is not there": (["wid"], 'has no output "wid". Did you mean "wide"?'),
    "nothing like it": (["zzz"], "There are: "),
    "all branches at once": (["powers"], "Name one of them: powers[power=1], powers[power=2]"),
    "a model as text": (["fitted"], "Name a file: --out FILE"),
    "an ending it has not": (
        ["wide", "--out", "wide.xlsx"],
        "a table is not written as .xlsx. End the name with .csv or .parquet",
    ),
    "a folder that is not there": (["wide", "--out", "no/wide.csv"], "no: there is no such folder"),
    "what is private": (["counted"], '"counted" is private. If you are the data\'s steward: add --private'),
    "a private table": (["secret", "--out", "mine.csv"], '"secret" is private'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_got_gets_one_line_and_leaves_no_file(desk: Desk, case: str) -> None:
    words, said = REFUSED[case]
    before = sorted(desk.folder.iterdir())
    done = desk("get", "last", *words)
    assert done.code == 2
    assert said in done.complaint
    assert done.out == ""
    assert sorted(desk.folder.iterdir()) == before


def test_the_steward_gets_what_is_private(desk: Desk) -> None:
    assert json.loads(desk("get", "last", "counted", "--private").out) == {"rows": 2}
