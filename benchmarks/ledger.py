"""Durable spends per second of the ledger, in ratio to bare commits of SQLite at the same durability in the same run.

Bar: at least 500 durable spends/s, also when the ledger is long and from several processes. Run: python benchmarks/ledger.py [--json]
"""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pellucid.privacy.accounting.ledger import Ledger

BAR = 500.0
EVENTS = {"events": [{"noise": "discrete_gaussian", "sigma2": "400", "sensitivity": 1, "cells": 1}], "extra_delta": 1e-16}


def bare(home: Path, count: int) -> float:
    """One row a commit, flushed."""
    db = sqlite3.connect(home / "bare.db", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE t (a TEXT)")
    start = time.perf_counter()
    for number in range(count):
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO t VALUES (?)", (str(number),))
        db.execute("COMMIT")
    return count / (time.perf_counter() - start)


def spends(home: Path, count: int, prefix: str, composition: str) -> float:
    ledger = Ledger(home)
    ledger.open_account(composition, "user_id", 1000.0, 1e-3, composition=composition)
    start = time.perf_counter()
    for number in range(count):
        ledger.spend([composition], f"{prefix}{number}", 0.001, 1e-12, EVENTS, "commitment")
    return count / (time.perf_counter() - start)


def at_once(home: Path, processes: int, each: int) -> float:
    start = time.perf_counter()
    workers = [multiprocessing.Process(target=spends, args=(home, each, f"p{number}-", "basic")) for number in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return processes * each / (time.perf_counter() - start)


def main() -> int:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        home = Path(folder)
        baseline = bare(home, 2000)
        rows: list[tuple[str, float]] = [("one process, new ledger", spends(home, 2000, "a", "basic"))]
        spends(home, 20_000, "b", "basic")
        rows.append(("one process, after 22,000 events", spends(home, 2000, "c", "basic")))
        rows.append(("composed by zCDP", spends(home, 2000, "d", "zcdp")))
        rows.append(("eight processes at once", at_once(home, 8, 500)))
        ledger = Ledger(home)
        start = time.perf_counter()
        count = ledger.verify()
        verify = count / (time.perf_counter() - start)
    figures: dict[str, Any] = {"bare commits": baseline, **dict(rows), "events verified": verify}
    if "--json" in sys.argv:
        print(json.dumps(figures))
    else:
        for name, rate in figures.items():
            print(f"{name:<34} {rate:>9,.0f} /s   {rate / baseline:>5.2f}")
    return 0 if min(rate for _, rate in rows) >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
