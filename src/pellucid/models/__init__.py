"""Models: recommenders fitted on open data, kept as plain arrays.

A kind of model is one file with `fit` (which returns a `pellucid.store.kinds.Model`) and `scores(model, histories)`, and a
line in `KINDS`; `ease` and `popularity` are here. Every model has the array `items` (sorted); its file can be used with numpy
alone. May import store, data and privacy. numpy and scipy load when a model is fitted or used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.models.interaction_matrix import private_gram
    from pellucid.models.recommendation import KINDS, recommend, scores

__all__ = ["KINDS", "private_gram", "recommend", "scores"]

__getattr__ = lazy_names(
    __name__,
    {
        "interaction_matrix": ("private_gram",),
        "recommendation": (
            "KINDS",
            "recommend",
            "scores",
        ),
    },
)
