"""The bounded Gram matrix: how many people hold each pair of items, released with noise and a threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pellucid.privacy.accounting import promise, set_fields
from pellucid.privacy.mechanisms.threshold import FAR, Plan, named, plan
from pellucid.privacy.noise import DiscreteGaussian
from pellucid.privacy.parameters import checked_count, checked_name
from pellucid.privacy.private_tables.public_partitions import (
    check_public_keys,
    checked_public_keys,
    counts_of_public_keys,
    only_declared,
)
from pellucid.store import ADD_REMOVE, REPLACE, Unit, unit_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from pellucid.privacy.noise import DiscreteLaplace, Stream

MAX_CAP = 100
MAX_ITEMS = 4096


class NoiseAndThreshold(Protocol):
    """What a matrix needs of a plan: the noise of every cell, and the threshold of its diagonal."""

    @property
    def noise(self) -> DiscreteGaussian | DiscreteLaplace: ...

    @property
    def threshold(self) -> int: ...


@dataclass(frozen=True)
class BoundedMatrix:
    """What matrices of pairs of items share: their parameters, and what they refuse before anything is spent."""

    item: str
    max_contributions: int = 5
    max_items: int = 2000
    public_keys: tuple[Any, ...] = ()
    other: str = ""

    name: ClassVar[str]
    version: ClassVar[int]
    output_kind: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        checked_name("item", self.item)
        checked_count("max_contributions", self.max_contributions, 1, MAX_CAP)
        checked_count("max_items", self.max_items, 1, MAX_ITEMS)
        checked_public_keys(self.public_keys, self.other, MAX_ITEMS - 1)

    @property
    def cells(self) -> int:
        """How many cells one unit moves at most."""
        return self.max_contributions * (self.max_contributions + 1) // 2

    def parameters(self) -> dict[str, Any]:
        """All that defines the statistic and how it is computed, for the release's id."""
        given = {
            "mechanism": self.name,
            "version": self.version,
            "item": self.item,
            "max_contributions": self.max_contributions,
            "max_items": self.max_items,
        }
        return set_fields(given, public_keys=(list(self.public_keys), []), other=(self.other, ""))

    def check(self, table_path: Path, unit: str | Unit) -> None:
        """Raise PrivacyError, before anything is spent, for data this mechanism would refuse."""
        from pellucid.privacy.private_tables.private_columns import checked_columns

        checked_columns(table_path, unit, [self.item])
        if self.public_keys:
            check_public_keys(table_path, self.item, self.public_keys, self.other)


@dataclass(frozen=True)
class Gram(BoundedMatrix):
    """Counts of people per pair of items, of the items that enough people hold.

    Unit and neighbouring relation: as the source declares them (labels.py). For "replace" twice the cells move (threshold.py).
    Statistic: X^T X of the units' 0/1 histories, each bounded to `max_contributions` distinct items (bounding.py), upper triangle with
    diagonal. Cell (a, b), a <= b, is the number of units that hold both.
    Sensitivity: a unit's part is 1 on the pairs of its kept items, at most `max_contributions`, and 0 elsewhere, and no other unit's part
    depends on it. So one unit moves at most m (m + 1) / 2 for m = `max_contributions` cells, each by exactly 1, all in one direction.
    Guarantee: (epsilon, delta), for any set of items, by independent discrete Gaussian noise on every cell (calibration.py) and
    a threshold on the noised diagonal (threshold.py has the argument for items that nobody listed). `max_items` keeps the
    largest noised diagonals: post-processing.
    Declared items: with `public_keys` these are the items, all named, whatever the data hold; other values are one more item `other`, or
    refused before anything is spent. Which items a unit has is told by no cell but those declared, so the sensitivity stays, and no item is
    named by the data: there is no threshold, and its share of delta goes to the counts.
    Source: Dwork, Talwar, Thakurta, Zhang, "Analyze Gauss" (2014) for the noised Gram matrix; Canonne, Kamath, Steinke (2020)
    for the noise; Korolova et al. (2009) and Wilson et al., "Differentially private SQL with bounded user contribution"
    (2020) for bounding and threshold.
    Why the code meets it: bounding draws from the key and the unit's own rows alone; `diagonal` and `pair_counts` are sums over
    units of 0 and 1; every number that leaves is one of these cells plus one draw; diagonal, off-diagonal and bounding use
    streams of their own; noise off the diagonal is drawn only for named items, which has the same law as drawing all of it and
    discarding; items are ordered by value, so no order leaks. The run time and memory are not covered.

    The noise is a function of the release key, which covers `parameters()`: one stream must never serve two statistics, for
    their difference would be free of noise. So whoever changes what this file (or bounding.py, threshold.py, gaussian.py,
    stream.py) computes must raise `version`.
    """

    name: ClassVar[str] = "gram"
    version: ClassVar[int] = 1

    def guarantee(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, Any]:
        """The guarantee in words and numbers, for the record and the data card; public."""
        return describe(
            self.parameters(),
            self.plan(epsilon, delta, relation),
            epsilon,
            delta,
            f"one unit changes at most {self.cells} cells (pairs of its at most {self.max_contributions} kept items), each by exactly 1",
            relation,
        )

    def numbers(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, float]:
        """The same as flat numbers."""
        return {
            **flat(self.plan(epsilon, delta, relation), epsilon, delta, self.max_contributions),
            "max_items": float(self.max_items),
        }

    def plan(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> Plan:
        return plan(epsilon, delta, self.cells, 0 if self.public_keys else self.max_contributions, relation)

    def run(self, table_path: Path, unit: str | Unit, epsilon: float, delta: float, key: bytes, scratch: Path) -> pa.Table:
        """The release: `item_a`, `item_b` (a <= b, in the item's order), `count` (int64, noised), every pair of named or declared items.

        `key` is the release's own (keys.release_key). Reads Parquet in portions; memory does not grow with the number of rows.
        """
        from pellucid.privacy.noise import Stream
        from pellucid.privacy.private_tables.bounding import bounded_pairs

        chosen, stream = self.plan(epsilon, delta, unit_of(unit).relation), Stream(key)
        with only_declared(table_path, unit, self.item, self.public_keys, self.other, scratch) as path:
            pairs = bounded_pairs(path, unit, self.item, self.max_contributions, stream.subkey("bounding"), scratch)
        try:
            items, counts = diagonal(pairs)
            at_most = self.max_items
            if self.public_keys:
                items, counts = counts_of_public_keys(items, counts, tuple(sorted(self.public_keys)), self.other)
                at_most = len(items)
            return protected(items, counts, lambda kept: pair_counts(pairs, kept), chosen, stream, at_most)
        finally:
            pairs.unlink()


def diagonal(pairs: Path) -> tuple[pa.Array, NDArray[Any]]:
    """The items of the bounded pairs, sorted, and how many units (or rows, where `times` is there) hold each: private."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = []
    with pq.ParquetFile(pairs, pre_buffer=False) as file:
        kind = file.schema_arrow.field("item").type
        by_times = "times" in file.schema_arrow.names
        for group in range(file.num_row_groups):
            read = file.read_row_group(group, columns=["item", "times"] if by_times else ["item"]).group_by("item")
            part = read.aggregate([("times", "sum") if by_times else ([], "count_all")])
            parts.append(part.rename_columns({"times_sum": "count_all"}) if by_times else part)
            if len(parts) == 64:
                parts = [_summed(parts)]
    if not parts:
        return pa.array([], kind), np.zeros(0, dtype=np.int64)
    total = _summed(parts).sort_by("item").combine_chunks()
    items = total.column("item").combine_chunks()
    return items, np.asarray(total.column("count_all")).astype(np.int64)


def _summed(parts: list[pa.Table]) -> pa.Table:
    import pyarrow as pa

    total = pa.concat_tables(parts).group_by("item").aggregate([("count_all", "sum")])
    return total.rename_columns(["item", "count_all"])


def pair_counts(pairs: Path, kept: pa.Array) -> NDArray[Any]:
    """How many units hold both of each pair of the kept items (before noise: private): square, int64, symmetric."""
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from scipy.sparse import csr_array

    cells = np.zeros((len(kept), len(kept)), dtype=np.int64)
    with pq.ParquetFile(pairs, pre_buffer=False) as file:
        for group in range(file.num_row_groups):
            block = file.read_row_group(group)
            places = pc.index_in(block.column("item"), value_set=kept)
            held = np.asarray(pc.is_valid(places))
            columns = np.asarray(places.drop_null()).astype(np.int32)
            _, rows = np.unique(np.asarray(block.column("unit"))[held], return_inverse=True)
            if not len(columns):
                continue
            histories = csr_array((np.ones(len(rows), dtype=np.int64), (rows, columns)), shape=(int(rows.max()) + 1, len(kept)))
            part = (histories.T @ histories).tocoo()
            cells[part.row, part.col] += part.data
    return cells


def protected(
    items: pa.Array,
    counts: NDArray[Any],
    cells_of: Callable[[pa.Array], NDArray[Any]],
    chosen: NoiseAndThreshold,
    stream: Stream,
    at_most: int,
) -> pa.Table:
    """From the true statistic (the diagonal, and the cells of given items) to what may leave: noise, threshold, noise."""
    import pyarrow as pa

    noised = counts + chosen.noise.draw(stream.fork("diagonal"), len(counts))
    places = named(noised, chosen.threshold, at_most)
    kept = items.take(pa.array(places))
    return long_form(kept, noised_triangle(noised[places], cells_of(kept), chosen, stream))


def noised_triangle(noised: NDArray[Any], cells: NDArray[Any], chosen: NoiseAndThreshold, stream: Stream) -> list[NDArray[Any]]:
    """Row by row the upper triangle: the diagonal as it was noised when items were named, the rest with noise of its own."""
    import numpy as np

    rest, noise = stream.fork("off-diagonal"), chosen.noise
    count = len(noised)
    return [np.append(noised[row : row + 1], cells[row, row + 1 :] + noise.draw(rest, count - 1 - row)) for row in range(count)]


def long_form(kept: pa.Array, triangle: list[NDArray[Any]]) -> pa.Table:
    """The triangle as a table, sorted by item_a, item_b."""
    import numpy as np
    import pyarrow as pa

    count = len(kept)
    first = np.repeat(np.arange(count, dtype=np.int32), np.arange(count, 0, -1))
    second = np.concatenate([np.arange(row, count, dtype=np.int32) for row in range(count)] or [np.zeros(0, dtype=np.int32)])
    counts = np.concatenate(triangle or [np.zeros(0, dtype=np.int64)])
    return pa.table({"item_a": kept.take(pa.array(first)), "item_b": kept.take(pa.array(second)), "count": counts})


def describe(
    parameters: dict[str, Any], chosen: Plan, epsilon: float, delta: float, sensitivity: str, relation: str, **more: Any
) -> dict[str, Any]:
    """The guarantee of a release of counts, as JSON; public."""
    gaussian = isinstance(chosen.noise, DiscreteGaussian)
    parts = {"counts": chosen.delta_counts, "threshold": chosen.delta_threshold, "sampler": chosen.delta_sampler}
    more |= {"sigma2": str(chosen.sigma2)} if gaussian else {"scale": str(chosen.noise.scale)}  # type: ignore[union-attr]
    return promise(
        parameters,
        epsilon,
        delta,
        relation,
        sensitivity=sensitivity + ("; replacing one, that of both" if relation == REPLACE else ""),
        noise=f"discrete {'Gaussian' if gaussian else 'Laplace'} on every cell",
        events=chosen.events(),
        extra_delta=chosen.extra_delta,
        beyond=["whether every person has exactly one value in the unit column"],
        delta_parts=parts,
        cells=chosen.cells,
        sigma=chosen.noise.sigma,
        threshold=chosen.threshold if chosen.threshold > -FAR else None,
        **more,
    )


def flat(chosen: Plan, epsilon: float, delta: float, max_contributions: int) -> dict[str, float]:
    """The numbers of a release of counts."""
    return {
        "epsilon": float(epsilon),
        "delta": float(delta),
        "sigma": chosen.noise.sigma,
        "threshold": float(max(chosen.threshold, 0)),
        "max_contributions": float(max_contributions),
        "cells": float(chosen.cells),
        "delta_counts": chosen.delta_counts,
        "delta_threshold": chosen.delta_threshold,
        "delta_sampler": chosen.delta_sampler,
    }
