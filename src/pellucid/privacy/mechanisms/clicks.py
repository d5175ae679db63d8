"""Queries and what was clicked after them: counts of people, of the queries and clicks that enough people share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import PrivacyError
from pellucid.privacy.mechanisms.gram_matrix import describe, diagonal, flat
from pellucid.privacy.mechanisms.threshold import NOISES, Plan, named, plan
from pellucid.privacy.parameters import checked_count, checked_name, checked_option
from pellucid.store import ADD_REMOVE, Unit, unit_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Clicks:
    """Counts of people per query, and per query and clicked place for the queries that are kept.

    Unit and neighbouring relation: as the source declares them (labels.py).
    Statistic: for each query the number of units that asked it, each unit bounded to `queries` distinct ones; for each pair of query and
    place the number of units that clicked it, each unit bounded to `clicks` distinct pairs (bounding.py, by draws of their own). A
    pair leaves only if its query is kept and its own noised count reaches the threshold as well.
    Sensitivity: one unit moves at most `queries` + `clicks` counts, each by exactly 1, all in one direction.
    Guarantee: (epsilon, delta) for all the counts together, by discrete Gaussian or Laplace noise on each and one threshold for queries and
    pairs. threshold.py has the argument, with queries and pairs as its items: at most `queries` + `clicks` of them are a unit's
    alone, and each is named by its own noised count; to leave out pairs of queries that are not kept is post-processing. Delta is that
    of the counts, and (queries + clicks) P[1 + noise >= threshold].
    Source: Korolova, Kenthapadi, Mishra, Ntoulas, "Releasing search queries and clicks privately" (2009), who take the places clicked as
    public and so noise them without a threshold: not taken for granted here. Goetz et al., "Publishing search logs" (ZEALOUS, 2012), use
    two thresholds, one before the noise; the one here, after the noise, is exact in the noise and needs no other.
    Why the code meets it: both statistics are sums over units of 0 and 1; queries and pairs have noise streams and bounding keys of their
    own; rows come in the order of query and place.

    Whoever changes what this computes must raise `version`: the noise stream of a release depends on it (see gram_matrix.py).
    """

    query: str
    place: str
    queries: int = 10
    clicks: int = 10
    noise: str = "gaussian"

    name: ClassVar[str] = "clicks"
    version: ClassVar[int] = 1
    output_kind: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        checked_name("query", self.query)
        checked_name("place", self.place)
        if self.query == self.place or "count" in (self.query, self.place):
            raise PrivacyError("query and place must be two columns, neither named count")
        checked_count("queries", self.queries, 1, 2000)
        checked_count("clicks", self.clicks, 1, 2000)
        checked_option("noise", self.noise, NOISES)

    @property
    def cells(self) -> int:
        """How many counts one unit moves at most."""
        return self.queries + self.clicks

    def parameters(self) -> dict[str, Any]:
        """All that defines the statistic and how it is computed, for the release's id."""
        given = {"mechanism": self.name, "version": self.version, "query": self.query, "place": self.place}
        return {**given, "queries": self.queries, "clicks": self.clicks, "noise": self.noise}

    def guarantee(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, Any]:
        """The guarantee in words and numbers; public."""
        moves = f"one unit changes at most {self.queries} counts of queries and {self.clicks} of clicks, each by exactly 1"
        return describe(self.parameters(), self.plan(epsilon, delta, relation), epsilon, delta, moves, relation)

    def numbers(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, float]:
        """The same as flat numbers."""
        return flat(self.plan(epsilon, delta, relation), epsilon, delta, self.cells)

    def plan(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> Plan:
        return plan(epsilon, delta, self.cells, self.cells, relation, self.noise)

    def check(self, table_path: Path, unit: str | Unit) -> None:
        """Raise PrivacyError, before anything is spent, for data this mechanism would refuse."""
        from pellucid.privacy.private_tables.private_columns import checked_columns

        checked_columns(table_path, unit, [self.query, self.place])

    def run(self, table_path: Path, unit: str | Unit, epsilon: float, delta: float, key: bytes, scratch: Path) -> pa.Table:
        """The release: query, place (null for the query itself) and `count` (int64, noised), sorted."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from pellucid.privacy.noise import Stream
        from pellucid.privacy.private_tables.bounding import bounded_pairs

        chosen, stream = self.plan(epsilon, delta, unit_of(unit).relation), Stream(key)
        pairs = bounded_pairs(table_path, unit, self.query, self.queries, stream.subkey("queries"), scratch)
        try:
            asked, counts = diagonal(pairs)
        finally:
            pairs.unlink()
        noised = counts + chosen.noise.draw(stream.fork("queries"), len(counts))
        places = named(noised, chosen.threshold, len(noised))
        kept = pa.table([asked.take(pa.array(places)), pa.array(noised[places])], names=["item", "count"])

        both = (self.query, self.place)
        pairs = bounded_pairs(table_path, unit, both[0], self.clicks, stream.subkey("clicks"), scratch, second=both[1])
        try:
            clicked = pair_counts(pairs)
        finally:
            pairs.unlink()
        noised = np.asarray(clicked.column("count")) + chosen.noise.draw(stream.fork("clicks"), clicked.num_rows)
        seen = clicked.set_column(2, "count", pa.array(noised)).take(pa.array(named(noised, chosen.threshold, len(noised))))
        seen = seen.filter(pc.is_in(seen.column("item"), value_set=kept.column("item").combine_chunks()))

        kept = kept.add_column(1, "second", pa.nulls(kept.num_rows, clicked.schema.field("second").type))
        table = pa.concat_tables([kept, seen])
        table = table.append_column("click", pc.is_valid(table.column("second")))  # a query's own row comes first
        table = table.sort_by([("item", "ascending"), ("click", "ascending"), ("second", "ascending")]).drop("click")
        return table.combine_chunks().rename_columns([self.query, self.place, "count"])


def pair_counts(pairs: Path) -> pa.Table:
    """`item`, `second` and `count` of units, sorted (before noise: private)."""
    import pyarrow.parquet as pq

    table = pq.read_table(pairs, columns=["item", "second"])
    counted = table.group_by(["item", "second"]).aggregate([([], "count_all")])
    counted = counted.rename_columns({"count_all": "count"}).select(["item", "second", "count"])
    return counted.sort_by([("item", "ascending"), ("second", "ascending")]).combine_chunks()


def clicks(query: str, place: str, queries: int = 10, clicks: int = 10, *, noise: str = "gaussian") -> Clicks:
    """Counts of people per `query` and per `query` and clicked `place`, at most `queries` and `clicks` of each person."""
    return Clicks(query, place, queries, clicks, noise)
