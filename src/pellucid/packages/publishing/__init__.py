"""Publishing: a package from a run: which values, which code it needs, which wheels. May import the format, the standards and checking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.packages.publishing.code_dependencies import ELSEWHERE
    from pellucid.packages.publishing.publication import Published, publish

__all__ = ["ELSEWHERE", "Published", "publish"]

__getattr__ = lazy_names(
    __name__,
    {
        "code_dependencies": ("ELSEWHERE",),
        "publication": (
            "Published",
            "publish",
        ),
    },
)
