"""Assess: what is in the data, whose it is, and how identifying it is as it stands.

`inventory` proposes a role for each column, to be confirmed by the steward. `assess_table` (k-anonymity, l-diversity, t-closeness,
delta-presence) and `assess_log` (k^m-anonymity, uniqueness given known items) give numbers with what they mean; `columns`, `table`
and `log` are the same as pipeline steps. All of it is a check, none of it a guarantee, and all of it is as private as the data: publish
none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pellucid.privacy.assess.inventory import Inventory, inventory, read_inventory  # bound here: a file has the function's name
from pellucid.privacy.assess.uniqueness import uniqueness  # and here

if TYPE_CHECKING:
    from pellucid.privacy.assess.anonymity import k_anonymity
    from pellucid.privacy.assess.closeness import t_closeness
    from pellucid.privacy.assess.diversity import l_diversity
    from pellucid.privacy.assess.finding import Assessment, Finding
    from pellucid.privacy.assess.presence import delta_presence
    from pellucid.privacy.assess.roles import ROLES
    from pellucid.privacy.assess.sets import km_anonymity
    from pellucid.privacy.assess.steps import assess_log, assess_table, columns, log, table

__all__ = [
    "ROLES",
    "Assessment",
    "Finding",
    "Inventory",
    "assess_log",
    "assess_table",
    "columns",
    "delta_presence",
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

_FILES = {
    "ROLES": "roles",
    "Assessment": "finding",
    "Finding": "finding",
    "assess_log": "steps",
    "assess_table": "steps",
    "columns": "steps",
    "delta_presence": "presence",
    "k_anonymity": "anonymity",
    "km_anonymity": "sets",
    "l_diversity": "diversity",
    "log": "steps",
    "t_closeness": "closeness",
    "table": "steps",
}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(import_module(f"pellucid.privacy.assess.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
