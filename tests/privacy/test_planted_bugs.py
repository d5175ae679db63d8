"""Bugs planted in the real code, each of which the check used on the real code must catch."""

from __future__ import annotations

import dataclasses
import runpy
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import privacy_checks as checks
import pytest

from pellucid.privacy import Gram, Mean, secret_keys
from pellucid.privacy.mechanisms import threshold
from pellucid.privacy.noise.calibration import sigma_for_counts
from pellucid.privacy.noise.gaussian import DiscreteGaussian
from pellucid.privacy.noise.stream import Stream
from pellucid.privacy.private_tables import bounding

GRAM = sys.modules["pellucid.privacy.mechanisms.gram_matrix"]


@pytest.fixture(autouse=True)
def _fresh_plans() -> Any:
    threshold._plan.cache_clear()
    yield
    threshold._plan.cache_clear()


def test_forgotten_bounding_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bounding, "_drawn", lambda units, *rest: np.ones(len(units), dtype=bool))
    assert checks.sensitivity_breaches(2, tmp_path, units=2)


@pytest.mark.slow
def test_a_bound_one_too_large_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = bounding._drawn
    monkeypatch.setattr(bounding, "_drawn", lambda units, a, b, cap, key: real(units, a, b, cap + 1, key))
    assert checks.sensitivity_breaches(2, tmp_path, units=2)


def test_repeated_rows_counted_twice_are_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real, calls = bounding.codes, iter(range(10**9))

    def codes(column: Any) -> Any:
        found = real(column)
        sorter = sys._getframe(1).f_code.co_name == "bounded_pairs" and next(calls) % 2 == 1
        return np.arange(len(found)) if sorter else found  # every item of the block a new one: nothing is a repeat

    monkeypatch.setattr(bounding, "codes", codes)
    assert checks.sensitivity_breaches(2, tmp_path, units=2)


@pytest.mark.slow
def test_a_draw_that_depends_on_who_else_is_there_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def drawn(units: Any, unit_hash: Any, row_hash: Any, cap: int, key: bytes) -> Any:
        order = np.random.default_rng(int(row_hash.sum() % 2**32)).permutation(len(units))
        return real(units, np.zeros_like(unit_hash), order.astype(np.uint64), cap, key)

    real = bounding._drawn
    monkeypatch.setattr(bounding, "_drawn", drawn)
    assert checks.sensitivity_breaches(1, tmp_path, units=3, items=("a", "b"))


@pytest.mark.slow
def test_a_mean_without_clamp_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def grid(self: Mean, values: list[Any], half: int) -> Any:
        finite = [np.where(np.isfinite(value) & (np.abs(value) < 1e6), value, 1e6) for value in values]
        return np.stack([np.rint(((value + 1) / 2 - 1) * half) for value in finite], axis=1).astype(np.int64)

    monkeypatch.setattr(Mean, "grid", grid)
    assert checks.mean_breaches(tmp_path)


@pytest.mark.slow
def test_a_sensitivity_that_forgets_the_pairs_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Gram, "cells", property(lambda self: self.max_contributions))  # sqrt(m) instead of sqrt(m (m + 1) / 2)
    assert checks.sensitivity_breaches(2, tmp_path, units=2)


@pytest.mark.slow
def test_a_sensitivity_of_one_cell_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gram, "cells", property(lambda self: 1))
    assert checks.audit_breach(1.0, 0.01, samples=20_000)[0]


@pytest.mark.slow
def test_a_doubled_epsilon_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threshold, "sigma_for_counts", lambda e, d, c: sigma_for_counts(2 * e, d, c))
    assert checks.audit_breach(1.0, 0.01, samples=20_000)[0]


@pytest.mark.slow
def test_noise_of_half_the_width_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threshold, "sigma_for_counts", lambda e, d, c: sigma_for_counts(e, d, c) / 4)
    assert checks.audit_breach(1.0, 0.01, samples=20_000)[0]


@pytest.mark.slow
def test_a_threshold_of_zero_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    real = threshold.plan
    monkeypatch.setattr(GRAM, "plan", lambda *given: dataclasses.replace(real(*given), threshold=0))
    assert checks.naming_breach()


@pytest.mark.slow
def test_a_threshold_that_forgets_the_persons_own_count_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    real = threshold.plan

    def plan(*given: Any) -> threshold.Plan:  # sigma is about 2 here, so two steps lower is far too low
        found = real(*given)
        return dataclasses.replace(found, threshold=found.threshold - 2)

    monkeypatch.setattr(GRAM, "plan", plan)
    assert checks.naming_breach(runs=8000)


def test_one_stream_for_diagonal_and_rest_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Stream, "fork", lambda self, label: Stream(self._key))
    assert checks.reused_streams(tmp_path) == ["diagonal and off-diagonal"]


def test_one_noise_key_for_two_releases_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(secret_keys, "release_key", lambda key, release_id: key)
    assert checks.reused_streams(tmp_path) == ["two releases"]


def test_order_by_count_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = GRAM.named
    monkeypatch.setattr(GRAM, "named", lambda noised, *rest: sorted(real(noised, *rest), key=lambda i: -noised[i]))
    assert checks.order_leaks(tmp_path)


def _float_draw(self: DiscreteGaussian, stream: Stream, count: int) -> Any:
    return np.random.default_rng(int(stream.words(1)[0])).normal(0, self.sigma, count)


def _rounded_draw(self: DiscreteGaussian, stream: Stream, count: int) -> Any:
    return np.rint(_float_draw(self, stream, count)).astype(np.int64)


def _cut_draw(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, stream, count: np.clip(real(self, stream, count), -int(2 * self.sigma), int(2 * self.sigma))


def test_floating_point_noise_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiscreteGaussian, "draw", _float_draw)
    assert checks.distinguishing_share(runs=1000) > 0.5
    assert checks.chi_squared(Fraction(9)) < 1e-6


def test_rounded_continuous_noise_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiscreteGaussian, "draw", _rounded_draw)
    assert checks.chi_squared(Fraction(1, 4)) < 1e-6


def test_cut_tails_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiscreteGaussian, "draw", _cut_draw(DiscreteGaussian.draw))
    assert checks.chi_squared(Fraction(100)) < 1e-6


def test_the_bugs_that_the_script_plants_still_fit_the_code() -> None:
    """`scripts/mutants --planted` runs the tests against each, which takes minutes; that each can be planted is seen here."""
    script = runpy.run_path(str(Path(__file__).parents[2] / "scripts/mutants"))
    planted = list(script["planted"]())
    assert len(planted) == len(script["PLANTED"]) >= 20
    for name, path, text in planted:
        compile(text, path, "exec")
        assert text != (script["PRIVACY"] / path).read_text(), name
