"""Every mechanism in the registry is checked in every way there is; one that is not makes a test fail."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any

import mechanism_checks as every
import pytest
from test_versions import RELEASED

from pellucid.privacy import MECHANISMS
from pellucid.privacy.accounting.composition import checked_events

ARGUMENT = (
    "Unit and neighbouring relation:",
    "Statistic:",
    "Sensitivity:",
    "Guarantee:",
    "Source:",
    "Why the code meets it:",
    "version",
)
UNTHRESHOLDED = ("marginals", "mean", "sum", "top_k", "select_best", "quantiles")


def cases() -> Any:
    return pytest.mark.parametrize(("name", "at"), every.ALL, ids=[f"{name}-{at}" for name, at in every.ALL])


def test_no_mechanism_is_without_its_checks_its_version_and_its_argument() -> None:
    assert set(every.CASES) == set(MECHANISMS) == {cls.name for cls in MECHANISMS.values()}  # type: ignore[attr-defined]
    assert set(MECHANISMS) == {name for name, _ in RELEASED}
    for name, cls in MECHANISMS.items():
        missing = [part for part in ARGUMENT if part not in (inspect.getdoc(cls) or "")]
        assert not missing, (name, missing)


@pytest.mark.quick(6)
@cases()
@pytest.mark.parametrize("relation", ["add-remove", "replace"])
def test_one_unit_moves_no_more_than_the_guarantee_says(name: str, at: int, relation: str, tmp_path: Path) -> None:
    assert every.sensitivity_breaches(every.CASES[name][at], tmp_path, relation) == []


@pytest.mark.quick(2)
@cases()
def test_one_day_of_a_person_moves_no_more_than_the_guarantee_says(name: str, at: int, tmp_path: Path) -> None:
    assert every.day_breaches(every.CASES[name][at], tmp_path) == []


@pytest.mark.quick(1)
@cases()
def test_no_event_refutes_the_guarantee_in_4000_draws(name: str, at: int, tmp_path: Path) -> None:
    assert not every.refuted(every.CASES[name][at], tmp_path, 4_000)


@cases()
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_event_refutes_the_guarantee_and_none_tells_neighbours_apart_in_20000_draws(
    name: str, at: int, tmp_path: Path
) -> None:
    case = every.CASES[name][at]
    drawn = {more: case.sample(case.mechanism, more, 20_000, tmp_path) for more in (False, True)}
    same = every.Case(case.mechanism, case.statistic, lambda mechanism, more, count, scratch: drawn[more])
    assert not every.refuted(same, tmp_path)
    assert not every.distinguishing_event(same, tmp_path)


@cases()
def test_what_one_person_alone_holds_is_named_no_more_often_than_delta_allows(name: str, at: int, tmp_path: Path) -> None:
    case = every.CASES[name][at]
    if name in UNTHRESHOLDED or getattr(case.mechanism, "public_keys", ()):
        assert case.mechanism.guarantee(1.0, 0.04).get("threshold") is None  # names nothing that was not declared
    else:
        assert not every.lone_naming(case, tmp_path)


@cases()
@pytest.mark.parametrize("relation", ["add-remove", "replace"])
def test_the_accountant_takes_the_events_of_every_guarantee(name: str, at: int, relation: str) -> None:
    mechanism = every.CASES[name][at].mechanism
    pure = getattr(mechanism, "pure", False)
    events, extra = checked_events(mechanism.guarantee(1.0, 0.0 if pure else 1e-6, relation), 1.0, 0.0 if pure else 1e-6)
    assert extra <= 1e-6
    assert pure is False or extra < 1e-20
    assert math.isfinite(sum(event.get("epsilon", 0.0) for event in events))


@pytest.mark.parametrize("relation", ["add-remove", "replace"])
def test_the_exact_chances_of_every_noisy_maximum_keep_to_epsilon(relation: str) -> None:
    top, choose, quantiles = (every.CASES[name][0].mechanism for name in ("top_k", "select_best", "quantiles"))
    for mechanism, shift in ((top, 1), (choose, 4)):
        neighbours = every.monotone_neighbours(3, shift)
        if relation == "replace":  # one unit less, another more
            neighbours = [
                ([a + (c if at == 0 else 0) for at, (a, c) in enumerate(zip(one, [shift] * 3, strict=True))], two)
                for one, two in neighbours
                if two[0] == one[0]
            ]
        assert every.maximum_breaches(mechanism.plan(1.0, 0.0, relation), 1.0, neighbours) == []
    for part, noise in zip(quantiles.parts, quantiles.plan(2.0, 0.0, relation), strict=True):
        assert every.maximum_breaches(noise, 1.0, every.quantile_neighbours(quantiles, part, relation)) == []
