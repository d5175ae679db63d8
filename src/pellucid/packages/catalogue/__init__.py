"""A catalogue: a static site of packages, their data sets, models and receipts, which any file server can serve.

`build` checks packages and writes the site: pages for people, DCAT-AP, schema.org, feeds and a sitemap for machines. `serve` serves it,
and answers OAI-PMH over it. Packages come from strangers: what they say is bounded, shown as text and never as markup, and no page
of theirs is served as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.packages.catalogue.entries import Record, slug
    from pellucid.packages.catalogue.package_reading import about_of
    from pellucid.packages.catalogue.server import NOBODY, serve
    from pellucid.packages.catalogue.site_build import Built, build

__all__ = ["NOBODY", "Built", "Record", "about_of", "build", "serve", "slug"]

__getattr__ = lazy_names(
    __name__,
    {
        "entries": (
            "Record",
            "slug",
        ),
        "package_reading": ("about_of",),
        "server": (
            "NOBODY",
            "serve",
        ),
        "site_build": (
            "Built",
            "build",
        ),
    },
)
