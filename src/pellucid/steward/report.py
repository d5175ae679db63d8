"""The report for those who must sign: one page, private, made again after every step from the evidence that is there.

No script, no address outside of itself. It says for each part whether its evidence is still about things as they stood at the last step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pellucid.packages.standards import STYLE, in_words
from pellucid.privacy.assess import ROLES
from pellucid.steward.assessment_stage import meaning
from pellucid.steward.attack_stage import beyond_control, figure, verdict
from pellucid.steward.current_state import roles_digest
from pellucid.steward.protection_stage import bounds_in_words, size_in_words
from pellucid.steward.report_template import LOOKS, PAGE
from pellucid.steward.workspace import REPORT, STEPS, Folder, now, private

_ASKED = {  # what the six steps answer
    "inventory": "What is in the data, and whose is it?",
    "assess": "How identifying are they as they stand?",
    "protect": "What is to leave, and under which guarantee?",
    "attack": "What would an adversary get?",
    "decide": "May it leave?",
    "release": "What left?",
}


def write(folder: Folder) -> Path:
    """Make the page; where it is."""
    import jinja2
    from markupsafe import Markup

    held = {step: folder.read(step) for step in STEPS}
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(
        PAGE
    ).render(
        name=folder.pipeline.stem if folder.pipeline.stem != "steward" else held["inventory"]["source"],  # type: ignore[index]
        on=now()[:10],
        style=Markup(STYLE + LOOKS),
        steps=step_states(held),
        **{step: held[step] for step in STEPS},
        roles=role_rows(held["inventory"]),
        meaning=meaning(held["assess"]) if held["assess"] else "",
        releases=[_release(one) for one in (held["protect"] or {}).get("releases", [])],
        groups=_groups(held["attack"]),
        stale=_stale(held),
    )
    path = folder.path / REPORT
    private(path, page)
    return path


def step_states(held: dict[str, Any]) -> list[dict[str, Any]]:
    """The six steps by name, with what each asks, whether it is to do, to do again or done, and on which day it was."""
    stale = _stale(held)
    return [
        {
            "name": step,
            "asked": _ASKED[step],
            "state": "to do" if held[step] is None else "to do again" if step in stale else "done",
            "at": (held[step] or {}).get("at", "")[:10],
        }
        for step in STEPS
    ]


def _stale(held: dict[str, Any]) -> set[str]:
    """The steps whose evidence is about other data, roles or releases than what is known last."""
    inventory = held["inventory"]
    dated: list[dict[str, Any]] = [held[step] for step in STEPS[2:] if held[step]]
    latest: dict[str, Any] = max(dated, key=lambda one: str(one["at"]), default={"of": {}})
    now = {
        "data": inventory["of"]["data"],
        "roles": roles_digest({name: column["role"] for name, column in inventory["columns"].items()}),
        "releases": latest["of"].get("releases"),
    }
    return {step for step in STEPS[1:] if held[step] and any(now[part] != value for part, value in held[step]["of"].items())}


def role_rows(inventory: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The columns of each role, in the order in which roles are explained."""
    found = (inventory or {}).get("columns", {})
    told = []
    for role, means in ROLES.items():
        columns = [
            f"{name}{'' if held['confirmed'] else ' (not confirmed)'}" for name, held in found.items() if held["role"] == role
        ]
        if columns:
            told.append({"role": role, "columns": ", ".join(columns), "means": means})
    return told


def _release(one: dict[str, Any]) -> dict[str, Any]:
    return {
        **one,
        "kind": one["mechanism"]["mechanism"],
        "bounds": bounds_in_words(one["mechanism"]),
        "words": in_words(one["epsilon"], one["delta"], one["unit"]),
        "size": size_in_words(one),
    }


def _groups(attacked: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Findings on the data as they stand, and on what would leave, each with its bars."""
    told = []
    for head, leaving in (("The data without identifiers, as a warning", False), ("What would leave (simulated)", True)):
        chosen = [one for one in (attacked or {}).get("findings", []) if (one["release"] is not None) == leaving]
        findings = [
            {
                **one,
                "verdict": verdict(one),
                "bad": beyond_control(one),
                "bars": [_bar(one["target"], one["rate"], "hit")]
                + [_bar(name, rate, "base") for name, rate in one["baselines"].items()]
                + [_bar(name, rate, "other") for name, rate in one["references"].items()],
            }
            for one in chosen
        ]
        if findings:
            told.append({"head": head, "findings": findings})
    return told


def _bar(name: str, rate: Any, kind: str) -> dict[str, Any]:
    """A bar from 0 to 1 in percent of its width, with the interval where there is one."""
    interval = isinstance(rate, dict)
    value = float(rate["value"] if interval else rate)
    low, high = (float(rate["low"]), float(rate["high"])) if interval else (value, value)
    return {
        "name": name,
        "kind": kind,
        "figure": figure(rate),
        "width": round(100 * value, 3),
        "low": round(100 * low, 3),
        "span": round(max(0.4, 100 * (high - low)), 3) if interval else 0,
    }
