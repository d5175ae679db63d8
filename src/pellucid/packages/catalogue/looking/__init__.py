"""Looking into packages for a catalogue: sealed, many after one start, and once for the same bytes.

`looks` opens the artifacts of packages, `known` and `keep` are its index, and what may be shown of an artifact is bounded here. May import
checking, format, standards and the sandbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.packages.catalogue.looking.artifact_preview import COLUMNS, ROWS, cut
    from pellucid.packages.catalogue.looking.look_index import keep, known
    from pellucid.packages.catalogue.looking.notebook_blocks import BLOCKS, png
    from pellucid.packages.catalogue.looking.sealed_look import looks

__all__ = ["BLOCKS", "COLUMNS", "ROWS", "cut", "keep", "known", "looks", "png"]

__getattr__ = lazy_names(
    __name__,
    {
        "artifact_preview": ("COLUMNS", "ROWS", "cut"),
        "look_index": ("keep", "known"),
        "notebook_blocks": ("BLOCKS", "png"),
        "sealed_look": ("looks",),
    },
)
