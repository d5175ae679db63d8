"""A guarantee in sentences for people: what one can deny, and how strongly, by the unit and relation that were declared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pellucid.store import ONE_ROW, PER_DAY, REPLACED


def rounded_up(value: float, digits: int = 3) -> float:
    """A positive number in so many significant digits, and never less than it: for what is said to be at most so much."""
    scale = 10.0 ** (digits - 1 - math.floor(math.log10(value)))
    return math.ceil(value * scale) / scale


def words_of(guarantee: Mapping[str, Any]) -> list[str]:
    """The sentences for a release's guarantee."""
    return in_words(guarantee["epsilon"], guarantee["delta"], guarantee["mechanism"].get("unit", "unit"))


def in_words(epsilon: float, delta: float, unit: str) -> list[str]:
    """What a person can deny, and how strongly, in sentences. `unit` is a unit as text."""
    replaced, unit = unit.endswith(REPLACED), unit.removesuffix(REPLACED)
    person = unit.split(PER_DAY)[0].removesuffix("_id")  # people read "one user", not "one user_id"
    factor = math.exp(min(epsilon, 700.0))
    half = factor / (1 + factor)
    if unit == ONE_ROW:
        thing, whose, some = "any one row", "anybody can deny any statement about a single row", "some row"
        limit = f"It adds up: somebody with many rows is protected by as many times {epsilon:g} only."
    elif PER_DAY in unit:
        thing, some = f"the data of any one {person} on any one day", "what somebody did on some day"
        whose, limit = (
            "each person can deny any statement about one day of theirs",
            (f"Days add up: somebody with data on many days is protected by as many times {epsilon:g} only."),
        )
    else:
        thing, some, limit = f"the data of any one {person}", "somebody", ""
        whose = "each person can deny any statement about them"
    moved = f"the odds move by a factor of at most e^{epsilon:g} = {rounded_up(factor):g}"
    sure = f"they can be at most {math.ceil(1000 * half) / 10:.1f}% sure"  # a bound is rounded up: less would promise more
    if replaced:
        one = thing.replace("any one", "one")
        told = [
            f"Had {thing} been any other, this release would have come out much the same.",
            f"Suppose somebody holds two things about {one} to be equally likely. Knowing all of this, {sure} of either: {moved}.",
            "How many there are in the data is not protected.",
        ]
    else:
        told = [
            f"Whether or not {thing} had been used, this release would have come out much the same.",
            f"Suppose somebody gives even odds that {some} is in the data. Knowing all of this, {sure}: {moved}.",
        ]
    told += [f"So {whose} that is said to follow from it.", *([limit] if limit else [])]
    if delta:
        told.append(f"This may fail with a probability of at most {delta:g}, one in {1 / delta:,.0f}.")
    return told
