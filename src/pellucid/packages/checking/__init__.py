"""Checking: whether a package is complete, agrees with itself, and states no stronger guarantee than its noise gives.

May import the format, the standards and the sandbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.packages.checking.artifact_digests import mismatch, not_as_written, own_digests, unpacked
    from pellucid.packages.checking.artifact_verification import otherwise
    from pellucid.packages.checking.locked_libraries import beyond, libraries_in_words
    from pellucid.packages.checking.package_check import CheckReport, WholePackage, check

__all__ = [
    "CheckReport",
    "WholePackage",
    "beyond",
    "check",
    "libraries_in_words",
    "mismatch",
    "not_as_written",
    "otherwise",
    "own_digests",
    "unpacked",
]

__getattr__ = lazy_names(
    __name__,
    {
        "artifact_digests": (
            "mismatch",
            "not_as_written",
            "own_digests",
            "unpacked",
        ),
        "artifact_verification": ("otherwise",),
        "locked_libraries": ("beyond", "libraries_in_words"),
        "package_check": (
            "CheckReport",
            "WholePackage",
            "check",
        ),
    },
)
