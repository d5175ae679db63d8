"""What a package says of itself for people and in open standards: all of it follows from the manifest and the files.

So whoever checks a package writes it anew and compares the bytes. No description can say anything that the manifest does not, and none
has to be read as a stranger's text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.packages.format import Manifest, fixity

if TYPE_CHECKING:
    from pellucid.packages.standards.description import Description

README = "README.md"


def paths(manifest: Manifest) -> list[str]:
    """Where the descriptions are."""
    from pellucid.packages.standards import (
        citation_cff,
        croissant,
        datacite,
        html_preview,
        model_cards,
        privacy_cards,
        ro_crate,
        sbom,
    )

    cards = [privacy_cards.path_of(entry.step) for entry in manifest.trace if entry.guarantee is not None]
    kinds = {name: {leaf.kind for leaf in value.leaves} for name, value in manifest.open.items()}
    pages = [model_cards.path_of(name) for name in kinds if "model" in kinds[name]]
    return [README, sbom.FILE, citation_cff.FILE, ro_crate.FILE, croissant.FILE, datacite.FILE, html_preview.FILE, *cards, *pages]


def files(manifest: Manifest, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Each description's path and bytes, from the manifest and the other files of a package in `folder`.

    Opens artifacts: of a stranger's package only in a sealed process.
    """
    from pellucid.packages.standards.description import Description
    from pellucid.packages.standards.readme import card
    from pellucid.store import sha256_of

    description, written = Description(manifest, folder), set(paths(manifest))
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        shown = path.relative_to(folder).as_posix()
        if shown not in written and shown not in fixity.UNLISTED:
            description.files[shown] = (sha256_of(path), path.stat().st_size)
    readme = card(manifest, folder).encode()
    description.add(README, readme)
    yield README, readme
    yield from standard_files(description)


def otherwise(manifest: Manifest, folder: Path) -> list[str]:
    """The descriptions in a package that are not as this pellucid writes them."""
    found = []
    if (folder / "manifest.json").read_bytes() != manifest.to_bytes():
        found.append("manifest.json")
    for path, body in files(manifest, folder):
        there = folder / path
        if not there.is_file() or there.stat().st_size != len(body) or there.read_bytes() != body:
            found.append(path)
    return found


def standard_files(description: Description) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of each description in an open standard; later ones may list earlier ones. Raises PackageError."""
    from pellucid.packages.standards import (
        citation_cff,
        croissant,
        datacite,
        html_preview,
        model_cards,
        privacy_cards,
        ro_crate,
        sbom,
    )

    for module in (privacy_cards, model_cards, sbom, croissant, datacite, citation_cff, html_preview, ro_crate):
        for path, body in module.files(description):
            description.add(path, body)
            yield path, body
