"""What a pipeline file does to the decimal module of its process changes no amount, no table of noise and no chance."""

from __future__ import annotations

import decimal
import importlib
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from pellucid.privacy.accounting.amounts import DELTA_UNIT, EPSILON_UNIT, as_float, as_text, units
from pellucid.privacy.local.oracles import dyadic

CONTEXTS = {
    "few digits": decimal.Context(prec=3),
    "down": decimal.Context(prec=28, rounding=decimal.ROUND_DOWN),
    "up": decimal.Context(prec=5, rounding=decimal.ROUND_UP),
    "a small range": decimal.Context(prec=6, Emin=-9, Emax=9),
    "every trap": decimal.Context(prec=4, traps=[decimal.Inexact, decimal.Rounded, decimal.Subnormal, decimal.FloatOperation]),
}


def module(name: str) -> Any:
    return importlib.import_module(f"pellucid.privacy.{name}")


def computed() -> dict[str, Any]:
    """Everything of the private side that computes with decimals, or did."""
    chances = module("mechanisms.partitions").chances.__wrapped__
    epsilons, deltas = (0.1234567, 1.0, 3.3, 1e-9), (1e-6, 2.4921059526441106e-07, 1.23456789012e-11)
    return {
        "units": [units(e, EPSILON_UNIT, up=up) for e in epsilons for up in (True, False)]
        + [units(d, DELTA_UNIT, up=up) for d in deltas for up in (True, False)],
        "shown": [(as_float(123456789, EPSILON_UNIT), as_text(249210595265, DELTA_UNIT))],
        "gaussian": str(module("noise.gaussian")._table.__wrapped__(Fraction(9, 4))),
        "laplace": str(module("noise.laplace")._table.__wrapped__(3, 1)),
        "chances": chances(0.5, 1e-4),
        "dyadic": [dyadic.exponential(1.5), dyadic.parts(1 << 64, dyadic.exponential(0.7)), dyadic.log_up(Fraction(7, 3))],
    }


@pytest.mark.parametrize("name", CONTEXTS)
def test_no_setting_of_decimals_changes_the_private_side(name: str) -> None:
    expected = computed()
    with decimal.localcontext(CONTEXTS[name]):
        assert computed() == expected


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_pipeline_file_that_sets_decimals_pays_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("user,amount\n" + "".join(f"u{n},1\n" for n in range(200)))
    (tmp_path / "p.py").write_text(
        "import decimal\ndecimal.getcontext().prec = 2\ndecimal.getcontext().rounding = decimal.ROUND_DOWN\nimport pellucid as pl\n"
        'd = pl.source("d.csv", label="private", unit="user", budget=pl.Budget(epsilon=2, delta=1e-5), types={"amount": "float64"})\n'
        'total = pl.release(pl.privacy.sum(["amount"], 0, 20), of=d, epsilon=0.1234567, delta=1.23456e-6)\n'
        'pipeline = pl.Pipeline("p", [d, total])\n'
    )
    command = [sys.executable, "-m", "pellucid"]
    environment = {**os.environ, "PELLUCID_KEYS": str(tmp_path / "keys")}
    done = subprocess.run([*command, "run", "p.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = subprocess.run(
        [*command, "ledger", "--json"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert '"spent_epsilon_nano": 123456700' in told
    assert '"spent_delta_atto": 1234560000000' in told
