"""What is said to people of a guarantee is what was promised, by its unit and relation."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pellucid as pl
from pellucid.packages.standards.guarantee_text import in_words, rounded_up
from pellucid.store.labels import Unit


@pytest.mark.parametrize(
    ("unit", "says", "never"),
    [
        ("user_id", ["data of any one user had been used", "deny any statement about them"], ["adds up", "add up", "replaced"]),
        (
            pl.UserDay("user_id", time="moment"),
            ["any one user on any one day", "about one day of theirs", "data on many days is protected by as many times 2 only"],
            ["any statement about them"],
        ),
        (pl.Row(), ["any one row", "about a single row", "many rows is protected by as many times 2 only"], ["about them"]),
        (
            Unit("user_id", relation="replace"),
            ["Had the data of any one user been any other", "How many there are in the data is not protected"],
            ["replaced", "is in the data can"],
        ),
    ],
    ids=["person", "day", "row", "replaced"],
)
def test_each_unit_is_promised_its_own(unit: object, says: list[str], never: list[str]) -> None:
    told = " ".join(in_words(2.0, 1e-6, str(unit)))
    assert "e^2 = 7.39" in told and "88.1%" in told and "one in 1,000,000" in told
    for part in says:
        assert part in told
    for part in never:
        assert part not in told


def test_without_a_delta_nothing_may_fail() -> None:
    assert not any("fail" in sentence for sentence in in_words(1.0, 0.0, "user_id"))


@given(st.floats(1e-4, 30), st.integers(1, 6))
def test_a_bound_in_words_is_never_less_than_the_bound(epsilon: float, digits: int) -> None:
    assert (
        math.exp(epsilon) <= rounded_up(math.exp(epsilon), digits) <= math.exp(epsilon) * (1 + 10 ** (1 - digits)) * (1 + 1e-12)
    )
    told = " ".join(in_words(epsilon, 1e-6, "user_id"))
    sure, factor = re.search(r"at most ([\d.]+)% sure", told), re.search(r" = ([\d.e+]+)\. ", told)
    assert sure is not None and factor is not None
    assert float(sure[1]) / 100 >= math.exp(epsilon) / (1 + math.exp(epsilon)) - 1e-15
    assert float(factor[1]) >= math.exp(epsilon)
