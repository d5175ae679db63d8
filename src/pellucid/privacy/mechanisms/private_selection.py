"""Choosing among settings by their quality on private data, as a release that is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True)
class SelectBest:
    """The name of the column with the highest total quality.

    The table holds one row per unit and one column per setting: how well the setting serves that unit.
    Unit and neighbouring relation: as the source declares them; of a unit with several rows one is drawn by the key (bounding.py).
    Statistic: each value is clamped to [lower, upper] (null, NaN and infinities count as `lower`) and rounded to a whole number in
    0 .. grid. A setting's score is the sum. With grid 1 and bounds 0 and 1 it is the number of units that the setting serves well.
    Sensitivity: one unit moves every score by at most grid, all upwards or all downwards; replaced by another, in either direction.
    Guarantee: epsilon, purely (delta may be 0), by one noisy maximum (report_noisy_max.py).
    Source: Dwork, Roth (2014), section 3.3; McKenna, Sheldon (2020).
    Why the code meets it: what leaves is the place of the maximum, and the settings' names are public.

    Whoever changes what this computes must raise `version`: the noise stream of a release depends on it (see gram_matrix.py).
    """

    columns: tuple[str, ...]
    lower: float = 0.0
    upper: float = 1.0
    grid: int = 100

    name: ClassVar[str] = "select_best"
    version: ClassVar[int] = 1
    output_kind: ClassVar[str] = "table"
    pure: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.columns, tuple) or not 2 <= len(set(self.columns)) == len(self.columns) <= 10_000:
            raise PrivacyError("columns must name 2 to 10000 columns, each once")
        for column in self.columns:
            checked_name("columns", column)
        lower, upper = checked_bounds(self.lower, self.upper)
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)
        checked_count("grid", self.grid, 1, 1000)

    def parameters(self) -> dict[str, Any]:
        """All that defines the statistic and how it is computed, for the release's id."""
        given = {"mechanism": self.name, "version": self.version, "columns": list(self.columns)}
        return {**given, "lower": self.lower, "upper": self.upper, "grid": self.grid}

    def guarantee(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, Any]:
        """The guarantee in words and numbers; public."""
        noise = self.plan(epsilon, delta, relation)
        return promise(
            self.parameters(),
            epsilon,
            delta,
            relation,
            sensitivity=f"one unit changes every score by at most {self.grid}",
            noise="geometric on every score",
            events=[pure_event(epsilon)],
            beyond=[BY_MODEL],
            scale=str(noise.scale),
        )

    def numbers(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, float]:
        """The same as flat numbers; `people` is by how many people's full quality the noise of a score spreads."""
        scale = float(self.plan(epsilon, delta, relation).scale)
        return {"epsilon": float(epsilon), "delta": float(delta), "scale": scale, "people": scale / self.grid}

    def plan(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> DiscreteLaplace:
        """The noise of each score."""
        checked_delta(delta, pure=True)
        return noise_for_maximum(checked_epsilon(epsilon), self.grid, monotone=relation != REPLACE)

    def check(self, table_path: Path, unit: str | Unit) -> None:
        """Raise PrivacyError, before anything is spent, for data this mechanism would refuse."""
        from pellucid.privacy.private_tables.private_columns import checked_columns

        checked_columns(table_path, unit, [], list(self.columns))

    def run(self, table_path: Path, unit: str | Unit, epsilon: float, delta: float, key: bytes, scratch: Path) -> pa.Table:
        """The release: one row with the `chosen` column's name."""
        import pyarrow as pa

        from pellucid.privacy.noise import Stream

        noise, stream = self.plan(epsilon, delta, unit_of(unit).relation), Stream(key)
        scores = self.scores(table_path, unit, stream.subkey("bounding"), scratch)
        return pa.table({"chosen": [self.columns[noisy_maximum(scores, noise, stream.fork("scores"))]]})

    def scores(self, table_path: Path, unit: str | Unit, key: bytes, scratch: Path) -> NDArray[Any]:
        """The settings' scores (before noise: private)."""
        import numpy as np

        from pellucid.privacy.private_tables.bounding import bounded_rows

        total = np.zeros(len(self.columns), dtype=np.int64)
        for rows in bounded_rows(table_path, unit, list(self.columns), key, scratch, self.served):
            total += rows.sum(axis=0)
        return total

    def served(self, values: list[NDArray[Any]]) -> NDArray[Any]:
        """Qualities as whole numbers in 0 .. grid, one column each."""
        import numpy as np

        columns = []
        for value in values:
            clamped = np.clip(np.where(np.isfinite(value), value, self.lower), self.lower, self.upper)
            share = (clamped - self.lower) / (self.upper - self.lower)
            columns.append(np.clip(np.rint(share * self.grid), 0, self.grid).astype(np.int64))
        return np.stack(columns, axis=1)


def select_best(columns: Sequence[str], lower: float = 0.0, upper: float = 1.0, grid: int = 100) -> SelectBest:
    """Which of the columns (one per setting, one row per person: how well it serves that person) is best in total. Delta may be 0."""
    return SelectBest(tuple(columns), lower, upper, grid)
