"""What a package says in open standards: one file per standard, each from the same `Description` and nothing else.

RO-Crate (ro_crate), Croissant (croissant), DataCite (datacite), CITATION.cff (citation_cff), CycloneDX (sbom), model cards, the
privacy card of each release, the README and a page for people (html_preview). All are written by hand
from open facts, so that a package is the same bytes each time; the standards' own validators run in the tests.
`generated_metadata` writes them all, and compares them with those in a package. May import the format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.packages.standards.description import Description, checked, media, spdx
    from pellucid.packages.standards.guarantee_text import in_words, rounded_up
    from pellucid.packages.standards.html_preview import STYLE
    from pellucid.packages.standards.model_cards import ancestry, path_of
    from pellucid.packages.standards.privacy_cards import card

__all__ = ["STYLE", "Description", "ancestry", "card", "checked", "in_words", "media", "path_of", "rounded_up", "spdx"]

__getattr__ = lazy_names(
    __name__,
    {
        "description": (
            "Description",
            "checked",
            "media",
            "spdx",
        ),
        "guarantee_text": ("in_words", "rounded_up"),
        "html_preview": ("STYLE",),
        "model_cards": (
            "ancestry",
            "path_of",
        ),
        "privacy_cards": ("card",),
    },
)
