"""k-anonymity: how many rows share a person's quasi-identifiers (Samarati and Sweeney 1998)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.errors import DataError
from pellucid.privacy.assess.column_codes import class_sizes, columns_of, encode_all
from pellucid.privacy.assess.finding import Finding


def k_anonymity(data: Any, quasi_identifiers: Sequence[str]) -> Finding:
    """The size of the smallest class of rows alike in the columns `quasi_identifiers`.

    `data` is a path or anything that holds rows. `detail`: `unique` rows (alone in their class), `classes`, `mean` and `median` class
    size, and `distribution`, the rows in classes of 1, 2, 3-4, 5-9, 10-99 and 100 or more. Raises DataError for an empty table
    or a column there is not.
    """
    import numpy as np

    sizes = class_sizes(encode_all(columns_of(data, quasi_identifiers)))
    if not len(sizes):
        raise DataError("the table has no rows, so there is nothing to assess")
    sizes.sort()
    steps = [1, 2, 3, 5, 10, 100]
    at = [*np.searchsorted(sizes, steps), len(sizes)]
    names = ["1", "2", "3-4", "5-9", "10-99", "100 or more"]
    spread = {n: int(sizes[a:b].sum()) for n, a, b in zip(names, at[:-1], at[1:], strict=True)}
    k, rows = int(sizes[0]), int(sizes.sum())
    detail = {
        "unique": spread["1"],
        "classes": len(sizes),
        "mean": rows / len(sizes),
        "median": float(np.median(sizes)),
        "distribution": spread,
    }
    says = f"every row is alike in {', '.join(quasi_identifiers)} with at least {k - 1:,} others"
    if k == 1:
        says = (
            f"{spread['1']:,} of {rows:,} rows are alone with their {', '.join(quasi_identifiers)}: who knows these finds the row"
        )
    return Finding("k_anonymity", k, says, detail=detail)
