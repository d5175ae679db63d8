"""delta-presence: how sure one can be that a person of a known population is in the table (Nergiz, Atzori and Clifton 2007)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.errors import DataError
from pellucid.privacy.assess.column_codes import classes, columns_of, encode_all
from pellucid.privacy.assess.finding import Finding


def delta_presence(data: Any, population: Any, quasi_identifiers: Sequence[str]) -> Finding:
    """The highest share, over the classes of the public table `population`, of people who are in `data`.

    `data` must be drawn from `population` (same columns, same values): a class with more rows in `data` than in `population` is
    refused. `detail` has `lowest`, the other bound; a class of the population that is not in `data` makes it 0: its
    people are known to be absent.
    Raises DataError.
    """
    import numpy as np
    import pyarrow as pa

    few, many = columns_of(data, quasi_identifiers), columns_of(population, quasi_identifiers)
    rows = len(few[0])
    try:
        joined = []
        for a, b in zip(few, many, strict=True):
            kind = b.type if pa.types.is_null(a.type) else a.type
            joined.append(pa.chunked_array([*a.cast(kind).chunks, *b.cast(kind).chunks], kind))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            "the population's columns are of other types than the table's", fix="Read both in the same way"
        ) from error
    if not rows:
        raise DataError("the table has no rows, so there is nothing to assess")
    of_class, count = classes(encode_all(joined))
    inside = np.bincount(of_class[:rows], minlength=count)
    around = np.bincount(of_class[rows:], minlength=count)
    if (inside > around).any():
        raise DataError(
            f"{int((inside > around).sum()):,} classes have more rows in the table than in the population",
            fix="Give as population a table that holds everybody of this one, with the same columns",
        )
    share = inside / around
    return Finding(
        "delta_presence",
        float(share.max()),
        "of somebody in the population one can be at most this sure that they are in the table",
        "anything about a population that the adversary knows better than this one",
        {"lowest": float(share.min()), "classes": count, "certain_classes": int((share == 1).sum())},
    )
