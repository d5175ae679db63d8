"""l-diversity: how much the rows of one class differ in a sensitive column (Machanavajjhala et al. 2007)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError
from pellucid.privacy.assess.column_codes import classes, columns_of, encode_all, pairs
from pellucid.privacy.assess.finding import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray


def l_diversity(data: Any, quasi_identifiers: Sequence[str], sensitive: str, *, l: int | None = None) -> tuple[Finding, ...]:  # noqa: E741
    """Distinct, entropy and recursive (c,l)-diversity of the column `sensitive` in the classes of `quasi_identifiers`.

    Distinct: the fewest different values in a class. Entropy: e to the smallest entropy of a class, the l of entropy l-diversity.
    Recursive: the smallest c so that in every class the most frequent value occurs at most c times as often as the values from the
    l-th on together, strictly above it only for c greater; infinite where a class has fewer than l values. `l` is by default the
    distinct l of the table. Raises DataError, UsageError.
    """
    import numpy as np

    *codes, kept = encode_all(columns_of(data, _apart(quasi_identifiers, sensitive)))
    if not len(kept.of):
        raise DataError("the table has no rows, so there is nothing to assess")
    of_class, _ = classes(codes)
    held, _, rows = pairs(of_class, kept)
    starts = np.flatnonzero(np.r_[True, held[1:] != held[:-1]])
    different = np.diff(np.r_[starts, len(held)])
    distinct = int(different.min())
    share = rows / np.add.reduceat(rows, starts)[held]
    entropy = np.add.reduceat(-share * np.log(share), starts)
    wanted = distinct if l is None else l
    if wanted < 1:
        raise UsageError(f"l must be at least 1, not {wanted}", where="l-diversity")
    c = _recursive(held, rows, starts, different, wanted)
    name = f"{sensitive}_"
    homogeneous = int(np.add.reduceat(rows, starts)[different == 1].sum())
    return (
        Finding(
            f"{name}distinct_l",
            distinct,
            f"each class holds at least {distinct:,} different {sensitive}; {homogeneous:,} rows lie in classes with one only",
            detail={"homogeneous_rows": homogeneous},
        ),
        Finding(
            f"{name}entropy_l",
            float(math.exp(entropy.min())),
            f"the least mixed class is as if it held this many equally frequent {sensitive}",
        ),
        Finding(
            f"{name}recursive_c",
            c,
            f"in no class does one {sensitive} occur more than this many times as often as those from rank {wanted} on together",
            detail={"l": wanted},
        ),
    )


def _apart(quasi_identifiers: Sequence[str], sensitive: str) -> list[str]:
    if sensitive in quasi_identifiers:
        raise UsageError(f'"{sensitive}" cannot be quasi-identifier and sensitive at once', fix="Leave it out of one")
    return [*quasi_identifiers, sensitive]


def _recursive(held: NDArray[Any], rows: NDArray[Any], starts: NDArray[Any], different: NDArray[Any], wanted: int) -> float:
    """max over classes of r1 / (r_l + ... + r_m), counts falling."""
    import numpy as np

    if int(different.min()) < wanted:
        return math.inf
    falling = rows[np.lexsort((-rows, held))]
    summed = np.r_[0, np.cumsum(falling)]
    tail = summed[starts + different] - summed[starts + wanted - 1]
    return float((falling[starts] / tail).max())
