"""Reproducing: a package is run again in a fresh environment, in the sandbox, and its outputs are compared. The result is a verdict.

May import checking and everything below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.packages.reproducing.difference_diagnosis import kernels
    from pellucid.packages.reproducing.reproduction import reproduce
    from pellucid.packages.reproducing.steward_rerun import Steward
    from pellucid.packages.reproducing.verdict import (
        BY_ITS_WORD,
        COULD_NOT,
        DIFFERENT,
        EXIT,
        FROM_PUBLISHER,
        IDENTICAL,
        KERNEL,
        WITHIN,
        Verdict,
    )

__all__ = [
    "BY_ITS_WORD",
    "COULD_NOT",
    "DIFFERENT",
    "EXIT",
    "FROM_PUBLISHER",
    "IDENTICAL",
    "KERNEL",
    "WITHIN",
    "Steward",
    "Verdict",
    "kernels",
    "reproduce",
]

__getattr__ = lazy_names(
    __name__,
    {
        "difference_diagnosis": ("kernels",),
        "reproduction": ("reproduce",),
        "steward_rerun": ("Steward",),
        "verdict": (
            "BY_ITS_WORD",
            "COULD_NOT",
            "DIFFERENT",
            "EXIT",
            "FROM_PUBLISHER",
            "IDENTICAL",
            "Verdict",
            "KERNEL",
            "WITHIN",
        ),
    },
)
