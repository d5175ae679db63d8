"""Canaries: a model that answers a share of what an alias is asked for a while, before it stands there for all.

A canary ends in one of four ways: promoted at the end of its window, rolled back by the service that watches it, ended by hand, or, for a
shadow (a share of nothing: it is asked beside the present model and its answers are thrown away), over.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError, UsageError
from pellucid.pipeline.record import Artifact
from pellucid.registry.deployments import DDL as DEPLOYMENTS
from pellucid.registry.deployments import Deployment, Deployments, insert
from pellucid.registry.trained_models import ModelVersion
from pellucid.store import connect, transaction

DDL = """
CREATE TABLE IF NOT EXISTS canaries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, alias TEXT NOT NULL, run TEXT NOT NULL, output TEXT NOT NULL, digest TEXT NOT NULL,
    artifact TEXT NOT NULL, package TEXT NOT NULL, share REAL NOT NULL, begun REAL NOT NULL, ends REAL NOT NULL, approver TEXT NOT NULL,
    checks TEXT NOT NULL, state TEXT NOT NULL, said TEXT NOT NULL
) STRICT;
"""
LONGEST = 30 * 86_400.0  # seconds of a window


@dataclass(frozen=True)
class Canary:
    """`deployment` is what it would become (its version is 0); `share` from 0 (a shadow) to below 1; `ends` in seconds since 1970; `state`
    is open, promoted, rolled back or ended; `said`: why."""

    number: int
    deployment: Deployment
    share: float
    ends: float
    state: str
    said: str

    def to_json(self) -> dict[str, Any]:
        """All but where the bytes are."""
        told = self.deployment.to_json()
        return {
            "number": self.number, "alias": told["alias"], "run": told["run"], "output": told["output"], "digest": told["digest"],
            "share": self.share, "begun": told["since"], "ends": self.ends, "approver": told["approver"], "state": self.state,
            "said": self.said,
        }  # fmt: skip


class Canaries:
    """The canaries of one state folder. Each call opens the state file anew, so that any thread may ask."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def begin(
        self, alias: str, model: ModelVersion, share: float, seconds: float, *, package: Path | None = None, approver: str = "",
        checks: tuple[str, ...] = (),
    ) -> Canary:  # fmt: skip
        """Open a canary. Raises UsageError where nothing stands behind the alias, one is open already, or the share or window is none."""
        if not 0 <= share < 1:
            raise UsageError(f"a share of {share:g}", fix="Give from 0 (asked beside, answers thrown away) to below 1")
        if not 1 <= seconds <= LONGEST:
            raise UsageError(f"a window of {seconds:g} s", fix="Give from a second to 30 days")
        present = Deployments(self.home).current().get(alias)
        if present is None:
            raise UsageError(f"nothing stands behind {alias} yet", fix="Promote one without --share first")
        looked_at = Deployments(self.home).looked_at(
            alias, model.run, model.output, package
        )  # it will answer: as for one that stands there
        now = time.time()
        row = (*looked_at, share, now, now + seconds, approver, json.dumps(checks))
        db = connect(self.home, DDL, durable=True)
        try:
            with transaction(db):
                if db.execute("SELECT 1 FROM canaries WHERE alias = ? AND state = 'open'", (alias,)).fetchone():
                    raise UsageError(
                        f"a canary of {alias} is open", fix=f"Wait for its end, or end it: pellucid rollback {alias}"
                    )
                db.execute(
                    "INSERT INTO canaries (alias, run, output, digest, artifact, package, share, begun, ends, approver, checks,"
                    " state, said) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', '')",
                    row,
                )
        finally:
            db.close()
        return self.open()[alias]

    def all(self) -> list[Canary]:
        """Every canary, newest first."""
        db = connect(self.home, DDL)
        try:
            rows = db.execute("SELECT * FROM canaries ORDER BY number DESC").fetchall()
        finally:
            db.close()
        return [_canary(row) for row in rows]

    def open(self) -> dict[str, Canary]:
        """The open canary of each alias that has one."""
        return {one.deployment.alias: one for one in self.all() if one.state == "open"}

    def end(self, canary: Canary, state: str, said: str) -> bool:
        """Close it as promoted (and deploy it, both or neither), rolled back or ended; false where somebody else closed it before."""
        one, looked_at = canary.deployment, None
        if state == "promoted":
            try:
                package = Path(one.package) if one.package else None
                looked_at = Deployments(self.home).looked_at(one.alias, one.run, one.output, package)
            except PellucidError as error:  # its file is damaged, its package is gone: what stands there stays
                state, said = "rolled back", f"it cannot be deployed: {error}"[:500]
        db = connect(self.home, DDL + DEPLOYMENTS, durable=True)
        try:
            with transaction(db):
                query = "UPDATE canaries SET state = ?, said = ? WHERE number = ? AND state = 'open'"
                mine = db.execute(query, (state, said, canary.number)).rowcount > 0
                if mine and looked_at is not None:
                    insert(db, looked_at, one.approver, (*one.checks, said))
        finally:
            db.close()
        return mine


def _canary(row: Any) -> Canary:
    deployment = Deployment(
        0, row["alias"], row["run"], row["output"], row["digest"], Artifact.from_json(json.loads(row["artifact"])), row["package"],
        row["begun"], row["approver"], tuple(json.loads(row["checks"])),
    )  # fmt: skip
    return Canary(row["number"], deployment, row["share"], row["ends"], row["state"], row["said"])
