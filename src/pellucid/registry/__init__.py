"""Registry: which open model stands behind a name that a service follows, and what stood there before.
A pipeline takes one in with `registry_model` and asks it for a whole table with `predict`.

May import packages, search, evaluation, models, privacy, pipeline and store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.registry.batch_prediction import predict
    from pellucid.registry.canaries import Canaries, Canary
    from pellucid.registry.deployments import ALIASES, Deployment, Deployments, newest_open, outputs_for
    from pellucid.registry.duels import Duel, Duels
    from pellucid.registry.lineage import Guarantee, guarantees_behind
    from pellucid.registry.model_source import registry_model
    from pellucid.registry.promotion import RULES_FILE, Rules, promote, rules_of
    from pellucid.registry.published_packages import Publication, note_publication, publications
    from pellucid.registry.trained_models import ModelVersion, find_model, model_versions

__all__ = [
    "ALIASES",
    "RULES_FILE",
    "Canaries",
    "Canary",
    "Deployment",
    "Deployments",
    "Duel",
    "Duels",
    "Guarantee",
    "ModelVersion",
    "Publication",
    "Rules",
    "find_model",
    "guarantees_behind",
    "model_versions",
    "newest_open",
    "note_publication",
    "outputs_for",
    "predict",
    "promote",
    "publications",
    "registry_model",
    "rules_of",
]

__getattr__ = lazy_names(
    __name__,
    {
        "batch_prediction": ("predict",),
        "canaries": ("Canaries", "Canary"),
        "deployments": ("ALIASES", "Deployment", "Deployments", "newest_open", "outputs_for"),
        "duels": ("Duel", "Duels"),
        "lineage": ("Guarantee", "guarantees_behind"),
        "model_source": ("registry_model",),
        "promotion": ("RULES_FILE", "Rules", "promote", "rules_of"),
        "published_packages": ("Publication", "note_publication", "publications"),
        "trained_models": ("ModelVersion", "find_model", "model_versions"),
    },
)
