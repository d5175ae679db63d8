"""Foresight: what a release is expected to give, before it is paid for, from its settings and declared numbers alone. It reads no row.

May import the mechanisms and below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.privacy.foresight.expected_numbers import ExpectedNumbers
    from pellucid.privacy.foresight.release_foresight import Foresight, foresee_release

__all__ = ["ExpectedNumbers", "Foresight", "foresee_release"]

__getattr__ = lazy_names(
    __name__,
    {
        "expected_numbers": ("ExpectedNumbers",),
        "release_foresight": ("Foresight", "foresee_release"),
    },
)
