"""The record: every run, what each step did in it and why, and the results that need not be computed again."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.pipeline.record import private_contents, run_metrics, run_tags
from pellucid.pipeline.record.artifact import Artifact
from pellucid.pipeline.record.use_lock import in_use
from pellucid.store import connect, transaction

DDL = """
CREATE TABLE IF NOT EXISTS runs (
    run TEXT PRIMARY KEY, pipeline TEXT NOT NULL, file TEXT, started REAL NOT NULL, seconds REAL, status TEXT NOT NULL,
    seed INTEGER NOT NULL, settings TEXT NOT NULL, environment TEXT NOT NULL, git TEXT, graph TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS steps (
    run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, position INTEGER NOT NULL, step TEXT NOT NULL, kind TEXT NOT NULL,
    label TEXT NOT NULL, key TEXT NOT NULL, parts TEXT NOT NULL, action TEXT NOT NULL, outputs TEXT NOT NULL,
    seconds REAL NOT NULL, attempts INTEGER NOT NULL, confined TEXT NOT NULL, message TEXT NOT NULL, private TEXT NOT NULL,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS steps_by_name ON steps (step, run);
CREATE TABLE IF NOT EXISTS results (
    key TEXT PRIMARY KEY, outputs TEXT NOT NULL, seconds REAL NOT NULL, made REAL NOT NULL, run TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS releases (
    key TEXT PRIMARY KEY, outputs TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    path TEXT NOT NULL, identity TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (path)
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True)
class StepRecord:
    """What one step did in one run. `message` may be shown to anyone who may see the record; `private` holds log and traceback,
    which carry the step's label and are for its steward."""

    step: str
    kind: str
    label: str
    key: str
    parts: Mapping[str, str]
    action: str
    outputs: Mapping[str, Artifact] = field(default_factory=dict)
    seconds: float = 0.0
    attempts: int = 0
    confined: str = ""
    message: str = ""
    private: str = ""


class Record:
    """The runs of one state folder. Reused steps are written in batches, finished ones at once, all inside transactions."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.db = connect(home, DDL + run_tags.DDL + run_metrics.DDL + private_contents.DDL)
        self._pending: list[tuple[Any, ...]] = []
        self._numbers: dict[str, float] = {}  # open metrics, which wait as long as the steps that gave them
        self._lock: int | None = None
        self._use: int | None = None
        self._position = 0

    def start(
        self,
        *,
        pipeline: str,
        file: Path | None,
        seed: int,
        settings: Mapping[str, Any],
        environment: Mapping[str, Any],
        git: str | None,
        graph: Any,
    ) -> str:
        """Begin a run; its lock is held by this process until it ends, so that a killed run can be told from one at work.

        While files are being collected it waits for that to end: what it is about to reuse must not go meanwhile.
        """
        self._use = in_use(self.home, fcntl.LOCK_SH)
        now = time.time()
        run = f"{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        locks = self.home / "locks"
        locks.mkdir(mode=0o700, exist_ok=True)
        self._lock = os.open(locks / run, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        about = (pipeline, str(file) if file else None, now, "running", seed)
        row = (run, *about, _json(settings), _json(environment), git, _json(graph))
        self.db.execute(
            "INSERT INTO runs (run, pipeline, file, started, status, seed, settings, environment, git, graph)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        return run

    def result(self, key: str) -> list[Artifact] | None:
        """The outputs a step with this key gave before, in the order it declares them."""
        row = self.db.execute("SELECT outputs FROM results WHERE key = ?", (key,)).fetchone()
        return [Artifact.from_json(data) for data in json.loads(row[0])] if row else None

    def forget(self, key: str) -> None:
        """Drop a result whose files are gone or damaged."""
        self.db.execute("DELETE FROM results WHERE key = ?", (key,))

    def add(self, run: str, done: StepRecord) -> None:
        """Note a step. One that ran is durable when this returns, with its result; a reused one waits for the next write."""
        self._position += 1
        outputs = _json({name: artifact.to_json() for name, artifact in done.outputs.items()})
        self._pending.append((
            run, self._position, done.step, done.kind, done.label, done.key, _json(done.parts), done.action, outputs,
            done.seconds, done.attempts, done.confined, done.message, done.private,
        ))  # fmt: skip
        if done.action == "ran":
            result = _json([artifact.to_json() for artifact in done.outputs.values()])
            self.flush(run, (done.key, result, done.seconds, time.time(), run))
        elif done.action != "reused" or len(self._pending) >= 5000:
            self.flush(run)

    def note_metrics(self, run: str, values: Mapping[str, float], *, reused: bool) -> None:
        """Note open metrics of a step by OUTPUT.METRIC: at once, or, of a reused step, with the next write."""
        self._numbers |= values
        if values and not reused:
            self.flush(run)

    def flush(self, run: str, result: tuple[Any, ...] | None = None) -> None:
        if not self._pending and not self._numbers and result is None:
            return
        with transaction(self.db):
            if self._numbers:
                run_metrics.note_metrics(self.db, run, self._numbers)
            self.db.executemany("INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._pending)
            if result is not None:
                self.db.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)", result)
        self._pending.clear()
        self._numbers.clear()

    def finish(self, run: str, status: str, seconds: float, environment: Mapping[str, Any] | None = None) -> None:
        self.flush(run)
        self.db.execute("UPDATE runs SET status = ?, seconds = ? WHERE run = ?", (status, seconds, run))
        if environment is not None:
            self.db.execute("UPDATE runs SET environment = ? WHERE run = ?", (_json(environment), run))
        self._unlock(run)

    def _unlock(self, run: str) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            (self.home / "locks" / run).unlink(missing_ok=True)
        if self._use is not None:
            os.close(self._use)
            self._use = None

    def close(self) -> None:
        self.db.close()

    def runs(self, limit: int = 50) -> list[dict[str, Any]]:
        """The latest runs, newest first."""
        rows = self.db.execute("SELECT * FROM runs ORDER BY started DESC, run DESC LIMIT ?", (limit,)).fetchall()
        return [self._run(row) for row in rows]

    def find(self, wanted: str = "last") -> dict[str, Any]:
        """A run: its id or the start of it, its name or its pipeline's (the newest), "last", "last~N". UsageError: none or several fit."""
        wanted = run_tags.newest_named(self.db, wanted) or wanted
        back = re.fullmatch(r"last(?:~(\d{1,6}))?", wanted)
        if back:
            query = "SELECT * FROM runs ORDER BY started DESC, run DESC LIMIT 1 OFFSET ?"
            rows = self.db.execute(query, (int(back[1] or 0),)).fetchall()
        else:
            rows = self.db.execute("SELECT * FROM runs WHERE substr(run, 1, ?) = ? LIMIT 2", (len(wanted), wanted)).fetchall()
            of_pipeline = "SELECT * FROM runs WHERE pipeline = ? ORDER BY started DESC, run DESC LIMIT 1"
            rows = rows or self.db.execute(of_pipeline, (wanted,)).fetchall()
        if len(rows) != 1:
            why = "several runs begin so" if rows else "there is no such run"
            raise UsageError(why, where=f'run "{wanted}" in {self.home}', fix="See: pellucid runs")
        return self._run(rows[0])

    def _run(self, row: sqlite3.Row) -> dict[str, Any]:
        found = dict(row)
        for name in ("settings", "environment", "graph"):
            found[name] = json.loads(found[name])
        found["status"] = self.status_of(found["run"], found["status"])
        return found

    def status_of(self, run: str, noted: str) -> str:
        """What a run of which this was noted is: "interrupted" where it was running and nobody runs it any more."""
        return "interrupted" if noted == "running" and not self._alive(run) else noted

    def _alive(self, run: str) -> bool:
        try:
            fd = os.open(self.home / "locks" / run, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def steps(self, run: str) -> list[StepRecord]:
        """The steps of a run, in the order they ended."""
        rows = self.db.execute("SELECT * FROM steps WHERE run = ? ORDER BY position", (run,)).fetchall()
        return [_step(row) for row in rows]

    def history(self, step: str, limit: int = 2, pipeline: str | None = None) -> list[tuple[str, StepRecord]]:
        """(run, record) of a step's latest appearances, newest first."""
        rows = self.db.execute(
            "SELECT steps.* FROM steps JOIN runs USING (run) WHERE step = ? AND (? IS NULL OR pipeline = ?)"
            " ORDER BY started DESC, run DESC LIMIT ?",
            (step, pipeline, pipeline, limit),
        ).fetchall()
        return [(row["run"], _step(row)) for row in rows]

    def made_by(self, reused: StepRecord) -> tuple[str, StepRecord] | None:
        """(run, record) of the run that made a reused step's result; None where it is no longer kept."""
        row = self.db.execute(
            "SELECT steps.* FROM steps JOIN runs USING (run) WHERE key = ? AND step = ? AND action = 'ran'"
            " ORDER BY started DESC, run DESC LIMIT 1",
            (reused.key, reused.step),
        ).fetchone()
        return (row["run"], _step(row)) if row else None

    def kept(self) -> set[tuple[str, str]]:
        """(sha256, suffix) of every file that a result names."""
        return {
            (leaf.sha256, leaf.suffix)
            for (outputs,) in self.db.execute("SELECT outputs FROM results")
            for data in json.loads(outputs)
            for leaf in Artifact.from_json(data).leaves
        }

    def file_digest(self, path: str, identity: str) -> str | None:
        """The digest of an unchanged file, by its path and its identity (device, inode, size, times)."""
        row = self.db.execute("SELECT digest FROM files WHERE path = ? AND identity = ?", (path, identity)).fetchone()
        return row[0] if row else None

    def note_file(self, path: str, identity: str, digest: str) -> None:
        self.db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (path, identity, digest))


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def _json(value: Any) -> str:
    return _ENCODER.encode(value)


def _artifacts(text: str) -> dict[str, Artifact]:
    return {name: Artifact.from_json(data) for name, data in json.loads(text).items()}


def _step(row: Mapping[str, Any] | sqlite3.Row) -> StepRecord:
    names: Sequence[str] = [f for f in StepRecord.__dataclass_fields__ if f not in ("parts", "outputs")]
    plain = {name: row[name] for name in names}
    return StepRecord(**plain, parts=json.loads(row["parts"]), outputs=_artifacts(row["outputs"]))
