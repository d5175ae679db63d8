"""Uniqueness given m known items: how often a few things known of a person single them out in a log.

The figure that made the Netflix and the mobility data famous (Narayanan and Shmatikov 2008; de Montjoye et al. 2013): draw a person
who has at least m items, draw m of them, and ask whether anybody else has all of them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError
from pellucid.privacy.assess.finding import NO_GUARANTEE, Finding
from pellucid.privacy.assess.user_itemsets import Histories, histories
from pellucid.privacy.parameters import checked_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAIRS = 50_000_000  # pairs of items over all people up to which m = 2 is counted instead of sampled
_CONFIDENCE = 0.95


def uniqueness(data: Any, unit: str, item: str, *, m: int = 4, trials: int = 2000, seed: int = 0) -> Finding:
    """The share of (person, m of their items) that no other person has.

    Exact for m = 1, and for m = 2 where the pairs can be counted; otherwise `trials` draws give an estimate with a 95 % interval
    (Clopper and Pearson 1934) in `detail`: `lower`, `upper`, `trials`. `detail` has `people`, those with at least m items. `seed`
    only chooses the draws. Raises DataError where nobody has m items.
    """
    checked_count("m", m, 1, 100)
    checked_count("trials", trials, 1, 10_000_000)
    log = histories(data, unit, item)
    able = log.lengths >= m
    people = int(able.sum())
    if not people:
        raise DataError(f"nobody has {m} items", where="uniqueness", fix="Ask for fewer")
    detail: dict[str, Any] = {"m": m, "people": people}
    if m == 1 or (m == 2 and int((log.lengths.astype(float) ** 2).sum()) <= _PAIRS):
        value = _ones(log) if m == 1 else _twos(log)
        detail |= {"exact": 1, "lower": value, "upper": value}
    else:
        hits = _drawn(log, able.nonzero()[0], m, trials, seed)
        lower, upper = clopper_pearson(hits, trials)
        value = hits / trials
        detail |= {"exact": 0, "trials": trials, "lower": lower, "upper": upper}
    items = f"{m} item{'s' * (m > 1)}"
    says = f"the chance that {items} known of a person who has {m} or more single them out"
    if not detail["exact"]:
        says += f" ({_CONFIDENCE:.0%} interval {detail['lower']:.3f} to {detail['upper']:.3f})"
    return Finding(f"unique_given_{m}", float(value), says, NO_GUARANTEE.replace("these columns", "these items"), detail)


def clopper_pearson(hits: int, trials: int, confidence: float = _CONFIDENCE) -> tuple[float, float]:
    """The exact two-sided interval for a share of which `hits` of `trials` were seen."""
    from scipy.stats import beta

    alpha = (1 - confidence) / 2
    lower = float(beta.ppf(alpha, hits, trials - hits + 1)) if hits else 0.0
    upper = float(beta.ppf(1 - alpha, hits + 1, trials - hits)) if hits < trials else 1.0
    return lower, upper


def _ones(log: Histories) -> float:
    import numpy as np

    alone = (np.diff(log.item_starts) == 1)[log.items]
    return float((np.add.reduceat(alone.astype(float), log.starts[:-1]) / log.lengths).mean())


def _twos(log: Histories) -> float:
    """Of each person's pairs those that nobody else has; the owner of a lone pair is what the products sum to in its place."""
    import numpy as np
    from scipy import sparse

    has = log.matrix()
    together = sparse.triu(has.T @ has, 1, format="csr")
    numbered = has.copy()
    numbered.data = np.repeat(np.arange(log.persons), log.lengths) + 1
    owner = sparse.triu(has.T @ numbered, 1, format="csr")
    together.sort_indices()
    owner.sort_indices()
    lone = np.bincount(owner.data[together.data == 1] - 1, minlength=log.persons)
    able = log.lengths >= 2
    pairs = log.lengths * (log.lengths - 1) / 2
    return float((lone[able] / pairs[able]).mean())


def _drawn(log: Histories, able: NDArray[Any], m: int, trials: int, seed: int) -> int:
    """How many of the draws single a person out."""
    import numpy as np

    from pellucid.privacy.noise import Stream

    stream = Stream(hashlib.sha256(f"pellucid/uniqueness/{seed}".encode()).digest())
    chosen = able[stream.words(trials) % np.uint64(len(able))]
    hits = 0
    for person in chosen:
        items = log.of(int(person))
        known = items[np.argsort(stream.words(len(items)), kind="stable")[:m]]
        people = sorted((log.who(int(i)) for i in known), key=len)
        left = people[0]
        for more in people[1:]:
            if len(left) == 1:
                break
            left = _both(left, more)
        hits += len(left) == 1
    return hits


def _both(few: NDArray[Any], many: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    at = np.searchsorted(many, few).clip(max=len(many) - 1)
    shared: NDArray[Any] = few[many[at] == few]
    return shared
