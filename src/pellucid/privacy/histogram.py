"""The histogram with threshold: how many people hold each key, of the keys that enough people hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.privacy.gram import describe, diagonal, flat
from pellucid.privacy.parameters import checked_count, checked_name
from pellucid.privacy.threshold import Plan, named, plan

if TYPE_CHECKING:
    import pyarrow as pa

MAX_KEYS = 10_000_000


@dataclass(frozen=True)
class Histogram:
    """Counts of people per key, of the keys that enough people hold.

    Unit: one value of the unit column, with all its rows. Neighbouring: one unit added or removed.
    Statistic: for each key the number of units that hold it, each unit bounded to `cap` distinct keys (bounding.py).
    Sensitivity: one unit moves at most `cap` counts, each by exactly 1, all in one direction.
    Guarantee: (epsilon, delta) by discrete Gaussian noise and a threshold; calibration.py and threshold.py have the arguments.
    Source: Korolova et al. (2009); Wilson et al. (2020); Canonne, Kamath, Steinke (2020).
    Why the code meets it: as for the Gram matrix, of which this is the diagonal (gram.py); the same functions compute it.

    Whoever changes what this computes must raise `version`: the noise stream of a release depends on it (see gram.py).
    """

    key: str
    cap: int = 5
    max_items: int = MAX_KEYS

    name: ClassVar[str] = "histogram"
    version: ClassVar[int] = 1
    output_kind: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        checked_name("key", self.key)
        checked_count("cap", self.cap, 1, 5000)
        checked_count("max_items", self.max_items, 1, MAX_KEYS)

    def parameters(self) -> dict[str, Any]:
        """All that defines the statistic and how it is computed, for the release's id."""
        return {"mechanism": self.name, "version": self.version, "key": self.key, "cap": self.cap, "max_items": self.max_items}

    def guarantee(self, epsilon: float, delta: float) -> dict[str, Any]:
        """The guarantee in words and numbers; public."""
        chosen = self.plan(epsilon, delta)
        return describe(
            self.parameters(), chosen, epsilon, delta, f"one unit changes at most {self.cap} counts, each by exactly 1", self.cap
        )

    def numbers(self, epsilon: float, delta: float) -> dict[str, float]:
        """The same as flat numbers."""
        return flat(self.plan(epsilon, delta), epsilon, delta, self.cap, self.cap)

    def plan(self, epsilon: float, delta: float) -> Plan:
        return plan(epsilon, delta, self.cap, self.cap)

    def check(self, table_path: Path, unit: str) -> None:
        """Raise PrivacyError, before anything is spent, for data this mechanism would refuse."""
        from pellucid.privacy.bounding import checked_columns

        checked_columns(table_path, unit, [self.key])

    def run(self, table_path: Path, unit: str, epsilon: float, delta: float, key: bytes, scratch: Path) -> pa.Table:
        """The release: the key column and `count` (int64, noised), sorted by key."""
        import pyarrow as pa

        from pellucid.privacy.bounding import bounded_pairs
        from pellucid.privacy.stream import Stream

        chosen, stream = self.plan(epsilon, delta), Stream(key)
        pairs = bounded_pairs(table_path, unit, self.key, self.cap, stream.subkey("bounding"), scratch)
        try:
            items, counts = diagonal(pairs)
        finally:
            pairs.unlink()
        noised = counts + chosen.noise.draw(stream.fork("diagonal"), len(counts))
        places = named(noised, chosen.threshold, self.max_items)
        return pa.table([items.take(pa.array(places)), pa.array(noised[places])], names=[self.key, "count"])


def histogram(key: str, cap: int = 5, max_items: int = MAX_KEYS) -> Histogram:
    """Counts of people per value of the `key` column, at most `cap` values of each person."""
    return Histogram(key, cap, max_items)
