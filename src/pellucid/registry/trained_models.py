"""The models that runs made: each output that is a model, by name and version.

A model is named PIPELINE.OUTPUT. Its versions count its different contents in the order in which runs first gave them, so a run that gives
the same bytes again is no new version. A number is given once and kept, also when the run that it came from has been collected.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import StoreError, UsageError, suggest
from pellucid.pipeline.record import Artifact, Record
from pellucid.store import Objects, connect, model_kind, transaction

DDL = """
CREATE TABLE IF NOT EXISTS model_versions (
    name TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (name, version), UNIQUE (name, digest)
) STRICT, WITHOUT ROWID;
"""
_WANTED = re.compile(r"(.+?)(?:@([0-9]{1,9}))?")


@dataclass(frozen=True)
class ModelVersion:
    """One content of a model. `run` is the first that gave it, at `made` (seconds since 1970); `label` says who may see it."""

    name: str
    version: int
    run: str
    output: str
    label: str
    made: float
    artifact: Artifact

    def kind(self, home: Path) -> str:
        """What sort of model it is; "" where its file is gone or damaged."""
        try:
            return model_kind(Objects(home).path(self.artifact.sha256, self.artifact.suffix))
        except (StoreError, OSError):
            return ""

    def to_json(self) -> dict[str, Any]:
        """What may be told: a digest and a size only where it is open."""
        is_open = self.label == "open"
        return {
            "name": self.name, "version": self.version, "run": self.run, "output": self.output, "label": self.label, "made": self.made,
            "digest": self.artifact.digest if is_open else None, "bytes": self.artifact.size if is_open else None,
        }  # fmt: skip


def model_versions(home: Path) -> list[ModelVersion]:
    """Every version of every model that a finished run of the state folder gave, by name, oldest first."""
    record = Record(home)
    try:
        rows = record.db.execute(
            "SELECT steps.run, step, label, outputs, pipeline, started FROM steps JOIN runs USING (run)"
            " WHERE status = 'done' AND instr(step, '[') = 0 AND instr(outputs, '\"kind\":\"model\"') ORDER BY started, run, position"
        ).fetchall()
    finally:
        record.close()
    first: dict[tuple[str, str], tuple[Any, ...]] = {}  # (name, digest) -> the first run that gave it
    for row in rows:
        for output, told in json.loads(row["outputs"]).items():
            if told["kind"] == "model" and "items" not in told:
                about = (row["run"], output, row["label"], row["started"], Artifact.from_json(told))
                first.setdefault((f"{row['pipeline']}.{output}", told["digest"]), about)
    numbers = _numbered(home, list(first))
    found = [ModelVersion(name, numbers[name, digest], *about) for (name, digest), about in first.items()]
    return sorted(found, key=lambda one: (one.name, one.version))


def _numbered(home: Path, contents: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The version of each (name, digest); new ones get the next number of their name, in the order given."""
    db = connect(home, DDL)
    try:
        known = {(row["name"], row["digest"]): row["version"] for row in db.execute("SELECT * FROM model_versions").fetchall()}
        if any(one not in known for one in contents):
            with transaction(db):
                for name, digest in contents:
                    db.execute(
                        "INSERT OR IGNORE INTO model_versions"
                        " SELECT ?, coalesce(max(version), 0) + 1, ? FROM model_versions WHERE name = ?",
                        (name, digest, name),
                    )
            known = {
                (row["name"], row["digest"]): row["version"] for row in db.execute("SELECT * FROM model_versions").fetchall()
            }
    finally:
        db.close()
    return {one: known[one] for one in contents}


def find_model(home: Path, wanted: str) -> ModelVersion:
    """The version that NAME[@VERSION] means, the newest without one. NAME is PIPELINE.OUTPUT, or OUTPUT alone where one pipeline has it.

    Raises UsageError where none or several could be meant.
    """
    parts = _WANTED.fullmatch(wanted)
    named, number = (parts[1], parts[2]) if parts else (wanted, None)
    versions = model_versions(home)
    names = sorted({one.name for one in versions if named in (one.name, one.output)})
    if not names:
        known = sorted({one.name for one in versions})
        outputs = {one.output: one.name for one in versions}
        fix = (
            suggest(outputs.get(next(iter(difflib.get_close_matches(named, outputs, 1)), ""), named), known)
            if known
            else "Run a pipeline that trains one"
        )
        raise UsageError(f'there is no model "{named:.80}"', fix=fix)
    if len(names) > 1:
        raise UsageError(f'"{named}" could be {len(names)} models', fix=f"Name one: {', '.join(names[:8])}")
    fitting = [one for one in versions if one.name == names[0]]  # some numbers may be gone
    if number is None:
        return fitting[-1]
    chosen = next((one for one in fitting if one.version == int(number)), None)
    if chosen is None:
        there = (
            f"1 to {len(fitting)}"
            if fitting[-1].version == len(fitting)
            else ", ".join(str(one.version) for one in fitting[-20:])
        )
        raise UsageError(f"{names[0]} has no version {number}", fix=f"It has {there}")
    return chosen
