"""What a mechanism promises, as JSON: the same parts in the same words for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pellucid.store import REPLACE

NOT_COVERED = (
    "more than one unit acting together: k units together are protected by k epsilon only",
    "what others say about a unit in their own rows",
    "how long the release took and how much memory it used",
    "the names and types of the columns, taken as public: declare types where rows may change them (types=)",
    "that a release was refused or failed",
    "anyone who holds the steward's key, and anyone who breaks AES-256",
)


def promise(
    parameters: dict[str, Any],
    epsilon: float,
    delta: float,
    relation: str,
    *,
    sensitivity: str,
    noise: str,
    events: list[dict[str, Any]],
    extra_delta: float = 0.0,
    beyond: Iterable[str] = (),
    **more: Any,
) -> dict[str, Any]:
    """The guarantee: what neighbours are, by how much one moves the statistic, the noise, and what is not covered (with `beyond`).

    `events` and `extra_delta` are for the accountant (composition.py). Public.
    """
    return {
        **parameters,
        "relation": relation_in_words(relation),
        "epsilon": epsilon,
        "delta": delta,
        "sensitivity": sensitivity,
        "noise": noise,
        **more,
        "events": events,
        "extra_delta": extra_delta,
        "not_covered": [*NOT_COVERED, *beyond],
    }


def relation_in_words(relation: str) -> str:
    """The neighbouring relation for the record."""
    return "replace one unit by another" if relation == REPLACE else "add or remove one unit"


def pure_event(epsilon: float, delta: float = 0.0) -> dict[str, Any]:
    """The event of what has no noise the accountant knows: its own guarantee."""
    return {"epsilon": float(epsilon), "delta": float(delta)}


def set_fields(parameters: dict[str, Any], **options: tuple[Any, Any]) -> dict[str, Any]:
    """The parameters, and of the options those that differ from their default: what came later must not change old identities."""
    return {**parameters, **{name: value for name, (value, default) in options.items() if value != default}}
