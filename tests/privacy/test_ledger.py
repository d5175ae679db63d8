"""The ledger: exact, durable, never overspent, never spent twice, and any altered event is noticed."""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pellucid.errors import BudgetError, PrivacyError
from pellucid.privacy.ledger import Ledger
from pellucid.store.database import STATE_FILE


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path)
    made.open_account("visits", "user_id", 1.0, 1e-5)
    return made


def pay(
    ledger: Ledger, release: str, epsilon: float = 0.1, delta: float = 1e-6, accounts: Any = ("visits",), key: str = "k"
) -> Any:
    return ledger.spend(accounts, release, epsilon, delta, {"of": "visits"}, key)


def test_ten_times_a_tenth_fits_into_one_and_the_eleventh_is_refused(ledger: Ledger) -> None:
    for number in range(10):
        assert pay(ledger, f"r{number}").fresh
    with pytest.raises(BudgetError, match=r"has epsilon 0 and .* asks for 0.1 .* cap") as caught:
        pay(ledger, "r10")
    assert "\n" not in str(caught.value)
    account = ledger.accounts()[0]
    assert (account["spent_epsilon"], account["left_epsilon"], account["spent_epsilon_nano"]) == (1.0, 0.0, 10**9)
    ledger.verify()


def test_delta_has_a_cap_of_its_own(ledger: Ledger) -> None:
    pay(ledger, "a", epsilon=0.01, delta=9e-6)
    with pytest.raises(BudgetError, match=r"delta 1e-06 left"):
        pay(ledger, "b", epsilon=0.01, delta=1.1e-6)
    pay(ledger, "c", epsilon=0.01, delta=1e-6)


def test_spends_round_up_and_caps_round_down(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open_account("a", "u", 1.0000000019, 1e-5)
    pay(ledger, "r", epsilon=0.1000000001, accounts=["a"])
    account = ledger.accounts()[0]
    assert (account["cap_epsilon_nano"], account["spent_epsilon_nano"]) == (1_000_000_001, 100_000_001)


def test_the_same_release_costs_nothing_the_second_time_and_knows_its_state(ledger: Ledger) -> None:
    assert pay(ledger, "r").state == "spent"
    again = pay(Ledger(ledger._home), "r")
    assert (again.fresh, again.state, again.digest) == (False, "spent", None)
    ledger.finish("r", "d1")
    ledger.finish("r", "d1")
    assert (pay(ledger, "r").state, pay(ledger, "r").digest) == ("finished", "d1")
    assert ledger.accounts()[0]["spent_epsilon"] == 0.1
    assert [(row["release"], row["state"], row["digest"]) for row in ledger.spends()] == [("r", "finished", "d1")]


def test_another_key_price_or_result_for_a_paid_release_is_refused(ledger: Ledger) -> None:
    pay(ledger, "r")
    for change in ({"key": "other"}, {"epsilon": 0.2}, {"delta": 2e-6}):
        with pytest.raises(PrivacyError):
            pay(ledger, "r", **change)
    ledger.finish("r", "d1")
    with pytest.raises(PrivacyError, match="something else"):
        ledger.finish("r", "d2")
    with pytest.raises(PrivacyError, match="before it is paid"):
        ledger.finish("never", "d")


def test_a_release_is_charged_to_all_its_accounts_or_to_none(ledger: Ledger) -> None:
    ledger.open_account("clicks", "user_id", 0.05, 1e-5)
    with pytest.raises(BudgetError, match="'clicks'"):
        pay(ledger, "r", accounts=["visits", "clicks"])
    assert all(account["spent_epsilon"] == 0 for account in ledger.accounts())
    ledger.set_cap("clicks", 1.0, 1e-5)
    pay(ledger, "r", accounts=["visits", "clicks"])
    assert [account["spent_epsilon"] for account in ledger.accounts()] == [0.1, 0.1]


def test_opening_again_changes_nothing_and_a_cap_is_set_by_name(ledger: Ledger) -> None:
    ledger.open_account("visits", "user_id", 99.0, 0.5)
    assert ledger.accounts()[0]["cap_epsilon"] == 1.0
    with pytest.raises(PrivacyError, match="protects 'user_id'"):
        ledger.open_account("visits", "session", 1.0, 1e-5)
    ledger.set_cap("visits", 0.05, 1e-5)
    with pytest.raises(BudgetError):
        pay(ledger, "r")
    with pytest.raises(PrivacyError, match="no account"):
        ledger.set_cap("nobody", 1.0, 1e-5)
    with pytest.raises(PrivacyError, match="no account"):
        pay(ledger, "r", accounts=["nobody"])


BAD: list[Any] = [0, -0.1, math.nan, math.inf, 5e-324, True, "0.1", None]


@pytest.mark.parametrize("value", BAD)
def test_unusable_amounts_are_refused_and_cost_nothing(ledger: Ledger, value: Any) -> None:
    for given in ({"epsilon": value}, {"delta": value}):
        with pytest.raises(PrivacyError):
            pay(ledger, "r", **given)
    for given in ((value, 1e-6), (1.0, value)):
        if value != 0 and value != 5e-324:
            with pytest.raises(PrivacyError):
                ledger.set_cap("visits", *given)
    with pytest.raises(PrivacyError):
        pay(ledger, "r", accounts=[])
    assert ledger.accounts()[0]["spent_epsilon"] == 0


def test_any_altered_event_is_noticed(ledger: Ledger) -> None:
    for number in range(4):
        pay(ledger, f"r{number}")
    ledger.finish("r2", "d")
    head = ledger.head()
    ledger.close()
    db = sqlite3.connect(ledger._home / STATE_FILE, isolation_level=None)
    changes = [
        "UPDATE ledger SET epsilon = 1 WHERE seq = 3",
        "UPDATE ledger SET delta = 0 WHERE seq = 3",
        "UPDATE ledger SET body = replace(body, 'visits', 'visitz') WHERE seq = 4",
        "UPDATE ledger SET release = 'x' WHERE seq = 2",
        "UPDATE ledger SET account = 'other' WHERE seq = 2",
        "UPDATE ledger SET kind = 'cap' WHERE seq = 2",
        "DELETE FROM ledger WHERE seq = 2",
        "DELETE FROM ledger WHERE seq = 1",
    ]
    for change in changes:
        db.execute("BEGIN")
        db.execute(change)
        db.execute("COMMIT")
        with pytest.raises(PrivacyError, match="altered at event"):
            Ledger(ledger._home).verify()
        _restore(db, ledger._home)
    db.execute("DELETE FROM ledger WHERE seq = 6")  # a cut tail fits the chain; only the published head tells
    assert Ledger(ledger._home).head() != head


def _restore(db: sqlite3.Connection, home: Path) -> None:
    db.execute("DELETE FROM ledger")
    fresh = Ledger(home)
    fresh.open_account("visits", "user_id", 1.0, 1e-5)
    for number in range(4):
        pay(fresh, f"r{number}")
    fresh.finish("r2", "d")
    fresh.verify()
    fresh.close()


def test_threads_never_overspend_or_spend_twice(tmp_path: Path) -> None:
    shared = Ledger(tmp_path)
    shared.open_account("visits", "user_id", 2.0, 1.0)
    outcomes: Counter[str] = Counter()

    def work(number: int) -> None:
        ledger = shared if number % 2 else Ledger(tmp_path)
        for release in (f"own{number}", f"shared{number % 8}"):
            try:
                outcomes["paid" if pay(ledger, release).fresh else "again"] += 1
            except BudgetError:
                outcomes["refused"] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shared.verify()
    assert outcomes["paid"] == 20
    assert shared.accounts()[0]["spent_epsilon_nano"] == 2 * 10**9
    assert len(shared.spends()) == 20


def _spender(home: str, number: int, gate: Any) -> None:
    ledger = Ledger(Path(home))
    gate.wait()
    for turn in range(6):
        try:
            pay(ledger, f"p{number}-{turn}" if turn % 2 else f"shared{turn}")
        except BudgetError:
            continue


def test_processes_never_overspend_or_spend_twice(tmp_path: Path) -> None:
    Ledger(tmp_path).open_account("visits", "user_id", 1.0, 1.0)
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(8)
    workers = [context.Process(target=_spender, args=(str(tmp_path), number, gate)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    ledger = Ledger(tmp_path)
    ledger.verify()
    assert ledger.accounts()[0]["spent_epsilon_nano"] == 10**9
    releases = [row["release"] for row in ledger.spends()]
    assert len(releases) == len(set(releases)) == 10


def test_a_ledger_opened_before_a_fork_is_reopened_in_the_child(ledger: Ledger) -> None:
    pay(ledger, "parent")
    child = os.fork()
    if child == 0:
        try:
            pay(ledger, "child")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(ledger.spends()) == 2
    ledger.verify()


SPENDER = """
import sys
from pathlib import Path
from pellucid.privacy.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), 10**9):
    ledger.spend(["visits"], f"r{number}", 0.000001, 1e-15, {}, "k")
    print(number, flush=True)
"""


def test_a_kill_at_any_moment_loses_no_spend_that_was_reported(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open_account("visits", "user_id", 1.0, 1e-3)
    rng, reported = random.Random(11), 0
    for _ in range(50):
        process = subprocess.Popen(
            [sys.executable, "-c", SPENDER, str(tmp_path), str(reported)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        seen = [process.stdout.readline()]  # started: from here on, any moment
        time.sleep(rng.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        seen += process.stdout.readlines()
        process.stdout.close()
        process.wait()
        reported = max([int(line) for line in seen if line.endswith("\n")]) + 1
        ledger.verify()
        spent = ledger.accounts()[0]["spent_epsilon_nano"] // 1000
        assert reported <= spent <= reported + 1  # the one under way may have been paid without being reported: never less
