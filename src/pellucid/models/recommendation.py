"""The kinds of models by name, their scores, and recommendations from them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pellucid.store import Model

KINDS = {"ease": "pellucid.models.ease", "popularity": "pellucid.models.popularity"}


def scores(model: Model, histories: Any) -> NDArray[Any]:
    """A score of every item for every person: float64, people x items.

    `histories` is a sparse 0/1 matrix (scipy `csr_array`) of people by the model's items. A person's scores depend on their
    own row and the model alone, to the last bit.
    """
    if model.kind not in KINDS:
        raise UsageError(f"there is no model kind {model.kind!r}", fix=f"Known kinds: {', '.join(sorted(KINDS))}")
    scored: NDArray[Any] = import_module(KINDS[model.kind]).scores(model, histories)
    return scored


def recommend(model: Model, history: Sequence[Any], count: int = 10) -> list[tuple[Any, float]]:
    """The best `count` items for one history (a list of items), best first, with scores; known items are left out.

    Items the model does not know are ignored; equal scores are ordered by item.
    """
    import numpy as np
    from scipy.sparse import csr_array

    place = {item: index for index, item in enumerate(model.arrays["items"].tolist())}
    known = sorted({place[item] for item in history if item in place})
    row = csr_array((np.ones(len(known)), (np.zeros(len(known), dtype=np.int32), known)), shape=(1, len(place)))
    score = scores(model, row)[0]
    score[known] = -np.inf
    best = [index for index in np.argsort(-score, kind="stable")[:count].tolist() if np.isfinite(score[index])]
    return [(model.arrays["items"][index].item(), float(score[index])) for index in best]
