"""The histogram: how many people hold each key, of declared keys or of those that enough people hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.privacy.accounting import set_fields
from pellucid.privacy.mechanisms.gram_matrix import describe, diagonal, flat
from pellucid.privacy.mechanisms.threshold import NOISES, Plan, named, plan
from pellucid.privacy.noise import BACKENDS, checked_backend, noise_for
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

MAX_KEYS = 10_000_000


@dataclass(frozen=True)
class Histogram:
    """Counts of people (or of their rows) per key.

    Unit and neighbouring relation: as the source declares them (labels.py). For "replace" twice the counts move (threshold.py).
    Statistic: for each key the number of units that hold it, each unit bounded to `max_contributions` distinct keys (bounding.py);
    with `rows` above 1 the number of rows, at most `rows` of each unit and key. With `public_keys` these are the keys, all released; others
    are one more key `other`, or refused before anything is spent. (That refusal tells that there is such a row; `other` does not.)
    Without, the keys are those of the data whose noised count reaches a threshold.
    Sensitivity: one unit moves at most `max_contributions` counts, each by at most `rows`, all in one direction.
    Guarantee: (epsilon, delta) by discrete Gaussian noise, or by discrete Laplace noise, of which delta goes to the threshold alone:
    with declared keys it is purely epsilon private and delta may be 0. calibration.py, laplace.py and threshold.py have the arguments.
    Source: Korolova et al. (2009); Wilson et al. (2020); Canonne, Kamath, Steinke (2020); Ghosh, Roughgarden, Sundararajan (2009).
    Why the code meets it: as for the Gram matrix, of which this is the diagonal (gram_matrix.py); the same functions compute it. Declared
    keys are released in their own order, each with one draw, whether the data hold them or not.
    `backend="opendp"` draws the same law with OpenDP's sampler, whose randomness has no key: such a release cannot be made again.

    Whoever changes what this computes must raise `version`: the noise stream of a release depends on it (see gram_matrix.py).
    """

    key: str
    max_contributions: int = 5
    max_items: int = MAX_KEYS
    public_keys: tuple[Any, ...] = ()
    other: str = ""
    noise: str = "gaussian"
    rows: int = 1
    backend: str = "pellucid"

    name: ClassVar[str] = "histogram"
    version: ClassVar[int] = 1
    output_kind: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        checked_name("key", self.key)
        checked_count("max_contributions", self.max_contributions, 1, 5000)
        checked_count("max_items", self.max_items, 1, MAX_KEYS)
        checked_count("rows", self.rows, 1, 10_000)
        checked_option("noise", self.noise, NOISES)
        checked_option("backend", self.backend, BACKENDS)
        checked_public_keys(self.public_keys, self.other)

    @property
    def pure(self) -> bool:
        """Whether delta may be 0."""
        return self.noise == "laplace" and bool(self.public_keys)

    @property
    def rerunnable(self) -> bool:
        """Whether the steward can make the same release again."""
        return self.backend == "pellucid"

    def parameters(self) -> dict[str, Any]:
        """All that defines the statistic and how it is computed, for the release's id."""
        given = {
            "mechanism": self.name,
            "version": self.version,
            "key": self.key,
            "max_contributions": self.max_contributions,
            "max_items": self.max_items,
        }
        return set_fields(
            given,
            public_keys=(list(self.public_keys), []),
            other=(self.other, ""),
            noise=(self.noise, "gaussian"),
            rows=(self.rows, 1),
            backend=(self.backend, "pellucid"),
        )

    def guarantee(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, Any]:
        """The guarantee in words and numbers; public."""
        checked_backend(self.backend)
        moves = "exactly 1" if self.rows == 1 else f"at most {self.rows}"
        return describe(
            self.parameters(),
            self.plan(epsilon, delta, relation),
            epsilon,
            delta,
            f"one unit changes at most {self.max_contributions} counts, each by {moves}",
            relation,
            **({} if self.rerunnable else {"rerunnable": False}),
        )

    def numbers(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, float]:
        """The same as flat numbers."""
        return flat(self.plan(epsilon, delta, relation), epsilon, delta, self.max_contributions)

    def plan(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> Plan:
        return plan(
            epsilon,
            delta,
            self.max_contributions,
            0 if self.public_keys else self.max_contributions,
            relation,
            self.noise,
            self.rows,
        )

    def check(self, table_path: Path, unit: str | Unit) -> None:
        """Raise PrivacyError, before anything is spent, for data this mechanism would refuse."""
        from pellucid.privacy.private_tables.private_columns import checked_columns

        checked_columns(table_path, unit, [self.key])
        if self.public_keys:
            check_public_keys(table_path, self.key, self.public_keys, self.other)

    def run(self, table_path: Path, unit: str | Unit, epsilon: float, delta: float, key: bytes, scratch: Path) -> pa.Table:
        """The release: the key column and `count` (int64, noised), sorted by key, or as declared with `other` last."""
        import pyarrow as pa

        from pellucid.privacy.noise import Stream
        from pellucid.privacy.private_tables.bounding import bounded_pairs

        chosen, stream = self.plan(epsilon, delta, unit_of(unit).relation), Stream(key)
        with only_declared(table_path, unit, self.key, self.public_keys, self.other, scratch) as path:
            pairs = bounded_pairs(
                path, unit, self.key, self.max_contributions, stream.subkey("bounding"), scratch, times=self.rows
            )
        try:
            items, counts = diagonal(pairs)
        finally:
            pairs.unlink()
        if self.public_keys:
            items, counts = counts_of_public_keys(items, counts, self.public_keys, self.other)
        noised = counts + noise_for(self.backend, chosen.noise, stream.fork("diagonal"), len(counts))
        places = named(noised, chosen.threshold, self.max_items)
        return pa.table([items.take(pa.array(places)), pa.array(noised[places])], names=[self.key, "count"])


def histogram(
    key: str,
    max_contributions: int = 5,
    max_items: int = MAX_KEYS,
    *,
    public_keys: Sequence[str] | Sequence[int] = (),
    other: str = "",
    noise: str = "gaussian",
    rows: int = 1,
    backend: str = "pellucid",
) -> Histogram:
    """Counts of people per value of the `key` column, at most `max_contributions` values of each person.

    `public_keys` lists the keys when they are known beforehand: then all of them are released and nothing is left out; other values are
    counted under the key `other`, or refused where there is none. `noise` is "gaussian" or "laplace" (with declared keys purely epsilon
    private: delta may be 0). `rows` above 1 counts rows, at most that many of each person and key. `backend="opendp"` draws the noise with
    OpenDP (`pip install opendp`), without a key.
    """
    return Histogram(key, max_contributions, max_items, tuple(public_keys), other, noise, rows, backend)
