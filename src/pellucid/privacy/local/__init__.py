"""Local differential privacy: each client randomises its own value, so whoever collects the reports learns little from any one.

Frequency oracles (one a file, behind the protocol in `frequency_oracle`), the choice among them, heavy hitters, item-and-rating pairs and
means built on them; one of 256 directions for ranking; the collection's public parameters, the reports' binary form, and the collector
that takes them. `client.js` does the same in a browser. Probabilities are whole numbers of equal parts and the declared epsilon is
computed from them (`dyadic`). May import the privacy room's stream and parameters, and the store; nothing above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.privacy.local.collection import Collection, declare, declare_directions
    from pellucid.privacy.local.collector import Collector, Outcome
    from pellucid.privacy.local.directions import Directions, MeanDirection
    from pellucid.privacy.local.heavy_hitters import PrefixSearch
    from pellucid.privacy.local.item_ratings import ItemRatings
    from pellucid.privacy.local.one_bit_mean import OneBitMean
    from pellucid.privacy.local.oracles import (
        ORACLES,
        Candidate,
        Estimate,
        Grr,
        Hadamard,
        Olh,
        Oracle,
        Oue,
        Rappor,
        Subset,
        Sue,
        candidates,
        choose,
        consistent,
        estimate,
        oracle,
        variance,
    )

__all__ = [
    "ORACLES",
    "Candidate",
    "Collection",
    "Collector",
    "Directions",
    "Estimate",
    "Grr",
    "Hadamard",
    "ItemRatings",
    "MeanDirection",
    "Olh",
    "OneBitMean",
    "Oracle",
    "Oue",
    "Outcome",
    "PrefixSearch",
    "Rappor",
    "Subset",
    "Sue",
    "candidates",
    "choose",
    "consistent",
    "declare",
    "declare_directions",
    "estimate",
    "oracle",
    "variance",
]

__getattr__ = lazy_names(
    __name__,
    {
        "collection": (
            "Collection",
            "declare",
            "declare_directions",
        ),
        "collector": ("Collector", "Outcome"),
        "directions": ("Directions", "MeanDirection"),
        "heavy_hitters": ("PrefixSearch",),
        "item_ratings": ("ItemRatings",),
        "one_bit_mean": ("OneBitMean",),
        "oracles": (
            "Candidate",
            "Estimate",
            "Grr",
            "Hadamard",
            "ORACLES",
            "Olh",
            "Oracle",
            "Oue",
            "Rappor",
            "Subset",
            "Sue",
            "candidates",
            "choose",
            "consistent",
            "estimate",
            "oracle",
            "variance",
        ),
    },
)
