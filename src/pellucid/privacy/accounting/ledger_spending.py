"""What is charged to the accounts of a ledger, and what is read off its chain to decide it: within the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from typing import Any

from pellucid.errors import PrivacyError, suggest
from pellucid.privacy.accounting import ledger_events, ledger_verification
from pellucid.privacy.accounting.account import Account, Limit, Releases, period_start, refuse_overdraft
from pellucid.privacy.accounting.amounts import Amounts


def charge(
    db: sqlite3.Connection,
    names: tuple[str, ...],
    release_id: str,
    asked: Amounts,
    body: dict[str, Any],
) -> tuple[list[str], bool, sqlite3.Row | None]:
    """Charge every account that has not paid for the release; which those were, whether none had, and what settled it, if anything."""
    paid = db.execute("SELECT * FROM ledger WHERE kind = 'spend' AND release = ?", (release_id,)).fetchall()
    for row in paid:
        _refuse_other(row, asked, body["commitment"])
    missing = [name for name in names if name not in {row["account"] for row in paid}]
    accounts = [account_of(db, name) for name in missing]
    for account in accounts:
        refuse_overdraft(account, asked)
    for account in accounts:
        after = asdict(account.spent + asked)
        ledger_events.append(db, "spend", account.name, release_id, asked.epsilon, asked.delta, {**body, "after": after})
    finish = db.execute("SELECT body FROM ledger WHERE kind = 'finish' AND release = ?", (release_id,)).fetchone()
    return missing, not paid, finish


def bind_data(db: sqlite3.Connection, name: str, data: str) -> None:
    """Note whose account data pay from, once; refuse another account, whatever its unit: what people lose adds up in one place.

    The steward can say that an account is about the same data on purpose (`share`).
    """
    rows = db.execute("SELECT account FROM ledger WHERE kind = 'data' AND release = ? ORDER BY seq", (data,)).fetchall()
    held = [row["account"] for row in rows]
    if name in held:
        return
    if held and not any(_shared(db, name, other) for other in held):
        raise PrivacyError(
            f"these data pay from account {held[0]!r} already, not from {name!r}",
            why="two accounts for the same data would each allow a cap's worth",
            fix=f'Declare it: pl.source(..., account="{held[0]}"); or allow both: pellucid ledger share {name} --with {held[0]}',
        )
    ledger_events.append(db, "data", name, data, 0, 0, {})


def _shared(db: sqlite3.Connection, one: str, other: str) -> bool:
    """Whether the steward let these two accounts be about the same data."""
    rows = db.execute("SELECT account, body FROM ledger WHERE kind = 'share'").fetchall()
    return any({row["account"], json.loads(row["body"])["with"]} == {one, other} for row in rows)


def account_of(db: sqlite3.Connection, name: str) -> Account:
    """The account as its events leave it. Raises PrivacyError where there is none of that name."""
    opened = last(db, "open", name)
    if opened is None:
        there = [row["account"] for row in db.execute("SELECT account FROM ledger WHERE kind = 'open' ORDER BY account")]
        fix = "It opens with the first release that it pays for"
        raise PrivacyError(f"there is no account {name!r}", fix=suggest(name, there) if there else fix)
    capped, spend = last(db, "cap", name) or opened, last(db, "spend", name)
    limit = Limit(**capped["limit"])
    spent = Amounts(**spend["after"]) if spend else Amounts()
    within = Amounts()
    if limit.period is not None:
        since = period_start(limit.period, ledger_events.now(db))
        row = db.execute(
            "SELECT COALESCE(SUM(epsilon), 0) AS epsilon, COALESCE(SUM(delta), 0) AS delta FROM ledger"
            " WHERE kind = 'spend' AND account = ? AND time >= ?",
            (name, since),
        ).fetchone()
        within = Amounts(row["epsilon"], row["delta"])
    return Account(name, opened["unit"], opened["composition"], limit, spent, within)


def last(db: sqlite3.Connection, kind: str, name: str) -> dict[str, Any] | None:
    """The body of an account's last event of a kind."""
    row = db.execute("SELECT body FROM ledger WHERE kind = ? AND account = ? ORDER BY seq DESC LIMIT 1", (kind, name)).fetchone()
    return json.loads(row["body"]) if row else None


def releases_of(db: sqlite3.Connection, name: str) -> Releases:
    """(events, extra delta) of every release an account has paid for, in order."""
    rows = db.execute("SELECT * FROM ledger WHERE kind = 'spend' AND account = ? ORDER BY seq", (name,)).fetchall()
    return [ledger_verification.release_of(dict(row) | {"body": json.loads(row["body"])}) for row in rows]


def _refuse_other(row: sqlite3.Row, asked: Amounts, commitment: str) -> None:
    if json.loads(row["body"])["commitment"] != commitment:
        raise PrivacyError(
            "this release was paid under another key",
            where=row["release"],
            why="its noise would be drawn a second time, and the two results together show more than was paid for",
            fix="Bring back the key it was made with (PELLUCID_KEYS)",
        )
    if (row["epsilon"], row["delta"]) != (asked.epsilon, asked.delta):
        raise PrivacyError("this release was paid at another epsilon or delta", where=row["release"])
