"""Transforms: changes of a table that make it less telling and prove nothing. What they give is `protected`, never open.

Each is a frozen dataclass with `apply`, streamed, and the same each time under the same key: `Pseudonym`, `Generalise`, `Mask`, `Clip`,
`Coarsen`, `Sample`, `Drop` look at one person's rows alone; `SuppressSmall` and `DropRare` compare people, so their result has no unit.
`pl.protect` makes a pipeline step of them, `transformed` applies them outside. `least_loss` finds the generalisation that reaches k (and
l, t) with the least loss. May import what privacy may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.privacy.transforms.clip import Clip
    from pellucid.privacy.transforms.dates import Coarsen
    from pellucid.privacy.transforms.generalisation_search import Generalisation, least_loss
    from pellucid.privacy.transforms.generalise import Generalise, Mask
    from pellucid.privacy.transforms.hierarchy import Hierarchy, intervals, masks, read_hierarchy
    from pellucid.privacy.transforms.protection_step import protect, transformed
    from pellucid.privacy.transforms.pseudonym import Pseudonym
    from pellucid.privacy.transforms.row_transform import Transform
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

__getattr__ = lazy_names(
    __name__,
    {
        "clip": ("Clip",),
        "dates": ("Coarsen",),
        "generalisation_search": (
            "Generalisation",
            "least_loss",
        ),
        "generalise": (
            "Generalise",
            "Mask",
        ),
        "hierarchy": (
            "Hierarchy",
            "intervals",
            "masks",
            "read_hierarchy",
        ),
        "protection_step": (
            "protect",
            "transformed",
        ),
        "pseudonym": ("Pseudonym",),
        "row_transform": ("Transform",),
        "sample": ("Sample",),
        "suppress": (
            "Drop",
            "DropRare",
            "SuppressSmall",
        ),
    },
)
