"""Deployments: an alias of a service, and the output of a run that stands behind it from some moment on.

The table only grows: what was served when can be read from it at any time. Only open models can be deployed: the label is looked up in the
run's record, and the stored bytes are held against their digest.
"""

from __future__ import annotations

import difflib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import LabelError, UsageError, suggest
from pellucid.pipeline.record import Artifact, Record, path_of
from pellucid.store import Model, Objects, StateConnection, connect, kinds

DDL = """
CREATE TABLE IF NOT EXISTS deployments (
    version INTEGER PRIMARY KEY AUTOINCREMENT, alias TEXT NOT NULL, run TEXT NOT NULL, output TEXT NOT NULL, digest TEXT NOT NULL,
    artifact TEXT NOT NULL, package TEXT NOT NULL, since REAL NOT NULL, approver TEXT NOT NULL, checks TEXT NOT NULL
) STRICT;
"""

ALIASES: dict[str, tuple[str, ...]] = {
    "search": ("search-index",),
    "rank": ("learned-ranking", "feedback-ranking"),
    "recommend": ("ease", "popularity", "item-neighbours", "als", "rp3beta", "markov"),
}
"""What the search service asks for by name, and the kinds of model that can stand behind each. Without `rank` the ranking is the label-free
one. Behind any other alias, such as `production`, any open model can stand."""
_ALIAS = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True)
class Deployment:
    """`version` counts over all aliases; `package`: the folder of the published package that holds the model, or ""; `approver`: who
    answers for it, or ""; `checks`: what the rules asked for and found when it was promoted."""

    version: int
    alias: str
    run: str
    output: str
    digest: str
    artifact: Artifact
    package: str
    since: float
    approver: str = ""
    checks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All but where the bytes are."""
        return {
            "alias": self.alias, "version": self.version, "run": self.run, "output": self.output, "digest": self.digest,
            "package": self.package or None, "since": self.since, "approver": self.approver or None, "checks": list(self.checks),
        }  # fmt: skip


class Deployments:
    """The deployments of one state folder. Each call opens the state file anew, so that any thread may ask."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def deploy(
        self, alias: str, run: str, output: str, package: Path | None = None, *, approver: str = "", checks: Sequence[str] = ()
    ) -> Deployment:
        """Put an output of a run behind an alias; the newest deployment counts.

        Raises UsageError (an alias that cannot be one, no such run or output, a model of another kind), LabelError for what is not open,
        DamagedError.
        """
        looked_at = self.looked_at(alias, run, output, package)
        db = connect(self.home, DDL, durable=True)
        try:
            insert(db, looked_at, approver, checks)
        finally:
            db.close()
        return self.current()[alias]

    def looked_at(self, alias: str, run: str, output: str, package: Path | None = None) -> tuple[str, ...]:
        """The row of a deployment, after all that it asks for was found to hold. Raises as `deploy`."""
        checked_alias(alias)
        run, artifact = open_model(self.home, run, output, f"Behind {alias} stands {_said(alias)}")
        kind = self.load(artifact).kind
        if alias in ALIASES and kind not in ALIASES[alias]:
            raise UsageError(f'"{output}" is a model of kind {kind}', fix=f"Behind {alias} stands {_said(alias)}")
        if package is not None and not (package / "ro-crate-metadata.json").is_file():
            raise UsageError("it is no package", where=str(package), fix="Name the folder that pellucid publish wrote")
        held = json.dumps(artifact.to_json(), sort_keys=True)
        place = str(package.absolute()) if package is not None else ""
        return alias, run, output, artifact.digest, held, place

    def rollback(self, alias: str, approver: str = "") -> Deployment:
        """Deploy again what stood behind an alias before its present model first did. Raises UsageError where nothing did."""
        everything = self.history()
        history = [one for one in everything if one.alias == alias]
        if not history:
            if alias not in ALIASES:
                known = sorted({*ALIASES, *(one.alias for one in everything)})
                raise UsageError(f'there is no alias "{alias:.40}"', fix=suggest(alias, known))
            raise UsageError(f"nothing is deployed as {alias}", fix=f"Deploy a model: pellucid deploy {alias}")
        first = next(place for place, one in enumerate(history) if one.digest == history[-1].digest)
        if not first:
            raise UsageError(f"nothing stood behind {alias} before", why=f"version {history[0].version} was the first")
        before = history[first - 1]
        package = Path(before.package) if before.package else None
        return self.deploy(
            alias, before.run, before.output, package, approver=approver, checks=(f"back to version {before.version}",)
        )

    def as_of(self, moment: float) -> dict[str, Deployment]:
        """What stood behind each alias at a moment (seconds since 1970, UTC)."""
        return {one.alias: one for one in self.history() if one.since <= moment}

    def current(self) -> dict[str, Deployment]:
        """The newest deployment of each alias."""
        return {one.alias: one for one in self.history()}

    def history(self) -> list[Deployment]:
        """All deployments, oldest first."""
        db = connect(self.home, DDL)
        try:
            rows = db.execute("SELECT * FROM deployments ORDER BY version").fetchall()
        finally:
            db.close()
        return [
            Deployment(
                row["version"], row["alias"], row["run"], row["output"], row["digest"], Artifact.from_json(json.loads(row["artifact"])),
                row["package"], row["since"], row["approver"], tuple(json.loads(row["checks"])),
            )
            for row in rows
        ]  # fmt: skip

    def load(self, artifact: Artifact) -> Model:
        """The model, its bytes verified. Raises DamagedError."""
        found: Model = kinds.load(path_of(Objects(self.home), artifact), "model")
        return found


def open_model(home: Path, run: str, output: str, wanted: str = "Name an output that is a model") -> tuple[str, Artifact]:
    """The run's whole name, and its output, which is one open model. Raises UsageError (`wanted`: what to give instead of what is no
    model), LabelError for what is not open."""
    record = Record(home)
    try:
        found = record.find(run)
        steps = record.steps(found["run"])
        outputs = {name: (step.label, value) for step in steps for name, value in step.outputs.items()}
    finally:
        record.close()
    if output not in outputs:
        raise UsageError(f'run {found["run"]} has no output "{output}"', fix=suggest(output, outputs))
    label, artifact = outputs[output]
    if label != "open":
        raise LabelError(
            f'"{output}" is {label}', why="who asks it learns of its data", fix="Only open models can be used: release first"
        )
    if artifact.kind != "model" or artifact.items is not None:
        raise UsageError(f'"{output}" is a {artifact.kind}, not a model', fix=wanted)
    return str(found["run"]), artifact


def insert(db: StateConnection, looked_at: Sequence[str], approver: str, checks: Sequence[str]) -> None:
    """Write a deployment that was looked at."""
    db.execute(
        "INSERT INTO deployments (alias, run, output, digest, artifact, package, since, approver, checks)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*looked_at, time.time(), approver, json.dumps(list(checks))),
    )


def newest_open(home: Path, alias: str) -> tuple[str, str] | None:
    """The run and output of the newest open model that can stand behind an alias; None where the last fifty runs have none."""
    record = Record(home)
    try:
        runs = [run["run"] for run in record.runs(50)]
    finally:
        record.close()
    for run in runs:
        if fitting := outputs_for(home, run, alias):
            return run, fitting[0]
    return None


def outputs_for(home: Path, run: str, alias: str) -> list[str]:
    """The open models of a run that can stand behind an alias: in the order of kinds in `ALIASES`, then by name."""
    if alias not in ALIASES:
        raise UsageError(f'there is no alias "{alias}"', fix=suggest(alias, ALIASES))
    deployments, record = Deployments(home), Record(home)
    found = []
    try:
        for step in record.steps(run):
            for name, artifact in step.outputs.items():
                if step.label == "open" and artifact.kind == "model" and artifact.items is None:
                    kind = deployments.load(artifact).kind
                    if kind in ALIASES[alias]:
                        found.append((ALIASES[alias].index(kind), name))
    finally:
        record.close()
    return [name for _, name in sorted(found)]


def checked_alias(alias: str) -> None:
    """Raises UsageError for a word that cannot be an alias, or is nearly one that the search service asks for."""
    if alias in ALIASES:
        return
    near = difflib.get_close_matches(alias.casefold(), ALIASES, 1, 0.85)
    if near:
        raise UsageError(f'there is no alias "{alias:.40}"', fix=f'Did you mean "{near[0]}"?')
    if not _ALIAS.fullmatch(alias):
        fix = "Use small letters, digits and -, a letter first, such as production"
        raise UsageError(f"{alias!r:.60} cannot be an alias", fix=fix)


def _said(alias: str) -> str:
    return f"a model of kind {' or '.join(ALIASES[alias])}" if alias in ALIASES else "a model"
