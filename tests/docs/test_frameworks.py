"""The how-tos for other tools do what they say, with the tools themselves: papermill, pre-commit, GitHub's workflow schema, PyTorch."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_docs import ROOT, blocks

PAGE = "docs/frameworks.md"
FLOWERS = "kind,long,wide\nrose,0.1,0.2\nrose,0.2,0.1\nrose,0.0,0.1\nlily,1.1,2.0\nlily,0.9,2.1\nlily,1.0,1.9\n"
PIPELINE = """import pellucid as pl

flowers = pl.source("flowers.csv", label="open", licence="CC0-1.0")


@pl.step
def kinds(flowers: pl.Table) -> pl.Table:
    return flowers.polars().group_by("kind").len().sort("kind")


about = pl.About(title="Flowers", description="Kinds.", creators=("Doe, Jane",), licence="MIT", data_licence="CC0-1.0")
pipeline = pl.Pipeline("flowers", [flowers, kinds], about=about)
"""
Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files of the page."""
    for _, options, text in blocks(PAGE):
        if "file" in options:
            (tmp_path / options["file"]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / options["file"]).write_text(text)
    (tmp_path / "flowers.csv").write_text(FLOWERS)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Run a command there, with `first` in front of the path."""

    def run(command: str, first: Path | None = None) -> subprocess.CompletedProcess[str]:
        path = [str(first)] if first else []
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PELLUCID", "GIT_"))}
        environment |= {
            "PATH": os.pathsep.join([*path, str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(folder / "home"),
            "PELLUCID_KEYS": str(folder / "keys"),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        return subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)

    return run


def commands(tool: str) -> list[str]:
    """The commands of the page that run in the environment of a tool."""
    found = [text for language, options, text in blocks(PAGE) if language == "shell" and options["tool"] == tool]
    return [line.removeprefix("$ ") for text in found for line in text.splitlines()]


def with_package(folder: Path, run: Run) -> None:
    (folder / "flowers.py").write_text(PIPELINE)
    done = run("pellucid run flowers.py --quiet && pellucid publish last package")
    assert done.returncode == 0, done.stderr


def test_papermill_runs_the_notebook_with_another_parameter(tool: Callable[[str], Path], folder: Path, run: Run) -> None:
    python = tool("jupyter")
    with (python.parent / ".turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        install = [ROOT / ".venv/bin/uv", "pip", "install", "--python", python, "--offline", "--no-deps", "--quiet", "-e", ROOT]
        subprocess.run(install, check=True)
    cells = [(options["cell"], text) for _, options, text in blocks(PAGE) if "cell" in options]
    book = {
        "cells": [
            {"cell_type": "code", "id": f"c{at}", "execution_count": None, "outputs": [], "source": text,
             "metadata": {"tags": ["parameters"]} if name == "parameters" else {}}
            for at, (name, text) in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    (folder / "first.ipynb").write_text(json.dumps(book))
    (command,) = commands("jupyter")
    done = run(command, python.parent)
    assert done.returncode == 0, done.stderr
    outputs = json.dumps(json.loads((folder / "first-4.ipynb").read_text())["cells"])
    assert "'rows': 4" in outputs and "'rows': 2" not in outputs
    assert run("pellucid get last first").stdout.split() == ["{", '"rows":', "4", "}"]
    again = run(command.replace("first-4", "again"), python.parent)
    assert again.returncode == 0 and "reused" in (folder / "again.ipynb").read_text()


def test_pre_commit_refuses_what_is_private_and_a_package_that_is_not_whole(
    tool: Callable[[str], Path], folder: Path, run: Run
) -> None:
    python = tool("pre-commit")
    with_package(folder, run)
    (command,) = commands("pre-commit")
    add = "git add .pre-commit-config.yaml package flowers.py"
    assert run(f"git init -q . && {add}").returncode == 0
    good = run(command, python.parent)
    assert good.returncode == 0 and good.stdout.count("Passed") >= 1, good.stdout + good.stderr
    (folder / "steward").mkdir()
    (folder / "steward/report.html").write_text("private")
    for private in (".pellucid/pellucid.db", "steward/report.html"):
        assert run(f"git add -f {private}").returncode == 0
        refused = run(command, python.parent)
        assert refused.returncode == 1 and private in refused.stdout and "steward alone" in refused.stdout
        run(f"git rm -q --cached {private}")
    (folder / "steward/card").mkdir()
    (folder / "steward/card/index.html").write_text("open")
    run("git add steward/card")
    assert run(command, python.parent).returncode == 0
    with (folder / "package/README.md").open("a") as file:
        file.write("more\n")
    run(add)
    broken = run(command, python.parent)
    assert broken.returncode == 1 and "the package is whole" in broken.stdout and "README.md" in broken.stdout


def test_the_workflow_is_one_that_github_takes_and_its_commands_re_run_the_package(
    tool: Callable[[str], Path], folder: Path, run: Run
) -> None:
    import yaml

    checker = tool("check-jsonschema").parent / "check-jsonschema"
    file = folder / ".github/workflows/reproduce.yml"
    checked = run(f"{checker} --builtin-schema vendor.github-workflows {file}")
    assert checked.returncode == 0, checked.stdout
    file.with_name("broken.yml").write_text(file.read_text().replace("runs-on:", "run-on:"))
    assert run(f"{checker} --builtin-schema vendor.github-workflows {file.with_name('broken.yml')}").returncode == 1
    steps = yaml.safe_load(file.read_text())["jobs"]["reproduce"]["steps"]
    install, *rest = [step["run"] for step in steps if "run" in step]
    assert install == "pip install ./pellucid"
    with_package(folder, run)
    copy = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "tests", "docs")
    shutil.copytree(ROOT, folder / "pellucid", ignore=copy)
    uv, fresh = ROOT / ".venv/bin/uv", folder / "fresh/bin"
    made = run(f"{uv} venv --seed --quiet --python {sys.executable} fresh && {uv} pip install --quiet --python {fresh}/python"
               f" -r {ROOT}/src/pellucid/requirements.lock")  # fmt: skip
    assert made.returncode == 0, made.stderr
    for command in (install, *rest):
        done = run(command, fresh)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert json.loads((folder / "verdict.json").read_text())["verdict"] == "bit-identical"
    shutil.rmtree(folder / "package/artifacts")
    assert run("pellucid check package", fresh).returncode != 0


def test_weights_of_pytorch_are_plain_arrays_and_the_same_in_every_run(folder: Path, run: Run) -> None:
    pytest.importorskip("torch", reason="PyTorch is in no lock of the tests: its wheels bring gigabytes along")
    done = run("pellucid run petals.py --twice")
    assert done.returncode == 0, done.stderr
    assert "every step is deterministic" in done.stdout + done.stderr
    assert "quality (open): right 1" in run("pellucid run petals.py").stdout
    import numpy

    assert run("pellucid get last network --out net.npz").returncode == 0
    held = numpy.load(folder / "net.npz", allow_pickle=False)
    assert any("weight" in name for name in held.files)
