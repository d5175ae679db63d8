"""How far two values part: the cells that differ, and their deviations. Gathered over the parts of a value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Difference:
    """`where` two values first part (a column, array or metric), how many `cells` differ in all (0 when names, types or sizes
    do), the largest absolute and relative (to the larger of the two) deviation over all of them, and a sentence of `detail`.

    `max_scaled` is the largest deviation relative to the cell, or to the typical size of a cell of its column or array where that is
    larger: what rounding in linear algebra is measured by, where single cells may be near zero. A typical size is the lower median, so
    that no few large cells make room for others."""

    where: str
    cells: int
    max_abs: float | None
    max_rel: float | None
    detail: str
    max_scaled: float | None = None


@dataclass
class DifferenceCounts:
    """Differing cells, gathered over the parts of a value."""

    cells: int = 0
    exact: bool = False  # a cell differs that is not a pair of floats
    max_abs: float = 0.0
    max_rel: float = 0.0
    max_scaled: float = 0.0
    places: list[str] = field(default_factory=list)

    def floats(self, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], typical: float) -> None:
        """Take in the deviations of two arrays of the same length whose elements all differ (complex counts as float); `typical` is the
        size of a cell where they are from."""
        import numpy as np

        if not x.size:
            return
        if (np.isnan(x) | np.isnan(y)).any():
            self.exact = True
            return
        with np.errstate(all="ignore"):
            gap = np.abs(x - y)
            larger = np.maximum(np.abs(x), np.abs(y))
            ratio = gap / larger
            scaled = float((gap / np.maximum(larger, typical)).max())
        self.max_abs = max(self.max_abs, float(gap.max()))
        self.max_scaled = max(self.max_scaled, scaled if math.isfinite(scaled) else math.inf)
        self.max_rel = max(self.max_rel, float(np.where(np.isnan(ratio), np.inf, ratio).max()))

    def difference(self, total: int, unit: str) -> Difference:
        where, *others = self.places
        detail = f"{self.cells:,} of {total:,} cells differ" + (f", also in {', '.join(others[:5])}" if others else "")
        if len(others) > 5:
            detail += f" and {len(others) - 5} more {unit}"
        if self.exact:
            return Difference(where, self.cells, None, None, detail)
        detail += f", by at most {self.max_abs:.3g} (relative {self.max_rel:.3g})"
        return Difference(where, self.cells, self.max_abs, self.max_rel, detail, self.max_scaled)


class Sizes:
    """The sizes of the cells of a column, counted by powers of two."""

    def __init__(self) -> None:
        import numpy as np

        self.counts = np.zeros(2200, dtype=np.int64)

    def add(self, values: np.ndarray[Any, Any]) -> Sizes:
        import numpy as np

        sizes = np.abs(values.reshape(-1)).astype(np.float64)
        exponents = np.frexp(sizes[np.isfinite(sizes) & (sizes > 0)])[1]
        self.counts += np.bincount(exponents + 1100, minlength=self.counts.size)
        return self

    @property
    def typical(self) -> float:
        """The lower median of what is not 0, at most a factor of two too small; 0.0 where all is."""
        import numpy as np

        middle = (int(self.counts.sum()) + 1) // 2
        return math.ldexp(0.5, int(np.searchsorted(np.cumsum(self.counts), middle)) - 1100) if middle else 0.0
