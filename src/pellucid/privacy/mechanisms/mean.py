"""The bounded mean: averages over people, released with noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import PrivacyError
from pellucid.privacy.accounting import NOT_COVERED, relation_in_words
from pellucid.privacy.mechanisms.threshold import sampler_delta
from pellucid.privacy.noise import DiscreteGaussian, sigma_for_l2
from pellucid.privacy.parameters import MAX_EPSILON, checked_bounds, checked_delta, checked_epsilon, checked_name
from pellucid.store import ADD_REMOVE, REPLACE, Unit, unit_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream

MAX_COLUMNS = 100
BY_MODEL = "a model or other value that the rows were computed with: it must be open, or each row depends on others' data"
FINEST, COARSEST = 1 << 16, 1 << 2  # half the steps of the grid


@dataclass(frozen=True)
class Plan:
    """Noise of `sigma2` on integer sums of values in -`half` .. `half`, and what the sampler adds to delta."""

    half: int
    sigma2: Fraction
    delta_sampler: float


@dataclass(frozen=True)
class Mean:
    """Means over people of the named columns, and how many people there are.

    Unit and neighbouring relation: as the source declares them; of a unit with several rows one is drawn by the key (bounding.py).
    Statistic: each value is clamped to [lower, upper] (null, NaN and infinities of either sign count as `lower`), shifted by
    the middle of the range and rounded to an integer in -h .. h, h a power of two that depends on epsilon, delta and the number
    of columns only. Released are the d sums of these integers and h times the number of people, with noise.
    Sensitivity: a unit's part is d integers in -h .. h and h: at most h sqrt(d + 1) in L2. Counting in steps of 1/h gives the
    count the same sensitivity as each sum; centring halves that of the sums. Where a unit is replaced by another, the count stays and
    each sum moves by at most 2h: 2h sqrt(d) in L2. A unit may also be left without rows (a step per unit gave it none): then all d + 1
    move, by h. zCDP knows the L2 distance alone, and h sqrt(d + 1) is no more than 2h sqrt(d); so the event that is stated, d cells by 2h,
    covers both in every account. Of privacy loss distributions, which a forecast shows, that is measured and not proved.
    Guarantee: (epsilon, delta) by discrete Gaussian noise on the d + 1 integers through zCDP (calibration.py); the sampler's
    distance times d + 1 is taken off delta first. The means are post-processing.
    Source: Canonne, Kamath, Steinke (2020).
    Why the code meets it: what leaves is a function of the d + 1 noised integers; no other number about the data is used, and
    each sum is exact in 64-bit integers (below 2^46 people).

    Whoever changes what this computes must raise `version`: the noise stream of a release depends on it (see gram_matrix.py).
    """

    columns: tuple[str, ...]
    lower: float = 0.0
    upper: float = 1.0

    name: ClassVar[str] = "mean"
    version: ClassVar[int] = 1
    output_kind: ClassVar[str] = "metrics"

    def __post_init__(self) -> None:
        if not isinstance(self.columns, tuple) or not 1 <= len(self.columns) <= MAX_COLUMNS:
            raise PrivacyError(f"columns must name 1 to {MAX_COLUMNS} columns")
        for column in self.columns:
            checked_name("columns", column)
        released = {*self.columns, *(f"{column}_error" for column in self.columns), "people"}
        if len(released) != 2 * len(self.columns) + 1:
            raise PrivacyError("columns must differ from each other, from 'people' and from another's '_error'", fix="Rename one")
        lower, upper = checked_bounds(self.lower, self.upper)
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)

    def parameters(self) -> dict[str, Any]:
        """All that defines the statistic and how it is computed, for the release's id."""
        return {
            "mechanism": self.name,
            "version": self.version,
            "columns": list(self.columns),
            "lower": self.lower,
            "upper": self.upper,
        }

    def guarantee(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, Any]:
        """The guarantee in words and numbers; public."""
        chosen, (cells, times) = self.plan(epsilon, delta, relation), self.moves(relation)
        return {
            **self.parameters(),
            "relation": relation_in_words(relation),
            "epsilon": epsilon,
            "delta": delta,
            "delta_parts": {"sums": delta - chosen.delta_sampler, "sampler": chosen.delta_sampler},
            "sensitivity": f"one unit changes {len(self.columns)} sums by at most {chosen.half} and one by {chosen.half}; "
            f"{times * chosen.half} sqrt({cells}) in L2" + (" when one is replaced" * (relation == REPLACE)),
            "grid": 2 * chosen.half,
            "noise": "discrete Gaussian on every sum",
            "sigma": math.sqrt(chosen.sigma2),
            "sigma2": str(chosen.sigma2),
            "events": [
                {"noise": "discrete_gaussian", "sigma2": str(chosen.sigma2), "sensitivity": times * chosen.half, "cells": cells}
            ],
            "extra_delta": sampler_delta(DiscreteGaussian(chosen.sigma2), MAX_EPSILON, cells),
            "not_covered": [*NOT_COVERED, BY_MODEL],
        }

    def numbers(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, float]:
        """The same as flat numbers; `noise` is the standard deviation of each mean times the number of people."""
        chosen = self.plan(epsilon, delta, relation)
        sigma = math.sqrt(chosen.sigma2)
        return {
            "epsilon": float(epsilon),
            "delta": float(delta),
            "sigma": sigma,
            "grid": float(2 * chosen.half),
            "noise": sigma / (2 * chosen.half) * (self.upper - self.lower),
            "delta_sampler": chosen.delta_sampler,
        }

    def moves(self, relation: str) -> tuple[int, int]:
        """How many of the integers move, and by how many times h at most."""
        return (len(self.columns), 2) if relation == REPLACE else (len(self.columns) + 1, 1)

    def plan(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> Plan:
        """The finest grid whose noise the sampler offers, and that noise; depends on no data."""
        epsilon, delta = checked_epsilon(epsilon), checked_delta(delta)
        cells, times = self.moves(relation)
        half, sigma2 = FINEST, None
        while sigma2 is None:
            try:
                sigma2 = sigma_for_l2(epsilon, delta * (1 - 1e-6), times * times * half * half * cells)
            except PrivacyError:
                if half == COARSEST:
                    raise
                half //= 2
        extra = sampler_delta(DiscreteGaussian(sigma2), epsilon, cells)
        if extra > delta * 1e-6:
            raise PrivacyError(f"delta {delta} is too small beside epsilon {epsilon}", fix="Raise delta or lower epsilon")
        return Plan(half, sigma2, extra)

    def check(self, table_path: Path, unit: str | Unit) -> None:
        """Raise PrivacyError, before anything is spent, for data this mechanism would refuse."""
        from pellucid.privacy.private_tables.private_columns import checked_columns

        checked_columns(table_path, unit, [], list(self.columns))

    def run(
        self, table_path: Path, unit: str | Unit, epsilon: float, delta: float, key: bytes, scratch: Path
    ) -> dict[str, float]:
        """The release: per column `<column>` (clamped to the bounds) and `<column>_error`, and `people`.

        The error is one standard error of the noise alone, computed from what is released; with few people (`people` not far
        above its own noise) the mean says nothing.
        """
        from pellucid.privacy.noise import Stream

        chosen, stream = self.plan(epsilon, delta, unit_of(unit).relation), Stream(key)
        sums = self.sums(table_path, unit, chosen.half, stream.subkey("bounding"), scratch)
        return self.noised(sums, chosen, stream)

    def noised(self, sums: NDArray[Any], chosen: Plan, stream: Stream) -> dict[str, float]:
        """What leaves of the true sums."""
        noised = sums + DiscreteGaussian(chosen.sigma2).draw(stream.fork("sums"), len(sums))
        return self.means([int(value) for value in noised], chosen)

    def sums(self, table_path: Path, unit: str | Unit, half: int, key: bytes, scratch: Path) -> NDArray[Any]:
        """The d sums and `half` times the number of people (before noise: private)."""
        import numpy as np

        from pellucid.privacy.private_tables.bounding import bounded_rows

        total = np.zeros(len(self.columns) + 1, dtype=np.int64)
        for rows in bounded_rows(table_path, unit, list(self.columns), key, scratch, lambda values: self.grid(values, half)):
            total[:-1] += rows.sum(axis=0)
            total[-1] += half * len(rows)
        return total

    def grid(self, values: list[NDArray[Any]], half: int) -> NDArray[Any]:
        """Values as integers in -half .. half, one column each."""
        import numpy as np

        columns = []
        for value in values:
            clamped = np.clip(np.where(np.isfinite(value), value, self.lower), self.lower, self.upper)
            share = (clamped - self.lower) / (self.upper - self.lower)
            columns.append(np.clip(np.rint((2 * share - 1) * half), -half, half).astype(np.int64))
        return np.stack(columns, axis=1)

    def means(self, noised: list[int], chosen: Plan) -> dict[str, float]:
        """What the noised sums say: post-processing."""
        people = max(1.0, noised[-1] / chosen.half)
        unit_error = math.sqrt(chosen.sigma2) / chosen.half / people
        width = (self.upper - self.lower) / 2
        result = {}
        for column, total in zip(self.columns, noised, strict=False):
            centred = max(-1.0, min(1.0, total / chosen.half / people))
            result[column] = min(self.upper, max(self.lower, self.lower + width * (1 + centred)))
            result[f"{column}_error"] = width * unit_error * math.sqrt(1 + centred * centred)
        result["people"] = noised[-1] / chosen.half
        return result


def mean(columns: Sequence[str], lower: float = 0.0, upper: float = 1.0) -> Mean:
    """Means of the columns over people, each value clamped to [lower, upper]; the input holds one row per person."""
    if isinstance(columns, str):
        columns = (columns,)
    return Mean(tuple(columns), lower, upper)
