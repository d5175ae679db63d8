"""The equal-norm Gram matrix: every person's part has the same length, so that nobody's is drowned by noise sized for the busiest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import PrivacyError
from pellucid.privacy.accounting import promise
from pellucid.privacy.mechanisms.gram_matrix import BoundedMatrix, protected
from pellucid.privacy.mechanisms.threshold import FAR, SHARE, event, sampler_delta
from pellucid.privacy.mechanisms.weighted_matrix import weight_table, weighted_cells, weighted_diagonal
from pellucid.privacy.noise import DiscreteGaussian, sigma_for_counts
from pellucid.privacy.parameters import MAX_EPSILON, checked_delta, checked_epsilon
from pellucid.privacy.private_tables.public_partitions import (
    counts_of_public_keys,
    only_declared,
)
from pellucid.store import ADD_REMOVE, REPLACE, Unit, unit_of

if TYPE_CHECKING:
    import pyarrow as pa

PADS = 64  # cells of 1 that the proof adds to a unit's part (see `EqualNormGram`)
FINEST, COARSEST = 10, 6  # binary digits of the weights
LEAST_SIGMA = 100.0  # from which the proof's bound on its sum over a lattice holds


@dataclass(frozen=True)
class Plan:
    """`weights`: of a unit with m items, at m - 1, what it adds to each of its items' cells and to each of its pairs' (integers).

    `digits`: the weights are in units of 2^-digits; `noise`, `threshold` and the parts of delta as in threshold.py; `squared`: the
    squared length that the account is told; `drawn`: how many cells a unit moves at most.
    """

    weights: tuple[tuple[int, int], ...]
    digits: int
    noise: DiscreteGaussian
    threshold: int
    delta_counts: float
    delta_threshold: float
    delta_sampler: float
    delta_lattice: float
    squared: int
    drawn: int

    def events(self) -> list[dict[str, Any]]:
        """What an accountant must know of the noise: as if `squared` cells moved by 1."""
        return [event(self.noise, self.squared, 1)]

    @property
    def extra_delta(self) -> float:
        """What stands beside the events, whatever epsilon they are judged at."""
        return self.delta_threshold + self.delta_lattice + sampler_delta(self.noise, MAX_EPSILON, self.drawn)


@dataclass(frozen=True)
class EqualNormGram(BoundedMatrix):
    """Weights of pairs of items, of the items that enough people hold: the matrix of gram_matrix.py, each unit's part scaled to one length.

    Unit and neighbouring relation: as the source declares them; for "replace" the squared length doubles.
    Statistic: of a unit with m kept items (distinct, at most `max_contributions`: bounding.py, and the declared list where there is one)
    A(m) is added to the cell of each of its items and W(m) to the cell of each two of them. With N(m) = 2 m + 4 m (m - 1), s binary
    digits and a diagonal at half the scale, A = floor(sqrt(2 4^s / N)) and W = floor(sqrt(8 4^s / N)); then W, and after it A, is raised
    while m A^2 + m (m - 1)/2 W^2 <= 4^s. m counts the items that were kept, named or not: so a unit's weights depend on its own rows
    alone.
    Sensitivity: by that rule m A^2 + m (m - 1)/2 W^2 <= 4^s for every m, so one unit's part, added or removed, has squared length at most
    4^s (attained by m = 1), touches at most c (c + 1)/2 cells for c = `max_contributions`, and moves none by more than 2^s. Replacing: the
    parts x, y are not negative, so |x - y|^2 <= |x|^2 + |y|^2 <= 2 4^s, twice the cells, and still 2^s a cell.
    Guarantee: (epsilon, delta) by independent discrete Gaussian noise on every cell and a threshold on the noised diagonal.
    Noise. Let one unit move integer cells by v, |v|^2 <= D - K, |v_j| <= V, K = `PADS`, noise of parameter sigma^2, sigma >= 100. Give
    the adversary D - |v|^2 >= K further noised cells that move by 1 (dropping them is post-processing); v' is the longer vector,
    |v'|^2 = D. The loss is (D + 2 z)/(2 sigma^2) for z = <v', X>. P[z] = exp(-z^2/(2 D sigma^2)) times a Gaussian sum over a coset of the
    lattice orthogonal to v', and such a sum is largest for the lattice itself, its Fourier coefficients being positive: P[z] <= P[0]
    exp(-z^2/(2 D sigma^2)). P[0] is the mean of the product of the cells' characteristic functions at v'_j t; for |t| <= 0.9 pi/V each is
    that of the Gaussian up to exp(-1.9 sigma^2), and beyond it the K cells of 1 alone leave a share th = sqrt(D/K) exp(-3.99 K
    sigma^2/V^2). So delta is at most (1 + th) times that of D cells moved by 1 (calibration.py), and as that is at most 1, th is added to
    delta. The account is told D cells moved by 1. Without the pads the statement is false: one cell moved by 2 exceeds four moved by 1 by
    12 % of delta (sigma^2 = 4, epsilon 2.8).
    Threshold: the argument of threshold.py holds word for word, for a unit's weights depend on its own rows alone. The items that only one
    unit holds, at most m of them, each have A(m): the least T with max over m of m P[noise >= T - A(m)] <= delta_threshold. Declared items
    (`public_keys`, `other`) need none, as in gram_matrix.py.
    Source: the scaling is that of a unit vector per person, as in private principal components (Dwork, Talwar, Thakurta, Zhang 2014), here
    in integers; Canonne, Kamath, Steinke (2020) for the noise; Wilson et al. (2020) for the threshold.
    Why the code meets it: `kept_items` counts a unit's rows after bounding; `weighted_diagonal` and `weighted_cells` are sums over units of
    integers from the table of weights; every number that leaves is one of these cells plus one draw, by the functions of
    gram_matrix.py. The sums are exact in 64-bit integers below 2^43 people.

    What is released is no count: on the diagonal a holder of one item weighs as much as several holders of many.
    Whoever changes what this computes must raise `version`: the noise stream of a release depends on it (see gram_matrix.py).
    """

    max_contributions: int = 15

    name: ClassVar[str] = "equal_norm_gram"
    version: ClassVar[int] = 1

    def guarantee(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, Any]:
        """The guarantee in words and numbers, for the record and the data card; public."""
        chosen = self.plan(epsilon, delta, relation)
        both = "; replacing one, that of both" if relation == REPLACE else ""
        parts = {"cells": chosen.delta_counts, "threshold": chosen.delta_threshold, "sampler": chosen.delta_sampler}
        return promise(
            self.parameters(),
            epsilon,
            delta,
            relation,
            sensitivity=f"one unit adds integers of squared length at most {4**chosen.digits} to at most {self.cells} cells{both}",
            noise="discrete Gaussian on every cell",
            events=chosen.events(),
            extra_delta=chosen.extra_delta,
            beyond=["whether every person has exactly one value in the unit column"],
            delta_parts={**parts, "lattice": chosen.delta_lattice},
            sigma2=str(chosen.noise.sigma2),
            cells=chosen.squared,
            sigma=chosen.noise.sigma,
            scale=2**chosen.digits,
            threshold=chosen.threshold if chosen.threshold > -FAR else None,
        )

    def numbers(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, float]:
        """The same as flat numbers; `sigma` and `threshold` are in the units of the released weights, of which `scale` make 1."""
        chosen = self.plan(epsilon, delta, relation)
        return {
            "epsilon": float(epsilon),
            "delta": float(delta),
            "sigma": chosen.noise.sigma,
            "scale": float(2**chosen.digits),
            "threshold": float(max(chosen.threshold, 0)),
            "max_contributions": float(self.max_contributions),
            "max_items": float(self.max_items),
            "delta_counts": chosen.delta_counts,
            "delta_threshold": chosen.delta_threshold,
            "delta_sampler": chosen.delta_sampler,
            "delta_lattice": chosen.delta_lattice,
        }

    def plan(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> Plan:
        """The finest weights whose noise the sampler offers, that noise, and the threshold; depends on no data."""
        return _plan(checked_epsilon(epsilon), checked_delta(delta), self.max_contributions, relation, not self.public_keys)

    def run(self, table_path: Path, unit: str | Unit, epsilon: float, delta: float, key: bytes, scratch: Path) -> pa.Table:
        """The release: `item_a`, `item_b` (a <= b, in the item's order), `weight` (int64, noised, in units of 1 / `scale`).

        Every pair of named or declared items is there. `key` is the release's own. Memory does not grow with the number of rows.
        """
        from pellucid.privacy.noise import Stream
        from pellucid.privacy.private_tables.bounding import bounded_pairs

        chosen, stream = self.plan(epsilon, delta, unit_of(unit).relation), Stream(key)
        with only_declared(table_path, unit, self.item, self.public_keys, self.other, scratch) as path:
            pairs = bounded_pairs(path, unit, self.item, self.max_contributions, stream.subkey("bounding"), scratch)
        try:
            items, sums = weighted_diagonal(pairs, chosen.weights)
            at_most = self.max_items
            if self.public_keys:
                items, sums = counts_of_public_keys(items, sums, tuple(sorted(self.public_keys)), self.other)
                at_most = len(items)
            found = protected(items, sums, lambda kept: weighted_cells(pairs, kept, chosen.weights), chosen, stream, at_most)
            return found.rename_columns(["item_a", "item_b", "weight"])
        finally:
            pairs.unlink()


@lru_cache(maxsize=256)
def _plan(epsilon: float, delta: float, cap: int, relation: str, undeclared: bool) -> Plan:
    twice = 2 if relation == REPLACE else 1
    share = SHARE * delta if undeclared else 0.0
    drawn = twice * cap * (cap + 1) // 2
    counts = (delta - share) * (1 - 1e-6)
    digits, sigma2 = FINEST, None
    while sigma2 is None:
        try:
            sigma2 = sigma_for_counts(epsilon, counts, twice * 4**digits + PADS)
        except PrivacyError:
            if digits == COARSEST:
                raise
            digits -= 1
    noise, squared = DiscreteGaussian(sigma2), twice * 4**digits + PADS
    lattice = math.sqrt(squared / PADS) * math.exp(-3.99 * PADS * float(noise.sigma2) / 4**digits) + 1e-40
    sampler = sampler_delta(noise, epsilon, drawn)
    if noise.sigma < LEAST_SIGMA or lattice + sampler > (delta - share) * 1e-6:
        fix = "Lower epsilon or raise delta; or release counts of pairs: pl.privacy.gram without norm"
        raise PrivacyError(f"epsilon {epsilon:g} is beyond what is proved for this mechanism at delta {delta:g}", fix=fix)
    weights = weight_table(cap, digits)
    threshold, named_alone = (-FAR, 0.0) if not undeclared else _threshold(weights, noise, share * (1 - 1e-9))
    return Plan(weights, digits, noise, threshold, counts, named_alone, sampler, lattice, squared, drawn)


def _threshold(weights: tuple[tuple[int, int], ...], noise: DiscreteGaussian, share: float) -> tuple[int, float]:
    """The least threshold that one unit's items reach with no more than that chance, whatever their number; and the chance."""

    def chance(threshold: int) -> float:
        return max(m * noise.tail(threshold - a) for m, (a, _) in enumerate(weights, 1))

    low, high = 0, FAR
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle) <= share else (middle, high)
    return high, chance(high)
