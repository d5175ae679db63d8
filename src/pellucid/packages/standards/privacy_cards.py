"""The card of each release: its guarantee for machines and for people.

`ledger` in it names the event that settled the release; `pellucid ledger verify --card` looks for it in a steward's ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pellucid.packages.format import as_json
from pellucid.packages.standards.description import Description
from pellucid.packages.standards.guarantee_text import words_of

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
        "in_words": words_of(guarantee),
    }
