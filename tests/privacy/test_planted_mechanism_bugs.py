"""Bugs planted in the mechanisms of the registry, each of which the check used on the real code must catch."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import mechanism_checks as every
import numpy as np
import pyarrow as pa
import pytest

from pellucid.privacy import Clicks, Histogram, Pairs, Quantiles, Sum
from pellucid.privacy.mechanisms import threshold
from pellucid.privacy.noise.laplace import DiscreteLaplace, laplace
from pellucid.privacy.noise.stream import Stream
from pellucid.privacy.private_tables import bounding, private_columns
from pellucid.store.labels import Unit, unit_of


def module(name: str) -> Any:
    return sys.modules[f"pellucid.privacy.mechanisms.{name}"]


@pytest.fixture(autouse=True)
def _fresh_plans() -> Any:
    threshold._plan.cache_clear()
    yield
    threshold._plan.cache_clear()


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["histogram", "partitions", "clicks", "pairs", "sum"])
def test_forgotten_bounding_is_caught(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bounding, "_drawn", lambda units, *rest: np.ones(len(units), dtype=bool))
    assert every.sensitivity_breaches(every.CASES[name][0], tmp_path)


def test_rows_of_one_key_that_are_not_bounded_are_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = bounding.bounded_pairs
    monkeypatch.setattr(
        bounding, "bounded_pairs", lambda *given, times=1, **more: real(*given, times=times if times == 1 else 10**6, **more)
    )
    assert every.sensitivity_breaches(every.CASES["histogram"][2], tmp_path)


def test_a_sensitivity_that_forgets_the_rows_of_a_key_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = module("histogram").plan
    monkeypatch.setattr(module("histogram"), "plan", lambda *given: real(*given[:6]))
    assert every.sensitivity_breaches(every.CASES["histogram"][2], tmp_path)


@pytest.mark.quick(1)
@pytest.mark.parametrize(("name", "cls"), [("histogram", Histogram), ("clicks", Clicks), ("pairs", Pairs), ("sum", Sum)])
def test_replace_treated_as_add_remove_is_caught(name: str, cls: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = cls.plan
    monkeypatch.setattr(cls, "plan", lambda self, epsilon, delta, relation="": real(self, epsilon, delta))
    assert every.sensitivity_breaches(every.CASES[name][0], tmp_path, "replace")


def test_a_replaced_unit_taken_to_have_as_many_rows_as_before_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def most(self: Sum, half: int, relation: str) -> int:
        low, high = self.ends(half)
        return self.max_contributions * (high - low)

    assert not every.sensitivity_breaches(every.CASES["sum"][2], tmp_path, "replace")
    monkeypatch.setattr(Sum, "most", most)
    assert every.sensitivity_breaches(every.CASES["sum"][2], tmp_path, "replace")


def test_a_persons_day_treated_as_the_person_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(private_columns, "days_of", lambda people, times, clock: people.cast("binary"))
    assert any(every.day_breaches(every.CASES[name][0], tmp_path) for name in ("pairs", "histogram"))


def _one(people: Any) -> Any:
    return pa.array([b"everybody"] * len(people), pa.binary())


def test_a_day_whose_person_is_forgotten_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = private_columns.days_of
    monkeypatch.setattr(private_columns, "days_of", lambda people, times, clock: real(_one(people), times, clock))
    assert any(every.day_breaches(case, tmp_path) for name in ("histogram", "clicks", "pairs") for case in every.CASES[name])


def test_clicks_that_are_not_counted_in_the_sensitivity_are_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Clicks, "cells", property(lambda self: self.queries))
    assert every.sensitivity_breaches(every.CASES["clicks"][0], tmp_path)


def test_a_total_without_clamp_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def grid(self: Sum, values: list[Any], half: int) -> Any:
        finite = [np.where(np.isfinite(value) & (np.abs(value) < 1e6), value, 1e6) for value in values]
        return np.stack([np.rint(value / self.step(half)) for value in finite], axis=1).astype(np.int64)

    monkeypatch.setattr(Sum, "grid", grid)
    assert every.sensitivity_breaches(every.CASES["sum"][0], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "at", "home"), [("histogram", 3, "threshold"), ("sum", 1, "bounded_sum")])
def test_a_doubled_epsilon_of_laplace_noise_is_caught(
    name: str, at: int, home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module(home), "laplace", lambda epsilon, distance: laplace(2 * epsilon, distance))
    assert every.refuted(every.CASES[name][at], tmp_path, 4_000)


@pytest.mark.quick(1)
@pytest.mark.parametrize(("name", "runs"), [("pairs", 4), ("clicks", 2)])
def test_a_doubled_epsilon_of_gaussian_noise_is_caught(
    name: str, runs: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = threshold.sigma_for_counts
    monkeypatch.setattr(threshold, "sigma_for_counts", lambda e, d, c: real(2 * e, d, c))
    assert every.refuted(every.CASES[name][0], tmp_path, 2_500 * runs)


@pytest.mark.parametrize(("name", "at"), [("histogram", 0), ("histogram", 1), ("clicks", 0), ("pairs", 0), ("partitions", 1)])
def test_a_dropped_threshold_is_caught(name: str, at: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = threshold.plan
    monkeypatch.setattr(module(name), "plan", lambda *given: dataclasses.replace(real(*given), threshold=0))
    assert every.lone_naming(every.CASES[name][at], tmp_path)


def test_chances_of_a_doubled_delta_are_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = module("partitions").chances
    monkeypatch.setattr(module("partitions"), "chances", lambda epsilon, delta: real(epsilon, 2 * delta))
    assert every.lone_naming(every.CASES["partitions"][0], tmp_path)


def test_chances_of_a_doubled_epsilon_are_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = module("partitions").chances
    monkeypatch.setattr(module("partitions"), "chances", lambda epsilon, delta: real(3 * epsilon, delta))
    assert every.refuted(every.CASES["partitions"][0], tmp_path, 20_000)


def test_a_noisy_maximum_that_takes_any_scores_for_monotone_is_caught() -> None:
    mechanism = every.CASES["quantiles"][0].mechanism
    part, half = mechanism.parts[1], laplace(Fraction(1), mechanism.shift(mechanism.parts[1], "add-remove"))
    assert every.maximum_breaches(half, 1.0, every.quantile_neighbours(mechanism, part, "add-remove"))


def test_a_noisy_maximum_that_forgets_the_reach_of_a_score_is_caught() -> None:
    assert every.maximum_breaches(laplace(1.0, 1), 1.0, every.monotone_neighbours(3, 4))


def test_a_level_whose_scores_move_by_more_than_is_said_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Quantiles, "shift", lambda self, part, relation: 1)
    assert every.sensitivity_breaches(every.CASES["quantiles"][0], tmp_path)


def test_a_quantile_off_the_grid_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mechanism = every.CASES["quantiles"][0].mechanism
    path = every.table([*every.CROWD, [("a", "x", 0.3337, 1)]], tmp_path)
    assert every.off_grid(mechanism, path, tmp_path) == []
    real = Quantiles.run

    def run(self: Quantiles, *given: Any) -> dict[str, float]:
        return {name: value + 1e-9 for name, value in real(self, *given).items()}

    monkeypatch.setattr(Quantiles, "run", run)
    assert every.off_grid(mechanism, path, tmp_path)


def test_one_stream_for_queries_and_clicks_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not every.clicks_share_noise(tmp_path)
    monkeypatch.setattr(Stream, "fork", lambda self, label: Stream(self._key))
    assert every.clicks_share_noise(tmp_path)


def _patched_draw(change: Callable[[Any, DiscreteLaplace], Any]) -> Callable[..., Any]:
    real = DiscreteLaplace.draw
    return lambda self, stream, count: change(real(self, stream, count), self)


def test_floating_point_laplace_noise_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(self: DiscreteLaplace, stream: Stream, count: int) -> Any:
        return np.random.default_rng(int(stream.words(1)[0])).laplace(0, float(self.scale), count)

    monkeypatch.setattr(DiscreteLaplace, "draw", draw)
    assert every.laplace_chi_squared(laplace(0.3, 1)) < 1e-6


def test_rounded_continuous_laplace_noise_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(self: DiscreteLaplace, stream: Stream, count: int) -> Any:
        return np.rint(np.random.default_rng(int(stream.words(1)[0])).laplace(0, float(self.scale), count)).astype(np.int64)

    monkeypatch.setattr(DiscreteLaplace, "draw", draw)
    assert every.laplace_chi_squared(laplace(1.5, 1)) < 1e-6


def test_cut_laplace_tails_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiscreteLaplace, "draw", _patched_draw(lambda drawn, noise: np.clip(drawn, -noise.steps, noise.steps)))
    assert every.laplace_chi_squared(laplace(0.003, 1)) < 1e-6


def test_laplace_noise_with_zero_twice_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiscreteLaplace, "draw", _patched_draw(lambda drawn, noise: np.where(drawn < 0, drawn + 1, drawn)))
    assert every.laplace_chi_squared(laplace(1.5, 1)) < 1e-6


def test_a_unit_that_a_mechanism_ignores_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = bounding.batches

    def batches(path: Path, unit: Any, columns: list[str], schema: Any) -> Any:
        plain = unit_of(unit)
        return real(path, Unit("second") if plain.is_person else plain, columns, schema)

    monkeypatch.setattr(bounding, "batches", batches)
    assert every.sensitivity_breaches(every.CASES["histogram"][0], tmp_path)
