"""Adding or removing one person moves the true statistic by at most the stated bound."""

from __future__ import annotations

from pathlib import Path

import privacy_checks as checks
import pytest


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("cap", "units"), [(1, 2), (2, 2), pytest.param(2, 3, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_one_unit_moves_at_most_the_stated_cells_by_one_over_all_small_histories(cap: int, units: int, tmp_path: Path) -> None:
    assert checks.sensitivity_breaches(cap, tmp_path, units) == []


@pytest.mark.slow
def test_one_unit_moves_a_bounded_mean_by_at_most_its_bound_whatever_its_values(tmp_path: Path) -> None:
    assert checks.mean_breaches(tmp_path) == []
