"""Duels: a challenger beside the champion of the ranking, decided by one randomised bit a reader.

Readers who agree to it are shown both rankings in one list (`pellucid.evaluation.team_draft`). After a week the browser sends which of the
two its reader opened more of, through randomised response (`pellucid.privacy.local`, two values, oracle `grr`); where neither, a fair
coin. How many readers are needed and how many ones pass is fixed when a duel is opened (`pellucid.evaluation.gate`). Reports are taken
until there are that many, and looked at once: until then only their number is told.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.evaluation import gate, needed_of
from pellucid.pipeline.record import Artifact
from pellucid.privacy.local import Collection, Collector, Outcome, declare
from pellucid.registry.deployments import Deployment, Deployments
from pellucid.store import connect, transaction

if TYPE_CHECKING:
    from pellucid.registry.trained_models import ModelVersion

DDL = """
CREATE TABLE IF NOT EXISTS duels (
    number INTEGER PRIMARY KEY AUTOINCREMENT, champion TEXT NOT NULL, run TEXT NOT NULL, output TEXT NOT NULL, digest TEXT NOT NULL,
    artifact TEXT NOT NULL, epsilon REAL NOT NULL, advantage REAL NOT NULL, level REAL NOT NULL, people INTEGER NOT NULL,
    needed INTEGER NOT NULL, begun REAL NOT NULL, state TEXT NOT NULL, said TEXT NOT NULL
) STRICT;
"""
ALIAS = "rank"
SIDES = ("champion", "challenger")
MOST_EPSILON = 8.0


@dataclass(frozen=True)
class Duel:
    """`champion`: the digest of the ranking that stands there, "" for the label-free one; `challenger`: what would be deployed (its version
    is 0); `people`, `needed`: of the gate; `state`: open, passed, not passed or ended; `said`: why."""

    number: int
    champion: str
    challenger: Deployment
    epsilon: float
    advantage: float
    level: float
    people: int
    needed: int
    begun: float
    state: str
    said: str

    @cached_property
    def collection(self) -> Collection:
        """What readers' browsers report to: the same in every service of the same duel. Its one period is the duel's number."""
        name = f"duel-{self.number}-{self.champion[:12] or 'label-free'}-{self.challenger.digest[:12]}"
        return declare(name, SIDES, self.epsilon, oracle_name="grr")

    def to_json(self) -> dict[str, Any]:
        """All but where the bytes are."""
        return {
            "number": self.number, "champion": self.champion, "challenger": self.challenger.digest, "run": self.challenger.run,
            "output": self.challenger.output, "epsilon": self.collection.oracle.epsilon, "advantage": self.advantage, "level": self.level,
            "people": self.people, "needed": self.needed, "begun": self.begun, "state": self.state, "said": self.said,
        }  # fmt: skip


class Duels:
    """The duels of one state folder. Each call opens the state file anew, so that any thread may ask."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def begin(self, model: ModelVersion, advantage: float, epsilon: float, level: float = 0.05, power: float = 0.8) -> Duel:
        """Open a duel of a model against what stands behind `rank`. Raises UsageError where one is open, or the model stands there."""
        if not 0 < epsilon <= MOST_EPSILON:
            raise UsageError(
                f"epsilon must be above 0 and at most {MOST_EPSILON:g}, not {epsilon!r}", fix="Typical values: 0.5 to 4"
            )
        made = gate(advantage, declare("x", SIDES, epsilon, oracle_name="grr").oracle.epsilon, level, power)
        present = Deployments(self.home).current().get(ALIAS)
        if present is not None and present.digest == model.artifact.digest:
            raise UsageError(f"{model.output} of run {model.run} is the champion itself", fix="Name another model")
        _, run, output, digest, artifact, _ = Deployments(self.home).looked_at(ALIAS, model.run, model.output, None)
        row = (
            present.digest if present else "",
            run,
            output,
            digest,
            artifact,
            epsilon,
            advantage,
            level,
            made.people,
            made.needed,
        )
        db = connect(self.home, DDL, durable=True)
        try:
            with transaction(db):
                if db.execute("SELECT 1 FROM duels WHERE state = 'open'").fetchone():
                    raise UsageError("a duel is open", fix="Decide it (pellucid duel decide), or end it (pellucid duel end)")
                db.execute(
                    "INSERT INTO duels (champion, run, output, digest, artifact, epsilon, advantage, level, people, needed, begun,"
                    " state, said) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', '')",
                    (*row, time.time()),
                )
        finally:
            db.close()
        found = self.open()
        assert found is not None
        return found

    def all(self) -> list[Duel]:
        """Every duel, newest first."""
        db = connect(self.home, DDL)
        try:
            rows = db.execute("SELECT * FROM duels ORDER BY number DESC").fetchall()
        finally:
            db.close()
        return [_duel(row) for row in rows]

    def open(self) -> Duel | None:
        """The open duel, if there is one."""
        return next((one for one in self.all() if one.state == "open"), None)

    def reports(self, duel: Duel) -> int:
        """How many bits were taken; nothing of what they say."""
        collector = Collector(self.home)
        try:
            return collector.count(duel.collection, duel.number)
        finally:
            collector.close()

    def take(self, duel: Duel, batch: bytes) -> Outcome:
        """Take a batch of reports, until there are as many as the gate needs. Raises PrivacyError for bytes that are none."""
        collector = Collector(self.home)
        try:
            collector.open(duel.collection)
            left = max(0, duel.people - collector.count(duel.collection, duel.number))
            return collector.ingest(batch, range(duel.number, duel.number + 1), left)
        finally:
            collector.close()

    def decide(self, duel: Duel) -> Duel:
        """Look at the reports, once, and close the duel. Raises UsageError before there are enough, or where the champion is another."""
        reports = self.reports(duel)
        if reports < duel.people:
            raise UsageError(
                f"duel {duel.number} has {reports} of {duel.people} reports", why="looking earlier would be another test",
                fix="Wait, or end it: pellucid duel end",
            )  # fmt: skip
        present = Deployments(self.home).current().get(ALIAS)
        if (present.digest if present else "") != duel.champion:
            raise UsageError("another ranking stands there than when the duel began", fix="End it: pellucid duel end")
        collector = Collector(self.home)
        try:
            ones = collector.counts(duel.collection, duel.number)[1]
        finally:
            collector.close()
        needed = needed_of(reports, duel.level)  # of two services at once a report more may be taken
        state = "passed" if ones >= needed else "not passed"
        return self._close(duel, state, f"{ones} of {reports} reports for the challenger, {needed} needed")

    def end(self, duel: Duel, said: str) -> Duel:
        """Close a duel without looking."""
        return self._close(duel, "ended", said)

    def _close(self, duel: Duel, state: str, said: str) -> Duel:
        db = connect(self.home, DDL, durable=True)
        try:
            with transaction(db):
                query = "UPDATE duels SET state = ?, said = ? WHERE number = ? AND state = 'open'"
                if not db.execute(query, (state, said, duel.number)).rowcount:
                    raise UsageError(f"duel {duel.number} is closed already")
        finally:
            db.close()
        return next(one for one in self.all() if one.number == duel.number)


def _duel(row: Any) -> Duel:
    challenger = Deployment(
        0, ALIAS, row["run"], row["output"], row["digest"], Artifact.from_json(json.loads(row["artifact"])), "", row["begun"]
    )
    return Duel(
        row["number"], row["champion"], challenger, row["epsilon"], row["advantage"], row["level"], row["people"], row["needed"],
        row["begun"], row["state"], row["said"],
    )  # fmt: skip
