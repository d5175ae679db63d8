"""Declaration: what a pipeline is written with, and the checked graph that follows from it.

`source`, `step` and `Pipeline` declare; `graph` finds names, edges and labels; `release_protocol` says what a release must answer. Nothing
runs here (`Pipeline.run` reaches the running room by its one import inside a function). May import the record, store and data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.pipeline.declaration.about import About, Creator, checked_licence
    from pellucid.pipeline.declaration.declare_source import Row, UserDay, source
    from pellucid.pipeline.declaration.declare_step import step
    from pellucid.pipeline.declaration.graph import Pipeline
    from pellucid.pipeline.declaration.graph_drawing import Drawn, svg
    from pellucid.pipeline.declaration.graph_node import Bound
    from pellucid.pipeline.declaration.loading import BEING_LOADED, Loading
    from pellucid.pipeline.declaration.model_reference import ModelReference, StoredModel
    from pellucid.pipeline.declaration.nodes import Output, OutputOf, Source, Step
    from pellucid.pipeline.declaration.own_code import keeps_units_apart, own, proved_per_unit
    from pellucid.pipeline.declaration.release_protocol import Budget, GateRequest, Grant, Protection
    from pellucid.pipeline.declaration.settings import plain
    from pellucid.pipeline.declaration.source_code import is_project_file, spec_of

__all__ = [
    "BEING_LOADED",
    "About",
    "Bound",
    "Budget",
    "Creator",
    "Drawn",
    "GateRequest",
    "Grant",
    "Loading",
    "ModelReference",
    "Output",
    "OutputOf",
    "Pipeline",
    "Protection",
    "Row",
    "Source",
    "Step",
    "StoredModel",
    "UserDay",
    "checked_licence",
    "is_project_file",
    "keeps_units_apart",
    "own",
    "plain",
    "proved_per_unit",
    "source",
    "spec_of",
    "step",
    "svg",
]

__getattr__ = lazy_names(
    __name__,
    {
        "about": (
            "About",
            "Creator",
            "checked_licence",
        ),
        "declare_source": (
            "Row",
            "UserDay",
            "source",
        ),
        "declare_step": ("step",),
        "graph": ("Pipeline",),
        "graph_drawing": (
            "Drawn",
            "svg",
        ),
        "graph_node": ("Bound",),
        "loading": ("BEING_LOADED", "Loading"),
        "model_reference": ("ModelReference", "StoredModel"),
        "nodes": (
            "Output",
            "OutputOf",
            "Source",
            "Step",
        ),
        "own_code": ("keeps_units_apart", "own", "proved_per_unit"),
        "release_protocol": (
            "Budget",
            "GateRequest",
            "Grant",
            "Protection",
        ),
        "settings": ("plain",),
        "source_code": (
            "is_project_file",
            "spec_of",
        ),
    },
)
