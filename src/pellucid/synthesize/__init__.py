"""Synthetic people: rows made from what was released, so that tools which want people can be used without anybody's.

`histories` makes user-item rows from a released Gram matrix of any form, `table` rows of mixed columns from released marginals; what they
make is open, costs nothing more, and is the same for whoever makes it again. `sizes` is the private table whose released histogram tells
how long histories are.
May import models, privacy, pipeline, store and data. numpy and scipy load on use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.synthesize.column_tree import ColumnTree, fit_tree
    from pellucid.synthesize.gaussian_copula import Copula, fit
    from pellucid.synthesize.histories_step import histories, make_histories, sizes
    from pellucid.synthesize.matrix_statistics import Statistics, statistics
    from pellucid.synthesize.released_marginals import ReleasedMarginals, released_marginals
    from pellucid.synthesize.table_step import make_table, table

__all__ = [
    "ColumnTree",
    "Copula",
    "ReleasedMarginals",
    "Statistics",
    "fit",
    "fit_tree",
    "histories",
    "make_histories",
    "make_table",
    "released_marginals",
    "sizes",
    "statistics",
    "table",
]

__getattr__ = lazy_names(
    __name__,
    {
        "column_tree": ("ColumnTree", "fit_tree"),
        "gaussian_copula": ("Copula", "fit"),
        "histories_step": ("histories", "make_histories", "sizes"),
        "matrix_statistics": ("Statistics", "statistics"),
        "released_marginals": ("ReleasedMarginals", "released_marginals"),
        "table_step": ("make_table", "table"),
    },
)
