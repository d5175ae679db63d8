"""What people call a run: a name, tags and a note. They are for whoever keeps the state folder; no key and no package has them."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pellucid.errors import UsageError

DDL = """
CREATE TABLE IF NOT EXISTS run_tags (
    run TEXT PRIMARY KEY REFERENCES runs ON DELETE CASCADE, name TEXT NOT NULL, tags TEXT NOT NULL, note TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
MOST_TEXT = 10_000


@dataclass(frozen=True)
class RunTags:
    """`name`: letters, digits, `_`, `.` and `-`, beginning with a letter; `tags`: text by such a name; `note`: any text.

    Raises UsageError.
    """

    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        for word in filter(None, (self.name, *self.tags)):
            if not _NAME.fullmatch(word) or word.startswith("last"):
                fix = 'Use letters, digits, "_", "." and "-", a letter first; not "last"'
                raise UsageError(f"{word!r:.70} cannot name a run or a tag", fix=fix)
        if any(len(text) > MOST_TEXT for text in (self.note, *self.tags.values())):
            raise UsageError(f"a note or a tag has at most {MOST_TEXT:,} characters")


def write_tags(db: sqlite3.Connection, run: str, given: RunTags) -> None:
    """Add to what the run is called: what is given now replaces what was there, other tags stay."""
    before = tags_of_runs(db, [run]).get(run, RunTags())
    tags = {**before.tags, **given.tags}
    row = (run, given.name or before.name, json.dumps(tags, sort_keys=True), given.note or before.note)
    db.execute("INSERT OR REPLACE INTO run_tags VALUES (?, ?, ?, ?)", row)


def tags_of_runs(db: sqlite3.Connection, runs: Iterable[str]) -> dict[str, RunTags]:
    """The tags of those of the runs that have any."""
    found: dict[str, RunTags] = {}
    for run in runs:
        row: Any = db.execute("SELECT name, tags, note FROM run_tags WHERE run = ?", (run,)).fetchone()
        if row is not None:
            found[run] = RunTags(row["name"], json.loads(row["tags"]), row["note"])
    return found


def newest_named(db: sqlite3.Connection, name: str) -> str | None:
    """The newest run of that name."""
    row = db.execute(
        "SELECT run FROM run_tags JOIN runs USING (run) WHERE name = ? ORDER BY started DESC, run DESC LIMIT 1", (name,)
    ).fetchone()
    return str(row["run"]) if row else None
