"""The difference of two stored values: where they part first, in how many cells, and by how much. May import the kinds' own files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.store.difference.comparison import compare
    from pellucid.store.difference.deviation import Difference

__all__ = ["Difference", "compare"]

__getattr__ = lazy_names(__name__, {"comparison": ("compare",), "deviation": ("Difference",)})
