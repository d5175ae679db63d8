"""Past results as values: `pl.runs`, `pl.load` from runs and packages; what is not open is for its steward."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from package_shop import run_file

import pellucid as pl
from pellucid.errors import DamagedError, LabelError, PellucidError, UsageError
from pellucid.packages import publish

PIPELINE = """
import polars
import pellucid as pl

rows = pl.source("rows.csv", label="open", licence="CC0-1.0")
secret = pl.source("secret.csv", label="private", unit="who")


@pl.step
def clean(rows: pl.Table, least: int = 1) -> pl.Table:
    return rows.polars().filter(polars.col("a") >= least)


@pl.step
def size(clean: pl.Table) -> pl.Metrics:
    return {"rows": clean.num_rows}


@pl.step
def hidden(secret: pl.Table) -> pl.Metrics:
    return {"rows": secret.num_rows}


about = pl.About(title="Rows", description="Rows", creators=("Doe, Jane",), licence="MIT", data_licence="CC0-1.0")
pipeline = pl.Pipeline("rows", [rows, secret, clean, size, hidden], about=about)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("access")
    (folder / "rows.csv").write_text("a\n1\n2\n3\n")
    (folder / "secret.csv").write_text("who,b\nada,1\n")
    (folder / "rows.py").write_text(PIPELINE)
    run = run_file(folder / "rows.py", keys=folder / "keys")
    publish(folder / ".pellucid", run, folder / "package")
    publish(folder / ".pellucid", run, folder / "package.zip", zipped=True)
    return folder


def test_runs_are_listed_and_their_outputs_loaded(place: Path) -> None:
    (run,) = pl.runs(place / ".pellucid")
    assert pl.load(run, "size") == pl.load("last", "size", home=place / ".pellucid") == {"rows": 3}
    assert pl.load(run, "clean").polars().collect()["a"].to_list() == [1, 2, 3]
    assert "3 rows" in repr(pl.load(run, "clean"))
    assert "rows  " in repr(run)
    assert "withheld: not open" in repr(run)


def test_what_is_not_open_is_for_its_steward(place: Path) -> None:
    (run,) = pl.runs(place / ".pellucid")
    for name in ("secret", "hidden"):
        with pytest.raises(LabelError, match="is private"):
            pl.load(run, name)
    assert pl.load(run, "hidden", private=True) == {"rows": 1}
    shown = repr(pl.load(run, "secret", private=True))
    assert "ada" not in shown
    assert "withheld" in shown


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["package", "package.zip"])
def test_artifacts_of_packages_are_loaded(place: Path, name: str) -> None:
    assert pl.load(place / name, "size") == {"rows": 3}
    table = pl.load(str(place / name), "clean")
    assert table.polars().collect()["a"].to_list() == [1, 2, 3]
    with pytest.raises(UsageError, match='Did you mean "clean"'):
        pl.load(place / name, "claen")
    with pytest.raises(UsageError, match="no open artifact"):
        pl.load(place / name, "hidden")


def test_a_package_that_was_changed_is_not_loaded(place: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(place / "package", tmp_path / "package")
    (copy / "artifacts/size.json").write_text('{\n "rows": 4\n}\n')
    with pytest.raises((DamagedError, PellucidError)):
        pl.load(copy, "size")


def test_what_is_unpacked_is_gone_when_the_process_ends(place: Path, tmp_path: Path) -> None:
    script = f"import pellucid as pl; print(pl.load({str(place / 'package.zip')!r}, 'clean').path)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()
    assert list(tmp_path.iterdir()) == []


def test_two_runs_are_compared(place: Path) -> None:
    command = [sys.executable, "-m", "pellucid", "run", "rows.py", "--set", "clean.least=2"]
    environment = {**os.environ, "PELLUCID_KEYS": str(place / "keys")}
    assert subprocess.run(command, cwd=place, env=environment, capture_output=True, check=False).returncode == 0
    later, earlier = pl.runs(place / ".pellucid")[:2]
    found = earlier.compare(later)
    assert found["settings"]["clean.least"] == ["1", "2"]
    assert found["metrics"]["size.rows"] == [3, 2]
    assert found["first_difference"]["step"] == "clean"
    assert json.dumps(found)
