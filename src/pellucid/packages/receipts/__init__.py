"""Receipts: verdicts that a key has signed, and how many of them a package has. May import reproducing and everything below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.packages.receipts.receipt import WRONG_PACKAGE, Receipt, issue
    from pellucid.packages.receipts.receipt_tally import ReceiptCounts, Refused, sorted_out, tally

__all__ = ["WRONG_PACKAGE", "Receipt", "ReceiptCounts", "Refused", "issue", "sorted_out", "tally"]

__getattr__ = lazy_names(
    __name__,
    {
        "receipt": (
            "Receipt",
            "WRONG_PACKAGE",
            "issue",
        ),
        "receipt_tally": (
            "Refused",
            "ReceiptCounts",
            "sorted_out",
            "tally",
        ),
    },
)
