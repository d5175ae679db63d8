"""The card of each release: its guarantee for machines and for people.

`ledger` in it names the event that settled the release; `pellucid ledger verify --card` looks for it in a steward's ledger.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pellucid.packages.standards.description import Description, as_json

FORMAT = "pellucid privacy card 1"


def path_of(step: str) -> str:
    """Where a release's card is."""
    return f"privacy/{step}.json"


def files(description: Description) -> Iterator[tuple[str, bytes]]:
    """One card a release."""
    for entry, guarantee in description.releases():
        yield path_of(entry.step), as_json(card(entry.step, guarantee, [value.path for value in entry.outputs.values()]))


def card(step: str, guarantee: Mapping[str, Any], data: list[str]) -> dict[str, Any]:
    """The card as plain JSON."""
    mechanism = guarantee["mechanism"]
    return {
        "format": FORMAT,
        "release": step,
        "data": data,
        "unit": mechanism["unit"],
        "relation": mechanism["relation"],
        "epsilon": guarantee["epsilon"],
        "delta": guarantee["delta"],
        "mechanism": {
            name: value for name, value in mechanism.items() if name not in ("unit", "relation", "not_covered", "invariants")
        },
        "invariants": mechanism.get("invariants", []),
        "not_covered": mechanism.get("not_covered", []),
        "accounts": guarantee["accounts"],
        "ledger": guarantee["ledger"],
        "key_commitment": guarantee["key_commitment"],
        "in_words": in_words(guarantee["epsilon"], guarantee["delta"], mechanism["unit"]),
    }


def in_words(epsilon: float, delta: float, unit: str) -> list[str]:
    """What a person can deny, and how strongly, in sentences."""
    unit = unit.removesuffix("_id")  # people read "one user", not "one user_id"
    factor = math.exp(min(epsilon, 700.0))
    half = factor / (1 + factor)
    moved = f"the odds move by a factor of at most e^{epsilon:g} = {factor:.3g}"
    told = [
        f"Whether or not the data of any one {unit} had been used, this release would have come out much the same.",
        f"Who thinks it as likely as not that somebody is in the data can, knowing all of this, be at most {half:.1%} sure: {moved}.",
        "So each person can deny any statement about them that is said to follow from it.",
    ]
    if delta:
        told.append(f"This may fail with a probability of at most {delta:g}, one in {1 / delta:,.0f}.")
    return told
