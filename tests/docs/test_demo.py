"""The demo, as a newcomer runs it: what it prints, what it leaves, and that the README shows what it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from test_docs import blocks, loose

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


def demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PELLUCID_KEYS": str(folder / "keys"), "COLUMNS": "80"}
    environment.pop("PELLUCID_HOME", None)
    command = [sys.executable, "-m", "pellucid", "demo", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with keys of its own, and the first demo in it: whichever of these tests come to a worker, it has run before them."""
    folder = tmp_path_factory.mktemp("newcomer")
    return folder, demo(folder)


@pytest.fixture
def folder(first: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    return first[0]


def test_the_demo_ends_bit_identical_and_the_readme_shows_what_it_prints(
    first: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = first
    assert done.returncode == 0, done.stdout + done.stderr
    said = [loose(line) for line in done.stdout.splitlines()]
    shown = next(text for language, _, text in blocks("README.md") if language == "text")
    for line in shown.splitlines():
        if line.strip() and line.strip() != "...":
            assert any(loose(line) in found for found in said), f"the demo does not print: {line}\n{done.stdout}"
    for line in done.stdout.splitlines():
        assert len(line) <= 110, f"too wide to read: {line}"
    assert "user_id" not in done.stdout and "\x1b" not in done.stdout + done.stderr


def test_the_second_demo_takes_everything_from_the_store_and_gives_the_same_figures(folder: Path) -> None:
    done = demo(folder, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["verdict"] == "bit-identical" and told["first_difference"] is None
    assert told["account"]["spent"] == 1.5 and told["account"]["left"] == 0.5
    quality = told["quality"]
    assert quality["released"]["popular_ndcg_10"] < quality["released"]["recommender_ndcg_10"] < quality["ceiling"]["ndcg_10"]
    assert quality["share"] >= 0.88
    curve = told["curve"]
    assert curve["label"] == "private" and curve["simulation"]
    means = [sum(values) / len(values) for _, values in sorted(curve["draws"].items(), key=lambda pair: float(pair[0]))]
    assert means == sorted(means) and curve["floor"] < means[0] < means[-1] < curve["ceiling"]


def test_the_curve_says_on_its_face_that_it_is_a_private_simulation(folder: Path) -> None:
    drawing = ET.parse(folder / "pellucid-demo" / "curve.svg").getroot()
    text = " ".join(node.text or "" for node in drawing.iter() if node.tag.endswith("text"))
    assert "Simulation on private data" in text and "not released" in text


def test_nothing_of_the_curve_or_the_ceiling_is_in_the_package(folder: Path) -> None:
    package = folder / "pellucid-demo" / "package"
    names = {path.name for path in package.rglob("*")}
    assert not {name for name in names if name.startswith(("curve.svg", "ceiling", "scores", "train", "holdout", "visits"))}
    assert (package / "artifacts" / "matrix.parquet").is_file()
