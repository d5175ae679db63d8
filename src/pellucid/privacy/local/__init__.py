"""Local differential privacy: each client randomises its own value, so whoever collects the reports learns little from any one.

Frequency oracles (one a file, behind the protocol in `oracle.py`), the choice among them, heavy hitters, item-and-rating pairs and
means built on them; the collection's public parameters, the reports' binary form, and the collector that takes them. `client.js`
does the same in a browser. Probabilities are whole numbers of equal parts and the declared epsilon is computed from them
(`dyadic.py`). May import the privacy room's stream and parameters, and the store; nothing above.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.privacy.local.choose import ORACLES, Candidate, candidates, choose, oracle
    from pellucid.privacy.local.collection import Collection
    from pellucid.privacy.local.collector import Collector
    from pellucid.privacy.local.consistency import consistent
    from pellucid.privacy.local.grr import Grr
    from pellucid.privacy.local.hadamard import Hadamard
    from pellucid.privacy.local.heavy import PrefixSearch
    from pellucid.privacy.local.olh import Olh
    from pellucid.privacy.local.onebit import OneBitMean
    from pellucid.privacy.local.oracle import Estimate, Oracle, estimate, variance
    from pellucid.privacy.local.rappor import Rappor
    from pellucid.privacy.local.ratings import ItemRatings
    from pellucid.privacy.local.subset import Subset
    from pellucid.privacy.local.unary import Oue, Sue

_FILES = {
    "Candidate": "choose",
    "Collection": "collection",
    "Collector": "collector",
    "Estimate": "oracle",
    "Grr": "grr",
    "Hadamard": "hadamard",
    "ItemRatings": "ratings",
    "ORACLES": "choose",
    "Olh": "olh",
    "OneBitMean": "onebit",
    "Oracle": "oracle",
    "Oue": "unary",
    "PrefixSearch": "heavy",
    "Rappor": "rappor",
    "Subset": "subset",
    "Sue": "unary",
    "candidates": "choose",
    "consistent": "consistency",
    "estimate": "oracle",
    "variance": "oracle",
}

# `choose` and `oracle` share their names with files, and a later import of the file would hide a lazy name: bound here.
from pellucid.privacy.local.choose import choose, oracle  # noqa: E402

__all__ = [
    "ORACLES",
    "Candidate",
    "Collection",
    "Collector",
    "Estimate",
    "Grr",
    "Hadamard",
    "ItemRatings",
    "Olh",
    "OneBitMean",
    "Oracle",
    "Oue",
    "PrefixSearch",
    "Rappor",
    "Subset",
    "Sue",
    "candidates",
    "choose",
    "consistent",
    "estimate",
    "oracle",
    "variance",
]


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(import_module(f"pellucid.privacy.local.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
