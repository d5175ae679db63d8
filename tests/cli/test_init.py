"""`pellucid init`: a pipeline over a data file that runs as it is, is published as it is, and is never written without a label."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars
import pytest
from desk import Desk

ROWS = "title;year;stars\nAlien;1979;4.5\nBrazil;1985;4.0\nCasablanca;1942;\n"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.write("films.csv", ROWS)
    desk.write("films, 2.csv", ROWS.replace(";", ","))
    desk.write("class.csv", ROWS.replace(";", ","))
    desk.write("numbers.jsonl", '{"a": 1, "b": "x"}\n{"a": 2, "b": null}\n')
    polars.DataFrame({"a": [1, 2], "b": [0.5, None]}).write_parquet(tmp_path / "2024.parquet")
    (tmp_path / "films.csv.gz").write_bytes(gzip.compress(ROWS.replace(";", ",").encode()))
    desk.write("people.csv", "user_id,area\n1,a\n2,b\n")
    desk.write("films.txt", ROWS)
    return desk


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("words", "file"),
    [
        (["films.csv", "--option", "delimiter=;"], "films.py"),
        (["films, 2.csv"], "films_2.py"),
        (["class.csv"], "rows_class.py"),
        (["numbers.jsonl"], "numbers_pipeline.py"),
        (["2024.parquet"], "rows_2024.py"),
        (["films.csv.gz", "--out", "deep.py"], "deep.py"),
        (["films.txt", "--format", "csv", "--option", "delimiter=;"], "films.py"),
    ],
)
def test_what_is_written_runs_and_can_be_published(desk: Desk, words: list[str], file: str) -> None:
    begun = desk("init", *words, "--label", "open", "--licence", "CC0-1.0")
    assert begun.code == 0, begun.err
    assert begun.out.splitlines()[0].startswith(f"{file}: ")
    run = desk("run", file, "--json")
    assert run.code == 0, run.err
    assert run.json["steps"]["numbers"]["metrics"]["rows"] in (2, 3)
    assert desk("run", file, "--set", "numbers.digits=2").code == 0
    columns = desk("get", "last", "columns").out
    assert len(columns.splitlines()) >= 3
    published = desk("publish", "last", "out")
    assert published.code == 0, published.err


def test_data_without_a_number_and_with_semicolons_run_too(desk: Desk) -> None:
    desk.write("words.csv", "word;kind\nrose;flower\noak;tree\n")
    assert "--option 'delimiter=;'" in desk("init", "words.csv", "--label", "open").complaint
    assert desk("init", "words.csv", "--label", "open", "--option", "delimiter=;").code == 0
    assert "numbers (open): rows 2" in desk("run", "words.py").out


def test_columns_that_look_like_people_are_said(desk: Desk) -> None:
    begun = desk("init", "people.csv", "--label", "open")
    assert "! user_id: this looks like data about people" in begun.out
    assert json.loads(desk("init", "people.csv", "--label", "open", "--out", "b.py", "--json").out)["looks_like_people"] == [
        "user_id"
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["films.csv"], "say whether the data are about people"),
        (["people.csv", "--label", "private"], "pellucid steward init people.csv"),
        (["nowhere.csv", "--label", "open"], "there is no such file"),
        (["a b.csv", "--label", "private"], "pellucid steward init 'a b.csv'"),
        (["films.txt", "--label", "open"], "to init: --format"),
        (["films.txt", "--label", "open"], "the name does not tell the format"),
        (["films.csv", "--label", "open", "--option", "delimiter"], "this is not NAME=VALUE"),
        (["films.csv", "--label", "open", "--option", "delimiter=;", "--licence", "free"], "is no licence"),
        (["films.csv", "--label", "open", "--option", "delimiter=;", "--out", "films.csv"], "it is there already"),
    ],
)
def test_what_cannot_be_begun_is_one_line_and_leaves_no_file(desk: Desk, words: list[str], said: str) -> None:
    before = sorted(desk.folder.iterdir())
    done = desk("init", *words)
    assert done.code == 2
    assert said in done.complaint
    assert sorted(desk.folder.iterdir()) == before
