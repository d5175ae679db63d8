"""The demo of synthetic people, as a newcomer runs it, and the CSV in another recommender."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import csv

from pellucid.models import als, recommend


@pytest.mark.slow
def test_it_ends_with_rows_that_a_recommender_trains_on(tmp_path: Path) -> None:
    environment = {**os.environ, "PELLUCID_KEYS": str(tmp_path / "keys")}
    command = [sys.executable, "-m", "pellucid", "demo", "synthetic"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    rows = csv.read_csv(tmp_path / "pellucid-synthetic" / "people.csv")
    assert rows.column_names == ["user_id", "area_id"] and rows.column("user_id")[0].as_py() == "s000001"
    assert len(recommend(als.fit(rows, "area_id", "user_id"), [rows.column("area_id")[0].as_py()], 5)) == 5
    again = subprocess.run([*command, "--json"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    told = json.loads(again.stdout)
    assert told["rows"] == rows.num_rows
    assert told["worth"]["people_ndcg_10"] > 0.9 * told["worth"]["matrix_ndcg_10"]
    refused = subprocess.run(
        [*command, "here", "there"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2 and "too many" in refused.stderr
