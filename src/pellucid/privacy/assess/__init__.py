"""Assess: what is in the data, whose it is, and how identifying it is as it stands.

`inventory` proposes a role for each column, to be confirmed by the steward. `assess_table` (k-anonymity, l-diversity, t-closeness,
delta-presence) and `assess_log` (k^m-anonymity, uniqueness given known items) give numbers with what they mean; `columns`, `table`
and `log` are the same as pipeline steps. All of it is a check, none of it a guarantee, and all of it is as private as the data: publish
none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.privacy.assess.anonymity import k_anonymity
    from pellucid.privacy.assess.assess_steps import assess_log, assess_table, columns, log, table
    from pellucid.privacy.assess.closeness import distances, t_closeness
    from pellucid.privacy.assess.column_codes import Codes, classes, columns_of, encode
    from pellucid.privacy.assess.column_roles import ROLES
    from pellucid.privacy.assess.data_inventory import ColumnRole, Inventory, inventory, read_inventory
    from pellucid.privacy.assess.diversity import l_diversity
    from pellucid.privacy.assess.finding import Assessment, Finding
    from pellucid.privacy.assess.itemset_anonymity import km_anonymity
    from pellucid.privacy.assess.presence import delta_presence
    from pellucid.privacy.assess.uniqueness_estimate import uniqueness
    from pellucid.privacy.assess.user_itemsets import histories

__all__ = [
    "ROLES",
    "Assessment",
    "Codes",
    "ColumnRole",
    "Finding",
    "Inventory",
    "assess_log",
    "assess_table",
    "classes",
    "columns",
    "columns_of",
    "delta_presence",
    "distances",
    "encode",
    "histories",
    "inventory",
    "k_anonymity",
    "km_anonymity",
    "l_diversity",
    "log",
    "read_inventory",
    "t_closeness",
    "table",
    "uniqueness",
]

__getattr__ = lazy_names(
    __name__,
    {
        "anonymity": ("k_anonymity",),
        "assess_steps": (
            "assess_log",
            "assess_table",
            "columns",
            "log",
            "table",
        ),
        "closeness": (
            "distances",
            "t_closeness",
        ),
        "column_codes": (
            "Codes",
            "classes",
            "columns_of",
            "encode",
        ),
        "column_roles": ("ROLES",),
        "data_inventory": (
            "ColumnRole",
            "Inventory",
            "inventory",
            "read_inventory",
        ),
        "diversity": ("l_diversity",),
        "finding": (
            "Assessment",
            "Finding",
        ),
        "itemset_anonymity": ("km_anonymity",),
        "presence": ("delta_presence",),
        "uniqueness_estimate": ("uniqueness",),
        "user_itemsets": ("histories",),
    },
)
