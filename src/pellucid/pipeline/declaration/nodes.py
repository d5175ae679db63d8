"""What a pipeline is written with: sources, steps, and the gate that makes a step a release.

A declaration says what a step needs and gives; it does nothing by itself. A parameter named like a source, a step or one of a
step's named outputs is an edge, any other is a setting. The return annotation says how the value is kept: one kind
(`pl.Table`, `pl.Array`, `pl.Model`, `pl.Metrics`, `pl.File`), a `NamedTuple` of kinds (named outputs), or `list[kind]`
(a collection, which another step can be fanned out over).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.pipeline.declaration.model_reference import ModelReference
from pellucid.pipeline.declaration.release_protocol import Budget, Gate, Protection
from pellucid.store import Label


@dataclass(frozen=True)
class Output:
    """One value a step gives: its name ("" for a step's only output), its kind, whether it is a list of them, and whether the step's name
    comes before its own, so that two steps of a kind can stand in one pipeline."""

    name: str
    kind: str
    many: bool = False
    prefixed: bool = False


@dataclass(frozen=True, eq=False)
class Source:
    """Data that comes from outside: a path, how to read it, and its label. See `source`. Or a `model` of the registry, which has no path
    of its own (`path` says only what it is called)."""

    path: Path
    label: Label
    name: str | None
    format: str | None
    options: Mapping[str, Any]
    budget: Budget
    account: str | None
    licence: str | None = None
    credit: str = ""
    origin: Path | None = None
    model: ModelReference | None = None

    @property
    def kind(self) -> str:
        """The kind of what it gives."""
        return "model" if self.model is not None else "file" if self.format == "file" else "table"


@dataclass(frozen=True, eq=False)
class Step:
    """A pure function with declared inputs, settings and outputs. See `step`."""

    fn: Callable[..., Any]
    name: str | None
    outputs: tuple[Output, ...]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    over: str | Mapping[str, Sequence[Any]] | None = None
    by: str | None = None
    per_unit: bool = False
    kind: str = "step"
    retries: int = 0
    backoff: float = 1.0
    timeout: float | None = None
    threads: int = 1
    tolerance: float | None = None
    gate: Gate | None = None
    protection: Protection | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, outside of any pipeline (for tests and notebooks)."""
        return self.fn(*args, **kwargs)

    def __getattr__(self, name: str) -> OutputOf:
        if not name.startswith("_") and name != "outputs" and any(output.name == name for output in self.outputs):
            return OutputOf(self, name)
        raise AttributeError(f"step has no attribute or output {name!r}")


@dataclass(frozen=True, eq=False)
class OutputOf:
    """One named output of a step, as `people.train`."""

    step: Step
    output: str


Node = Source | Step
