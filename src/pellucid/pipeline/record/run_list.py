"""Lists of runs: filtered, sorted and paged by the state file itself, so that ten thousand are as quick to look through as ten."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pellucid.errors import UsageError, suggest
from pellucid.pipeline.record.run_record import Record

SORTS = {
    "started": "runs.started",
    "pipeline": "runs.pipeline",
    "status": "runs.status",
    "seconds": "runs.seconds",
    "name": "run_tags.name",
}
MOST = 500  # runs of one page
STATUSES = ("done", "failed", "running", "interrupted")


@dataclass(frozen=True)
class RunQuery:
    """Which runs, in what order. `text` is looked for in the run, its name, note and settings; `tags` are KEY=VALUE; `sort` is one of
    `SORTS` or a metric's full name. Raises UsageError for bounds that cannot be."""

    text: str = ""
    pipeline: str = ""
    status: str = ""
    tags: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    sort: str = "started"
    ascending: bool = False
    limit: int = 100
    offset: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MOST or self.offset < 0:
            raise UsageError(f"a page has 1 to {MOST} runs", fix="Ask for fewer")
        if self.status and self.status not in STATUSES:
            raise UsageError(f'there is no status "{self.status:.40}"', fix=suggest(self.status, STATUSES))


@dataclass(frozen=True)
class ListedRun:
    """One run of a list: what a person reads at a glance. `metrics` holds those that were asked for and the run has."""

    run: str
    pipeline: str
    status: str
    started: float
    seconds: float | None
    seed: int
    git: str | None
    settings: Mapping[str, str]
    name: str
    tags: Mapping[str, str]
    note: str
    metrics: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def epsilon(self) -> float | None:
        """The sum over its releases; None where it has none."""
        found = [value for name, value in self.metrics.items() if name.endswith("_guarantee.epsilon") and value is not None]
        return sum(found) if found else None

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {**vars(self), "settings": dict(self.settings), "tags": dict(self.tags), "metrics": dict(self.metrics)}


def list_runs(record: Record, asked: RunQuery, metrics: Sequence[str] = ()) -> tuple[list[ListedRun], int]:
    """The runs of one page, with the named metrics, and how many there are in all."""
    db = record.db
    where, values = _conditions(asked)
    tables = "runs LEFT JOIN run_tags USING (run)"
    (total,) = db.execute(f"SELECT count(*) FROM {tables} WHERE {where}", values).fetchone()
    order, direction = SORTS.get(asked.sort, "sorted.value"), "ASC" if asked.ascending else "DESC"
    joined: list[Any] = []
    if asked.sort not in SORTS:
        number = db.execute("SELECT id FROM metric_names WHERE name = ?", (asked.sort,)).fetchone()
        if number is None:
            known = [*SORTS, *metric_names(record)]
            raise UsageError(
                f'there is nothing to sort by called "{asked.sort:.60}"', fix=suggest(asked.sort, known, "Sort by started")
            )
        tables += " LEFT JOIN run_metrics AS sorted ON sorted.run = runs.run AND sorted.name = ?"
        joined = [number[0]]
    doubtful = asked.status in ("running", "interrupted")  # which of both, its lock tells
    rows = db.execute(
        "SELECT runs.run, pipeline, status, started, seconds, seed, git, settings, run_tags.name, tags, note"
        f" FROM {tables} WHERE {where} ORDER BY {order} IS NULL, {order} {direction}, runs.started DESC, runs.run DESC LIMIT ? OFFSET ?",
        (*joined, *values, *((-1, 0) if doubtful else (asked.limit, asked.offset))),
    ).fetchall()
    if doubtful:
        rows = [row for row in rows if record.status_of(row["run"], row["status"]) == asked.status]
        total, rows = len(rows), rows[asked.offset : asked.offset + asked.limit]
    held = _metrics(record, [row["run"] for row in rows], metrics)
    return [_listed(record, row, held.get(row["run"], {})) for row in rows], int(total)


def _conditions(asked: RunQuery) -> tuple[str, list[Any]]:
    where, values = ["1"], list[Any]()
    if asked.text:
        where.append(
            "instr(lower(runs.run || ' ' || coalesce(run_tags.name, '') || ' ' || coalesce(note, '') || ' ' || settings), lower(?))"
        )
        values.append(asked.text)
    if asked.pipeline:
        where.append("pipeline = ?")
        values.append(asked.pipeline)
    if asked.status:
        where.append("status = ?")
        values.append("running" if asked.status == "interrupted" else asked.status)
    for tag in asked.tags:
        key, _, value = tag.partition("=")
        where.append("EXISTS (SELECT 1 FROM json_each(tags) AS each WHERE each.key = ? AND each.value = ?)")
        values += [key, value]
    if asked.runs:
        where.append(f"runs.run IN ({', '.join('?' * len(asked.runs))})")
        values += asked.runs
    return " AND ".join(where), values


def _metrics(record: Record, runs: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    numbers = {
        row["id"]: row["name"] for row in record.db.execute("SELECT id, name FROM metric_names") if row["name"] in set(names)
    }
    if not numbers:
        return found
    query = f"SELECT name, value FROM run_metrics WHERE run = ? AND name IN ({', '.join('?' * len(numbers))})"
    for run in runs:
        held = {numbers[row[0]]: row[1] for row in record.db.execute(query, (run, *numbers))}
        found[run] = {name: held[name] for name in names if name in held}
    return found


def metric_names(record: Record, pipeline: str = "") -> list[str]:
    """The full names of the open metrics that runs have, of the newest run of a pipeline where one is named; sorted."""
    if not pipeline:
        return [row["name"] for row in record.db.execute("SELECT name FROM metric_names ORDER BY name")]
    rows = record.db.execute(
        "SELECT metric_names.name FROM metric_names JOIN run_metrics ON id = run_metrics.name WHERE run ="
        " (SELECT run FROM runs WHERE pipeline = ? AND status = 'done' ORDER BY started DESC, run DESC LIMIT 1) ORDER BY metric_names.name",
        (pipeline,),
    ).fetchall()
    return [row["name"] for row in rows]


def pipelines(record: Record) -> list[dict[str, Any]]:
    """Each pipeline that ran: its newest run, how many runs it has and how many of them failed; by name."""
    rows = record.db.execute(
        "SELECT pipeline, count(*) AS runs, sum(status = 'failed') AS failed, max(started) AS latest"
        " FROM runs GROUP BY pipeline ORDER BY pipeline"
    ).fetchall()
    found = []
    for row in rows:
        newest = record.db.execute(
            "SELECT run, file, status FROM runs WHERE pipeline = ? AND started = ? ORDER BY run DESC LIMIT 1",
            (row["pipeline"], row["latest"]),
        ).fetchone()
        status = record.status_of(newest["run"], newest["status"])
        found.append({**dict(row), "run": newest["run"], "file": newest["file"], "status": status})
    return found


def _listed(record: Record, row: Any, metrics: Mapping[str, float | None]) -> ListedRun:
    tags = json.loads(row["tags"]) if row["tags"] else {}
    return ListedRun(
        row["run"], row["pipeline"], record.status_of(row["run"], row["status"]), row["started"], row["seconds"], row["seed"], row["git"],
        json.loads(row["settings"]), row["name"] or "", tags, row["note"] or "", metrics,
    )  # fmt: skip
