"""All that a site writes of its packages, as path and bytes: pages for people, and the lists for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.packages.catalogue.entries import Shelf, Site
from pellucid.packages.catalogue.site_folder import FORMAT, STATE


def lists(about: Site, shelves: Sequence[Shelf], earlier: Mapping[str, Any], today: str) -> dict[str, bytes]:
    """The first page, and what machines read, over all packages."""
    from pellucid.packages.catalogue import harvest, machine_formats, pages
    from pellucid.packages.format import as_json

    stamped = harvest.stamped(about, shelves, earlier, today)
    updated = max(one["datestamp"] for one in stamped["records"])
    written = {
        "index.html": pages.index(about, shelves),
        "catalog.jsonld": as_json(machine_formats.dcat(about, shelves, updated)),
        "feed.atom": machine_formats.atom(about, shelves, updated),
        STATE: as_json({"format": FORMAT, **stamped}),
    }
    if about.url:
        written["feed.rss"] = machine_formats.rss(about, shelves, updated)
        written["sitemap.xml"] = machine_formats.sitemap(about, shelves)
    return written


def of_package(about: Site, shelf: Shelf) -> dict[str, bytes]:
    """The pages of a package, its data sets and models, and the pictures on them."""
    from pellucid.packages.catalogue import pages

    written = {record.path: pages.record(about, shelf, record) for record in shelf.records}
    return written | {block.path: block.picture for block in shelf.shown if block.picture}
