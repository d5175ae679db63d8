"""Sign-off: somebody has looked at a release and answers for it, as it stands; a changed one has to be signed for again."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pellucid.errors import PrivacyError
from pellucid.pipeline.declaration import GateRequest
from pellucid.pipeline.keys import canonical
from pellucid.privacy.accounting import ledger_events


@dataclass(frozen=True)
class Decision:
    """What is signed for: a release by its identity, and apart from each other its data and the rest, to say what changed."""

    release_id: str
    pipeline: str
    step: str
    data: str
    rest: str

    @classmethod
    def of(cls, identity: Mapping[str, Any], release_id: str, request: GateRequest) -> Decision:
        """The decision about a release, from all its noise depends on (release_step.py)."""
        rest = hashlib.sha256(canonical({name: value for name, value in identity.items() if name != "data"})).hexdigest()
        return cls(release_id, request.pipeline, request.step, str(identity["data"]), rest)


def note(db: sqlite3.Connection, decision: Decision, by: str, said: str) -> None:
    """Add a decision to the chain, within the caller's transaction."""
    if not by.strip():
        raise PrivacyError("a decision needs the name of who decides", fix="Such as: pellucid steward decide --by NAME")
    ledger_events.append(db, "decide", None, decision.release_id, 0, 0, {"by": by, "note": said, **asdict(decision)})


def decided(db: sqlite3.Connection, pipeline: str, step: str) -> list[dict[str, Any]]:
    """The decisions about a pipeline's step, in order, each with its time (ms)."""
    rows = db.execute("SELECT body, time FROM ledger WHERE kind = 'decide' ORDER BY seq").fetchall()
    bodies = [{**json.loads(row["body"]), "time": row["time"]} for row in rows]
    return [body for body in bodies if (body["pipeline"], body["step"]) == (pipeline, step)]


def refuse_unsigned(db: sqlite3.Connection, decision: Decision, where: str) -> None:
    """Raise PrivacyError unless somebody has signed for this very release; say what changed since somebody signed for another."""
    earlier = decided(db, decision.pipeline, decision.step)
    if any(body["release_id"] == decision.release_id for body in earlier):
        return
    fix = "Look at it again, and sign: pellucid steward decide --by NAME"
    if not earlier:
        raise PrivacyError("nobody has signed for this release", where=where, why="its account asks for a sign-off", fix=fix)
    changed = "its data" if earlier[-1]["rest"] == decision.rest else "its settings"
    if earlier[-1]["rest"] != decision.rest and earlier[-1]["data"] != decision.data:
        changed = "its data and its settings"
    raise PrivacyError(f"{changed} changed after {earlier[-1]['by']} signed for this release", where=where, fix=fix)
