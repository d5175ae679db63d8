"""How much a generalisation loses: each measure a number from 0 (the table as it was) to 1 (nothing left)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.transforms.hierarchy import Hierarchy


def leaves(hierarchy: Hierarchy, level: int) -> NDArray[Any]:
    """For each row of a hierarchy, how many of its values fall together with it at a level."""
    import numpy as np

    codes, count = hierarchy.codes(level)
    together: NDArray[Any] = np.bincount(codes, minlength=count)[codes]
    return together


def ncp(hierarchy: Hierarchy, level: int) -> NDArray[Any]:
    """For each row of a hierarchy, the normalised certainty penalty (Xu et al. 2006): values that fall together, as a share of all of
    the hierarchy's; 0 for a value that stands alone."""
    import numpy as np

    together = leaves(hierarchy, level)
    return np.where(together > 1, together / len(hierarchy.rows), 0.0)


def iyengar(hierarchy: Hierarchy, level: int) -> NDArray[Any]:
    """For each row of a hierarchy, Iyengar's loss (2002): the other values that fall together with it, as a share of all others."""
    import numpy as np

    together = leaves(hierarchy, level)
    return (together - 1) / max(1, len(hierarchy.rows) - 1) if len(hierarchy.rows) > 1 else np.zeros(1)


def discernibility(sizes: NDArray[Any], suppressed: int, rows: int) -> int:
    """Bayardo and Agrawal (2005): each kept row costs the size of its class, each suppressed one the size of the table."""
    return int((sizes.astype(object) ** 2).sum()) + suppressed * rows if len(sizes) else suppressed * rows
