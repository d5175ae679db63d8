"""Others' work brought in: plain scripts and notebooks adopted, published data imported and cited."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from package_shop import Shop, run_file
from test_package_verdict import restate

from pellucid.errors import PackageError, PellucidError, UsageError
from pellucid.packages import check
from pellucid.packages.adopting.adoption import adopt
from pellucid.packages.adopting.notebook_cells import code_cells
from pellucid.packages.adopting.script_step import kind_of
from pellucid.packages.artifact_import import take
from pellucid.packages.publishing import publish
from pellucid.packages.reproducing import reproduce
from pellucid.packages.reproducing.steward_rerun import Steward
from pellucid.pipeline.declaration.about import About
from pellucid.privacy import Ledger

pytestmark = pytest.mark.timeout(300)
ABOUT = About("A model", "A plain scikit-learn project", ("Doe, Jane",), "MIT", "CC-BY-4.0")
TRAIN = """
import json, sys
import pandas as pd
from sklearn.linear_model import LogisticRegression
from prep import features

frame = pd.read_csv("data/rows.csv")
model = LogisticRegression(max_iter=500).fit(features(frame), frame["y"])
print("coefficients", model.coef_.round(6), *sys.argv[1:])
json.dump({"accuracy": float(model.score(features(frame), frame["y"]))}, open("metrics.json", "w"))
frame.assign(p=model.predict_proba(features(frame))[:, 1]).to_csv("out/predictions.csv", index=False)
open("out/note.txt", "w").write("done")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A plain project: a script, a module of its own, data, a file nobody reads, an empty folder for results."""
    folder = tmp_path / "project"
    for name in ("data", "out"):
        (folder / name).mkdir(parents=True)
    rows = [f"{a / 20},{b / 10},{int(a / 20 + b / 10 > 0.9)}" for a in range(20) for b in range(10)]
    (folder / "data" / "rows.csv").write_text("a,b,y\n" + "\n".join(rows) + "\n")
    (folder / "data" / "unused.csv").write_text("x\n1\n")
    (folder / "out" / ".keep").write_text("")
    (folder / "prep.py").write_text('def features(frame):\n    return frame[["a", "b"]]\n')
    (folder / "train.py").write_text(TRAIN)
    return folder


def test_what_a_script_reads_and_writes_is_found_and_kept_as_what_it_is(project: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    made = adopt(project / "train.py", tmp_path / "adopted", about=ABOUT, arguments=["--fast"])
    assert made.files == {"data/rows.csv": "data", "prep.py": "code", "train.py": "code"}
    assert made.outputs == {
        "metrics_json": "metrics.json", "out_note_txt": "out/note.txt", "out_predictions_csv": "out/predictions.csv", "stdout": "stdout",
    }  # fmt: skip
    text = made.pipeline.read_text()
    assert "metrics_json: pl.File" in text and "out_predictions_csv: pl.File" in text and "out_note_txt: pl.File" in text
    locked = (tmp_path / "adopted" / "requirements.lock").read_text()
    assert "scikit-learn==" in locked and "pandas==" in locked and "mlflow==" not in locked
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_plain_project_is_re_runnable_in_one_command(project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pellucid", "adopt", project / "train.py", tmp_path / "adopted", "--licence", "MIT", "--data-licence",
               "CC-BY-4.0", "--creator", "Doe, Jane", "--package", tmp_path / "package", "--json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["package"]["open"][-1] == "stdout"
    assert json.loads((tmp_path / "package" / "artifacts" / "metrics_json.bin").read_text())["accuracy"] > 0.9
    verdict = reproduce(tmp_path / "package")
    assert verdict.verdict == "bit-identical", verdict
    path = tmp_path / "package" / "artifacts" / "metrics_json.bin"
    path.write_text(path.read_text().replace("0.9", "0.8").replace("1.0", "0.8"))
    restate(tmp_path / "package", "metrics_json")
    parted = reproduce(tmp_path / "package").first_difference
    assert parted is not None and (parted.step, parted.output) == ("script", "metrics_json")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_under_a_tolerance_numbers_are_kept_as_values_where_nothing_is_lost(project: Path, tmp_path: Path) -> None:
    made = adopt(project / "train.py", tmp_path / "adopted", about=ABOUT, arguments=["--fast"], tolerance=1e-9)
    assert made.values == ("metrics_json", "out_predictions_csv")
    text = made.pipeline.read_text()
    assert "metrics_json: pl.Metrics" in text and "out_predictions_csv: pl.Table" in text and "out_note_txt: pl.File" in text


LOSES = {
    "a zero in front": "zip\n00123\n", "a sign": "phone\n+4179\n", "hexadecimal": "code\n0x10\n", "a country": "country\nNA\n",
    "no header": "0.5,1.5\n0.25,2.5\n", "spaces": "a,b\n1, 2\n",
    "yes": "ok\nTRUE\n", "a short row": "a,b\n1\n", "two of one name": "a,a\n1,2\n",
}  # fmt: skip


@pytest.mark.parametrize("what", LOSES)
def test_a_file_whose_values_do_not_say_all_of_it_stays_a_file(what: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(LOSES[what])
    assert kind_of(tmp_path / "t.csv") == "file"
    (tmp_path / "good.csv").write_text("a,b\n1,x\n2,\n0.5,y z\n")
    assert kind_of(tmp_path / "good.csv") == "table"


def test_a_notebook_is_run_as_jupyter_does(project: Path, tmp_path: Path) -> None:
    made = [{"cell_type": "markdown", "source": "# Title"}, {"cell_type": "code", "source": ["x = 2\n", "print(x * 3)"]},
            {"cell_type": "code", "source": "open('six.txt', 'w').write(str(x * 3))"}]  # fmt: skip
    (project / "book.ipynb").write_text(json.dumps({"cells": made, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}))
    found = adopt(project / "book.ipynb", tmp_path / "adopted", about=ABOUT)
    assert found.files == {"book.ipynb": "code"}
    assert found.outputs == {"book_shown_html": "book-shown.html", "six_txt": "six.txt", "stdout": "stdout"}
    with pytest.raises(PellucidError, match=r"not all of its cells are plain Python: cell 1: %pip install x"):
        code_cells(json.dumps({"cells": [{"cell_type": "code", "source": "%pip install x"}]}).encode(), "b.ipynb")
    with pytest.raises(PellucidError, match="not a notebook of nbformat 4"):
        code_cells(b"{}", "b.ipynb")
    julia = {"cells": [], "metadata": {"kernelspec": {"language": "julia"}}}
    with pytest.raises(PellucidError, match="it is a notebook in julia, not in Python"):
        code_cells(json.dumps(julia).encode(), "b.ipynb")


def test_what_cannot_be_adopted_says_why_and_leaves_nothing(project: Path, tmp_path: Path) -> None:
    (project / "bad.py").write_text("import sys\nsys.exit('no data today')\n")
    for script, error, said in (
        ("bad.py", PellucidError, "ended with 1: no data today"),
        ("nothing.py", UsageError, "no such script"),
        ("data/rows.csv", UsageError, "no such script"),
    ):
        with pytest.raises(error, match=said):
            adopt(project / script, tmp_path / "adopted", about=ABOUT)
        assert not (tmp_path / "adopted").exists()
    with pytest.raises(UsageError, match="no file in the script's folder"):
        adopt(project / "train.py", tmp_path / "adopted", about=ABOUT, data=[Path("/etc/hostname")])
    with pytest.raises(UsageError, match="is no licence"):
        About("t", "d", ("x",), "free", "CC0-1.0")


# imports ---------------------------------------------------------------------------------------------------------------------

SECOND = """
import pellucid as pl

counts = pl.source("counts.parquet", label="open", origin="counts.origin.json")


@pl.step
def total(counts: pl.Table) -> pl.Metrics:
    return {"total": int(counts.polars().collect()["count"].sum())}


about = pl.About(title="Totals", description="Of a shop", creators=("Roe, Rick",), licence="MIT", data_licence="CC0-1.0")
pipeline = pl.Pipeline("second", [counts, total], about=about)
"""

THIRD = """
import pellucid as pl

total = pl.source("total.json", label="open", format="file", origin="total.origin.json")


@pl.step
def size(total: pl.File) -> pl.Metrics:
    return {"bytes": len(total.read_bytes())}


about = pl.About(title="Sizes", description="Of totals", creators=("Poe, Pia",), licence="MIT", data_licence="CC0-1.0")
pipeline = pl.Pipeline("third", [total, size], about=about)
"""


def build_on(package: Path, folder: Path, text: str = SECOND, artifact: str = "counts") -> Path:
    take(package, artifact, folder)
    (folder / "second.py").write_text(text)
    run = run_file(folder / "second.py", keys=folder / "keys")
    publish(folder / ".pellucid", run, folder / "package")
    return folder / "package"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_package_cites_what_it_builds_on_and_the_chain_is_followed(published: Path, tmp_path: Path) -> None:
    second = build_on(published, tmp_path / "second")
    third = build_on(second, tmp_path / "third", THIRD, "total")
    licences = json.loads((second / "manifest.json").read_text())["licences"]["counts"]
    assert licences["licence"] == "CC-BY-4.0" and "What a shop sells" in licences["credit"]
    assert (
        "IsDerivedFrom" in (second / "datacite.json").read_text()
        and "isBasedOn" in (second / "ro-crate-metadata.json").read_text()
    )
    found = check(third, origins=[second, published]).origins
    assert [(depth, said) for depth, _, said in found] == [(1, "found"), (2, "found")]
    assert "not looked at" in check(third).origins[0][2]


@pytest.mark.slow
def test_an_import_that_changed_or_a_citation_that_does_not_hold_is_refused(
    published: Path, package: Path, tmp_path: Path
) -> None:
    take(published, "counts", tmp_path / "second")
    origin = tmp_path / "second" / "counts.origin.json"
    changed = json.loads(origin.read_text())
    origin.write_text(json.dumps({**changed, "digest": "table:" + "0" * 64}))
    (tmp_path / "second" / "second.py").write_text(SECOND)
    run = run_file(tmp_path / "second" / "second.py", keys=tmp_path / "keys")
    with pytest.raises(PackageError, match='the source "counts" is not what was imported'):
        publish(tmp_path / "second" / ".pellucid", run, tmp_path / "out")
    origin.write_text(json.dumps({**changed, "artifact": "goods"}))
    publish(tmp_path / "second" / ".pellucid", "last", tmp_path / "lies")
    with pytest.raises(PackageError, match="the digest that is cited is not its own"):
        check(tmp_path / "lies", origins=[published])


def test_what_cannot_be_taken_is_refused_by_name(published: Path, package: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='no open artifact "shares" to take'):
        take(published, "shares", tmp_path)  # a collection
    with pytest.raises(UsageError, match='no open artifact "sales"'):
        take(published, "sales", tmp_path)
    take(published, "counts", tmp_path / "to")
    with pytest.raises(UsageError, match="there already"):
        take(published, "counts", tmp_path / "to")
    (package / "README.md").write_text("x")
    with pytest.raises(PackageError, match="the file was changed"):
        take(package, "counts", tmp_path / "other")
    assert not (tmp_path / "other").exists()


# the private side ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_steward_re_runs_the_private_side_bit_for_bit(shop: Shop, published: Path, keys: Path) -> None:
    spends = len(Ledger(shop.home).spends())
    verdict = reproduce(published, as_steward=Steward(shop.home, keys))
    assert verdict.verdict == "bit-identical", verdict
    assert {step.step: step.result for step in verdict.steps}["private_mean"] == "bit-identical"
    assert "re-run with the steward's key: bit-identical" in verdict.private
    assert len(Ledger(shop.home).spends()) == spends


@pytest.mark.slow
def test_another_key_or_other_data_is_refused_and_nothing_is_shown(
    shop: Shop, published: Path, keys: Path, tmp_path: Path
) -> None:
    from pellucid.errors import PrivacyError
    from pellucid.privacy.secret_keys import steward_key

    steward_key(tmp_path / "keys")
    with pytest.raises(PrivacyError, match="made with another key"):
        reproduce(published, as_steward=Steward(shop.home, tmp_path / "keys"))
    with pytest.raises(PrivacyError, match="there is no steward's key"):
        reproduce(published, as_steward=Steward(shop.home, tmp_path / "none"))
    sales = shop.folder / "sales.csv"
    before = sales.read_text()
    try:
        sales.write_text(before + "new,tea\n")
        with pytest.raises(PrivacyError, match="another release than the one that was paid for"):
            reproduce(published, as_steward=Steward(shop.home, keys))
    finally:
        sales.write_text(before)


# on a bare machine -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_package_with_wheels_re_runs_on_a_bare_machine(shop: Shop, tmp_path: Path) -> None:
    """No network, an empty home, no checkout: a fresh environment from the wheels inside, and the verdict in it."""
    publish(shop.home, shop.run, tmp_path / "package", with_wheels=True)
    bare = tmp_path / "bare"
    bare.mkdir()
    package = Path(shutil.move(tmp_path / "package", bare / "package"))
    alone = (
        ["unshare", "-rn"] if subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode == 0 else []
    )
    env = {"PATH": "/usr/bin:/bin", "HOME": str(bare), "UV_CACHE_DIR": str(bare / "uv-cache"), "UV_PYTHON_DOWNLOADS": "never"}
    base = str(getattr(sys, "_base_executable", sys.executable))
    (wheel,) = (package / "environment").glob("*.whl")
    uv = [sys.executable, "-m", "uv"]

    def run(*command: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*alone, *map(str, command)], cwd=bare, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    run(*uv, "venv", "--quiet", "--python", base, bare / "venv")
    install = ["pip", "install", "--quiet", "--python", bare / "venv" / "bin" / "python", "--no-index", "--find-links"]
    run(*uv, *install, package / "environment" / "wheels", wheel)
    done = run(bare / "venv" / "bin" / "pellucid", "reproduce", "package", "--json")
    told = json.loads(done.stdout)
    assert told["verdict"] == "bit-identical", told
    assert told["runner"] == "the pellucid in the package is byte for byte yours"
    if alone:
        assert told["network"] == "none (namespace); unix sockets: none"
    assert os.listdir(bare)
