"""What attacks and audits found: of the newest run of each pipeline, and of the steward's evidence. What is not open is for stewards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request

from pellucid.errors import PellucidError
from pellucid.pipeline.record import Record, metrics_of, pipelines
from pellucid.service.access import actor_of
from pellucid.service.dashboard.answers import answer, opened
from pellucid.service.dashboard.steward_routes import steward_folders
from pellucid.steward import path_of_folder
from pellucid.store import Objects

AUDIT = ("declared", "at_least", "reach", "runs", "refuted")


def add(app: FastAPI, home: Path) -> None:
    """Add the route to the application."""

    @app.get("/attacks", summary="What attacks and audits found")
    def attacks(request: Request) -> Any:
        """Each finding with its interval and what it is to be compared with, and each audit; what is not open for stewards alone."""
        steward = actor_of(request).may("steward")
        with opened(home) as record:
            told = _of_runs(record, home, steward)
        if steward:
            for name, folder in steward_folders(home).items():
                _add_evidence(told, name, folder)
        return answer(request, "attacks.html", {**told, "all": steward}, table=told["findings"])


def _of_runs(record: Record, home: Path, steward: bool) -> dict[str, list[dict[str, Any]]]:
    """Findings and audits of the attack steps of each pipeline's newest run; `hidden`: the steps that a steward would see."""
    told: dict[str, list[dict[str, Any]]] = {"findings": [], "audits": [], "hidden": []}
    objects = Objects(home)
    for one in pipelines(record):
        for step in record.steps(one["run"]):
            if step.kind != "attack" or "[" in step.step or not step.outputs:
                continue
            closed, about = step.label != "open", {"from": one["pipeline"], "step": step.step}
            if closed and not steward:
                told["hidden"].append(about)
                continue
            values = metrics_of(objects, step.outputs)
            about |= {"label": "private" if closed else "open"}
            if set(AUDIT) <= set(values):
                told["audits"].append(about | {name: values[name] for name in AUDIT})
            else:
                told["findings"] += [about | found for found in findings_of(values)]
    return told


def findings_of(values: Mapping[str, float]) -> list[dict[str, Any]]:
    """The findings in an attack step's flat numbers: each rate with its interval, and what else bears its name."""
    found = []
    rates = sorted(name for name in values if {f"{name}_low", f"{name}_high"} <= set(values))
    for rate in rates:
        longer = [f"{one}_" for one in rates if one.startswith(f"{rate}_")]  # another finding, not a baseline of this one
        others = {
            name.removeprefix(f"{rate}_").replace("_", " "): value
            for name, value in values.items()
            if name.startswith(f"{rate}_") and name not in (f"{rate}_low", f"{rate}_high") and name not in rates
            and not name.startswith(tuple(longer))
        }  # fmt: skip
        found.append(
            {
                "attack": rate.replace("_", " "),
                "rate": values[rate],
                "low": values[f"{rate}_low"],
                "high": values[f"{rate}_high"],
                "beside": others,
            }
        )
    return found


def _add_evidence(told: dict[str, list[dict[str, Any]]], name: str, folder: Any) -> None:
    """The findings and audits of a steward's folder."""
    try:
        path = path_of_folder(folder)
    except PellucidError:  # its own page says what is wrong
        return
    about = {"from": name, "step": "steward attack", "label": "private"}
    for one in path["findings"]:
        rate, beside = one["rate"], {**one["baselines"], **one["references"]}
        plain = {what: value["value"] if isinstance(value, dict) else value for what, value in beside.items()}
        numbers = {"rate": rate["value"], "low": rate["low"], "high": rate["high"], "beside": plain}
        told["findings"].append(about | {"attack": f"{one['attack']} on {one['target']}"} | numbers | {"verdict": one["verdict"]})
    for one in path["audits"]:
        declared = {"declared": one["declared_epsilon"], "at_least": one["epsilon_at_least"], "reach": one["reach"]}
        told["audits"].append(about | {"step": one["release"]} | declared | {"runs": one["runs"], "refuted": int(one["refuted"])})
