"""The open duel at work: both rankings in one list for readers who agree to it, and the bits that their browsers send.

A search that takes part says so: `duel=ID` or, on the next pages of the same list, `duel=ID.SEED`. ID is the collection's; the seed of the
coins is drawn for each list anew and stands in the list's own links, so that its pages fit together; it names no reader. A duel that is
over, or that there never was, changes nothing: the list is the champion's.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.evaluation import team_draft
from pellucid.registry import Duel, Duels

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.search import Answer
    from pellucid.store import Model

DEEPEST = 100  # results of a list that is interleaved; further pages are the champion's
_MARK = re.compile(r"([0-9a-f]{32})(?:\.([0-9a-f]{16}))?")


@dataclass(frozen=True)
class DuelAtWork:
    """An open duel, its challenger ready to rank."""

    duel: Duel
    challenger: Model

    @property
    def id(self) -> str:
        """What a browser names the duel by."""
        return self.duel.collection.id.hex()

    def told(self) -> dict[str, Any]:
        """What a browser needs to take part."""
        made = self.duel
        return {"collection": made.collection.text, "id": self.id, "period": made.number, "people": made.people}

    def seed_of(self, mark: str) -> str | None:
        """The seed of a list's coins where a search takes part in this duel; a new one for a new list."""
        found = _MARK.fullmatch(mark)
        return (found[2] or secrets.token_hex(8)) if found and found[1] == self.id else None


@dataclass(frozen=True)
class Taking:
    """How a list takes part: `mark` for its own links; `picked`: for each result shown, 0 the champion's, 1 the challenger's."""

    id: str
    mark: str
    picked: tuple[int, ...]


def interleaved(
    work: DuelAtWork, seed: str, k: int, offset: int, ranked: Callable[[Any], Answer], champion: Any
) -> tuple[Answer, Taking | None]:
    """One page of both rankings by team draft. `ranked` gives the first `offset + k` results by a model; where the challenger cannot rank
    them (its answer has a note), they are the champion's alone."""
    first, second = ranked(champion), ranked(work.challenger)
    if second.notes != first.notes:
        return replace(first, hits=first.hits[offset:]), None
    coins = iter(_coins(seed))
    mixed = team_draft([hit.id for hit in first.hits], [hit.id for hit in second.hits], offset + k, lambda: next(coins))
    by_id = {hit.id: replace(hit, statement=()) for hit in (*second.hits, *first.hits)}  # a statement is of a list of one ranking
    hits = tuple(by_id[one] for one in mixed.documents[offset:])
    return replace(first, hits=hits), Taking(work.id, f"{work.id}.{seed}", mixed.picked_by[offset:])


def take(home: Path, work: DuelAtWork, body: bytes) -> dict[str, Any]:
    """Take a batch of bits. Raises PrivacyError for bytes that are none."""
    outcome = Duels(home).take(work.duel, body)
    return {"taken": outcome.taken, "refused": outcome.refused}


def _coins(seed: str) -> list[int]:
    """A fair coin for each round of a draft: the bits of SHA-256 of the seed."""
    digest = hashlib.sha256(f"pellucid team draft {seed}".encode()).digest()
    return [byte >> bit & 1 for byte in digest for bit in range(8)]
