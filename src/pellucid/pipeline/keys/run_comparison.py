"""Two runs side by side: settings, metrics, and the first step where what they gave differs, with what of its key differs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.pipeline.keys import cache_key
from pellucid.pipeline.record import Record, StepRecord, metrics_of
from pellucid.store import Objects

LONGEST = 80  # characters of a setting that are shown
_SETTING = "setting "


def compare_runs(record: Record, sides: list[dict[str, Any]], *, private: bool = False) -> dict[str, Any]:
    """`runs`, `settings` and `metrics` by name (each a pair; "-" where one has none), and `first_difference` (None where there is none).

    Metrics that are not open are left out unless `private`, for the data's steward.
    """
    steps = [{step.step: step for step in record.steps(side["run"])} for side in sides]
    return {
        "runs": [side["run"] for side in sides],
        "settings": _side_by_side([_settings(found) for found in steps]),
        "metrics": _side_by_side([_metrics(record.home, found, private) for found in steps]),
        "first_difference": _first_difference(sides[0]["graph"], steps),
    }


def _side_by_side(sides: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [side.get(name, "-") for side in sides] for name in sorted({name for side in sides for name in side})}


def _settings(steps: Mapping[str, StepRecord]) -> dict[str, str]:
    return {
        f"{name}.{part.removeprefix(_SETTING)}": _in_short(value)
        for name, step in steps.items()
        for part, value in step.parts.items()
        if part.startswith(_SETTING)
    }


def _in_short(value: str) -> str:
    """A setting as it is read side by side: of a long one its beginning, and what tells it from others that begin so."""
    if len(value) <= LONGEST:
        return value
    return f"{value[: LONGEST // 2]}... ({len(value):,} characters, {hashlib.sha256(value.encode()).hexdigest()[:8]})"


def _metrics(home: Path, steps: Mapping[str, StepRecord], private: bool) -> dict[str, Any]:
    objects, found = Objects(home), {}
    for step in steps.values():
        for name, artifact in step.outputs.items():
            if artifact.kind == "metrics" and artifact.items is None and (step.label == "open" or private):
                found.update({f"{name}.{key}": value for key, value in metrics_of(objects, {name: artifact}).items()})
    return found


def _first_difference(graph: list[dict[str, Any]], steps: list[dict[str, StepRecord]]) -> dict[str, Any] | None:
    """The first step, in running order, that both runs have and whose outputs differ."""
    for node in graph:
        pair = [found.get(node["step"]) for found in steps]
        if pair[0] is None or pair[1] is None:
            continue
        digests = [{name: artifact.digest for name, artifact in step.outputs.items()} for step in pair if step]
        if digests[0] != digests[1]:
            why = cache_key.changed(pair[0].parts, pair[1].parts)
            return {"step": node["step"], "why": "; ".join(why) or "the same key gave another result: it is not deterministic"}
    return None
