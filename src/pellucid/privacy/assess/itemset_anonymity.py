"""k^m-anonymity: how many people share any m items that one of them has (Terrovitis, Mamoulis and Kalnis 2008)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.privacy.assess.finding import Finding
from pellucid.privacy.assess.user_itemsets import Histories, histories
from pellucid.privacy.parameters import checked_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = 2_000_000  # sets looked at before the search for the rarest gives up being exact


def km_anonymity(data: Any, unit: str, item: str, *, m: int = 2) -> Finding:
    """The fewest people that share a set of at most `m` items which somebody has.

    Exact where the search ends: it looks at every set of items that occurs, rarest items first, leaves out what cannot be rarer
    than the rarest found, and stops at a set that one person alone has. After two million sets it gives up, and `detail` says
    `exact` 0: the value is then an upper bound. Raises DataError.
    """
    checked_count("m", m, 1, 10)
    found, exact = rarest(histories(data, unit, item), m)
    items, people = "item" if m == 1 else "items", "person" if found == 1 else "people"
    narrowed = f"{'' if exact else 'at most '}{found:,} {people}"
    return Finding(
        f"k{m}_anonymity",
        found,
        f"who knows up to {m} {items} of a person narrows them down to {narrowed} in the worst case",
        detail={"m": m, "exact": int(exact)},
    )


def rarest(log: Histories, m: int) -> tuple[int, bool]:
    """The support of the rarest set of at most m items that occurs, and whether it is certain."""
    import numpy as np

    support = np.diff(log.item_starts)
    best, steps = int(support.min()), 0

    def search(people: NDArray[Any], after: int, size: int) -> None:
        """Sets that extend the one `people` have by an item beyond `after` (in rising order, so that each set is met once)."""
        nonlocal best, steps
        met = np.concatenate([log.of(p)[np.searchsorted(log.of(p), after + 1) :] for p in people])
        items, counts = np.unique(met, return_counts=True)
        steps += len(items)
        if len(counts):
            best = min(best, int(counts.min()))
        if size + 1 < m:
            for at in np.argsort(counts, kind="stable"):
                if best == 1 or steps > _STEPS:
                    return
                search(np.intersect1d(people, log.who(int(items[at])), assume_unique=True), int(items[at]), size + 1)

    if m > 1:
        for start in np.argsort(support, kind="stable"):
            if best == 1 or steps > _STEPS:
                break
            search(log.who(int(start)), int(start), 1)
    return best, best == 1 or steps <= _STEPS
