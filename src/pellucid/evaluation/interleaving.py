"""Team-draft interleaving: two rankings in one list, and who of the two a click speaks for (Radlinski, Kurup, Joachims 2008).

In each round both rankings pick their best document that is not in the list yet; a coin says who picks first. A click counts for the
ranking that picked the document. Nobody sees which is which, and neither ranking gains from its place: if both are alike, each wins with
the same chance.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

CHAMPION, CHALLENGER = 0, 1


@dataclass(frozen=True)
class Interleaved:
    """`documents` as they are shown, and for each the ranking that picked it: 0 the champion, 1 the challenger."""

    documents: tuple[str, ...]
    picked_by: tuple[int, ...]

    def winner(self, clicked: Collection[str]) -> int | None:
        """The ranking with more clicks: 0, 1, or None where neither has more."""
        held = [
            sum(1 for one, by in zip(self.documents, self.picked_by, strict=True) if by == side and one in clicked)
            for side in (0, 1)
        ]
        return None if held[0] == held[1] else int(held[1] > held[0])


def team_draft(champion: Sequence[str], challenger: Sequence[str], count: int, coin: Callable[[], int]) -> Interleaved:
    """Interleave the first `count` documents of two rankings; `coin` gives 0 or 1, a fair and independent one a round.

    Each ranking picks as often as the other but for at most one; documents that both have are shown once.
    """
    sides, at = (champion, challenger), [0, 0]
    shown: list[str] = []
    picked: list[int] = []
    seen: set[str] = set()
    while len(shown) < count:
        first = coin()
        before = len(shown)
        for side in (first, 1 - first):
            ranking = sides[side]
            while at[side] < len(ranking) and ranking[at[side]] in seen:
                at[side] += 1
            if at[side] < len(ranking) and len(shown) < count:
                seen.add(ranking[at[side]])
                shown.append(ranking[at[side]])
                picked.append(side)
        if len(shown) == before:
            break
    return Interleaved(tuple(shown), tuple(picked))
