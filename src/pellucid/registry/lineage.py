"""Which releases of private data a model descends from, with what each guarantees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.pipeline.record import Record, path_of
from pellucid.store import Objects, kinds


@dataclass(frozen=True)
class Guarantee:
    """One release: its step and the metrics that say what it guarantees (mechanism, epsilon, delta, unit, ...)."""

    step: str
    values: Mapping[str, Any]


def guarantees_behind(home: Path, run: str, output: str) -> list[Guarantee]:
    """The releases among the steps that an output of a run was made from, by name."""
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
    found = []
    for node in graph:
        name = f"{node['step']}_guarantee"
        if node["step"] in seen and node["kind"] == "release" and name in steps[node["step"]].outputs:
            artifact = steps[node["step"]].outputs[name]
            found.append(Guarantee(node["step"], dict(kinds.load(path_of(Objects(home), artifact), "metrics"))))
    return sorted(found, key=lambda one: one.step)
