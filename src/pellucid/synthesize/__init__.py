"""Synthetic people: rows made from what was released, so that tools which want people can be used without anybody's.

`histories` makes user-item rows from a released Gram matrix of any form; what it makes is open, costs nothing more, and is the same for
whoever makes it again. `sizes` is the private table whose released histogram tells how long histories are.
May import models, privacy, pipeline, store and data. numpy and scipy load on use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.synthesize.gaussian_copula import Copula, fit
    from pellucid.synthesize.histories_step import histories, make_histories, sizes
    from pellucid.synthesize.matrix_statistics import Statistics, statistics

__all__ = ["Copula", "Statistics", "fit", "histories", "make_histories", "sizes", "statistics"]

__getattr__ = lazy_names(
    __name__,
    {
        "gaussian_copula": ("Copula", "fit"),
        "histories_step": ("histories", "make_histories", "sizes"),
        "matrix_statistics": ("Statistics", "statistics"),
    },
)
