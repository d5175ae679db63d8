"""Privacy: what lowers a label, and who pays for it.

Before: `assess` says what is in the data and how identifying it is; `transforms` change tables in ways that prove nothing.
Mechanisms (`MECHANISMS`) say their unit, neighbouring relation, sensitivity and guarantee, and the argument
why the code meets it, in their docstrings; the ledger holds the accounts they spend from; the steward's key drives all private
randomness. May import store and data, nothing above. Nothing heavy loads before a mechanism runs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Bound here, eagerly, because each function shares its name with its file: a later import of the file must not hide it.
from pellucid.privacy.choose import Choose, choose
from pellucid.privacy.clicks import Clicks, clicks
from pellucid.privacy.gram import Gram, gram
from pellucid.privacy.histogram import Histogram, histogram
from pellucid.privacy.mean import Mean, mean
from pellucid.privacy.pairs import Pairs, pairs
from pellucid.privacy.partitions import Partitions, partitions
from pellucid.privacy.quantiles import Quantiles, quantiles
from pellucid.privacy.top import Top, top
from pellucid.privacy.total import Total, total

if TYPE_CHECKING:
    from pellucid.privacy import assess, attacks, local, transforms
    from pellucid.privacy.keys import commitment, pseudonym, release_key, steward_key
    from pellucid.privacy.ledger import Ledger, Spend
    from pellucid.privacy.simulate import simulate

__all__ = [
    "MECHANISMS",
    "Choose",
    "Clicks",
    "Gram",
    "Histogram",
    "Ledger",
    "Mean",
    "Pairs",
    "Partitions",
    "Quantiles",
    "Spend",
    "Top",
    "Total",
    "assess",
    "attacks",
    "choose",
    "clicks",
    "commitment",
    "gram",
    "histogram",
    "local",
    "mean",
    "pairs",
    "partitions",
    "pseudonym",
    "quantiles",
    "release_key",
    "simulate",
    "steward_key",
    "top",
    "total",
    "transforms",
]

# every mechanism, by its name: what has to be tested, documented and kept
MECHANISMS: dict[str, type] = {
    "choose": Choose,
    "clicks": Clicks,
    "gram": Gram,
    "histogram": Histogram,
    "mean": Mean,
    "pairs": Pairs,
    "partitions": Partitions,
    "quantiles": Quantiles,
    "top": Top,
    "total": Total,
}

_FILES = {
    "Ledger": "ledger",
    "Spend": "ledger",
    "commitment": "keys",
    "pseudonym": "keys",
    "release_key": "keys",
    "steward_key": "keys",
    "simulate": "simulate",
}


_ROOMS = ("assess", "attacks", "local", "transforms")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"pellucid.privacy.{name}")
    if name in _FILES:
        value = getattr(import_module(f"pellucid.privacy.{_FILES[name]}"), name)
        globals()[name] = value  # a function that shares its name with its file must win over the file
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
