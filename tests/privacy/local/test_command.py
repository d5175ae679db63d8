"""`pellucid local`: bad input gets one line, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from local_checks import key

from pellucid.cli import main
from pellucid.privacy.local.collection import read
from pellucid.privacy.local.report_format import batch, encoded
from pellucid.privacy.noise.stream import Stream


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PELLUCID_HOME", str(tmp_path / "home"))
    (tmp_path / "values.txt").write_text("a\nb\nü\nd\n", encoding="utf-8")
    return tmp_path


def told(capsys: Any, *words: str, code: int = 0) -> Any:
    with pytest.raises(SystemExit) as done:
        main(["local", *words])
    said = capsys.readouterr()
    assert done.value.code == code, said.err
    return json.loads(said.out) if "--json" in words else said.out if code == 0 else said.err


def declared(capsys: Any) -> Any:
    told(capsys, "declare", "letters", "--values", "values.txt", "--epsilon", "2", "--out", "letters.json")
    return read(Path("letters.json").read_text(encoding="utf-8"))


def sent(made: Any, codes: Any) -> bytes:
    payloads = made.oracle.perturb(np.asarray(codes), Stream(key(1)))
    reports = [
        encoded(made, bytes(row), client=at.to_bytes(16, "big"), nonce=bytes(8), period=3) for at, row in enumerate(payloads)
    ]
    return batch(reports)


def test_from_declaration_to_an_open_file_with_its_guarantee(capsys: Any) -> None:
    made = declared(capsys)
    Path("inbox").mkdir()
    Path("inbox/1.reports").write_bytes(sent(made, [0] * 600 + [2] * 300))
    Path("inbox/2.reports").write_bytes(b"not a batch")
    outcome = told(capsys, "collect", "inbox", "--json")
    assert (outcome["taken"], outcome["refused"]) == (900, 1)
    assert "batch" in outcome["files"]["inbox/2.reports"]["error"]
    for name in ("out.csv", "out.parquet"):
        found = told(capsys, "estimate", "letters", "--period", "3", "--out", name, "--json")
        beside = json.loads(Path("out.guarantee.json").read_text())
        assert beside == found["guarantee"]
        assert beside["epsilon"] == made.oracle.epsilon and beside["reports"] == 900
        assert [row["value"] for row in found["estimates"]] == ["a", "b", "ü", "d"]
        assert abs(found["estimates"][0]["frequency"] - 2 / 3) < 5 * found["estimates"][0]["error"]
        assert sum(row["consistent"] for row in found["estimates"]) == pytest.approx(1)
    assert pq.read_table("out.parquet").column_names == ["value", "frequency", "error", "consistent"]
    assert told(capsys, "spent", "0" * 31 + "1", "--json")["epsilon"] == made.oracle.epsilon


def test_choose_compares_and_takes_the_best(capsys: Any) -> None:
    found = told(capsys, "choose", "--domain", "3", "--epsilon", "1", "--json")
    assert found["chosen"] == "grr"
    assert {one["oracle"] for one in found["compared"]} == {"grr", "hadamard", "olh", "oue", "subset", "sue"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["choose", "--domain", "10", "--epsilon", "nan"], "epsilon"),
        (["choose", "--domain", "10", "--epsilon", "-1"], "epsilon"),
        (["choose", "--domain", "10", "--epsilon", "1e-320"], "epsilon"),
        (["choose", "--domain", "1", "--epsilon", "1"], "domain"),
        (["choose"], "--domain"),
        (["declare", "x", "--values", "missing.txt", "--epsilon", "1", "--out", "x.json"], "missing.txt"),
        (["declare", "x", "--values", "values.txt", "--epsilon", "1", "--oracle", "best", "--out", "x.json"], "best"),
        (["estimate", "nothing"], "nothing"),
        (["estimate", "letters"], "no report"),
        (["collect"], "files"),
        (["collect", "missing.reports"], "missing.reports"),
        (["spent", "zz"], "token"),
    ],
)
def test_bad_input_gets_one_line(capsys: Any, words: list[str], said: str) -> None:
    declared(capsys)
    line = told(capsys, *words, code=2)
    assert said in line and line.count("\n") == 1 and "Traceback" not in line
