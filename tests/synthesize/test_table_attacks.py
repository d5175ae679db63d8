"""Synthetic rows of a census under attack: what is learned of people in the data is no more than of a control group; planted bugs show."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from pellucid.privacy import bins, marginals
from pellucid.privacy.attacks import Finding, Rate, inference, linkability, singling_out
from pellucid.synthesize import make_table

ADULT = Path(__file__).resolve().parents[3] / "shared/data/adult/adult.csv"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not ADULT.exists(), reason="the census table is not beside this checkout"),
]


@pytest.fixture(scope="module")
def halves() -> tuple[polars.DataFrame, polars.DataFrame]:
    frame = polars.read_csv(ADULT, separator=";")
    order = np.random.Generator(np.random.PCG64(11)).permutation(frame.height)
    return frame[order[:15_081].tolist()], frame[order[15_081:].tolist()]


@pytest.fixture(scope="module")
def synthetic(halves: tuple[polars.DataFrame, polars.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> polars.DataFrame:
    inside, outside = halves
    scratch = tmp_path_factory.mktemp("census")
    values = {name: sorted({*inside[name].to_list(), *outside[name].to_list()}) for name in inside.columns if name != "age"}
    columns = {name: bins(15, 95, 16) if name == "age" else values[name] for name in inside.columns}
    mechanism = marginals(columns, target="salary-class")
    inside.with_row_index("person").write_parquet(scratch / "people.parquet")
    told = mechanism.run(scratch / "people.parquet", "person", 3.0, 1e-9, hashlib.sha256(b"attacked").digest(), scratch)
    return polars.DataFrame(make_table(told, mechanism.numbers(3.0, 1e-9), inside.height)[0])


def attacks(released: Any, inside: Any, outside: Any) -> list[Finding]:
    known, left, right = (
        ["age", "sex", "race", "marital-status", "education"],
        ["age", "education", "sex"],
        ["occupation", "marital-status"],
    )
    return [
        singling_out(inside, released, outside, target="rows", columns=4, attacks=500),
        linkability(inside, released, outside, target="rows", left=left, right=right, attacks=1000),
        inference(inside, released, outside, target="rows", known=known, secret="occupation", attacks=1500),
    ]


def control_of(finding: Finding) -> Rate:
    control = finding.baselines["control"]
    assert isinstance(control, Rate)
    return control


def test_no_attack_learns_more_of_people_in_the_data_than_of_others(
    halves: tuple[polars.DataFrame, polars.DataFrame], synthetic: polars.DataFrame
) -> None:
    for finding in attacks(synthetic, *halves):
        assert finding.rate.low <= control_of(finding).high, finding


def test_a_copy_of_the_rows_is_found_out(halves: tuple[polars.DataFrame, polars.DataFrame], synthetic: polars.DataFrame) -> None:
    inside, outside = halves
    out, _, inferred = attacks(
        inside.select(synthetic.columns), inside, outside
    )  # halves of records link too seldom here to tell
    for finding in (out, inferred):
        assert finding.rate.low > control_of(finding).high, finding


def equal_rows(one: polars.DataFrame, other: polars.DataFrame) -> int:
    held = Counter(other.rows())
    return sum(row in held for row in one.rows())


def test_no_row_is_a_real_one_more_often_than_chance_has_it(
    halves: tuple[polars.DataFrame, polars.DataFrame], synthetic: polars.DataFrame
) -> None:
    inside, outside = (half.select(synthetic.columns) for half in halves)
    own, other = equal_rows(synthetic, inside), equal_rows(synthetic, outside)
    assert own - other < 4 * (own + other) ** 0.5, "real rows of those in the data stand there too often"
    copied = polars.concat([synthetic.head(synthetic.height - 2000), inside.head(2000)])
    own, other = equal_rows(copied, inside), equal_rows(copied, outside)
    assert own - other > 4 * (own + other) ** 0.5, "2,000 copied rows are seen"


PIPELINE = """
import pellucid as pl

people = pl.source("people.csv", label="private", unit="who", budget=pl.Budget(epsilon=4.0, delta=1e-5))
COLUMNS = {"sex": ["Male", "Female"], "age": pl.privacy.bins(15, 95, 16), "salary-class": ["<=50K", ">50K"]}
counts = pl.release(pl.privacy.marginals(COLUMNS, target="salary-class"), of=people, epsilon=2.0, delta=1e-6, name="counts")
about = pl.About(title="People", description="Made.", creators=("Doe, Jane",), licence="MIT", data_licence="CC-BY-4.0")
pipeline = pl.Pipeline("census", [people, counts, pl.synthesize.table(counts, name="made")], seed=5, about=about)
"""


def test_strangers_make_the_same_rows_from_the_package(
    halves: tuple[polars.DataFrame, polars.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "keys"))
    halves[0].with_row_index("who").write_csv(tmp_path / "people.csv")
    (tmp_path / "census.py").write_text(PIPELINE)
    command = [sys.executable, "-m", "pellucid"]
    for words in (["run", "census.py"], ["publish", "last", "out"]):
        subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "`artifacts/made_rows.parquet`" in (tmp_path / "out" / "README.md").read_text().partition("## Synthetic people")[2]
    records = json.loads((tmp_path / "out" / "croissant.json").read_text())["recordSet"]
    assert [one["name"] for one in records if "Synthetic" in one.get("description", "")] == ["made_rows"]
    done = subprocess.run([*command, "reproduce", "out"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "verdict: bit-identical" in done.stdout, done.stdout + done.stderr
