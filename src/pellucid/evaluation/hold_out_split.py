"""Train and hold-out people: a split in which nobody's place depends on anybody else.

A person's side is a function of the public seed and their own id; which of their items are hidden is a function of the seed and
their own rows. So the split keeps the unit of a private table (it is a per-unit step), and adding or removing a person leaves
everyone else's rows as they are. Tests hold both.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.errors import DataError, UsageError, suggest

if TYPE_CHECKING:
    import pyarrow as pa

HIDDEN = "hidden"


class Split(NamedTuple):
    """`train`: all rows of the training people. `holdout`: the other people's distinct items, with the column `hidden`."""

    train: pa.Table
    holdout: pa.Table


def split(
    table: Any, unit: str, item: str, seed: int | str = 0, share: float = 0.2, hide: float = 0.2, order: str | None = None
) -> Split:
    """Hold out about `share` of the people, and hide the share `hide` (rounded down, at least one) of each one's items.

    Hidden are the last items by the column `order` (first visits; ties by the seed), or without it items drawn by the seed. A
    held-out person with fewer than two distinct items has nothing both to know and to guess, and is left out of both tables.
    `table` is anything that speaks the Arrow PyCapsule interface; null units or items are refused.
    """
    import numpy as np
    import pyarrow as pa

    for name, value in (("share", share), ("hide", hide)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            raise UsageError(f"{name} must lie between 0 and 1, both excluded, not {value!r}")
    rows = as_table(table, [unit, item] if order is None else [unit, item, order])
    units = rows.column(unit).combine_chunks().dictionary_encode()
    held = np.array([_draw(seed, "side", value) < share * 2**64 for value in units.dictionary.to_pylist()], dtype=bool)
    out = held[np.asarray(units.indices)]
    train = rows.filter(pa.array(~out))
    known = rows.filter(pa.array(out))
    if order is None:
        pairs = known.select([unit, item]).group_by([unit, item]).aggregate([])
    else:
        pairs = known.group_by([unit, item]).aggregate([(order, "min")]).rename_columns([unit, item, order])
    pairs = pairs.combine_chunks()
    draws = [
        _draw(seed, "item", a, b) for a, b in zip(pairs.column(unit).to_pylist(), pairs.column(item).to_pylist(), strict=True)
    ]
    pairs = pairs.append_column("__draw", pa.array(draws, pa.uint64()))
    keys = [unit, "__draw"] if order is None else [unit, order, "__draw"]
    pairs = pairs.sort_by([(key, "ascending") for key in keys]).combine_chunks()
    codes = np.asarray(pairs.column(unit).combine_chunks().dictionary_encode().indices) if pairs.num_rows else np.zeros(0, int)
    sizes = np.bincount(codes) if len(codes) else np.zeros(0, int)
    starts = np.cumsum(sizes) - sizes
    place = np.arange(len(codes)) - starts[codes]
    hidden_items = np.minimum(np.maximum(1, np.floor(sizes * hide).astype(int)), np.maximum(sizes - 1, 0))
    hidden = place >= (sizes - hidden_items)[codes]
    holdout = pa.table({unit: pairs.column(unit), item: pairs.column(item), HIDDEN: hidden})
    holdout = holdout.filter(pa.array(sizes[codes] >= 2)).sort_by([(unit, "ascending"), (item, "ascending")])
    return Split(train, holdout)


def split_by_time(table: Any, unit: str, item: str, order: str, hide: float = 0.2) -> Split:
    """Everyone's last items hidden from a model that is fitted on everyone's earlier ones.

    Of each person's distinct items, by their first time (equal times by item), the last share `hide` is hidden, rounded down, at least one;
    somebody with one item is in training alone. `train`: the rows that are not hidden (unit, item, order); `holdout`: as in `split`.
    A person's rows depend on their own alone; but a model fitted on `train` has seen the people it is scored on, so its scores cannot be
    released as those of `split` can.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(hide, bool) or not isinstance(hide, int | float) or not 0 < hide < 1:
        raise UsageError(f"hide must lie between 0 and 1, both excluded, not {hide!r}")
    rows = (
        as_table(table, [unit, item, order])
        .group_by([unit, item])
        .aggregate([(order, "min")])
        .rename_columns([unit, item, order])
    )
    rows = rows.sort_by([(unit, "ascending"), (order, "ascending"), (item, "ascending")]).combine_chunks()
    codes = np.asarray(rows.column(unit).combine_chunks().dictionary_encode().indices) if rows.num_rows else np.zeros(0, int)
    sizes = np.bincount(codes) if len(codes) else np.zeros(0, int)
    place = np.arange(len(codes)) - (np.cumsum(sizes) - sizes)[codes]
    last = np.minimum(np.maximum(1, np.floor(sizes * hide).astype(int)), np.maximum(sizes - 1, 0))
    hidden = pa.array(place >= (sizes - last)[codes])
    holdout = pa.table({unit: rows.column(unit), item: rows.column(item), HIDDEN: hidden})
    holdout = holdout.filter(pa.array(sizes[codes] >= 2)).sort_by([(unit, "ascending"), (item, "ascending")])
    return Split(rows.filter(pc.invert(hidden)), holdout)


def as_table(table: Any, columns: list[str]) -> pa.Table:
    """Those columns of anything that speaks the Arrow PyCapsule interface, dictionaries decoded, without nulls; or DataError."""
    import pyarrow as pa

    whole = table if isinstance(table, pa.Table) else pa.table(table.arrow() if hasattr(table, "arrow") else table)
    for column in columns:
        if column not in whole.column_names:
            near = suggest(column, whole.column_names, f"Its columns are {', '.join(whole.column_names)}")
            raise DataError(f"the table has no column {column!r}", fix=near)
        if whole.column(column).null_count:
            raise DataError(f"column {column!r} has rows without a value", fix="Drop or fill them while ingesting")
    chosen = whole.select(columns)
    fields = [
        pa.field(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
        for field in chosen.schema
    ]
    return chosen.cast(pa.schema(fields))


def _draw(seed: int | str, use: str, *values: Any) -> int:
    text = "\0".join([f"{len(str(part))}:{part}" for part in (seed, use, *values)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
