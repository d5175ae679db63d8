"""A model of the registry as a folder that MLflow loads: it says there what it says here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pellucid.cli import main
from pellucid.errors import LabelError, UsageError
from pellucid.models import estimators, recommend
from pellucid.pipeline.running import load, run
from pellucid.tracking.mlflow_model import export

PIPELINE = """
import numpy as np
import pellucid as pl
from pellucid.models import estimators

rows = pl.source("rows.csv", label="open")
people = pl.source("people.csv", label="private", unit="person")


@pl.step
def popular(rows: pl.Table) -> pl.Model:
    return pl.Model("popularity", {"items": np.arange(10, 20), "popularity": np.arange(10.0)}, {})


@pl.step
def line(rows: pl.Table) -> pl.Model:
    from sklearn.linear_model import LinearRegression

    table = rows.pandas()
    return estimators.keep(LinearRegression().fit(table[["a", "b"]], table["c"]))


@pl.step
def toy(rows: pl.Table) -> pl.Model:
    return pl.Model("toy", {}, {})


@pl.step
def secret(people: pl.Table) -> pl.Model:
    return pl.Model("popularity", {"items": np.arange(2), "popularity": np.arange(2.0)}, {})


pipeline = pl.Pipeline("small", [rows, people, popular, line, toy, secret])
"""
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.py").write_text(PIPELINE)
    (folder / "rows.csv").write_text("a,b,c\n1,2,5\n2,1,4\n0,3,6\n4,4,12\n")
    (folder / "people.csv").write_text("person\n1\n")
    return run(load(folder / "small.py"), home=folder / ".pellucid", confined=True)


def test_mlflow_says_what_pellucid_says(done: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    mlflow = pytest.importorskip("mlflow")
    import pandas

    with pytest.raises(SystemExit) as ended:
        main(["models", "export", "popular", "--mlflow", str(tmp_path / "popular"), "--home", str(done.home)])
    assert ended.value.code == 0 and "mlflow models serve" in capsys.readouterr().out
    found = mlflow.pyfunc.load_model(str(tmp_path / "popular"))
    told = found.predict(pandas.DataFrame({"items": [[19, 18], [], ["11"]]}))
    expected = [[item for item, _ in recommend(done["popular"], history, 10)] for history in ([19, 18], [], [11])]
    assert told == expected
    export(done.home, "line", tmp_path / "line")
    rows = pandas.DataFrame({"b": [7.0], "a": [3.0]})
    there = mlflow.pyfunc.load_model(str(tmp_path / "line")).predict(rows)
    assert there.tolist() == estimators.predict(done["line"], [[3.0, 7.0]]).tolist()
    assert not list(tmp_path.rglob("*.pkl")), "nothing in it is a pickle"


def test_what_is_not_exported(done: Any, tmp_path: Path):
    with pytest.raises(LabelError):
        export(done.home, "secret", tmp_path / "secret")
    with pytest.raises(UsageError, match="is asked nothing"):
        export(done.home, "toy", tmp_path / "toy")
    (tmp_path / "there").mkdir()
    with pytest.raises(UsageError, match="there already"):
        export(done.home, "popular", tmp_path / "there")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there"]


@pytest.mark.parametrize("words", [["export"], ["export", "popular"], ["popular", "--mlflow", "x"], ["a", "b"]])
def test_commands_that_say_too_little(done: Any, words: list[str]):
    with pytest.raises(SystemExit) as ended:
        main(["models", *words, "--home", str(done.home)])
    assert ended.value.code == 2
