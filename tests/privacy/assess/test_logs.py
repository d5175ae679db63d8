"""k^m-anonymity and uniqueness of logs are what their definitions say, counted slowly, and hold on real logs."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import DataError, PrivacyError
from pellucid.privacy.assess import assess_log, km_anonymity, uniqueness
from pellucid.privacy.assess.uniqueness_estimate import clopper_pearson

LOGS = st.dictionaries(st.integers(0, 8), st.sets(st.sampled_from("abcdef"), min_size=1), min_size=1)


def log_of(people: dict[int, set[str]]) -> pa.Table:
    pairs = [(who, what) for who, items in people.items() for what in sorted(items)]
    return pa.table({"who": [p for p, _ in pairs] + [pairs[0][0]], "what": [i for _, i in pairs] + [pairs[0][1]]})  # one twice


def having(people: dict[int, set[str]], items: tuple[str, ...]) -> int:
    return sum(set(items) <= held for held in people.values())


@given(LOGS, st.integers(1, 4))
@settings(max_examples=150)
def test_km_is_the_rarest_set_that_occurs(people: dict[int, set[str]], m: int) -> None:
    sets = [s for held in people.values() for n in range(1, m + 1) for s in combinations(sorted(held), n)]
    found = km_anonymity(log_of(people), "who", "what", m=m)
    assert found.detail["exact"] == 1
    assert found.value == min(having(people, s) for s in sets)


@given(LOGS, st.integers(1, 2))
@settings(max_examples=150)
def test_uniqueness_given_one_or_two_items_is_exact(people: dict[int, set[str]], m: int) -> None:
    able = [held for held in people.values() if len(held) >= m]
    if not able:
        with pytest.raises(DataError, match="nobody has"):
            uniqueness(log_of(people), "who", "what", m=m)
        return
    shares = []
    for held in able:
        known = list(combinations(sorted(held), m))
        shares.append(sum(having(people, s) == 1 for s in known) / len(known))
    assert uniqueness(log_of(people), "who", "what", m=m).value == pytest.approx(sum(shares) / len(shares))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_sampled_figure_agrees_with_the_exact_one(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """msweb, two known areas: counted, then drawn; the exact value lies in a wider interval of the draws."""
    path = data / "msweb" / "visits.csv"
    exact = uniqueness(path, "user_id", "area_id", m=2)
    monkeypatch.setattr(sys.modules["pellucid.privacy.assess.uniqueness_estimate"], "_PAIRS", 0)
    drawn = uniqueness(path, "user_id", "area_id", m=2, trials=20_000)
    assert drawn.detail["exact"] == 0
    low, high = clopper_pearson(round(drawn.value * 20_000), 20_000, 0.9999)
    assert low <= exact.value <= high


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    assert clopper_pearson(0, 10) == pytest.approx((0, 0.3084971), abs=1e-6)
    assert clopper_pearson(5, 10) == pytest.approx((0.1870860, 0.8129140), abs=1e-6)
    assert clopper_pearson(10, 10)[1] == 1.0


def test_more_known_items_single_out_more_people(data: Path) -> None:
    found = assess_log(data / "ml-latest-small" / "ratings.csv", "userId", "movieId", known=4, trials=1000)
    numbers = found.numbers()
    assert numbers["unique_given_1"] < numbers["unique_given_2"] < numbers["unique_given_3"] < numbers["unique_given_4"]
    assert numbers == assess_log(data / "ml-latest-small" / "ratings.csv", "userId", "movieId", known=4, trials=1000).numbers()
    assert max(map(len, found.to_text().splitlines())) <= 80


def test_wrong_logs_are_refused() -> None:
    table = pa.table({"who": [1, None], "what": ["a", "b"]})
    with pytest.raises(DataError, match='"who" has rows without a value'):
        uniqueness(table, "who", "what")
    with pytest.raises(PrivacyError, match="m must be a whole number"):
        km_anonymity(log_of({1: {"a"}}), "who", "what", m=0)
