"""Statements of account: what was spent and what was refused, as people and programs read it."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from pellucid.privacy.accounting.amounts import DELTA_UNIT, EPSILON_UNIT, as_float
from pellucid.privacy.accounting.ledger_events import A_DAY


def spends(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """Every spend in order: release, account, epsilon, delta, description, commitment, time (s), state, digest, and `settled`.

    `settled` is the place and hash of the event that settled it, which is what a card names.
    """
    rows = db.execute(
        "SELECT s.*, f.body AS finished, f.seq AS at, f.hash AS by FROM ledger s"
        " LEFT JOIN ledger f ON f.kind = 'finish' AND f.release = s.release WHERE s.kind = 'spend' ORDER BY s.seq"
    ).fetchall()
    told = []
    for row in rows:
        body, finished = json.loads(row["body"]), row["finished"]
        told.append(
            {
                "release": row["release"],
                "account": row["account"],
                "epsilon": as_float(row["epsilon"], EPSILON_UNIT),
                "delta": as_float(row["delta"], DELTA_UNIT),
                "commitment": body["commitment"],
                "description": body["description"],
                "time": row["time"] / 1000,
                "state": "finished" if finished else "spent",
                "digest": json.loads(finished)["digest"] if finished else None,
                "settled": {"seq": row["at"], "hash": row["by"]} if finished else None,
            }
        )
    return told


def refusals(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """Every refusal in order: release, epsilon, delta, time (s), accounts, why."""
    told = []
    for row in db.execute("SELECT * FROM ledger WHERE kind = 'refuse' ORDER BY seq").fetchall():
        body = json.loads(row["body"])
        told.append(
            {
                "release": row["release"],
                "epsilon": as_float(row["epsilon"], EPSILON_UNIT),
                "delta": as_float(row["delta"], DELTA_UNIT),
                "time": row["time"] / 1000,
                "accounts": body["accounts"],
                "why": body["why"],
            }
        )
    return told


def clock_jumps(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """The events before which the clock was set forward by more than a day: `seq`, `time` (s) and by how many `days`."""
    rows = db.execute("SELECT seq, time, body FROM ledger WHERE body LIKE '%\"clock_set_forward\"%' ORDER BY seq").fetchall()
    found = [(row, json.loads(row["body"]).get("clock_set_forward")) for row in rows]
    return [{"seq": row["seq"], "time": row["time"] / 1000, "days": ahead / A_DAY} for row, ahead in found if ahead]
