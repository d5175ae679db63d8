"""Open metrics of runs by name, so that thousands of runs can be listed and sorted by one; and the curves that steps logged.

The artifacts are the truth: what is here can be read from them. Names are kept once, since each run has the same ones. A curve belongs to
the key of the step that logged it, so that a run which reuses a result shows the curve that led to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

from pellucid.errors import StoreError, UsageError
from pellucid.pipeline.record.artifact import Artifact
from pellucid.store import Objects, StateConnection, kinds, transaction

DDL = """
CREATE TABLE IF NOT EXISTS metric_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS run_metrics (
    run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, name INTEGER NOT NULL, value REAL, PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS run_metrics_by_value ON run_metrics (name, value);
CREATE TABLE IF NOT EXISTS curves (
    key TEXT NOT NULL, metric TEXT NOT NULL, step INTEGER NOT NULL, value REAL, PRIMARY KEY (key, metric, step)
) STRICT, WITHOUT ROWID;
"""
METRIC_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./@-]{0,99}")
MOST_POINTS = 100_000  # that one step may log
Point = tuple[str, int, float]


def point(metric: object, value: object, step: object) -> Point:
    """A point as it is kept. Raises UsageError for a name, a number or a step that is none."""
    if not isinstance(metric, str) or not METRIC_NAME.fullmatch(metric):
        raise UsageError(
            f"{metric!r:.60} cannot name a metric", fix='Use letters, digits, "_", ".", "/", "@" and "-", a letter first'
        )
    if type(value).__module__ == "numpy" or type(step).__module__ == "numpy":
        value, step = getattr(value, "item", lambda: value)(), getattr(step, "item", lambda: step)()
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < 2**53:
        raise UsageError(f"{metric}: {step!r:.40} is no step", fix="Give a whole number from 0 on, such as the epoch")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{metric}: {value!r:.40} is no number", fix="Give a float")
    return metric, step, float(value)


def numbers_of(objects: Objects, outputs: Mapping[str, Artifact]) -> dict[str, float]:
    """The metrics among the outputs, by OUTPUT.METRIC; without those whose file is gone or damaged, which whoever uses it will find."""
    found: dict[str, float] = {}
    branches = {f"{name}[{label}]": one for name, whole in outputs.items() for label, one in whole.items or ()}
    for name, artifact in {**outputs, **branches}.items():
        if artifact.kind == "metrics" and artifact.items is None:
            with suppress(StoreError, OSError):
                values = kinds.metrics_in(objects.read(artifact.sha256, artifact.suffix), name)
                found |= {f"{name}.{metric}": float(value) for metric, value in values.items()}
    return found


def note_metrics(db: StateConnection, run: str, values: Mapping[str, float]) -> None:
    """Keep open metrics of a run by their full names (OUTPUT.METRIC). Within a transaction."""
    rows = [(run, _finite(value), name) for name, value in values.items()]
    db.executemany("INSERT OR IGNORE INTO metric_names (name) VALUES (?)", [(name,) for name in values])
    db.executemany("INSERT OR REPLACE INTO run_metrics SELECT ?, id, ? FROM metric_names WHERE name = ?", rows)


def note_curve(db: StateConnection, key: str, points: Iterable[Point]) -> None:
    """Keep what a step logged; of two values for one step of a metric, the later."""
    rows = [(key, metric, step, _finite(value)) for metric, step, value in points]
    if rows:
        with transaction(db):
            db.execute("DELETE FROM curves WHERE key = ?", (key,))
            db.executemany("INSERT OR REPLACE INTO curves VALUES (?, ?, ?, ?)", rows)


def curves_of(db: StateConnection, run: str, *, private: bool = False) -> dict[str, list[tuple[int, float | None]]]:
    """What the steps of a run logged: (step, value) by STEP.METRIC; of those that are not open only where `private`, for the steward."""
    rows = db.execute(
        "SELECT steps.step, metric, curves.step, value FROM steps JOIN curves USING (key) WHERE run = ?"
        " AND (label = 'open' AND kind != 'release' OR ?) ORDER BY position, metric, curves.step",
        (run, private),
    )
    found: dict[str, list[tuple[int, float | None]]] = {}
    for step, metric, at, value in rows:
        found.setdefault(f"{step}.{metric}", []).append((at, value))
    return found


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
