"""A node in its place in a graph: what feeds it, with which settings it is called, and the label its outputs carry."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pellucid.pipeline.declaration.nodes import Node, Output, Source, Step
from pellucid.store import OPEN, Label


@dataclass(frozen=True)
class Edge:
    """A parameter fed by one output of a node; `many` when it takes a whole collection, `from_many` when the output is one."""

    parameter: str
    node: str
    output: str
    kind: str
    many: bool
    from_many: bool = False


@dataclass(frozen=True)
class Bound:
    """A node placed in a graph: its name, its edges, its settings with their types, and the label its outputs carry."""

    name: str
    node: Node
    edges: tuple[Edge, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    hints: Mapping[str, Any] = field(default_factory=dict)
    seeded: bool = False
    fanned: bool = False
    label: Label = OPEN
    closed: frozenset[str] = frozenset()  # the parameters whose artifact is not open

    @property
    def outspoken(self) -> bool:
        """Whether what the step prints or raises may be shown to anyone. A release gives open data, but it has seen private."""
        return self.label.is_open and not self.closed

    @property
    def kind(self) -> str:
        """What the node is: a source, a release, or the kind that its step says."""
        return "source" if isinstance(self.node, Source) else "release" if self.node.gate else self.node.kind

    @functools.cached_property
    def outputs(self) -> tuple[tuple[str, str, bool], ...]:
        """(artifact name, kind, whether a collection) for each output; a step's only output bears the step's name."""
        if isinstance(self.node, Source):
            return ((self.name, self.node.kind, False),)
        return tuple(
            (artifact_name(self.node, self.name, output), output.kind, output.many or self.fanned) for output in self.node.outputs
        )


def artifact_name(step: Step, name: str, output: Output) -> str:
    """The name of what a step called `name` gives as one of its outputs."""
    if not output.name:
        return name
    return f"{name}_{output.name}" if step.gate is not None or output.prefixed else output.name
