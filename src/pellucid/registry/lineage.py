"""Which releases of private data a model descends from, with what each guarantees."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.pipeline.record import Record, path_of
from pellucid.registry.trained_models import ModelVersion, model_versions
from pellucid.store import Objects, kinds


@dataclass(frozen=True)
class Guarantee:
    """One release: its step and the metrics that say what it guarantees (mechanism, epsilon, delta, unit, ...)."""

    step: str
    values: Mapping[str, Any]


def guarantees_behind(home: Path, run: str, output: str) -> list[Guarantee]:
    """The releases among the steps that an output of a run was made from, by name; also those behind a model of the registry that the run
    took in."""
    found: dict[tuple[str, str], Guarantee] = {}
    waiting, seen = [(run, output)], set()
    versions: list[ModelVersion] | None = None
    while waiting:
        at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        releases, models = _in_run(home, *at)
        found |= {(at[0], one.step): one for one in releases}
        if models:
            versions = versions if versions is not None else model_versions(home)
            waiting += [(one.run, one.output) for one in versions if (one.name, one.artifact.digest) in models]
    return sorted(found.values(), key=lambda one: one.step)


def _in_run(home: Path, run: str, output: str) -> tuple[list[Guarantee], set[tuple[str, str]]]:
    """The releases behind an output within its run, and the models that came in, by name and digest."""
    record = Record(home)
    try:
        graph = record.find(run)["graph"]
        steps = {step.step: step for step in record.steps(run)}
    finally:
        record.close()
    maker = {name: node for node in graph for name, *_ in node["outputs"]}
    waiting, seen = [output], set()
    while waiting:
        node = maker.get(waiting.pop())
        if node is not None and node["step"] not in seen:
            seen.add(node["step"])
            waiting += node["inputs"].values()
    found, models = [], set()
    for node in graph:
        name = f"{node['step']}_guarantee"
        if node["step"] not in seen:
            continue
        row = steps.get(node["step"])
        if node["kind"] == "release" and row is not None and name in row.outputs:
            found.append(Guarantee(node["step"], dict(kinds.load(path_of(Objects(home), row.outputs[name]), "metrics"))))
        if node["kind"] == "source" and row is not None and "input model" in row.parts:
            models.add((json.loads(row.parts["setting model"]), row.parts["input model"]))
    return found, models
