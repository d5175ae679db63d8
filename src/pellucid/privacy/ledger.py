"""The ledger: the privacy accounts, what was spent from them, and on what.

A release spends before it runs, durably, so a crash can lose a release but never a spend. The ledger is one append-only list of
events (account opened, cap set, spend, finish), each chained to the one before by SHA-256; balances are sums over it. Amounts are
whole numbers: epsilon in units of 1e-9, delta in units of 1e-18, read from the decimal form of a number, so ten times 0.1 is
exactly 1. Spends round up, caps round down. Accounting is by basic composition: epsilons add, deltas add.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

from pellucid.errors import BudgetError, PrivacyError
from pellucid.privacy.parameters import checked_delta, checked_epsilon
from pellucid.store.database import connect, transaction

EPSILON_UNIT, DELTA_UNIT = Decimal("1e-9"), Decimal("1e-18")
MAX_CAP_EPSILON = 1_000_000

DDL = """
CREATE TABLE IF NOT EXISTS ledger (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('open', 'cap', 'spend', 'finish')),
    account TEXT,
    release TEXT,
    epsilon INTEGER NOT NULL CHECK (epsilon >= 0),
    delta INTEGER NOT NULL CHECK (delta >= 0),
    body TEXT NOT NULL,
    previous TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE
);
CREATE UNIQUE INDEX IF NOT EXISTS ledger_spend ON ledger (release, account) WHERE kind = 'spend';
CREATE UNIQUE INDEX IF NOT EXISTS ledger_finish ON ledger (release) WHERE kind = 'finish';
CREATE UNIQUE INDEX IF NOT EXISTS ledger_open ON ledger (account) WHERE kind = 'open';
CREATE INDEX IF NOT EXISTS ledger_account ON ledger (account, kind, epsilon, delta);
"""
FIRST = "0" * 64


@dataclass(frozen=True)
class Spend:
    """What one release has paid. `state`: "spent" (paid, may still have to run) or "finished" with the `digest` it released.

    `fresh` tells whether this call paid; False means the release had paid before and this cost nothing.
    """

    release_id: str
    accounts: tuple[str, ...]
    epsilon: float
    delta: float
    state: str
    digest: str | None
    fresh: bool


class Ledger:
    """The accounts in the state file of `home`. Safe for several processes and threads at once; survives kill and power loss."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._process = 0
        self._connection: sqlite3.Connection | None = None

    def open_account(self, name: str, unit: str, cap_epsilon: float, cap_delta: float) -> None:
        """Open an account for the privacy of `unit`s. One that is open stays as it is, cap included: see `set_cap`."""
        _checked_text("an account's name", name)
        _checked_text("an account's unit", unit)
        epsilon, delta = _cap(cap_epsilon, cap_delta)
        with self._lock, transaction(self._db()) as db:
            row = db.execute("SELECT body FROM ledger WHERE kind = 'open' AND account = ?", (name,)).fetchone()
            if row is None:
                _append(db, "open", name, None, epsilon, delta, {"unit": unit})
            elif json.loads(row["body"])["unit"] != unit:
                raise PrivacyError(
                    f"account {name!r} protects {json.loads(row['body'])['unit']!r}, not {unit!r}",
                    fix="Give the source another account, or declare the unit the account was opened for",
                )

    def set_cap(self, name: str, cap_epsilon: float, cap_delta: float) -> None:
        """Change what an account may spend in all. A cap below what is spent is allowed: it stops further releases."""
        epsilon, delta = _cap(cap_epsilon, cap_delta)
        with self._lock, transaction(self._db()) as db:
            _balance(db, name)
            _append(db, "cap", name, None, epsilon, delta, {})

    def spend(
        self,
        accounts: Iterable[str],
        release_id: str,
        epsilon: float,
        delta: float,
        description: Mapping[str, Any],
        commitment: str,
    ) -> Spend:
        """Charge a release to all its accounts, or to none; on disk when this returns, so call it before the release runs.

        A release that has paid is not charged again. Raises BudgetError when an account has not enough left, PrivacyError
        when the release was paid under another key (its noise would be drawn a second time) or at another price.
        """
        names = tuple(sorted({accounts} if isinstance(accounts, str) else set(accounts)))
        if not names:
            raise PrivacyError("a release must name the accounts that pay for it", fix="Give the private source an account")
        _checked_text("a release's id", release_id)
        _checked_text("a key's commitment", commitment)
        cost = (_units(checked_epsilon(epsilon), EPSILON_UNIT, up=True), _units(checked_delta(delta), DELTA_UNIT, up=True))
        body = {"commitment": commitment, "description": dict(description)}
        with self._lock, transaction(self._db()) as db:
            paid = db.execute("SELECT * FROM ledger WHERE kind = 'spend' AND release = ?", (release_id,)).fetchall()
            for row in paid:
                _refuse_other(row, cost, commitment)
            missing = [name for name in names if name not in {row["account"] for row in paid}]
            for name in missing:
                _refuse_overdraft(_balance(db, name), cost)
            for name in missing:
                _append(db, "spend", name, release_id, *cost, {**body, "time": time.time()})
            finish = db.execute("SELECT body FROM ledger WHERE kind = 'finish' AND release = ?", (release_id,)).fetchone()
        digest = json.loads(finish["body"])["digest"] if finish else None
        return Spend(release_id, names, float(epsilon), float(delta), "finished" if finish else "spent", digest, bool(missing))

    def finish(self, release_id: str, digest: str) -> None:
        """Record what a paid release gave out. The same digest again is fine; another one is refused."""
        _checked_text("a digest", digest)
        with self._lock, transaction(self._db()) as db:
            if not db.execute("SELECT 1 FROM ledger WHERE kind = 'spend' AND release = ?", (release_id,)).fetchone():
                raise PrivacyError("a release cannot finish before it is paid for", where=release_id)
            row = db.execute("SELECT body FROM ledger WHERE kind = 'finish' AND release = ?", (release_id,)).fetchone()
            if row is None:
                _append(db, "finish", None, release_id, 0, 0, {"digest": digest, "time": time.time()})
            elif json.loads(row["body"])["digest"] != digest:
                raise PrivacyError(
                    "this release has already given out something else",
                    where=release_id,
                    why="one release must have one result: two would show more than was paid for",
                    fix="Nothing was given out now. Restore the released file from the store or a backup",
                )

    def accounts(self) -> list[dict[str, Any]]:
        """Every account: name, unit, and cap, spent and left, each as floats and (with `_nano`, `_atto`) exact whole numbers."""
        with self._lock, transaction(self._db()) as db:
            names = [row["account"] for row in db.execute("SELECT account FROM ledger WHERE kind = 'open' ORDER BY account")]
            return [_balance(db, name) for name in names]

    def spends(self) -> list[dict[str, Any]]:
        """Every spend in order: release, account, epsilon, delta, description, commitment, time, state, digest."""
        with self._lock, transaction(self._db()) as db:
            rows = db.execute(
                "SELECT s.*, f.body AS finished FROM ledger s LEFT JOIN ledger f ON f.kind = 'finish' AND f.release = s.release"
                " WHERE s.kind = 'spend' ORDER BY s.seq"
            ).fetchall()
        return [
            {
                "release": row["release"],
                "account": row["account"],
                "epsilon": _float(row["epsilon"], EPSILON_UNIT),
                "delta": _float(row["delta"], DELTA_UNIT),
                **json.loads(row["body"]),
                "state": "finished" if row["finished"] else "spent",
                "digest": json.loads(row["finished"])["digest"] if row["finished"] else None,
            }
            for row in rows
        ]

    def head(self) -> str:
        """The hash of the last event. Publish it: only so can a ledger cut off at its end be told from a whole one."""
        with self._lock:
            row = self._db().execute("SELECT hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
        return str(row["hash"]) if row else FIRST

    def verify(self) -> None:
        """Recompute the chain and every balance; raise PrivacyError at the first event that does not fit."""
        with self._lock, transaction(self._db()) as db:
            rows = db.execute("SELECT * FROM ledger ORDER BY seq").fetchall()
        previous = FIRST
        caps: dict[str, tuple[int, int]] = {}
        spent: dict[str, tuple[int, int]] = {}
        for place, row in enumerate(rows, 1):
            if row["seq"] != place or row["previous"] != previous or row["hash"] != _hash(dict(row)):
                raise PrivacyError(
                    f"the ledger was altered at event {place}", where=str(self._home), fix="Restore it from a backup"
                )
            previous, name = row["hash"], row["account"]
            if row["kind"] in ("open", "cap"):
                caps[name] = (row["epsilon"], row["delta"])
                spent.setdefault(name, (0, 0))
            elif row["kind"] == "spend":
                spent[name] = (spent[name][0] + row["epsilon"], spent[name][1] + row["delta"])
                if spent[name][0] > caps[name][0] or spent[name][1] > caps[name][1]:
                    raise PrivacyError(f"account {name!r} was overspent at event {place}", where=str(self._home))

    def close(self) -> None:
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    def _db(self) -> sqlite3.Connection:
        """The connection of this process: SQLite's must not be used across a fork."""
        if self._connection is None or self._process != os.getpid():
            self._connection, self._process = connect(self._home, DDL, durable=True), os.getpid()
        return self._connection


def _append(
    db: sqlite3.Connection, kind: str, account: str | None, release: str | None, epsilon: int, delta: int, body: dict[str, Any]
) -> None:
    last = db.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
    event: dict[str, Any] = {
        "seq": last["seq"] + 1 if last else 1,
        "kind": kind,
        "account": account,
        "release": release,
        "epsilon": epsilon,
        "delta": delta,
        "body": _canonical(body),
        "previous": last["hash"] if last else FIRST,
    }
    event["hash"] = _hash(event)
    db.execute(f"INSERT INTO ledger ({', '.join(event)}) VALUES ({', '.join(':' + name for name in event)})", event)


def _hash(event: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical({name: event[name] for name in event if name != "hash"}).encode()).hexdigest()


def _canonical(value: object) -> str:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PrivacyError("a ledger entry must be plain JSON", why=str(error)) from None


def _balance(db: sqlite3.Connection, name: str) -> dict[str, Any]:
    opened = db.execute("SELECT body FROM ledger WHERE kind = 'open' AND account = ?", (name,)).fetchone()
    if opened is None:
        raise PrivacyError(f"there is no account {name!r}", fix="Open it with a cap before releasing from it")
    cap = db.execute(
        "SELECT epsilon, delta FROM ledger WHERE kind IN ('open', 'cap') AND account = ? ORDER BY seq DESC LIMIT 1", (name,)
    ).fetchone()
    spent = db.execute(
        "SELECT COALESCE(SUM(epsilon), 0) AS epsilon, COALESCE(SUM(delta), 0) AS delta FROM ledger"
        " WHERE kind = 'spend' AND account = ?",
        (name,),
    ).fetchone()
    balance: dict[str, Any] = {"name": name, "unit": json.loads(opened["body"])["unit"]}
    for kind, unit, small in (("epsilon", EPSILON_UNIT, "nano"), ("delta", DELTA_UNIT, "atto")):
        amounts = {"cap": cap[kind], "spent": spent[kind], "left": max(0, cap[kind] - spent[kind])}
        for word, amount in amounts.items():
            balance[f"{word}_{kind}"] = _float(amount, unit)
            balance[f"{word}_{kind}_{small}"] = amount
    return balance


def _refuse_overdraft(balance: dict[str, Any], cost: tuple[int, int]) -> None:
    left = (balance["left_epsilon_nano"], balance["left_delta_atto"])
    if cost[0] <= left[0] and cost[1] <= left[1]:
        return
    raise BudgetError(
        f"account {balance['name']!r} has epsilon {_text(left[0], EPSILON_UNIT)} and delta {_text(left[1], DELTA_UNIT)} left;"
        f" this release asks for {_text(cost[0], EPSILON_UNIT)} and {_text(cost[1], DELTA_UNIT)}",
        fix="Ask for less, or let the steward raise the cap (pellucid ledger cap): the loss adds up for the same people",
    )


def _refuse_other(row: sqlite3.Row, cost: tuple[int, int], commitment: str) -> None:
    if json.loads(row["body"])["commitment"] != commitment:
        raise PrivacyError(
            "this release was paid under another key",
            where=row["release"],
            why="its noise would be drawn a second time, and the two results together show more than was paid for",
            fix="Bring back the key it was made with (PELLUCID_KEYS)",
        )
    if (row["epsilon"], row["delta"]) != cost:
        raise PrivacyError("this release was paid at another epsilon or delta", where=row["release"])


def _cap(epsilon: object, delta: object) -> tuple[int, int]:
    for name, value, high in (("epsilon", epsilon, MAX_CAP_EPSILON), ("delta", delta, 1)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not 0 <= value <= high:
            raise PrivacyError(f"a cap on {name} must be a number from 0 to {high}, not {value!r}")
    return _units(epsilon, EPSILON_UNIT, up=False), _units(delta, DELTA_UNIT, up=False)


def _units(value: Any, unit: Decimal, *, up: bool) -> int:
    return int((Decimal(repr(float(value))) / unit).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR))


def _float(amount: int, unit: Decimal) -> float:
    return float(amount * unit)


def _text(amount: int, unit: Decimal) -> str:
    return f"{_float(amount, unit):.12g}"


def _checked_text(what: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise PrivacyError(f"{what} must be text that is not empty, not {value!r}")
