"""Packages: a run's open side as a folder that anyone can check and re-run, and the verdict of doing so.

`publish` writes a package, `check` looks whether one is whole, `reproduce` re-runs one in a clean environment and compares, `issue`
signs the verdict as a receipt, `tally` counts receipts. Nothing
that is not open enters a package: no value, and nothing computed from one (a digest of private data would let anyone confirm a guess
of it). May import every room below: privacy, pipeline, store, data. Loads nothing heavy before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.packages.artifact_access import load
    from pellucid.packages.artifact_import import take
    from pellucid.packages.checking import CheckReport, check
    from pellucid.packages.format import Manifest
    from pellucid.packages.publishing import Published, publish
    from pellucid.packages.receipts import Receipt, ReceiptCounts, issue, tally
    from pellucid.packages.reproducing import Verdict, reproduce

__all__ = [
    "CheckReport",
    "Manifest",
    "Published",
    "Receipt",
    "ReceiptCounts",
    "Verdict",
    "check",
    "issue",
    "load",
    "publish",
    "reproduce",
    "take",
    "tally",
]

__getattr__ = lazy_names(
    __name__,
    {
        "artifact_access": ("load",),
        "artifact_import": ("take",),
        "checking": (
            "CheckReport",
            "check",
        ),
        "format": ("Manifest",),
        "publishing": (
            "Published",
            "publish",
        ),
        "receipts": (
            "Receipt",
            "ReceiptCounts",
            "issue",
            "tally",
        ),
        "reproducing": (
            "Verdict",
            "reproduce",
        ),
    },
)
