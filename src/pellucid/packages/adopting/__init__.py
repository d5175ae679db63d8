"""Adopting: a script that reads and writes files becomes a pipeline of one step. May import the format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.packages.adopting.adoption import adopt
    from pellucid.packages.adopting.script_description import title_and_description

__all__ = ["adopt", "title_and_description"]

__getattr__ = lazy_names(
    __name__,
    {
        "adoption": ("adopt",),
        "script_description": ("title_and_description",),
    },
)
