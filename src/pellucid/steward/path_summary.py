"""The path of one steward's folder as a page of the service shows it: six steps, each with what it said. All of it is private."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.steward.assessment_stage import assessment_lines
from pellucid.steward.attack_stage import attack_lines, verdict
from pellucid.steward.decision_policy import Check, decision_lines
from pellucid.steward.protection_stage import protection_lines
from pellucid.steward.release_stage import release_lines
from pellucid.steward.report import role_rows, step_states
from pellucid.steward.workspace import FILE, STEPS, Folder, opened


def folders_of(home: Path, files: Iterable[str | None]) -> dict[str, Folder]:
    """The stewards' folders of a state folder by name: those beside the pipeline files that ran in it, or one folder below.

    A name is that of the folder, with a number where several have it.
    """
    here, found = os.path.realpath(home), dict[str, Folder]()
    places = {Path(file).parent for file in files if file}
    candidates = places | {entry.parent for place in places for entry in place.glob(f"*/{FILE}")}
    for candidate in sorted({Path(os.path.realpath(one)) for one in candidates}):
        try:
            folder = opened(candidate)
        except UsageError:
            continue
        if os.path.realpath(folder.home) == here:
            name, number = candidate.name, 1
            while name in found:
                number += 1
                name = f"{candidate.name}-{number}"
            found[name] = folder
    return found


def path_of_folder(folder: Folder) -> dict[str, Any]:
    """The six steps with their state, when each was done and its lines; the findings of attacks; `seen` stands for all of it.

    Raises UsageError for a file that is no evidence.
    """
    held = {step: folder.read(step) for step in STEPS}
    if held["inventory"] is None:
        raise UsageError("there is no inventory", where=str(folder.path), fix="Run: pellucid steward inventory")
    steps = [{**step, "lines": _lines(folder, step["name"], held[step["name"]])} for step in step_states(held)]
    after = next((step["name"] for step in steps if step["state"] != "done"), None)
    findings = [{**one, "verdict": verdict(one)} for one in (held["attack"] or {}).get("findings", [])]
    audits = list((held["attack"] or {}).get("audits", []))
    seen = hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()
    return {"pipeline": folder.pipeline.name, "steps": steps, "next": after, "findings": findings, "audits": audits, "seen": seen}


def _lines(folder: Folder, step: str, held: dict[str, Any] | None) -> list[str]:
    """What the command said, without its word on what is next."""
    if held is None:
        return []
    if step == "inventory":
        return [f"{row['role']}: {row['columns']}" for row in role_rows(held)]
    if step == "decide":
        told = decision_lines(folder, held, [Check(**one) for one in held["checks"]])
    elif step == "release":
        told = release_lines(folder, held)
    else:
        told = {"assess": assessment_lines, "protect": protection_lines, "attack": attack_lines}[step](folder, held)
    return [line for line in told if not line.startswith("next:")]
