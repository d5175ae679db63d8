"""A catalogue: a static site of packages, their data sets, models and receipts, which any file server can serve.

`build` checks packages and writes the site: pages for people, DCAT-AP, schema.org, feeds and a sitemap for machines. `serve` serves it,
and answers OAI-PMH over it. Packages come from strangers: what they say is bounded, shown as text and never as markup, and no page
of theirs is served as one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Bound here, eagerly, because each function shares its name with its file: a later import of the file must not hide it.
from pellucid.packages.catalogue.build import Built, build
from pellucid.packages.catalogue.serve import serve

if TYPE_CHECKING:
    from pellucid.packages.catalogue.record import Record

__all__ = ["Built", "Record", "build", "serve"]

_FILES = {"Record": "record"}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(import_module(f"pellucid.packages.catalogue.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
