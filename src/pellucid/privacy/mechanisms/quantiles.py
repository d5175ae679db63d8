"""Quantiles of people's values, on a grid that is declared beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import PrivacyError
from pellucid.privacy.accounting import promise, pure_event
from pellucid.privacy.mechanisms.mean import BY_MODEL
from pellucid.privacy.mechanisms.report_noisy_max import noise_for_maximum, noisy_maximum
from pellucid.privacy.noise import DiscreteLaplace
from pellucid.privacy.parameters import checked_bounds, checked_count, checked_delta, checked_epsilon, checked_name
from pellucid.store import ADD_REMOVE, REPLACE, Unit, unit_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARTS = 1000  # a quantile's level is a whole number of thousandths


@dataclass(frozen=True)
class Quantiles:
    """Quantiles over units of one column, as points of a grid of `steps` + 1 points from lower to upper.

    Unit and neighbouring relation: as the source declares them; of a unit with several rows one is drawn by the key (bounding.py).
    Statistic: each value is clamped to [lower, upper] (null, NaN and infinities count as `lower`) and rounded to a point of the grid. At
    level a/b the score of a point is -|(b - a) L - a R| with L the units below it and R those above it, or 0 if that sign of imbalance
    would be met by the units on the point itself (it then is the quantile).
    Sensitivity: one unit moves either L or R, by 1, so a score by at most max(a, b - a), up or down; replaced by another, L and R by at
    most 1 each, opposite: b. The 0 is the point nearest 0 in an interval that moves by no more than its two ends do.
    Guarantee: epsilon, purely (delta may be 0): one noisy maximum for each level, of an equal share of epsilon (report_noisy_max.py).
    Source: Smith, "Privacy-preserving statistical estimation with optimal convergence rates" (2011), for the scores; McKenna, Sheldon
    (2020) for the choice.
    Why the code meets it: counts, scores and noise are integers, the grid is public, and what leaves are places on it, put in order.

    Whoever changes what this computes must raise `version`: the noise stream of a release depends on it (see gram_matrix.py).
    """

    column: str
    lower: float
    upper: float
    levels: tuple[float, ...] = (0.5,)
    steps: int = 1000

    name: ClassVar[str] = "quantiles"
    version: ClassVar[int] = 1
    output_kind: ClassVar[str] = "metrics"
    pure: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_name("column", self.column)
        lower, upper = checked_bounds(self.lower, self.upper)
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)
        checked_count("steps", self.steps, 1, 1_000_000)
        if not isinstance(self.levels, tuple) or not 1 <= len(self.levels) <= 100:
            raise PrivacyError("levels must list 1 to 100 numbers from 0.001 to 0.999")
        for level in self.levels:
            if isinstance(level, bool) or not isinstance(level, int | float) or not 1 <= round(level * PARTS) <= PARTS - 1:
                raise PrivacyError(f"a level must be from 0.001 to 0.999, not {level!r}")
        if list(self.parts) != sorted(set(self.parts)):
            raise PrivacyError("levels must rise, and differ by a thousandth at least")

    @property
    def parts(self) -> tuple[int, ...]:
        """The levels in thousandths."""
        return tuple(round(level * PARTS) for level in self.levels)

    def parameters(self) -> dict[str, Any]:
        """All that defines the statistic and how it is computed, for the release's id."""
        given = {"mechanism": self.name, "version": self.version, "column": self.column, "lower": self.lower, "upper": self.upper}
        return {**given, "levels": list(self.levels), "steps": self.steps}

    def guarantee(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, Any]:
        """The guarantee in words and numbers; public."""
        plans = self.plan(epsilon, delta, relation)
        return promise(
            self.parameters(),
            epsilon,
            delta,
            relation,
            sensitivity="one unit changes the scores at each level by at most "
            + ", ".join(str(self.shift(part, relation)) for part in self.parts),
            noise="geometric on every score",
            events=[pure_event(epsilon / len(self.levels))] * len(self.levels),
            beyond=[BY_MODEL],
            scales=[str(noise.scale) for noise in plans],
        )

    def numbers(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, float]:
        """The same as flat numbers; `ranks` is by how many people the noise of a score spreads at the first level."""
        noise = self.plan(epsilon, delta, relation)[0]
        given = {"epsilon": float(epsilon), "delta": float(delta), "levels": float(len(self.levels))}
        return {**given, "ranks": float(noise.scale) / _lowest(self.parts[0])[1]}

    def shift(self, part: int, relation: str) -> int:
        """By how much one unit moves a score at most."""
        a, b = _lowest(part)
        return b if relation == REPLACE else max(a, b - a)

    def plan(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> list[DiscreteLaplace]:
        """The noise for each level."""
        checked_delta(delta, pure=True)
        share = Fraction(checked_epsilon(epsilon)) / len(self.levels)
        return [noise_for_maximum(share, self.shift(part, relation), monotone=False) for part in self.parts]

    def check(self, table_path: Path, unit: str | Unit) -> None:
        """Raise PrivacyError, before anything is spent, for data this mechanism would refuse."""
        from pellucid.privacy.private_tables.private_columns import checked_columns

        checked_columns(table_path, unit, [], [self.column])

    def run(
        self, table_path: Path, unit: str | Unit, epsilon: float, delta: float, key: bytes, scratch: Path
    ) -> dict[str, float]:
        """The release: `p<level in percent>` for each level, each a point of the grid, not falling."""
        from pellucid.privacy.noise import Stream

        plans, stream = self.plan(epsilon, delta, unit_of(unit).relation), Stream(key)
        counts = self.counts(table_path, unit, stream.subkey("bounding"), scratch)
        places = [
            noisy_maximum(scores(counts, part), noise, stream.fork(f"level {part}"))
            for part, noise in zip(self.parts, plans, strict=True)
        ]
        width = self.upper - self.lower
        return {
            f"p{part / 10:g}": min(self.upper, self.lower + width * place / self.steps)
            for part, place in zip(self.parts, sorted(places), strict=True)
        }

    def counts(self, table_path: Path, unit: str | Unit, key: bytes, scratch: Path) -> NDArray[Any]:
        """How many units have each point of the grid (before noise: private)."""
        import numpy as np

        from pellucid.privacy.private_tables.bounding import bounded_rows

        total = np.zeros(self.steps + 1, dtype=np.int64)
        for rows in bounded_rows(table_path, unit, [self.column], key, scratch, self.points):
            total += np.bincount(rows[:, 0], minlength=self.steps + 1)
        return total

    def points(self, values: list[NDArray[Any]]) -> NDArray[Any]:
        """Values as places on the grid, in one column."""
        import numpy as np

        (value,) = values
        clamped = np.clip(np.where(np.isfinite(value), value, self.lower), self.lower, self.upper)
        share = (clamped - self.lower) / (self.upper - self.lower)
        return np.clip(np.rint(share * self.steps), 0, self.steps).astype(np.int64)[:, None]


def _lowest(part: int) -> tuple[int, int]:
    level = Fraction(part, PARTS)
    return level.numerator, level.denominator


def scores(counts: NDArray[Any], part: int) -> NDArray[Any]:
    """The score of each point at a level: minus how far its imbalance is from what the units on it can make up (private).

    With O units on the point, the imbalance (b - a) L - a R may be moved by giving its O to either side: down to it - a O, up to it
    + (b - a) O. The score is minus the distance of that interval from 0. Each end is linear in the counts: the lower is
    (b - a) L - a (R + O), the upper (b - a) (L + O) - a R, and one unit moves each by a or by b - a.
    """
    import numpy as np

    a, b = _lowest(part)
    below = np.cumsum(counts) - counts
    above = counts.sum() - below - counts
    low, high = (b - a) * below - a * (above + counts), (b - a) * (below + counts) - a * above
    return np.asarray(-np.maximum(0, np.maximum(low, -high)))


def quantiles(column: str, lower: float, upper: float, levels: Sequence[float] = (0.5,), steps: int = 1000) -> Quantiles:
    """Quantiles of the column over people, on `steps` equal steps from lower to upper. Delta may be 0.

    Epsilon is shared evenly among the `levels` (0.5 is the median), which are whole thousandths.
    """
    return Quantiles(column, lower, upper, tuple(levels), steps)
