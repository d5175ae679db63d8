"""The code that adds noise, attacked as a black box: no attack may beat the declared epsilon and delta."""

from __future__ import annotations

from pathlib import Path

import privacy_checks as checks
import pytest


@pytest.mark.slow
def test_no_event_refutes_the_declared_guarantee_and_the_audit_is_not_blind() -> None:
    refuted, estimate = checks.audit_breach(1.0, 0.01, samples=40_000)
    assert not refuted
    assert 0.0 < estimate < 0.02  # the attack comes near delta (0.01, of which a quarter is for the threshold)


def test_an_item_one_person_alone_holds_is_named_no_more_often_than_delta_allows() -> None:
    assert not checks.naming_breach()


def test_no_low_bits_tell_neighbours_apart() -> None:
    assert checks.distinguishing_share() < 0.01


def test_parts_of_a_release_and_different_releases_share_no_noise(tmp_path: Path) -> None:
    assert checks.reused_streams(tmp_path) == []


def test_rows_come_in_the_order_of_the_items_whatever_their_counts(tmp_path: Path) -> None:
    assert not checks.order_leaks(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_event_refutes_the_declared_guarantee_at_many_runs() -> None:
    for epsilon, delta in ((0.5, 0.02), (1.0, 0.005), (2.0, 0.005)):
        refuted, _ = checks.audit_breach(epsilon, delta, samples=150_000)
        assert not refuted, (epsilon, delta)
