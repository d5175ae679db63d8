"""The MLflow mirror, against a real server on loopback, read back through MLflow's own client."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

PIPELINE = """
import pellucid as pl

visits = pl.source("visits.csv", label="private", unit="person")

matrix = pl.release(pl.privacy.gram(item="area", max_contributions=2), of=visits, epsilon=2.0, delta=1e-6)

@pl.step
def secret(visits: pl.Table) -> pl.Metrics:
    return {"rows": visits.num_rows}

@pl.step
def cells(matrix: pl.Table, factor: float = 2.0) -> pl.Metrics:
    return {"cells": matrix.num_rows * factor}

pipeline = pl.Pipeline("mirrored", [visits, matrix, secret, cells])
"""


@pytest.fixture
def run_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run with a private and an open side."""
    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "keys"))
    rows = ["person,area", *(f"{person},{area}" for person in range(300) for area in ("a", "b"))]
    (tmp_path / "visits.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "mirrored.py").write_text(PIPELINE)
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-m", "pellucid", "run", str(tmp_path / "mirrored.py"), "--home", str(home), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A real MLflow tracking server on a free loopback port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    log = (tmp_path / "server.log").open("w")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", str(tmp_path / "artifacts"),
        ],
        env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True,
    )  # fmt: skip
    log.close()
    deadline = time.monotonic() + 240
    try:
        while True:
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "server.log").read_text()
                assert time.monotonic() < deadline, "the MLflow server did not come up"
                time.sleep(0.3)
        yield uri
    finally:
        os.killpg(process.pid, 9)
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_real_server_gets_the_open_side_once_and_nothing_else(run_home: Path, server: str, tmp_path: Path) -> None:
    def export() -> dict[str, object]:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "pellucid", "export", "--mlflow", server, "--home", str(run_home), "--json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    first = export()
    assert first["fresh"] and first["withheld"] == ["visits", "secret"]
    reader = """
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient(sys.argv[1])
run = client.get_run(sys.argv[2])
files = sorted(entry.path for entry in client.list_artifacts(sys.argv[2]))
path = client.download_artifacts(sys.argv[2], "cells.json", sys.argv[3])
print(json.dumps({"metrics": run.data.metrics, "params": run.data.params, "tags": run.data.tags, "files": files,
                  "status": run.info.status, "cells": json.load(open(path))}))
"""
    (tmp_path / "down").mkdir()
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", reader, server, str(first["mlflow_run"]), str(tmp_path / "down")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    back = json.loads(out.stdout.splitlines()[-1])
    assert back["status"] == "FINISHED"
    assert back["metrics"]["cells.cells"] == 6.0 and back["metrics"]["matrix_guarantee.epsilon"] == 2.0
    assert back["params"]["cells.factor"] == "2.0" and back["params"]["matrix.max_contributions"] == "2"
    assert back["files"] == ["cells.json", "matrix.parquet", "matrix_guarantee.json"]
    assert back["cells"]["cells"] == 6.0
    assert back["tags"]["pellucid.withheld"] == "visits, secret"
    assert not any(name.startswith(("secret", "visits")) for name in [*back["metrics"], *back["params"], *back["files"]])
    second = export()
    assert not second["fresh"] and second["mlflow_run"] == first["mlflow_run"]


@pytest.mark.slow
def test_a_server_that_is_not_there_is_one_clear_line(run_home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "pellucid", "export", "--mlflow", "http://127.0.0.1:9", "--home", str(run_home)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("pellucid: http://127.0.0.1:9: the MLflow server refused or did not answer")
