"""Co-occurrence: how many people hold both of two items, of the pairs that enough people hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.privacy.accounting import set_fields
from pellucid.privacy.mechanisms.gram_matrix import describe, flat
from pellucid.privacy.mechanisms.threshold import NOISES, Plan, named, plan
from pellucid.privacy.parameters import checked_count, checked_name, checked_option
from pellucid.privacy.private_tables.public_partitions import (
    check_public_keys,
    checked_public_keys,
    counts_of_public_keys,
    only_declared,
)
from pellucid.store import ADD_REMOVE, Unit, unit_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MAX_CAP = 100
MAX_PAIRS = 10_000_000
MAX_DECLARED = 4000  # items: eight million pairs


@dataclass(frozen=True)
class Pairs:
    """Counts of people per pair of different items.

    Unit and neighbouring relation: as the source declares them (labels.py).
    Statistic: for each two items a < b the number of units that hold both, each unit bounded to `max_contributions` distinct
    items (bounding.py).
    Sensitivity: one unit moves at most m = c (c - 1) / 2 counts for c = `max_contributions`, each by exactly 1, all in one direction.
    Guarantee: (epsilon, delta) by discrete Gaussian or Laplace noise and a threshold on every pair, the pairs being the items of
    threshold.py, of which at most m are a unit's alone. `max_pairs` keeps the largest noised counts: post-processing.
    Declared items: with `public_keys` the pairs are those of the declared items (and of `other`), all of them, each with one draw whether
    anybody holds it or not; the counts that a unit moves are the same, and no pair is named by the data, so there is no threshold.
    Source: Wilson et al. (2020) for bounding and threshold; Canonne, Kamath, Steinke (2020) for the noise.
    Why the code meets it: counts are sums over units of 0 and 1; each pair has one draw; pairs come in the order of their items. Other
    than the Gram matrix, which names items and then releases every pair of them, this names pairs and says nothing of other ones:
    better where items are many and few pairs matter.

    Whoever changes what this computes must raise `version`: the noise stream of a release depends on it (see gram_matrix.py).
    """

    item: str
    max_contributions: int = 5
    max_pairs: int = MAX_PAIRS
    noise: str = "gaussian"
    public_keys: tuple[Any, ...] = ()
    other: str = ""

    name: ClassVar[str] = "pairs"
    version: ClassVar[int] = 1
    output_kind: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        checked_name("item", self.item)
        checked_count("max_contributions", self.max_contributions, 2, MAX_CAP)
        checked_count("max_pairs", self.max_pairs, 1, MAX_PAIRS)
        checked_option("noise", self.noise, NOISES)
        checked_public_keys(self.public_keys, self.other, MAX_DECLARED)

    @property
    def pure(self) -> bool:
        """Whether delta may be 0."""
        return self.noise == "laplace" and bool(self.public_keys)

    @property
    def cells(self) -> int:
        """How many counts one unit moves at most."""
        return self.max_contributions * (self.max_contributions - 1) // 2

    def parameters(self) -> dict[str, Any]:
        """All that defines the statistic and how it is computed, for the release's id."""
        given = {"mechanism": self.name, "version": self.version, "item": self.item, "max_contributions": self.max_contributions}
        given |= {"max_pairs": self.max_pairs, "noise": self.noise}
        return set_fields(given, public_keys=(list(self.public_keys), []), other=(self.other, ""))

    def guarantee(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, Any]:
        """The guarantee in words and numbers; public."""
        kept = f"pairs of its at most {self.max_contributions} kept items"
        moves = f"one unit changes at most {self.cells} counts ({kept}), each by exactly 1"
        return describe(self.parameters(), self.plan(epsilon, delta, relation), epsilon, delta, moves, relation)

    def numbers(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, float]:
        """The same as flat numbers."""
        return flat(self.plan(epsilon, delta, relation), epsilon, delta, self.max_contributions)

    def plan(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> Plan:
        return plan(epsilon, delta, self.cells, 0 if self.public_keys else self.cells, relation, self.noise)

    def check(self, table_path: Path, unit: str | Unit) -> None:
        """Raise PrivacyError, before anything is spent, for data this mechanism would refuse."""
        from pellucid.privacy.private_tables.private_columns import checked_columns

        checked_columns(table_path, unit, [self.item])
        if self.public_keys:
            check_public_keys(table_path, self.item, self.public_keys, self.other)

    def run(self, table_path: Path, unit: str | Unit, epsilon: float, delta: float, key: bytes, scratch: Path) -> pa.Table:
        """The release: `item_a`, `item_b` (a < b in the items' order), `count` (int64, noised), sorted."""
        import pyarrow as pa

        from pellucid.privacy.mechanisms.gram_matrix import diagonal
        from pellucid.privacy.noise import Stream
        from pellucid.privacy.private_tables.bounding import bounded_pairs

        chosen, stream = self.plan(epsilon, delta, unit_of(unit).relation), Stream(key)
        with only_declared(table_path, unit, self.item, self.public_keys, self.other, scratch) as path:
            held = bounded_pairs(path, unit, self.item, self.max_contributions, stream.subkey("bounding"), scratch)
        try:
            items, counts = diagonal(held)
            if self.public_keys:
                items, _ = counts_of_public_keys(items, counts, tuple(sorted(self.public_keys)), self.other)
            first, second, counts = together(held, items)
        finally:
            held.unlink()
        if self.public_keys:
            first, second, counts = every_pair(len(items), first, second, counts)
        noised = counts + chosen.noise.draw(stream.fork("pairs"), len(counts))
        places = named(noised, chosen.threshold, self.max_pairs)
        columns = [items.take(pa.array(first[places])), items.take(pa.array(second[places])), pa.array(noised[places])]
        return pa.table(columns, names=["item_a", "item_b", "count"])


def every_pair(
    items: int, first: NDArray[Any], second: NDArray[Any], counts: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """All pairs of so many items, first below second, with their counts; 0 where nobody holds both."""
    import numpy as np

    dense = np.zeros((items, items), dtype=np.int64)
    dense[first, second] = counts
    rows, columns = np.triu_indices(items, 1)
    return rows, columns, dense[rows, columns]


def together(held: Path, items: pa.Array) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """For every pair that some unit holds: the places of its items, the first below the second, and how many units (private)."""
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from scipy.sparse import csr_array, triu

    codes, counts = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    with pq.ParquetFile(held, pre_buffer=False) as file:
        for group in range(file.num_row_groups):
            block = file.read_row_group(group)
            columns = np.asarray(pc.index_in(block.column("item"), value_set=items)).astype(np.int64)
            _, rows = np.unique(np.asarray(block.column("unit")), return_inverse=True)
            if not len(columns):
                continue
            shape = (int(rows.max()) + 1, len(items))
            histories = csr_array((np.ones(len(rows), dtype=np.int64), (rows, columns)), shape=shape)
            part = triu(histories.T @ histories, k=1).tocoo()
            joined = np.concatenate([codes, part.row.astype(np.int64) * len(items) + part.col])
            codes, places = np.unique(joined, return_inverse=True)
            counts = np.bincount(places, weights=np.concatenate([counts, part.data]), minlength=len(codes)).astype(np.int64)
    return codes // max(1, len(items)), codes % max(1, len(items)), counts


def pairs(
    item: str,
    max_contributions: int = 5,
    max_pairs: int = MAX_PAIRS,
    *,
    noise: str = "gaussian",
    public_keys: Sequence[str] | Sequence[int] = (),
    other: str = "",
) -> Pairs:
    """Counts of people per pair of values of the `item` column held together, at most `max_contributions` of each person.

    `public_keys` lists the items when they are known beforehand: then every pair of them is released; other values are counted as the item
    `other`, or refused where there is none.
    """
    return Pairs(item, max_contributions, max_pairs, noise, tuple(public_keys), other)
