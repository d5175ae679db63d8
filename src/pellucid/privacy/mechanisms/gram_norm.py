"""`gram`: the matrix of pairs, as counts or with every person's part at the same length."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.privacy.mechanisms.equal_norm_gram import EqualNormGram
from pellucid.privacy.mechanisms.gram_matrix import Gram
from pellucid.privacy.parameters import checked_option

NORMS = ("counts", "equal")
CAPS = {"counts": 5, "equal": 15}


def gram(
    item: str,
    max_contributions: int | None = None,
    max_items: int = 2000,
    *,
    norm: str = "counts",
    public_keys: Sequence[str] | Sequence[int] = (),
    other: str = "",
) -> Gram | EqualNormGram:
    """The bounded Gram matrix of the `item` column: at most `max_contributions` items of each unit count, at most `max_items` are named.

    `norm="counts"`: each pair's cell is how many units hold both (column `count`; 5 items a unit where `max_contributions` is not given).
    `norm="equal"`: every unit's part is scaled to the same length (column `weight`; 15 items). The cells are no counts then, and a
    recommender that is trained on them comes closer to what it would be without privacy: take it for training, counts for reading.

    `public_keys` lists the items when they are known beforehand, as a catalogue is: then all of them are in the release and nothing is left
    out; other values are counted as the item `other`, or refused where there is none.
    """
    checked_option("norm", norm, NORMS)
    cap = CAPS[norm] if max_contributions is None else max_contributions
    kind = EqualNormGram if norm == "equal" else Gram
    return kind(item, cap, max_items, tuple(public_keys), other)
