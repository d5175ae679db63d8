"""t-closeness: how far a class's sensitive values lie from the whole table's (Li, Li and Venkatasubramanian 2007)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError
from pellucid.privacy.assess.column_codes import Codes, classes, columns_of, encode_all, pairs
from pellucid.privacy.assess.diversity import _apart
from pellucid.privacy.assess.finding import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray


def t_closeness(data: Any, quasi_identifiers: Sequence[str], sensitive: str, *, ordered: bool | None = None) -> Finding:
    """The largest earth mover's distance between a class's distribution of `sensitive` and the table's, 0 to 1.

    `ordered`: by ranks, each step between neighbouring values costing 1/(m-1) (for m values); otherwise all values lie equally far
    apart and the distance is half the sum of the differences. By default numbers, dates and times are ordered. Raises DataError.
    """
    import pyarrow as pa

    *columns, values = columns_of(data, _apart(quasi_identifiers, sensitive))
    *codes, kept = encode_all([*columns, values])
    if not len(kept.of):
        raise DataError("the table has no rows, so there is nothing to assess")
    if ordered is None:
        kind = values.type
        ordered = (
            pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_temporal(kind)
        )
    of_class, count = classes(codes)
    t = float(distances(of_class, count, kept.ordered() if ordered else kept, ordered).max())
    kind_of = "ranks" if ordered else "equally distant values"
    return Finding(
        f"{sensitive}_t_closeness",
        t,
        f"knowing the class moves what one believes of {sensitive} by at most this much (0 nothing, 1 everything; {kind_of})",
        detail={"ordered": int(ordered)},
    )


def distances(of_class: NDArray[Any], count: int, sensitive: Codes, ordered: bool) -> NDArray[Any]:
    """The distance of each class. Where ordered, codes must rise with the values.

    Only the values that occur in a class are looked at. Unordered: half the sum of |p - q| is the sum of p - q where positive, and
    p is 0 elsewhere. Ordered: between two values that occur, the class's cumulated share stands still at c while the table's, Q,
    rises, so the sum of |c - Q| over the gap comes from prefix sums of Q and the place where Q passes c.
    """
    import numpy as np

    held, code, rows = pairs(of_class, sensitive)
    share = rows / np.bincount(of_class, minlength=count)[held]
    whole = np.bincount(sensitive.of, minlength=sensitive.size) / len(sensitive.of)
    if not ordered:
        return np.bincount(held, weights=np.maximum(share - whole[code], 0), minlength=count)
    if sensitive.size < 2:
        return np.zeros(count)
    risen = np.cumsum(whole)
    risen[-1] = 1.0
    area = np.r_[0.0, np.cumsum(risen)]
    first = np.r_[True, held[1:] != held[:-1]]
    summed = np.cumsum(share)
    base = (summed - share)[first][np.cumsum(first) - 1]
    level = np.minimum(summed - base, 1.0)
    last = np.r_[first[1:], True]
    level[last] = 1.0
    until = np.where(last, sensitive.size, np.r_[code[1:], 0])
    split = np.clip(np.searchsorted(risen, level), code, until)
    gap = level * (split - code) - (area[split] - area[code]) + (area[until] - area[split]) - level * (until - split)
    moved = np.bincount(held, weights=np.maximum(gap, 0), minlength=count)
    moved += area[code[first]]  # before its first value a class's share is 0
    return moved / (sensitive.size - 1)
