"""How things stand: the data as they are now, the releases as the pipeline declares them, and whether evidence is still about these."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import PrivacyError, UsageError
from pellucid.pipeline.declaration import Bound, GateRequest, Pipeline, Source, Step, budgets
from pellucid.privacy import ReleaseGate
from pellucid.privacy.assess import Inventory, read_inventory
from pellucid.steward.workspace import INVENTORY, Folder
from pellucid.store import ADD_REMOVE, Table, unit_of

# step -> what its evidence is about: the data, the confirmed roles, the releases (each with its data, bounds, epsilon and delta)
ABOUT: dict[str, tuple[str, ...]] = {
    "inventory": ("data",),
    "assess": ("data", "roles"),
    "protect": ("data", "releases"),
    "attack": ("data", "roles", "releases"),
    "decide": ("data", "releases"),
}


@dataclass(frozen=True)
class PlannedRelease:
    """One release to come: its step and gate, what it is applied to, and its identity (a digest of all its noise depends on)."""

    name: str
    gate: ReleaseGate
    request: GateRequest
    input: str
    table: Table
    identity: str

    @property
    def terms(self) -> tuple[Any, float, float]:
        """The mechanism with its bounds, epsilon and delta."""
        return self.gate.resolved(self.request.settings, f'release "{self.name}"')


@dataclass(frozen=True)
class CurrentState:
    """The one private source with its table and canonical digest, the releases, and the accounts' budgets."""

    folder: Folder
    pipeline: Pipeline
    source: Bound
    table: Table
    data: str
    releases: tuple[PlannedRelease, ...]

    def of(self, step: str) -> dict[str, Any]:
        """What evidence of a step is about."""
        told: dict[str, Any] = {"data": self.data}
        if "roles" in ABOUT[step]:
            told["roles"] = roles_digest({name: held.role for name, held in self.inventory().columns.items()})
        if "releases" in ABOUT[step]:
            told["releases"] = {coming.name: coming.identity for coming in self.releases}
        return told

    def inventory(self) -> Inventory:
        """The inventory, confirmed. Raises PrivacyError while it is not, and UsageError where there is none."""
        found = read_inventory(self.folder.file("inventory"))
        waiting = [name for name, held in found.columns.items() if not held.confirmed]
        if waiting:
            few = ", ".join(f'"{name}"' for name in waiting[:4]) + (f" and {len(waiting) - 4} more" if len(waiting) > 4 else "")
            raise PrivacyError(
                f"nobody confirmed the role of {few}",
                where=str(self.folder.path / INVENTORY),
                fix=f"Look, then: {self.folder.command('inventory', '--confirm')}, or --set COLUMN=ROLE",
            )
        if found.unit() != self.unit:
            raise PrivacyError(
                f'the inventory says that "{found.unit()}" is the unit, the pipeline that "{self.unit}" is',
                where=str(self.folder.pipeline),
                fix=f"Correct unit= there, or the role: {self.folder.command('inventory', '--set COLUMN=ROLE')}",
            )
        return found

    @property
    def unit(self) -> str:
        """The column of people."""
        return str(self.source.label.unit)

    def missing_evidence(self, step: str) -> str:
        """Why evidence of a step cannot be used: "" where it can, "not done", or what changed since."""
        held = self.folder.read(step)
        if held is None:
            return "not done"
        now, then = self.of(step), held.get("of", {})
        changed = [part for part in ABOUT[step] if now.get(part) != then.get(part)]
        return " and ".join(f"the {part}" for part in changed) + " changed since" if changed else ""

    def need(self, *steps: str) -> None:
        """Raise UsageError for the first of these steps that has not been done on things as they stand."""
        for step in steps:
            wrong = self.missing_evidence(step)
            if wrong:
                said = f"{step} has not been done yet" if wrong == "not done" else f"{wrong} {step} was done"
                raise UsageError(said, where=str(self.folder.path), fix=f"Run: {self.folder.command(step)}")


def roles_digest(roles: Mapping[str, str]) -> str:
    """A digest of the roles (column -> role), and of nothing else in the inventory."""
    return hashlib.sha256(json.dumps(dict(roles), sort_keys=True).encode()).hexdigest()


def standing(folder: Folder) -> CurrentState:
    """Read the pipeline, and bring its private source and what its releases are applied to up to date; nothing is released.

    Raises UsageError for a pipeline without a release or with several private sources, PrivacyError for one without a unit, and what
    reading the data raises.
    """
    from pellucid.pipeline.record import path_of
    from pellucid.pipeline.running import load, run
    from pellucid.store import Objects

    with contextlib.redirect_stdout(sys.stderr):
        pipeline = load(folder.pipeline)
    where = str(folder.pipeline)
    private = [bound for bound in pipeline.steps.values() if isinstance(bound.node, Source) and not bound.label.is_open]
    gated = [bound for bound in pipeline.steps.values() if isinstance(bound.node, Step) and bound.node.gate is not None]
    if not gated:
        raise UsageError("this pipeline releases nothing", where=where, fix="Declare what is to leave, with pl.release(...)")
    if len(private) != 1:
        raise UsageError(
            f"this pipeline has {len(private)} private sources",
            where=where,
            why="the steward's path takes one at a time",
            fix="Keep the releases of each source in a pipeline file of their own",
        )
    source, node = private[0], private[0].node
    assert isinstance(node, Source)
    if source.label.unit is None:
        raise PrivacyError("its private source names no unit", where=where, fix='Say whose rows they are: unit="COLUMN"')
    whose = unit_of(source.label.unit)
    if not whose.is_person or whose.relation != ADD_REMOVE:
        raise UsageError(
            "the guided path is for units that are one person, added or removed",
            where=where,
            why=f"its unit is {source.label.unit}",
            fix="Release it by hand: run the pipeline, and see docs/mechanisms.md",
        )
    done = run(pipeline, home=folder.home, only=[source.name, *(bound.edges[0].node for bound in gated)], confined=True)
    objects = Objects(folder.home)
    artifacts = {name: artifact for report in done.steps.values() for name, artifact in report.outputs.items()}
    declared, held = budgets.budgets(pipeline.steps), budgets.data_of(pipeline.steps, artifacts)
    releases = []
    for bound in gated:
        assert isinstance(bound.node, Step)
        gate, edge = bound.node.gate, bound.edges[0]
        assert isinstance(gate, ReleaseGate)
        label, artifact = pipeline.steps[edge.node].label, artifacts[edge.output]
        request = GateRequest(
            folder.home, bound.name, pipeline.name, label, artifact.digest, bound.settings, declared, sources=held
        )
        table = Table(path_of(objects, artifact))
        releases.append(PlannedRelease(bound.name, gate, request, edge.output, table, gate.check(request)))
    first = artifacts[source.outputs[0][0]]
    return CurrentState(folder, pipeline, source, Table(path_of(objects, first)), first.digest, tuple(releases))


def confirmed_roles(inventory: Inventory) -> Mapping[str, list[str]]:
    """Columns by role, of a confirmed inventory."""
    found: dict[str, list[str]] = {}
    for name, held in inventory.columns.items():
        found.setdefault(held.role, []).append(name)
    return found


def refuse_nameless(table: Table, unit: str, where: str) -> None:
    """Raise PrivacyError where rows have nobody's name: such a row would be counted as one person's, or as nobody's."""
    import pyarrow.parquet as pq

    refuse_gaps(pq.read_table(table.path, columns=[unit]).column(unit).null_count, unit, where)


def refuse_gaps(missing: int, unit: str, where: str) -> None:
    """Raise PrivacyError where the unit column has so many rows without a value."""
    if missing:
        raise PrivacyError(
            f'the unit column "{unit}" has rows without a value',
            where=where,
            why="nobody can say whose they are",
            fix="Fill or drop them in the data first",
        )


def shown(path: Path) -> str:
    """A path as a person would type it from here."""
    import os

    return os.path.relpath(path)
