"""The chain: the ledger's events, each bound to the one before by SHA-256, as rows of the state file and as lines of an export.

Whoever alters or removes an event breaks the chain at it, unless it is the last: a chain cut off at its end fits. So the hash of
its settlement goes into the card of every release, and a chain is checked against cards. Each event holds 128 random bits, so
that a published hash confirms no guess of what it covers.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pellucid.errors import PrivacyError

DDL = """
CREATE TABLE IF NOT EXISTS ledger (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('open', 'cap', 'spend', 'decide', 'finish', 'refuse', 'data', 'share')),
    account TEXT,
    release TEXT,
    epsilon INTEGER NOT NULL CHECK (epsilon >= 0),
    delta INTEGER NOT NULL CHECK (delta >= 0),
    time INTEGER NOT NULL,
    body TEXT NOT NULL,
    previous TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE
);
CREATE UNIQUE INDEX IF NOT EXISTS ledger_spend ON ledger (release, account) WHERE kind = 'spend';
CREATE UNIQUE INDEX IF NOT EXISTS ledger_finish ON ledger (release) WHERE kind = 'finish';
CREATE UNIQUE INDEX IF NOT EXISTS ledger_data ON ledger (release, account) WHERE kind = 'data';
CREATE UNIQUE INDEX IF NOT EXISTS ledger_open ON ledger (account) WHERE kind = 'open';
CREATE INDEX IF NOT EXISTS ledger_account ON ledger (account, kind, seq);
CREATE INDEX IF NOT EXISTS ledger_time ON ledger (account, time, epsilon, delta) WHERE kind = 'spend';
CREATE TABLE IF NOT EXISTS ledger_clock (id INTEGER PRIMARY KEY CHECK (id = 1), boot TEXT, wall INTEGER, running INTEGER);
"""
A_DAY = 86_400_000  # ms
FIRST = "0" * 64
COLUMNS = ("seq", "kind", "account", "release", "epsilon", "delta", "time", "body", "previous", "hash")
MAX_LINE = 1 << 20  # bytes of a line of an export


def append(
    db: sqlite3.Connection, kind: str, account: str | None, release: str | None, epsilon: int, delta: int, body: dict[str, Any]
) -> dict[str, Any]:
    """Add an event to the chain, within the caller's transaction; the event. Time (ms since 1970) never runs backwards."""
    last = db.execute("SELECT seq, hash, time FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
    ahead = _set_forward(db)
    if ahead > A_DAY:
        body = {**body, "clock_set_forward": ahead}
    event: dict[str, Any] = {
        "seq": last["seq"] + 1 if last else 1,
        "kind": kind,
        "account": account,
        "release": release,
        "epsilon": epsilon,
        "delta": delta,
        "time": now(db),
        "body": canonical({**body, "salt": secrets.token_hex(16)}),
        "previous": last["hash"] if last else FIRST,
    }
    event["hash"] = hash_of(event)
    db.execute(f"INSERT INTO ledger ({', '.join(event)}) VALUES ({', '.join(':' + name for name in event)})", event)
    return event


def now(db: sqlite3.Connection) -> int:
    """The time of the next event: the clock's, but never before the last event's, so that no period can be entered twice."""
    last = db.execute("SELECT time FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
    return max(int(time.time() * 1000), last["time"] if last else 0)


def since_boot() -> tuple[str, int]:
    """Which start of the machine this is, and for how long (ms) it has been running: a clock that nobody can set."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return boot, int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
    except (OSError, AttributeError):  # not Linux: there is nothing to compare with
        return "", 0


def _set_forward(db: sqlite3.Connection) -> int:
    """By how much (ms) the clock was set forward since the last event, as far as the time since the machine started tells.

    A clock that is set forward enters the next period, with a period's cap of its own: that is written into the event, for whoever reads
    the ledger. A clock that was wrong and was set right looks the same.
    """
    (boot, running), wall = since_boot(), int(time.time() * 1000)
    row = db.execute("SELECT boot, wall, running FROM ledger_clock").fetchone()
    db.execute("INSERT OR REPLACE INTO ledger_clock VALUES (1, ?, ?, ?)", (boot, wall, running))
    if row is None or not boot or row["boot"] != boot:
        return 0
    return int((wall - row["wall"]) - (running - row["running"]))


def hash_of(event: Mapping[str, Any]) -> str:
    """The hash an event must have: over all of it but the hash, that of the event before included."""
    return hashlib.sha256(canonical({name: event[name] for name in COLUMNS if name != "hash"}).encode()).hexdigest()


def canonical(value: object) -> str:
    """JSON with one form for one value. Raises PrivacyError for what is not plain JSON."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PrivacyError("a ledger entry must be plain JSON", why=str(error)) from None


def walked(events: Iterable[Mapping[str, Any]], where: str, heads: Iterable[str] = ()) -> Iterator[dict[str, Any]]:
    """The events in order, bodies parsed, each checked to follow from the one before.

    Raises PrivacyError at the first that does not; and at the end, when the chain lacks one of `heads`: hashes that cards or
    earlier exports name.
    """
    previous, wanted = FIRST, set(heads)
    last = 0
    for place, event in enumerate(events, 1):
        row = dict(event)
        if row["seq"] != place or row["previous"] != previous or row["hash"] != hash_of(row) or row["time"] < last:
            raise PrivacyError(f"the ledger was altered at event {place}", where=where, fix="Restore it from a backup")
        previous, last = row["hash"], row["time"]
        wanted.discard(previous)
        yield {**row, "body": json.loads(row["body"])}
    if wanted:
        raise PrivacyError(
            f"the ledger has no event {min(wanted)[:12]}...",
            where=where,
            why="a card names it, so the end of the chain was cut off, or this is another ledger",
            fix="Restore it from a backup",
        )


def written(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write an export: one event a line, as JSON; how many there are. The file is readable by its owner alone."""
    import os

    count = 0
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        for row in rows:
            file.write(canonical({name: row[name] for name in COLUMNS}) + "\n")
            count += 1
        file.flush()
        os.fsync(file.fileno())
    return count


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The events of an export, of the right shape. Raises PrivacyError naming the first line that is none."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                yield _event(line, f"{path}, line {number}")
    except OSError as error:
        raise PrivacyError("the export cannot be read", where=str(path), why=error.strerror or str(error)) from None


def _event(line: bytes, where: str) -> dict[str, Any]:
    try:
        event = json.loads(line) if len(line) <= MAX_LINE else None
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict) or tuple(sorted(event)) != tuple(sorted(COLUMNS)):
        raise PrivacyError("the line is no event of a ledger", where=where)
    numbers = all(type(event[name]) is int for name in ("seq", "epsilon", "delta", "time"))
    texts = all(isinstance(event[name], str) for name in ("kind", "body", "previous", "hash"))
    names = all(event[name] is None or isinstance(event[name], str) for name in ("account", "release"))
    try:
        whole = numbers and texts and names and isinstance(json.loads(event["body"]), dict)
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        raise PrivacyError("the line is no event of a ledger", where=where)
    return event
