"""Models: recommenders fitted on open data, kept as plain arrays. `estimators` keeps models of scikit-learn and LightGBM in an open form.

A kind of model is one file and a line in `KINDS`: `scores(model, histories)`, and at least one of `fit(gram, ...)`, on counts that may be
released with noise (`ease`, `item_neighbours`, `popularity`), and a fit on who holds what: `fit_people` of the same three, `fit` of
`rp3beta`, `als` and `markov`. What is fitted on a private table is private. Each returns a `Model` with the array `items` (sorted), whose
file can be used with numpy alone; `recommend` and `explain` work on all of them, and are in each kind's module too.

May import store, data and privacy. numpy and scipy load when a model is fitted or used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.models import als, ease, estimators, item_neighbours, markov, popularity, rp3beta
    from pellucid.models.interaction_matrix import arrow_of, matrix_of, private_gram
    from pellucid.models.recommendation import KINDS, explain, is_cold_start, recommend, scores

__all__ = [
    "KINDS", "als", "arrow_of", "ease", "estimators", "explain", "is_cold_start", "item_neighbours", "markov", "matrix_of", "popularity",
    "private_gram", "recommend", "rp3beta", "scores",
]  # fmt: skip

__getattr__ = lazy_names(
    __name__,
    {
        "interaction_matrix": ("arrow_of", "matrix_of", "private_gram"),
        "recommendation": (
            "KINDS",
            "explain",
            "is_cold_start",
            "recommend",
            "scores",
        ),
    },
    modules=("als", "ease", "estimators", "item_neighbours", "markov", "popularity", "rp3beta"),
)
