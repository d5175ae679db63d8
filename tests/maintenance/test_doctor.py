"""`pellucid doctor` finds what is planted, and says what to do; `rollback` and `--as-of` go by the list of deployments."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pellucid.errors import UsageError
from pellucid.maintenance import findings
from pellucid.pipeline.running import load, run
from pellucid.privacy import Ledger
from pellucid.registry import Deployments

MODELS = """
import pellucid as pl


@pl.step
def first() -> pl.Model:
    import numpy
    return pl.Model("popularity", {"items": numpy.array([1, 2]), "popularity": numpy.array([1.0, 0.5])}, {})


@pl.step
def second() -> pl.Model:
    import numpy
    return pl.Model("popularity", {"items": numpy.array([1, 2]), "popularity": numpy.array([0.5, 1.0])}, {})


pipeline = pl.Pipeline("models", [first, second])
"""


def states(home: Path | None) -> dict[str, str]:
    return {one.name: one.state for one in findings(home)}


def test_a_whole_state_is_in_order_and_each_trouble_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "keys"))
    home = tmp_path / "home"
    assert set(states(None).values()) <= {"ok", "warning"}
    assert states(home)["state"] == "trouble"
    ledger = Ledger(home)
    ledger.open_account("people", "person", 1.0, 1e-6)
    ledger.spend(["people"], "release", 0.1, 0.0, {"mechanism": "test"}, "0" * 64)
    ledger.close()
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: 1e9)
        assert states(home)["accounts"] == "trouble"  # a spend in the future
    assert "trouble" not in states(home).values()
    home.chmod(0o755)
    (trouble,) = [one for one in findings(home) if one.state == "trouble"]
    assert "chmod 700" in trouble.fix
    home.chmod(0o700)
    (tmp_path / "keys").mkdir(mode=0o755)
    (tmp_path / "keys" / "steward.key").write_bytes(bytes(32))
    assert states(home)["keys"] == "trouble"
    done = subprocess.run(
        [sys.executable, "-m", "pellucid", "doctor", "--home", str(home), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and json.loads(done.stdout)["in_order"] is False
    held = (home / "pellucid.db").read_bytes()
    (home / "pellucid.db").write_bytes(held[:4096] + b"\xff" * (len(held) - 4096))
    assert states(home)["state"] == "trouble" or states(home)["accounts"] == "trouble"


def test_rolling_back_goes_back_and_what_stood_when_can_be_asked(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    home = tmp_path / ".pellucid"
    assert run(load(tmp_path / "models.py"), home=home, jobs=1).status == "done"
    deployments = Deployments(home)
    with pytest.raises(UsageError, match="nothing is deployed"):
        deployments.rollback("recommend")
    deployments.deploy("recommend", "last", "first")
    with pytest.raises(UsageError, match="before"):
        deployments.rollback("recommend")
    between = time.time()
    deployments.deploy("recommend", "last", "second")
    assert deployments.rollback("recommend").output == "first"
    assert [one.output for one in deployments.history()] == ["first", "second", "first"]
    with pytest.raises(UsageError, match="before"):
        deployments.rollback("recommend")
    with pytest.raises(UsageError, match="no alias"):
        deployments.rollback("recomend")
    assert {alias: one.version for alias, one in deployments.as_of(between).items()} == {"recommend": 1}
    assert deployments.as_of(0.0) == {}
    command = [sys.executable, "-m", "pellucid", "deploy", "--home", str(home), "--json", "--as-of"]
    assert json.loads(subprocess.run([*command, "2001-01-01"], capture_output=True, text=True, check=True).stdout) == {
        "deployments": []
    }
    refused = subprocess.run([*command, "yesterday"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "no time" in refused.stdout + refused.stderr
