"""What a package says in open standards: one file per standard, each from the same `Description` and nothing else.

RO-Crate (crate), Croissant (croissant), DataCite (datacite), CITATION.cff (citation), CycloneDX (bom), model cards (models), the
privacy card of each release (privacy), a lock that names files (pylock) and a page for people (preview). All are written by hand
from open facts, so that a package is the same bytes each time; the standards' own validators run in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.packages.standards.description import Description


def files(description: Description) -> Iterator[tuple[str, bytes]]:
    """Each file's path and bytes, in an order in which later ones may list earlier ones. Raises PackageError."""
    from pellucid.packages.standards import bom, citation, crate, croissant, datacite, models, preview, privacy

    for module in (privacy, models, bom, croissant, datacite, citation, preview, crate):
        for path, body in module.files(description):
            description.add(path, body)
            yield path, body
