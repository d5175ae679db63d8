"""Garbage collection: remove what no kept run names, around releases and never through them.

A release's value is truth: it was paid for, and others may have it. Everything else can be computed again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import StoreError, UsageError
from pellucid.pipeline.record.artifact import Artifact
from pellucid.pipeline.record.run_record import Record
from pellucid.pipeline.record.use_lock import in_use
from pellucid.store import Objects, transaction


@dataclass(frozen=True)
class Collected:
    """What went (or would go): files, their bytes, runs; and what stays: files, of them released ones."""

    files: int
    bytes: int
    runs: int
    kept: int
    releases: int

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def collect(home: Path, *, keep: int = 10, dry_run: bool = False, kept_runs: Collection[str] = ()) -> Collected:
    """Keep the latest `keep` runs of each pipeline and those of `kept_runs`, what they name, and every release.

    Refuses while a run is under way; one that starts meanwhile waits until this has ended.
    """
    if keep < 0:
        raise UsageError("a number of runs cannot be negative", where=f"--keep {keep}")
    record = Record(home)
    try:
        lock = in_use(home, fcntl.LOCK_SH if dry_run else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        alive = next((run["run"] for run in record.runs(limit=1_000_000) if run["status"] == "running"), str(home))
        raise StoreError("a run is under way", where=alive, fix="Wait for it to end, then collect") from None
    try:
        return _collect(record, Objects(home), keep, dry_run, kept_runs)
    finally:
        os.close(lock)
        record.close()


def _collect(record: Record, objects: Objects, keep: int, dry_run: bool, kept_runs: Collection[str]) -> Collected:
    runs = record.runs(limit=1_000_000)
    alive = [run["run"] for run in runs if run["status"] == "running"]
    if alive:
        raise StoreError("a run is under way", where=alive[0], fix="Wait for it to end, then collect")
    seen: dict[str, int] = {}
    old = []
    for run in runs:  # newest first
        seen[run["pipeline"]] = seen.get(run["pipeline"], 0) + 1
        if seen[run["pipeline"]] > keep and run["run"] not in kept_runs:
            old.append(run["run"])
    needed, released, keys = _needed(record, set(old))
    doomed = [(sha256, suffix, size) for sha256, suffix, size in objects if (sha256, suffix) not in needed]
    total = sum(1 for _ in objects)
    if not dry_run:
        with transaction(record.db):
            # the rows of old runs go; what they released is remembered apart, or the next collection would not know it
            record.db.execute(
                "INSERT OR IGNORE INTO releases SELECT key, outputs FROM steps WHERE kind = 'release' AND outputs != '{}'"
            )
            record.db.executemany("DELETE FROM steps WHERE run = ?", [(run,) for run in old])
            record.db.executemany("DELETE FROM runs WHERE run = ?", [(run,) for run in old])
            stale = [(key,) for (key,) in record.db.execute("SELECT key FROM results").fetchall() if key not in keys]
            record.db.executemany("DELETE FROM results WHERE key = ?", stale)
            record.db.execute("DELETE FROM curves WHERE key NOT IN (SELECT key FROM steps)")
        for sha256, suffix, _ in doomed:
            objects.remove(sha256, suffix)
        objects.clean_tmp(older_than=0.0)
    return Collected(len(doomed), sum(size for _, _, size in doomed), len(old), total - len(doomed), len(released))


def _needed(record: Record, old: set[str]) -> tuple[set[tuple[str, str]], set[tuple[str, str]], set[str]]:
    """The files that kept runs and releases name, those of releases alone, and the keys of the results to keep."""
    needed: set[tuple[str, str]] = set()
    released: set[tuple[str, str]] = set()
    keys: set[str] = set()
    rows = record.db.execute("SELECT run, kind, key, outputs, parts FROM steps").fetchall()
    rows += record.db.execute("SELECT '', 'release', key, outputs, '{}' FROM releases").fetchall()
    for run, kind, key, outputs, parts in rows:
        if run in old and kind != "release":
            continue
        keys.add(key)
        keys.update(value for part, value in json.loads(parts).items() if part.startswith("branch "))
        files = {(leaf.sha256, leaf.suffix) for data in json.loads(outputs).values() for leaf in Artifact.from_json(data).leaves}
        needed |= files
        if kind == "release":
            released |= files
    return needed, released, keys
