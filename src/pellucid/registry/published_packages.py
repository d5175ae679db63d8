"""Which packages were published from a state folder, and where they were written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pellucid.store import connect

DDL = """
CREATE TABLE IF NOT EXISTS publications (path TEXT PRIMARY KEY, run TEXT NOT NULL, made REAL NOT NULL) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Publication:
    """A package as it was written: a folder or a zip file, of a run, at `made` (seconds since 1970)."""

    path: Path
    run: str
    made: float

    @property
    def there(self) -> bool:
        """Whether it is still where it was written."""
        return self.path.is_file() or (self.path / "ro-crate-metadata.json").is_file()


def note_publication(home: Path, path: Path, run: str) -> None:
    """Note that a package of a run was written; one at the same place replaces it."""
    db = connect(home, DDL)
    try:
        db.execute("INSERT OR REPLACE INTO publications VALUES (?, ?, ?)", (str(path.absolute()), run, time.time()))
    finally:
        db.close()


def publications(home: Path) -> list[Publication]:
    """Every package that was noted, newest first."""
    db = connect(home, DDL)
    try:
        rows = db.execute("SELECT * FROM publications ORDER BY made DESC, path").fetchall()
    finally:
        db.close()
    return [Publication(Path(row["path"]), row["run"], row["made"]) for row in rows]
