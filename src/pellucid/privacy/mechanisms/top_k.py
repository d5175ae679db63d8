"""The top k: which of the declared keys most people hold, without their counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import PrivacyError
from pellucid.privacy.accounting import promise, pure_event
from pellucid.privacy.mechanisms.report_noisy_max import noise_for_maximum, noisy_maximum
from pellucid.privacy.noise import DiscreteLaplace
from pellucid.privacy.parameters import checked_count, checked_delta, checked_epsilon, checked_name
from pellucid.store import ADD_REMOVE, REPLACE, Unit, unit_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream

ALL = 1 << 40  # no bound on a unit's keys


@dataclass(frozen=True)
class TopK:
    """The `k` declared keys that most units hold, in their noised order.

    Unit and neighbouring relation: as the source declares them.
    Statistic: for each declared key the number of units that hold it. How many keys a unit holds needs no bound.
    Sensitivity: one unit moves each count by at most 1, all in one direction; replaced by another, in either direction.
    Guarantee: epsilon, purely (delta may be 0): k noisy maxima, each of epsilon / k, each over the keys not yet named
    (report_noisy_max has the argument); epsilons add up (Dwork et al. 2006).
    Source: Dwork, Roth (2014); McKenna, Sheldon (2020); Durfee, Rogers, "Practical differentially private top-k selection" (2019) for
    peeling.
    Why the code meets it: counts are sums over units of 0 and 1; each maximum draws from a stream of its own; keys tie by their declared
    order, which is public. What is not declared is never looked at, so it cannot be named.

    Whoever changes what this computes must raise `version`: the noise stream of a release depends on it (see gram_matrix.py).
    """

    key: str
    public_keys: tuple[Any, ...]
    k: int = 10

    name: ClassVar[str] = "top_k"
    version: ClassVar[int] = 1
    output_kind: ClassVar[str] = "table"
    pure: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_name("key", self.key)
        if not isinstance(self.public_keys, tuple) or not 2 <= len(self.public_keys) <= 100_000:
            raise PrivacyError("public_keys must list 2 to 100000 keys", fix="For keys nobody listed, release a histogram")
        kinds = {type(value) for value in self.public_keys}
        if not (kinds == {str} or kinds == {int}) or len(set(self.public_keys)) != len(self.public_keys):
            raise PrivacyError("declared keys must be all text or all whole numbers, each once")
        checked_count("k", self.k, 1, min(1000, len(self.public_keys) - 1))

    def parameters(self) -> dict[str, Any]:
        """All that defines the statistic and how it is computed, for the release's id."""
        given = {"mechanism": self.name, "version": self.version, "key": self.key}
        return {**given, "public_keys": list(self.public_keys), "k": self.k}

    def guarantee(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, Any]:
        """The guarantee in words and numbers; public."""
        noise = self.plan(epsilon, delta, relation)
        return promise(
            self.parameters(),
            epsilon,
            delta,
            relation,
            sensitivity="one unit changes each count by at most 1",
            noise=f"geometric on every count, in each of {self.k} rounds",
            events=[pure_event(epsilon / self.k)] * self.k,
            scale=str(noise.scale),
        )

    def numbers(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, float]:
        """The same as flat numbers."""
        scale = float(self.plan(epsilon, delta, relation).scale)
        return {"epsilon": float(epsilon), "delta": float(delta), "k": float(self.k), "scale": scale}

    def plan(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> DiscreteLaplace:
        """The noise of each round."""
        checked_delta(delta, pure=True)
        return noise_for_maximum(Fraction(checked_epsilon(epsilon)) / self.k, 1, monotone=relation != REPLACE)

    def check(self, table_path: Path, unit: str | Unit) -> None:
        """Raise PrivacyError, before anything is spent, for data this mechanism would refuse."""
        from pellucid.privacy.private_tables.private_columns import checked_columns
        from pellucid.privacy.private_tables.public_partitions import check_public_keys

        checked_columns(table_path, unit, [self.key])
        check_public_keys(table_path, self.key, self.public_keys, "whatever")

    def run(self, table_path: Path, unit: str | Unit, epsilon: float, delta: float, key: bytes, scratch: Path) -> pa.Table:
        """The release: `rank` (from 1) and the key column."""
        import pyarrow as pa

        from pellucid.privacy.noise import Stream

        noise, stream = self.plan(epsilon, delta, unit_of(unit).relation), Stream(key)
        keys, counts = self.counts(table_path, unit, stream.subkey("bounding"), scratch)
        places = ranked(counts, self.k, noise, stream)
        return pa.table([pa.array(range(1, self.k + 1), pa.int32()), keys.take(pa.array(places))], names=["rank", self.key])

    def counts(self, table_path: Path, unit: str | Unit, key: bytes, scratch: Path) -> tuple[pa.Array, NDArray[Any]]:
        """The declared keys and how many units hold each (before noise: private)."""
        from pellucid.privacy.mechanisms.gram_matrix import diagonal
        from pellucid.privacy.private_tables.bounding import bounded_pairs
        from pellucid.privacy.private_tables.public_partitions import counts_of_public_keys

        pairs = bounded_pairs(table_path, unit, self.key, ALL, key, scratch)
        try:
            return counts_of_public_keys(*diagonal(pairs), self.public_keys, "")
        finally:
            pairs.unlink()


def ranked(counts: NDArray[Any], k: int, noise: DiscreteLaplace, stream: Stream) -> list[int]:
    """The places of k noisy maxima, one after the other, each of those not yet named."""
    import numpy as np

    left, places = np.arange(len(counts)), []
    for rank in range(k):
        at = noisy_maximum(counts[left], noise, stream.fork(f"rank {rank}"))
        places.append(int(left[at]))
        left = np.delete(left, at)
    return places


def top_k(key: str, public_keys: Sequence[str] | Sequence[int], k: int = 10) -> TopK:
    """The `k` of the declared values of the `key` column that most people hold, in order, without counts. Delta may be 0."""
    return TopK(key, tuple(public_keys), k)
