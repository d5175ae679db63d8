"""What a released Gram matrix says about people: how many hold each item, and each two, out of how many.

Everything here is post-processing of the release: it costs nothing and may be done by anyone.

A matrix of counts says it directly. A matrix of weights (equal_norm_gram.py) adds A(m) to the items and W(m) to the pairs of a person
with m items, so its diagonal is no count. With n_i(m) people of history size m who hold item i, the diagonal is sum_m A(m) n_i(m), and
the row's sum over the other items sum_m W(m) (m - 1) n_i(m). Taking n_i(m) = k_i m h(m) e^(theta_i m), with h the histogram of sizes,
theta_i follows from row_i / diagonal_i (monotone, by bisection) and k_i from the diagonal. Counts of pairs are the cells times one
constant, sum m (m - 1) h / sum W m (m - 1) h: tilting them too is worse, because who holds two items depends on m in its own way. On
msweb without noise items are off by 0.7 %, pairs by about 25 %: that model error stays.

The histogram h is released beside the matrix (`sizes`), or, where it is not, taken to be geometric between 1 and the cap, with the ratio
that fits the matrix's own sums: the sum of the diagonal is sum_m A(m) m h(m), that of the rows sum_m W(m) m (m - 1) h(m) (A = W = 1 for
counts).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

REACH = 3.0  # standard deviations from which a pair is taken as held
TILTS = 3.0
ROUNDS = 60


@dataclass(frozen=True)
class Statistics:
    """Estimates of K items: `held` (K) and `together` (K x K) are numbers of people out of `people`, of whom `sizes[m - 1]` hold m items.

    `kept`: which pairs stand out of the noise; `apart`: which do not although independent items would.
    """

    items: NDArray[Any]
    held: NDArray[Any]
    together: NDArray[Any]
    kept: NDArray[Any]
    apart: NDArray[Any]
    sizes: NDArray[Any]

    @property
    def people(self) -> float:
        return float(self.sizes.sum())


def statistics(gram: Any, numbers: Mapping[str, float], sizes: Any = None) -> Statistics:
    """The estimates of a released matrix (long form), the numbers of its guarantee, and a released histogram of history sizes.

    `numbers` has `sigma`, `max_contributions` and, for weights, `scale`. `sizes` has a column `size` (1 to the cap) and one of counts.
    Raises DataError for a matrix that names nothing or holds nothing, and for sizes that are not of its cap.
    """
    import numpy as np

    from pellucid.models import matrix_of
    from pellucid.privacy.mechanisms import weight_table

    items, cells, weighted = matrix_of(gram)
    sigma, cap = _number(numbers, "sigma"), int(_number(numbers, "max_contributions"))
    diagonal = np.maximum(np.diag(cells) / (2 if weighted else 1), 0.0)
    if not len(items) or not diagonal.sum() > REACH * sigma * math.sqrt(len(items)):
        raise DataError(
            "the matrix says nothing about anybody",
            why="it names no item" if not len(items) else "its items do not stand out of the noise",
            fix="Raise epsilon, or release from more people",
        )
    m = np.arange(1, cap + 1, dtype=np.float64)
    if weighted:
        digits = round(math.log2(_number(numbers, "scale")))
        own, pair = (np.array(column, dtype=np.float64) for column in zip(*weight_table(cap, digits), strict=True))
    else:
        own, pair = np.ones(cap), np.ones(cap)
    off = cells - np.diag(np.diag(cells))
    rows = off.sum(axis=1)
    histogram = _sizes(sizes, cap) if sizes is not None else _geometric(diagonal.sum(), rows.sum(), own, pair, m)
    if weighted:
        held, together = _counts(diagonal, rows, off, histogram, own, pair, m)
    else:
        held, together = diagonal, off
    kept = (off >= REACH * sigma if sigma > 0 else off > 0) & ~np.eye(len(items), dtype=bool)
    people = float(histogram.sum())
    factor = together.sum() / off.sum() if weighted and off.sum() > 0 else 1.0
    alone = np.outer(held, held) / max(people, 1.0)
    apart = ~kept & (alone >= REACH * max(sigma, 1e-9) * factor) & ~np.eye(len(items), dtype=bool)
    return Statistics(items, held, together, kept, apart, histogram)


def _counts(
    diagonal: NDArray[Any],
    rows: NDArray[Any],
    off: NDArray[Any],
    h: NDArray[Any],
    own: NDArray[Any],
    pair: NDArray[Any],
    m: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Counts of items by tilting, of pairs by one constant (see above)."""
    import numpy as np

    wanted = rows / np.maximum(diagonal, 1.0)
    low, high = np.full(len(diagonal), -TILTS), np.full(len(diagonal), TILTS)
    centred = m - m.mean()
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        mass = np.exp(middle[:, None] * centred) * (m * h)
        found = (mass @ (pair * (m - 1))) / (mass @ own)
        low, high = np.where(found < wanted, middle, low), np.where(found < wanted, high, middle)
    mass = np.exp(((low + high) / 2)[:, None] * centred) * (m * h)
    held = diagonal * mass.sum(axis=1) / (mass @ own)
    both = m * (m - 1) * h
    weight = float((pair * both).sum())
    return held, off * (float(both.sum()) / weight if weight > 0 else 0.0)


def _geometric(diagonal: float, rows: float, own: NDArray[Any], pair: NDArray[Any], m: NDArray[Any]) -> NDArray[Any]:
    """Sizes by a geometric law between 1 and the cap, whose sums are the matrix's."""
    import numpy as np

    low, high = -12.0, 3.0
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        law = np.exp(middle * (m - m.max() * (middle > 0)))
        found = (pair * m * (m - 1) * law).sum() / (own * m * law).sum()
        low, high = (middle, high) if found < rows / diagonal else (low, middle)
    law = np.exp(low * (m - m.max() * (low > 0)))
    return np.asarray(law * diagonal / (own * m * law).sum())


def _sizes(table: Any, cap: int) -> NDArray[Any]:
    """The released histogram, clipped at 0."""
    import numpy as np

    from pellucid.models import arrow_of

    rows = arrow_of(table)
    counts = [name for name in rows.column_names if name != "size"]
    if "size" not in rows.column_names or len(counts) != 1:
        raise DataError(
            "the sizes are no histogram", why=f"columns {', '.join(rows.column_names)}", fix="Release pl.synthesize.sizes"
        )
    found = {
        int(size): float(count)
        for size, count in zip(rows.column("size").to_pylist(), rows.column(counts[0]).to_pylist(), strict=True)
    }
    if sorted(found) != list(range(1, cap + 1)):
        raise DataError(
            f"the sizes do not go from 1 to {cap}, the most items the matrix took of a person",
            fix=f"Give `sizes` max_contributions={cap} and its histogram public_keys=range(1, {cap + 1})",
        )
    histogram = np.maximum([found[size] for size in range(1, cap + 1)], 0.0)
    if not histogram.sum() > 0:
        raise DataError("the histogram of sizes counts nobody", fix="Raise its epsilon")
    return histogram


def _number(numbers: Mapping[str, float], name: str) -> float:
    try:
        return float(numbers[name])
    except (KeyError, TypeError, ValueError):
        raise DataError(f"the numbers of the release lack {name}", fix="Give the guarantee of the matrix itself") from None
