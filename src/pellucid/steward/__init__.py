"""Steward: one guided path from private data to a release that somebody answers for.

inventory -> assess -> protect -> attack -> decide -> release. Each step looks at the data and the pipeline as they stand, writes what it
found into the steward's folder as evidence that only its owner can read, and says what is next. Evidence is bound to what it is about
by digests, so that none of it can stand for data, roles or releases that have changed since. What is measured on private data
stays in that folder; the card that goes with a release holds what depends on no private row. May import packages and below.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pellucid.steward.folder import STEPS, Folder, opened

if TYPE_CHECKING:
    from pellucid.steward.assessing import assess
    from pellucid.steward.attacking import attack
    from pellucid.steward.beginning import begin
    from pellucid.steward.deciding import decide
    from pellucid.steward.protecting import protect
    from pellucid.steward.releasing import release
    from pellucid.steward.taking import take

__all__ = ["STEPS", "Folder", "assess", "attack", "begin", "decide", "opened", "protect", "release", "take"]

_FILES = {
    "assess": "assessing",
    "attack": "attacking",
    "begin": "beginning",
    "decide": "deciding",
    "protect": "protecting",
    "release": "releasing",
    "take": "taking",
}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(import_module(f"pellucid.steward.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
