"""Partition selection: which keys exist, of those that nobody listed, without their counts."""

from __future__ import annotations

import decimal
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import PrivacyError
from pellucid.privacy.accounting import promise, pure_event
from pellucid.privacy.exact_decimals import exact_decimals
from pellucid.privacy.mechanisms.threshold import Plan, named, plan
from pellucid.privacy.parameters import checked_count, checked_delta, checked_epsilon, checked_name, checked_option
from pellucid.store import ADD_REMOVE, REPLACE, Unit, unit_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream

METHODS = ("geometric", "gaussian")
BITS = 128
SHARES = (0.25, 0.4, 0.5, 0.6, 0.75)  # counts are not released, so their noise matters less than in a histogram
MAX_COUNT = 1 << 20  # a table longer than this is not offered


@dataclass(frozen=True)
class Partitions:
    """The keys that enough units hold.

    Unit and neighbouring relation: as the source declares them.
    Statistic: the set of keys of the data, each named with a probability that depends on the number of units that hold it, each unit
    bounded to `max_contributions` distinct keys (bounding.py).
    Sensitivity: one unit moves at most `max_contributions` counts by 1; replaced by another, the counts of 2 `max_contributions` keys.
    Guarantee: (epsilon, delta). "geometric" names each key independently with the largest probabilities that (epsilon / k, delta / k)
    privacy allows for one key, k the keys that a unit moves; these add up over the keys it moves, and a key that nobody holds is
    never named. It keeps the most keys for small caps. "gaussian" is the histogram's noise and threshold (threshold.py), better for caps
    above some ten, since its noise grows with the square root of `max_contributions`.
    Source: Desfontaines, Voss, Gipson, Mandayam, "Differentially private partition selection" (2022), for "geometric".
    Why the code meets it: `chances` computes whole numbers in units of 2^-128 and rounds so that both inequalities hold for them as
    they are; a key is named when 128 bits of its own are below its number. Keys come in their own order.

    Whoever changes what this computes must raise `version`: the noise stream of a release depends on it (see gram_matrix.py).
    """

    key: str
    max_contributions: int = 1
    method: str = "geometric"

    name: ClassVar[str] = "partitions"
    version: ClassVar[int] = 1
    output_kind: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        checked_name("key", self.key)
        checked_count("max_contributions", self.max_contributions, 1, 5000)
        checked_option("method", self.method, METHODS)

    def parameters(self) -> dict[str, Any]:
        """All that defines the statistic and how it is computed, for the release's id."""
        given = {"mechanism": self.name, "version": self.version, "key": self.key}
        return {**given, "max_contributions": self.max_contributions, "method": self.method}

    def guarantee(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, Any]:
        """The guarantee in words and numbers; public."""
        moves = 2 * self.max_contributions if relation == REPLACE else self.max_contributions
        extra = 0.0
        if self.method == "gaussian":
            chosen = self.threshold(epsilon, delta, relation)
            events, extra = chosen.events(), chosen.extra_delta
        else:
            self.plan(epsilon, delta, relation)
            events = [pure_event(epsilon / moves, delta / moves)] * moves
        return promise(
            self.parameters(),
            epsilon,
            delta,
            relation,
            sensitivity=f"one unit changes the counts of at most {moves} keys, each by 1",
            noise="a coin for every key" if self.method == "geometric" else "discrete Gaussian on every count",
            events=events,
            extra_delta=extra,
        )

    def numbers(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, float]:
        """The same as flat numbers; `half` is how many units must hold a key for it to be named half of the time."""
        if self.method == "gaussian":
            half = float(self.threshold(epsilon, delta, relation).threshold)
        else:
            half = float(next(n for n, chance in enumerate(self.plan(epsilon, delta, relation)) if 2 * chance >= 1 << BITS))
        return {
            "epsilon": float(epsilon),
            "delta": float(delta),
            "max_contributions": float(self.max_contributions),
            "half": half,
        }

    def plan(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> tuple[int, ...]:
        """The chances of a key that 0, 1, 2 ... units hold ("geometric")."""
        moves = 2 * self.max_contributions if relation == REPLACE else self.max_contributions
        return chances(checked_epsilon(epsilon) / moves * (1 - 1e-15), checked_delta(delta) / moves * (1 - 1e-15))

    def probabilities(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> list[float]:
        """The same as probabilities, for people to read."""
        return [chance / (1 << BITS) for chance in self.plan(epsilon, delta, relation)]

    def threshold(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> Plan:
        """The noise and threshold ("gaussian"): of some shares of delta the one whose threshold is lowest, whatever the data."""
        plans = [
            plan(epsilon, delta, self.max_contributions, self.max_contributions, relation, "gaussian", 1, share)
            for share in SHARES
        ]
        return min(plans, key=lambda chosen: chosen.threshold)

    def check(self, table_path: Path, unit: str | Unit) -> None:
        """Raise PrivacyError, before anything is spent, for data this mechanism would refuse."""
        from pellucid.privacy.private_tables.private_columns import checked_columns

        checked_columns(table_path, unit, [self.key])

    def run(self, table_path: Path, unit: str | Unit, epsilon: float, delta: float, key: bytes, scratch: Path) -> pa.Table:
        """The release: the key column, sorted."""
        import pyarrow as pa

        from pellucid.privacy.mechanisms.gram_matrix import diagonal
        from pellucid.privacy.noise import Stream
        from pellucid.privacy.private_tables.bounding import bounded_pairs

        stream, relation = Stream(key), unit_of(unit).relation
        pairs = bounded_pairs(table_path, unit, self.key, self.max_contributions, stream.subkey("bounding"), scratch)
        try:
            items, counts = diagonal(pairs)
        finally:
            pairs.unlink()
        if self.method == "gaussian":
            chosen = self.threshold(epsilon, delta, relation)
            places = named(counts + chosen.noise.draw(stream.fork("keys"), len(counts)), chosen.threshold, len(counts))
        else:
            places = tossed(counts, self.plan(epsilon, delta, relation), stream.fork("keys"))
        return pa.table([items.take(pa.array(places))], names=[self.key])


@lru_cache(maxsize=64)
def chances(epsilon: float, delta: float) -> tuple[int, ...]:
    """The largest chances p(n), in units of 2^-128, with p(0) = 0 that are (epsilon, delta) private for one key, up to the first full one.

    Neighbouring counts n and n + 1 ask for p(n+1) <= e^epsilon p(n) + delta and 1 - p(n) <= e^epsilon (1 - p(n+1)) + delta; the other
    two inequalities hold as p rises. With E a fraction below e^epsilon and all rounding down, they hold for the whole numbers too:
    E p(n) + delta is not above the first bound, and 1 - (1 - p(n) - delta) / E not above the second.
    """
    full = 1 << BITS
    with exact_decimals(80):
        growth = Fraction(int(decimal.Decimal(epsilon).exp() * (1 << 200)) - 1, 1 << 200)
    step = math.floor(Fraction(delta) * full)
    if step < 1 << 20:
        raise PrivacyError("delta is too small for this max_contributions", fix="Raise delta, or lower max_contributions")
    found = [0]
    while found[-1] < full:
        last = found[-1]
        up = math.floor(growth * last) + step
        down = full if last + step >= full else full - math.ceil((full - last - step) / growth)
        found.append(min(up, down, full))
        if len(found) > MAX_COUNT:
            raise PrivacyError("the chances this guarantee allows rise too slowly", fix="Raise epsilon, or lower the cap")
    return tuple(found)


def tossed(counts: NDArray[Any], table: tuple[int, ...], stream: Stream) -> NDArray[Any]:
    """The places of the keys whose 128 bits are below their chance, ascending."""
    import numpy as np

    words = stream.words(2 * len(counts)).reshape(-1, 2)
    held = np.minimum(counts, len(table) - 1)
    high = np.array([min(chance >> 64, (1 << 64) - 1) for chance in table], dtype=np.uint64)[held]
    low = np.array([chance & ((1 << 64) - 1) for chance in table], dtype=np.uint64)[held]
    sure = held == len(table) - 1
    below = (words[:, 0] < high) | ((words[:, 0] == high) & (words[:, 1] < low))
    return np.flatnonzero(sure | below)


def partitions(key: str, max_contributions: int = 1, method: str = "geometric") -> Partitions:
    """Which values the `key` column has, of those that enough people hold, at most `max_contributions` values of each person."""
    return Partitions(key, max_contributions, method)
