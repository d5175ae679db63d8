"""Marginals of a table of mixed columns: which columns hang together, and how many people are in each cell of those.

`table_columns` is what is declared of each column, `edge_selection` how the pairs of columns are chosen, `column_marginals` the mechanism.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.privacy.mechanisms.marginals.column_marginals import Marginals, marginals
    from pellucid.privacy.mechanisms.marginals.table_columns import Bins, bins

__all__ = ["Bins", "Marginals", "bins", "marginals"]

__getattr__ = lazy_names(
    __name__,
    {
        "column_marginals": ("Marginals", "marginals"),
        "table_columns": ("Bins", "bins"),
    },
)
