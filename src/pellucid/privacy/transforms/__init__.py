"""Transforms: changes of a table that make it less telling and prove nothing. What they give is `protected`, never open.

Each is a frozen dataclass with `apply`, streamed, and the same each time under the same key: `Pseudonym`, `Generalise`, `Mask`, `Clip`,
`Coarsen`, `Sample`, `Drop` look at one person's rows alone; `SuppressSmall` and `DropRare` compare people, so their result has no unit.
`pl.protect` makes a pipeline step of them, `transformed` applies them outside. `least_loss` finds the generalisation that reaches k (and
l, t) with the least loss. May import what privacy may.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pellucid.privacy.transforms.least_loss import Generalisation, least_loss  # bound here: a file has the function's name
from pellucid.privacy.transforms.protect import protect, transformed  # and here

if TYPE_CHECKING:
    from pellucid.privacy.transforms.coding import Clip
    from pellucid.privacy.transforms.dates import Coarsen
    from pellucid.privacy.transforms.generalise import Generalise, Mask
    from pellucid.privacy.transforms.hierarchy import Hierarchy, intervals, masks, read_hierarchy
    from pellucid.privacy.transforms.pseudonym import Pseudonym
    from pellucid.privacy.transforms.rows import Transform
    from pellucid.privacy.transforms.sample import Sample
    from pellucid.privacy.transforms.suppress import Drop, DropRare, SuppressSmall

__all__ = [
    "Clip",
    "Coarsen",
    "Drop",
    "DropRare",
    "Generalisation",
    "Generalise",
    "Hierarchy",
    "Mask",
    "Pseudonym",
    "Sample",
    "SuppressSmall",
    "Transform",
    "intervals",
    "least_loss",
    "masks",
    "protect",
    "read_hierarchy",
    "transformed",
]

_FILES = {
    "Clip": "coding",
    "Coarsen": "dates",
    "Drop": "suppress",
    "DropRare": "suppress",
    "Generalise": "generalise",
    "Hierarchy": "hierarchy",
    "Mask": "generalise",
    "Pseudonym": "pseudonym",
    "Sample": "sample",
    "SuppressSmall": "suppress",
    "Transform": "rows",
    "intervals": "hierarchy",
    "masks": "hierarchy",
    "read_hierarchy": "hierarchy",
}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(import_module(f"pellucid.privacy.transforms.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
