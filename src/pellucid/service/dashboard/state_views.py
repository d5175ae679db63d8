"""What the pages of data, accounts, schedules, packages and the system show."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid import __version__
from pellucid.errors import PellucidError, UsageError, suggest
from pellucid.pipeline.record import Record, pipelines
from pellucid.privacy import Ledger
from pellucid.registry import Deployments, publications
from pellucid.schedule import Schedule, Schedules
from pellucid.service.dashboard import charts

DAY = 86_400.0
BASIC = "basic"


def data_told(record: Record, private: bool) -> dict[str, Any]:
    """The sources and releases of the newest run of each pipeline that ended well: label, content where it is open, and who uses it."""
    sources: dict[tuple[str, str], dict[str, Any]] = {}
    releases = []
    for one in pipelines(record):
        row = record.db.execute(
            "SELECT run FROM runs WHERE pipeline = ? AND status = 'done' ORDER BY started DESC, run DESC LIMIT 1",
            (one["pipeline"],),
        ).fetchone()
        if row is None:
            continue
        run = record.find(row["run"])
        steps = {step.step: step for step in record.steps(run["run"])}
        for node in run["graph"]:
            step = steps.get(node["step"])
            artifact = next(iter(step.outputs.values()), None) if step is not None else None
            seen = artifact is not None and (node["label"] == "open" or private)
            about = {
                "name": node["step"], "label": node["label"], "pipeline": one["pipeline"], "run": run["run"],
                "digest": artifact.digest if artifact is not None and seen else None,
                "bytes": artifact.size if artifact is not None and seen else None,
            }  # fmt: skip
            if node["kind"] == "source":
                used = [other["step"] for other in run["graph"] if node["step"] in other["inputs"].values()]
                sources[one["pipeline"], node["step"]] = {**about, "used_by": used, "kind": node["outputs"][0][1]}
            elif node["kind"] == "release":
                values = _release_numbers(record, run["run"], node["step"])
                releases.append({**about, "of": sorted(node["inputs"].values()), **values})
    return {"sources": [sources[key] for key in sorted(sources)], "releases": releases}


def _release_numbers(record: Record, run: str, step: str) -> dict[str, float | None]:
    rows = record.db.execute(
        "SELECT metric_names.name, value FROM run_metrics JOIN metric_names ON id = run_metrics.name"
        " WHERE run = ? AND metric_names.name IN (?, ?)",
        (run, f"{step}_guarantee.epsilon", f"{step}_guarantee.delta"),
    )
    found = {name.rpartition(".")[2]: value for name, value in rows}
    return {"epsilon": found.get("epsilon"), "delta": found.get("delta")}


def ledger_told(home: Path) -> dict[str, Any]:
    """The accounts with what is left, their spends and refusals, and the hash of the last event."""
    ledger = Ledger(home)
    accounts = [
        {
            "name": one["name"], "unit": one["unit"], "composition": one["composition"],
            **{f"{word}_{kind}": one[f"{word}_{kind}"] for word in ("cap", "spent", "left") for kind in ("epsilon", "delta")},
            **({"period": one["period"]} if "period" in one else {}),
        }
        for one in ledger.accounts()
    ]  # fmt: skip
    spends = [
        {
            "release": one["release"], "account": one["account"], "epsilon": one["epsilon"], "delta": one["delta"], "time": one["time"],
            "state": one["state"], "pipeline": one["description"].get("pipeline"), "step": one["description"].get("step"),
        }
        for one in ledger.spends()
    ]  # fmt: skip
    return {
        "accounts": accounts, "spends": spends, "refusals": [_refusal(one) for one in ledger.refusals()], "head": ledger.head(),
        "clock_set_forward": ledger.clock_jumps(),
    }  # fmt: skip


def _refusal(one: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("accounts", "epsilon", "delta", "time", "why")}


def what_if(told: Mapping[str, Any], account: str, epsilon: float, delta: float, times: int) -> dict[str, Any]:
    """What an account would have left after more releases, and when it would run out at the pace of the last 90 days. Nothing is spent.

    Exact for an account that adds up by basic composition; for another, only that a plan has to be made. Raises UsageError.
    """
    found = {one["name"]: one for one in told["accounts"]}
    if account not in found:
        raise UsageError(f'there is no account "{account:.60}"', fix=suggest(account, found))
    if not 0 < epsilon <= 1e6 or not 0 <= delta < 1 or not 1 <= times <= 10_000:
        raise UsageError(
            "this is no release", fix="Give an epsilon above 0, a delta from 0 to below 1, and from 1 to 10,000 times"
        )
    one = found[account]
    if one["composition"] != BASIC:
        return {
            "account": account,
            "said": f"it adds up by {one['composition']}: pellucid ledger plan FILE says what a pipeline would cost",
        }
    left = one["left_epsilon"] - times * epsilon, one["left_delta"] - times * delta
    slack = 1e-9
    fits = left[0] >= -slack * max(1.0, one["cap_epsilon"]) and left[1] >= -slack * max(1e-12, one["cap_delta"])
    ways = [one["left_epsilon"] / epsilon + slack] + ([one["left_delta"] / delta + slack] if delta else [])
    return {
        "account": account, "fits": fits, "left_epsilon": max(0.0, left[0]), "left_delta": max(0.0, left[1]),
        "most_times": min(10_000, int(min(ways))), "runs_out": runs_out(told, account),
    }  # fmt: skip


def runs_out(told: Mapping[str, Any], account: str, now: float | None = None) -> float | None:
    """When an account is empty at the pace of its last 90 days; None where nothing was spent then or it adds up otherwise."""
    at = time.time() if now is None else now
    one = next(one for one in told["accounts"] if one["name"] == account)
    lately = [spend for spend in told["spends"] if spend["account"] == account and spend["time"] > at - 90 * DAY]
    if not lately or one["composition"] != BASIC:
        return None
    pace = sum(spend["epsilon"] for spend in lately) / max(DAY, at - min(spend["time"] for spend in lately))
    return float(at + one["left_epsilon"] / pace)


def burn_down(told: Mapping[str, Any]) -> str:
    """What each account has left after each spend, by basic composition, as a chart."""
    series = []
    for one in told["accounts"]:
        left, points = one["cap_epsilon"], list[tuple[float, float]]()
        for spend in told["spends"]:
            if spend["account"] == one["name"]:
                left -= spend["epsilon"]
                points.append((len(points) + 1.0, max(0.0, left)))
        if points:
            series.append((one["name"], [(0.0, one["cap_epsilon"]), *points]))
    return charts.lines("epsilon left", "releases", series, from_zero=True)


def schedules_told(home: Path) -> dict[str, Any]:
    """Each schedule with its next moments and what it last fired."""
    schedules = Schedules(home)
    return {"schedules": [_schedule(schedules, one) for one in schedules.all()]}


def _schedule(schedules: Schedules, one: Schedule) -> dict[str, Any]:
    last = next(iter(schedules.firings(one.name, 1)), None)
    return {**one.to_json(), "last": last.to_json() if last is not None else None}


def packages_told(home: Path) -> dict[str, Any]:
    """The packages that were published from here or stand behind an alias, with their last re-run by a schedule."""
    found: dict[str, dict[str, Any]] = {}
    for one in publications(home):
        found[str(one.path)] = {
            "path": str(one.path),
            "run": one.run,
            "made": one.made,
            "there": one.there,
            "aliases": [],
            "verdict": None,
        }
    for alias, deployed in sorted(Deployments(home).current().items()):
        if deployed.package:
            about = {"path": deployed.package, "run": deployed.run, "made": None, "there": Path(deployed.package).exists()}
            found.setdefault(deployed.package, {**about, "aliases": [], "verdict": None})["aliases"].append(alias)
    schedules = Schedules(home)
    for schedule in schedules.all():
        if str(schedule.target) in found:
            last = next(iter(schedules.firings(schedule.name, 1)), None)
            found[str(schedule.target)]["verdict"] = last.to_json() if last is not None else None
    return {"packages": [*found.values()]}


def system_told(home: Path, started: float, served: Mapping[str, Any]) -> dict[str, Any]:
    """What an operator looks at: version, disk, how many of what; `served` is what the service says of itself."""
    record = Record(home)
    try:
        (runs,) = record.db.execute("SELECT count(*) FROM runs").fetchone()
        at_work = [
            row["run"] for row in record.db.execute("SELECT run FROM runs WHERE status = 'running' ORDER BY run").fetchall()
        ]
        at_work = [run for run in at_work if record.status_of(run, "running") == "running"]
    finally:
        record.close()
    disk = shutil.disk_usage(home)
    return {
        "version": __version__, "python": sys.version.split()[0], "state_folder": home.name, "up_seconds": time.time() - started,
        "runs": runs, "running": at_work, "disk_free_bytes": disk.free, "disk_bytes": disk.total, **served,
    }  # fmt: skip


def overview_told(home: Path) -> dict[str, Any]:
    """The first screen: for a researcher what was run, for a steward what is left, for an operator what failed and what comes next."""
    record = Record(home)
    try:
        ran = [{**one, "file": Path(one["file"]).name if one["file"] else None} for one in pipelines(record)]
    finally:
        record.close()
    try:
        accounts = ledger_told(home)["accounts"]
    except PellucidError:  # a damaged ledger has its own page, which says so
        accounts = []
    due = [
        {**one, "target": Path(one["target"]).name} for one in schedules_told(home)["schedules"] if one["next"] or one["paused"]
    ]
    deployed = [one.to_json() for _, one in sorted(Deployments(home).current().items())]
    return {"pipelines": ran, "accounts": accounts, "schedules": due, "deployed": deployed}
