"""A recommender small enough to be scored in a browser, so that nobody's history has to leave their device.

The file: four bytes (little endian) with the length of a JSON head; the head: `digest` of the open model, `kind`, `items`, `titles`, `row`
(entries of each item's row, one number for all), `scale` (by item: a weight is its byte times the scale), `popularity`; filled up with
spaces to a multiple of four; then for each item `row` columns (uint32, by falling size of weight), then for each item `row` weights (int8).

A row keeps an item's `ROW` weights of largest size, so that a history of h items is scored by h times `ROW` additions. Rounding to a byte
moves a weight by at most 1/254 of the row's largest. So scores in the browser are close to the model's, not the same: the page says so.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable

from pellucid.errors import UsageError
from pellucid.store import Model

ROW = 100


def can_be_scored(model: Model) -> bool:
    """Whether a browser can score a model: its scores are sums of weights of the history's items, or popularity alone."""
    return "popularity" in model.arrays and ("weights" in model.arrays or model.kind == "popularity")


def packed(model: Model, title_of: Callable[[str], str | None] | None, digest: str) -> bytes:
    """The file of a model (see `can_be_scored`): one with `weights` (items x items, or of each item's `neighbours`), or of popularity."""
    import numpy as np

    items = [str(item) for item in model.arrays["items"].tolist()]
    if not can_be_scored(model):
        raise UsageError(f"a model of kind {model.kind} cannot be scored in a browser")
    popularity = np.asarray(model.arrays["popularity"], dtype=np.float64)
    weights = np.asarray(model.arrays.get("weights", np.zeros((len(items), 0))))
    near = np.asarray(model.arrays.get("neighbours", np.broadcast_to(np.arange(weights.shape[1]), weights.shape)))
    row = min(ROW, weights.shape[1])
    order = np.argsort(-np.abs(weights), axis=1, kind="stable")[:, :row]
    kept, order = np.take_along_axis(weights, order, axis=1), np.take_along_axis(near, order, axis=1)
    largest = np.abs(kept).max(axis=1) if row else np.zeros(len(items))
    scale = np.where(largest > 0, largest / 127, 1.0)
    head = {
        "digest": digest,
        "kind": model.kind,
        "items": items,
        "titles": [(title_of(item) if title_of else None) or item for item in items],
        "row": row,
        "scale": [float(f"{one:.6g}") for one in scale.tolist()],
        "popularity": [float(f"{one:.6g}") for one in (popularity / max(1e-12, float(popularity.max()))).tolist()],
    }
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    bytes_of = np.rint(kept / scale[:, None]).astype(np.int8)
    return struct.pack("<I", len(text)) + text + order.astype("<u4").tobytes() + bytes_of.tobytes()
