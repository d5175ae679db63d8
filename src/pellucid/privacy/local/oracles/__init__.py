"""Frequency oracles of local differential privacy: one a file, behind the protocol in `frequency_oracle`, and the choice among them.

Probabilities are whole numbers of equal parts and the declared epsilon is computed from them (`dyadic`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.privacy.local.oracles.consistency import consistent
    from pellucid.privacy.local.oracles.dyadic import ONE, checked_ratio, exponential, local_epsilon, parts
    from pellucid.privacy.local.oracles.frequency_oracle import Estimate, Oracle, checked_codes, draws, estimate, variance
    from pellucid.privacy.local.oracles.grr import Grr
    from pellucid.privacy.local.oracles.hadamard import Hadamard
    from pellucid.privacy.local.oracles.olh import Olh
    from pellucid.privacy.local.oracles.oracle_choice import ORACLES, Candidate, candidates, choose, oracle
    from pellucid.privacy.local.oracles.rappor import Rappor
    from pellucid.privacy.local.oracles.subset import Subset
    from pellucid.privacy.local.oracles.unary import Oue, Sue

__all__ = [
    "ONE",
    "ORACLES",
    "Candidate",
    "Estimate",
    "Grr",
    "Hadamard",
    "Olh",
    "Oracle",
    "Oue",
    "Rappor",
    "Subset",
    "Sue",
    "candidates",
    "checked_codes",
    "checked_ratio",
    "choose",
    "consistent",
    "draws",
    "estimate",
    "exponential",
    "local_epsilon",
    "oracle",
    "parts",
    "variance",
]

__getattr__ = lazy_names(
    __name__,
    {
        "consistency": ("consistent",),
        "dyadic": (
            "ONE",
            "checked_ratio",
            "exponential",
            "local_epsilon",
            "parts",
        ),
        "frequency_oracle": (
            "Estimate",
            "Oracle",
            "checked_codes",
            "draws",
            "estimate",
            "variance",
        ),
        "grr": ("Grr",),
        "hadamard": ("Hadamard",),
        "olh": ("Olh",),
        "oracle_choice": (
            "Candidate",
            "ORACLES",
            "candidates",
            "choose",
            "oracle",
        ),
        "rappor": ("Rappor",),
        "subset": ("Subset",),
        "unary": (
            "Oue",
            "Sue",
        ),
    },
)
