"""Whether the pipeline that a re-run loaded is the one that the trace tells of: its graph, and each open step's settings and code.

The re-run reports what it loaded. That is the word of the pellucid in the package: where that is not the verifier's own, so is this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pellucid.packages.format import RERUN, Entry, Manifest


def departures(manifest: Manifest, loaded: Mapping[str, Any], environment: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(step, what the trace states otherwise) for each step; of steps that are only in one of both too."""
    graph = loaded.get("graph")
    nodes = {node.get("step"): node for node in graph if isinstance(node, dict)} if isinstance(graph, list) else {}
    planned = {node["step"]: node for node in manifest.graph}
    entries = {entry.step: entry for entry in manifest.trace}
    same_python = _minor(manifest.environment.get("python")) == _minor(environment.get("python"))
    for step in [*planned, *(str(step) for step in nodes if step not in planned)]:
        if step not in planned or step not in nodes:
            yield step, f"the pipeline has {'no such step' if step in planned else 'a step that the package does not name'}"
            continue
        said = [
            what for what in ("kind", "label", "inputs", "outputs", "tolerance") if nodes[step].get(what) != planned[step][what]
        ]
        if step in entries and entries[step].role == RERUN:
            said += _of_step(entries[step], loaded, same_python)
        if said:
            yield step, f"the package states other {', '.join(said)} than its pipeline has"


def _of_step(entry: Entry, loaded: Mapping[str, Any], same_python: bool) -> Iterator[str]:
    for what, stated in (("settings", entry.settings), ("code", entry.code)):
        if what == "code" and not same_python:  # digests of code are over its syntax tree, which a version of Python may change
            continue
        found = loaded.get(what)
        if not isinstance(found, dict) or found.get(entry.step) != stated:
            yield what


def _minor(version: object) -> tuple[str, ...]:
    return tuple(str(version).split(".")[:2])
