"""Packages: a run's open side as a folder that anyone can check and re-run, and the verdict of doing so.

`publish` writes a package, `check` looks whether one is whole, `reproduce` re-runs one in a clean environment and compares, `issue`
signs the verdict as a receipt, `tally` counts receipts. Nothing
that is not open enters a package: no value, and nothing computed from one (a digest of private data would let anyone confirm a guess
of it). May import every room below: privacy, pipeline, store, data. Loads nothing heavy before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Bound here, eagerly, because each function shares its name with its file: a later import of the file must not hide it.
from pellucid.packages.checking import Checked, check
from pellucid.packages.publish import Published, publish
from pellucid.packages.reproduce import reproduce
from pellucid.packages.tally import Tally, tally

if TYPE_CHECKING:
    from pellucid.packages.manifest import Manifest
    from pellucid.packages.receipt import Receipt, issue
    from pellucid.packages.verdict import Verdict

__all__ = ["Checked", "Manifest", "Published", "Receipt", "Tally", "Verdict", "check", "issue", "publish", "reproduce", "tally"]

_FILES = {"Manifest": "manifest", "Receipt": "receipt", "Verdict": "verdict", "issue": "receipt"}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(import_module(f"pellucid.packages.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
