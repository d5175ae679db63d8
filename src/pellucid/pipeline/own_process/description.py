"""What a pipeline is, in digests: two processes that find the same hold the same pipeline."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from typing import Any

from pellucid.pipeline.declaration import Bound, Pipeline, Source
from pellucid.pipeline.keys import closure_of, value_digest

_ELSEWHERE = (
    "fn",
    "inputs",
    "settings",
    "over",
    "protection",
    "path",
    "origin",
)  # fields that are described by what they stand for
PIPELINE = ""  # under this name: what belongs to no step


def describe(pipeline: Pipeline) -> dict[str, str]:
    """A digest for each node (its code, the values it reads, its settings, inputs and label), and one for the pipeline itself.

    What loading the file changes beside names is left out: the process that runs the steps sees to it by itself. Raises UsageError for
    code that was changed in memory, and for state that cannot be part of a key.
    """
    whole = [pipeline.name, pipeline.seed, repr(pipeline.about), list(pipeline.steps)]
    return {PIPELINE: _digest(whole)} | {name: _digest(_node(bound)) for name, bound in pipeline.steps.items()}


def _node(bound: Bound) -> list[Any]:
    node = bound.node
    fields = {one.name: repr(getattr(node, one.name)) for one in dataclasses.fields(node) if one.name not in _ELSEWHERE}
    found = [fields, repr(bound.label), repr(bound.edges)]
    if isinstance(node, Source):
        return [*found, os.path.abspath(node.path)]
    found += [{name: value_digest(value) for name, value in bound.settings.items()}, value_digest(node.over)]
    if node.protection is not None:
        return [*found, repr(node.protection.parameters())]
    return found if node.gate is not None else [*found, closure_of(node.fn, f'step "{bound.name}"').digest]


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
