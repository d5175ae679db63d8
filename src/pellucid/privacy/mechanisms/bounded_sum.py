"""The bounded sum: totals of people's values over all their rows, released with noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import PrivacyError
from pellucid.privacy.accounting import promise
from pellucid.privacy.mechanisms.mean import BY_MODEL, COARSEST, FINEST, MAX_COLUMNS
from pellucid.privacy.mechanisms.threshold import NOISES, event, sampler_delta
from pellucid.privacy.noise import DiscreteGaussian, DiscreteLaplace, laplace, sigma_for_l2
from pellucid.privacy.parameters import (
    MAX_EPSILON,
    checked_bounds,
    checked_count,
    checked_delta,
    checked_epsilon,
    checked_name,
    checked_option,
)
from pellucid.store import ADD_REMOVE, REPLACE, Unit, unit_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream


@dataclass(frozen=True)
class Plan:
    """Noise on whole numbers of steps, `half` steps to the largest value; a unit moves each sum by at most `most`."""

    half: int
    most: int
    noise: DiscreteGaussian | DiscreteLaplace
    delta_sampler: float


@dataclass(frozen=True)
class Sum:
    """Sums of the named columns over all rows, at most `max_contributions` rows of each unit.

    Unit and neighbouring relation: as the source declares them. Of a unit with more than `max_contributions` rows, so many are
    drawn by the key (bounding.py).
    Statistic: each value is clamped to [lower, upper] (null, NaN and infinities count as the value nearest 0 in there) and rounded to a
    whole number of steps of max(|lower|, |upper|) / h, h a power of two that depends on public numbers alone. Released are the d sums.
    Sensitivity: a row's value is from -h .. h steps, so one unit moves each sum by at most m = c h, for
    c = `max_contributions`: m d in L1, m sqrt(d) in L2. Where
    it is replaced by another, by at most c times the range that the bounds and 0 span, in steps: units need not have as many rows as
    each other, or any, so that with bounds of one sign nothing is gained (m), and with bounds of both up to 2 m are lost.
    Guarantee: (epsilon, delta) by discrete Gaussian noise through zCDP (calibration.py), the sampler's distance taken off delta first;
    or epsilon alone by discrete Laplace noise (laplace.py): delta may be 0.
    Source: Wilson et al. (2020) for bounded contribution; Canonne, Kamath, Steinke (2020); Ghosh, Roughgarden, Sundararajan (2009).
    Why the code meets it: what leaves is a function of the d noised sums, each exact in 64-bit integers (below 2^40 rows).

    Whoever changes what this computes must raise `version`: the noise stream of a release depends on it (see gram_matrix.py).
    """

    columns: tuple[str, ...]
    lower: float = 0.0
    upper: float = 1.0
    max_contributions: int = 1
    noise: str = "gaussian"

    name: ClassVar[str] = "sum"
    version: ClassVar[int] = 2
    output_kind: ClassVar[str] = "metrics"

    def __post_init__(self) -> None:
        if not isinstance(self.columns, tuple) or not 1 <= len(self.columns) <= MAX_COLUMNS:
            raise PrivacyError(f"columns must name 1 to {MAX_COLUMNS} columns")
        for column in self.columns:
            checked_name("columns", column)
        if len({*self.columns, *(f"{column}_error" for column in self.columns)}) != 2 * len(self.columns):
            raise PrivacyError("columns must differ from each other and from another's '_error'", fix="Rename one")
        lower, upper = checked_bounds(self.lower, self.upper)
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)
        checked_count("max_contributions", self.max_contributions, 1, 1000)
        checked_option("noise", self.noise, NOISES)

    @property
    def pure(self) -> bool:
        """Whether delta may be 0."""
        return self.noise == "laplace"

    def parameters(self) -> dict[str, Any]:
        """All that defines the statistic and how it is computed, for the release's id."""
        return {
            "mechanism": self.name,
            "version": self.version,
            "columns": list(self.columns),
            "lower": self.lower,
            "upper": self.upper,
            "max_contributions": self.max_contributions,
            "noise": self.noise,
        }

    def guarantee(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, Any]:
        """The guarantee in words and numbers; public."""
        chosen, cells = self.plan(epsilon, delta, relation), len(self.columns)
        gaussian = isinstance(chosen.noise, DiscreteGaussian)
        return promise(
            self.parameters() | {"sigma": chosen.noise.sigma, "grid_step": self.step(chosen.half)},
            epsilon,
            delta,
            relation,
            sensitivity=f"one unit changes {cells} sums, each by at most {chosen.most} steps",
            noise=f"discrete {'Gaussian' if gaussian else 'Laplace'} on every sum",
            events=[event(chosen.noise, cells, chosen.most)],
            extra_delta=sampler_delta(chosen.noise, MAX_EPSILON, cells),
            beyond=[BY_MODEL],
        )

    def numbers(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, float]:
        """The same as flat numbers; `error` is the standard deviation of each sum's noise."""
        chosen = self.plan(epsilon, delta, relation)
        return {
            "epsilon": float(epsilon),
            "delta": float(delta),
            "sigma": chosen.noise.sigma,
            "error": chosen.noise.sigma * self.step(chosen.half),
            "max_contributions": float(self.max_contributions),
            "delta_sampler": chosen.delta_sampler,
        }

    def step(self, half: int) -> float:
        """The size of a step."""
        return max(abs(self.lower), abs(self.upper)) / half

    def most(self, half: int, relation: str) -> int:
        """By how many steps one unit moves a sum at most."""
        low, high = self.ends(half)
        return self.max_contributions * (max(high, 0) - min(low, 0) if relation == REPLACE else half)

    def ends(self, half: int) -> tuple[int, int]:
        """The bounds in steps."""
        step = self.step(half)
        return max(-half, round(self.lower / step)), min(half, round(self.upper / step))

    def plan(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> Plan:
        """The finest grid whose noise the sampler offers, and that noise; depends on no data."""
        epsilon, delta = checked_epsilon(epsilon), checked_delta(delta, pure=self.pure)
        half, cells, noise, most = FINEST, len(self.columns), None, 0
        while noise is None:
            most = max(1, self.most(half, relation))
            try:
                if self.pure:
                    return Plan(half, most, laplace(epsilon, most * cells), 0.0)
                noise = DiscreteGaussian(sigma_for_l2(epsilon, delta * (1 - 1e-6), most * most * cells))
            except PrivacyError:
                if half == COARSEST:
                    raise
                half //= 2
        extra = sampler_delta(noise, epsilon, cells)
        if extra > delta * 1e-6:
            raise PrivacyError(f"delta {delta} is too small beside epsilon {epsilon}", fix="Raise delta or lower epsilon")
        return Plan(half, most, noise, extra)

    def check(self, table_path: Path, unit: str | Unit) -> None:
        """Raise PrivacyError, before anything is spent, for data this mechanism would refuse."""
        from pellucid.privacy.private_tables.private_columns import checked_columns

        checked_columns(table_path, unit, [], list(self.columns))

    def run(
        self, table_path: Path, unit: str | Unit, epsilon: float, delta: float, key: bytes, scratch: Path
    ) -> dict[str, float]:
        """The release: per column `<column>`, the noised sum, and `<column>_error`, one standard deviation of its noise."""
        from pellucid.privacy.noise import Stream

        chosen, stream = self.plan(epsilon, delta, unit_of(unit).relation), Stream(key)
        sums = self.sums(table_path, unit, chosen.half, stream.subkey("bounding"), scratch)
        return self.noised(sums, chosen, stream)

    def noised(self, sums: NDArray[Any], chosen: Plan, stream: Stream) -> dict[str, float]:
        """What leaves of the true sums."""
        step, result = self.step(chosen.half), {}
        for column, value in zip(self.columns, sums + chosen.noise.draw(stream.fork("sums"), len(sums)), strict=True):
            result[column], result[f"{column}_error"] = int(value) * step, chosen.noise.sigma * step
        return result

    def sums(self, table_path: Path, unit: str | Unit, half: int, key: bytes, scratch: Path) -> NDArray[Any]:
        """The d sums in steps (before noise: private)."""
        import numpy as np

        from pellucid.privacy.private_tables.bounding import bounded_rows

        total = np.zeros(len(self.columns), dtype=np.int64)
        for rows in bounded_rows(
            table_path, unit, list(self.columns), key, scratch, lambda values: self.grid(values, half), self.max_contributions
        ):
            total += rows.sum(axis=0)
        return total

    def grid(self, values: list[NDArray[Any]], half: int) -> NDArray[Any]:
        """Values as whole numbers of steps within the bounds, one column each."""
        import numpy as np

        nearest, (low, high) = min(max(0.0, self.lower), self.upper), self.ends(half)
        columns = []
        for value in values:
            clamped = np.clip(np.where(np.isfinite(value), value, nearest), self.lower, self.upper)
            columns.append(np.clip(np.rint(clamped / self.step(half)), low, high).astype(np.int64))
        return np.stack(columns, axis=1)


def sum(
    columns: Sequence[str], lower: float = 0.0, upper: float = 1.0, max_contributions: int = 1, *, noise: str = "gaussian"
) -> Sum:
    """Sums of the columns, each value clamped to [lower, upper], over at most `max_contributions` rows of each person.

    `noise` is "gaussian", or "laplace" for a purely epsilon private release (delta may then be 0).
    """
    if isinstance(columns, str):
        columns = (columns,)
    return Sum(tuple(columns), lower, upper, max_contributions, noise)
