"""Registry: which open model stands behind a name that a service follows, and what stood there before.

May import packages, search, models, pipeline and store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.registry.deployments import ALIASES, Deployment, Deployments, newest_open, outputs_for
    from pellucid.registry.lineage import Guarantee, guarantees_behind

__all__ = ["ALIASES", "Deployment", "Deployments", "Guarantee", "guarantees_behind", "newest_open", "outputs_for"]

__getattr__ = lazy_names(
    __name__,
    {
        "deployments": ("ALIASES", "Deployment", "Deployments", "newest_open", "outputs_for"),
        "lineage": ("Guarantee", "guarantees_behind"),
    },
)
