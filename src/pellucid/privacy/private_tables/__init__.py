"""Private tables as mechanisms read them: checked columns in plain types, a bounded contribution of each unit, declared values.

The modules are used by their own names. May import noise, the key folder and parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.privacy.private_tables.bounding import bounded_pairs, bounded_rows
    from pellucid.privacy.private_tables.private_columns import checked_columns, plain_type

__all__ = ["bounded_pairs", "bounded_rows", "checked_columns", "plain_type"]

__getattr__ = lazy_names(
    __name__, {"bounding": ("bounded_pairs", "bounded_rows"), "private_columns": ("checked_columns", "plain_type")}
)
