"""The ledger: exact, durable, never overspent, never spent twice, and any altered event is noticed."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_here import run_here
from scipy import stats

from pellucid.errors import BudgetError, PrivacyError
from pellucid.privacy.accounting import ledger_events
from pellucid.privacy.accounting.account import Limit, fits
from pellucid.privacy.accounting.amounts import RHO_UNIT, Amounts
from pellucid.privacy.accounting.composition import zcdp_delta
from pellucid.privacy.accounting.ledger import Ledger
from pellucid.privacy.accounting.ledger_verification import verify_file
from pellucid.privacy.accounting.sign_off import Decision
from pellucid.privacy.noise.calibration import delta_for_counts
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
    ledger.set_limit("clicks", 1.0, 1e-5)
    pay(ledger, "r", accounts=["visits", "clicks"])
    assert [account["spent_epsilon"] for account in ledger.accounts()] == [0.1, 0.1]


def test_opening_again_changes_nothing_and_a_cap_is_set_by_name(ledger: Ledger) -> None:
    ledger.open_account("visits", "user_id", 99.0, 0.5)
    assert ledger.accounts()[0]["cap_epsilon"] == 1.0
    with pytest.raises(PrivacyError, match="protects 'user_id'"):
        ledger.open_account("visits", "session", 1.0, 1e-5)
    ledger.set_limit("visits", 0.05, 1e-5)
    with pytest.raises(BudgetError):
        pay(ledger, "r")
    with pytest.raises(PrivacyError, match="no account"):
        ledger.set_limit("nobody", 1.0, 1e-5)
    with pytest.raises(PrivacyError, match="no account"):
        pay(ledger, "r", accounts=["nobody"])


BAD: list[Any] = [0, -0.1, math.nan, math.inf, 5e-324, True, "0.1", None]


@pytest.mark.parametrize("value", BAD)
def test_unusable_amounts_are_refused_and_cost_nothing(ledger: Ledger, value: Any) -> None:
    for given in ({"epsilon": value}, {"delta": value}):
        if given == {"delta": 0}:
            continue  # of a release whose guarantee is by epsilon alone
        with pytest.raises(PrivacyError):
            pay(ledger, "r", **given)
    for given in ((value, 1e-6), (1.0, value)):
        if value != 0 and value != 5e-324:
            with pytest.raises(PrivacyError):
                ledger.set_limit("visits", *given)
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
    _race(tmp_path, 8)


def _race(tmp_path: Path, writers: int) -> None:
    Ledger(tmp_path).open_account("visits", "user_id", 1.0, 1.0)
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(writers)
    workers = [context.Process(target=_spender, args=(str(tmp_path), number, gate)) for number in range(writers)]
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


def _spend_until_killed(home: Path, start: int, pipe: int) -> None:
    """Child: spend and report each spend; never returns."""
    try:
        ledger = Ledger(home)
        for number in range(start, 10**9):
            ledger.spend(["visits"], f"r{number}", 0.000001, 1e-15, {}, "k")
            os.write(pipe, number.to_bytes(8, "big"))
    finally:
        os._exit(1)


def _kill(home: Path, times: int, seed: int) -> None:
    """Kill a spending process at `times` random moments: no spend that was reported is lost, none is counted twice."""
    ledger = Ledger(home)
    ledger.open_account("visits", "user_id", 1000.0, 1e-3)
    rng, reported = random.Random(seed), 0
    for turn in range(times):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _spend_until_killed(home, reported, writer)
        os.close(writer)
        if turn % 4:  # three of four come to spend; the rest may die while they open the file
            first = os.read(reader, 8)
            reported = int.from_bytes(first, "big") + 1
        time.sleep(rng.random() * 0.004)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while data := os.read(reader, 8):
            reported = int.from_bytes(data, "big") + 1
        os.close(reader)
        spent = ledger.accounts()[0]["spent_epsilon_nano"] // 1000
        assert reported <= spent <= reported + 1  # the one under way may have been paid without being reported: never less
        if turn % 1000 == 0:
            ledger.verify()
    count = ledger.verify()
    assert count == 1 + spent
    ledger.close()


def test_a_kill_at_any_moment_loses_no_spend_that_was_reported(tmp_path: Path) -> None:
    _kill(tmp_path, 60, 11)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_ten_thousand_kills_lose_no_spend_that_was_reported(tmp_path: Path, soak: Callable[[int], int]) -> None:
    """In a process of its own: forking one that has run other tests, with all they loaded, takes several times as long."""
    killer = multiprocessing.get_context("spawn").Process(target=_kill, args=(tmp_path, soak(10_000), 12))
    killer.start()
    killer.join()
    assert killer.exitcode == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sixty_four_processes_never_overspend_or_spend_twice(tmp_path: Path) -> None:
    _race(tmp_path, 64)


def test_many_refusals_leave_their_trace_and_cost_nothing(ledger: Ledger) -> None:
    with pytest.raises(BudgetError):
        pay(ledger, "dear", epsilon=2.0)
    with pytest.raises(PrivacyError, match="no account"):
        pay(ledger, "lost", accounts=["nobody"])
    pay(ledger, "r")
    with pytest.raises(PrivacyError, match="another key"):
        pay(ledger, "r", key="other")
    assert [(row["release"], row["accounts"]) for row in ledger.refusals()] == [
        ("dear", ["visits"]),
        ("lost", ["nobody"]),
        ("r", ["visits"]),
    ]
    assert "asks for 2" in ledger.refusals()[0]["why"]
    assert ledger.accounts()[0]["spent_epsilon"] == 0.1
    ledger.verify()


# how releases add up ---------------------------------------------------------------------------------------------------------

GAUSSIAN = {"events": [{"noise": "discrete_gaussian", "sigma2": "400", "sensitivity": 1, "cells": 1}], "extra_delta": 1e-12}


def fill(home: Path, composition: str, most: int = 400) -> int:
    """How many releases of one Gaussian count fit into epsilon 2 at delta 1e-5."""
    ledger = Ledger(home)
    ledger.open_account(composition, "user_id", 2.0, 1e-5, composition=composition)
    epsilon = 0.25
    delta = delta_for_counts(Fraction(400), epsilon, 1) + 1e-12
    for number in range(most):
        try:
            ledger.spend([composition], f"{composition}{number}", epsilon, delta, GAUSSIAN, "k")
        except BudgetError:
            ledger.verify()
            return number
    raise AssertionError("no end")


def test_tighter_composition_admits_more_and_each_stays_within_its_own_bound(tmp_path: Path) -> None:
    counts = {composition: fill(tmp_path, composition) for composition in ("basic", "zcdp")}
    assert counts["basic"] == 8
    # what n Gaussians of noise multiplier 20 cost, by the closed form of one Gaussian with multiplier 20 / sqrt(n)
    exact = max(n for n in range(1, 400) if _gaussian_delta(20 / math.sqrt(n), 2.0) <= 1e-5)
    assert exact * 0.8 < counts["zcdp"] <= exact


def _gaussian_delta(multiplier: float, epsilon: float) -> float:
    """Balle and Wang 2018, Theorem 8."""
    return float(
        stats.norm.cdf(1 / (2 * multiplier) - epsilon * multiplier)
        - math.exp(epsilon) * stats.norm.cdf(-1 / (2 * multiplier) - epsilon * multiplier)
    )


def test_an_account_keeps_the_way_it_adds_up(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open_account("a", "u", 1.0, 1e-5)
    ledger.open_account("a", "u", 1.0, 1e-5, composition="zcdp")
    assert ledger.accounts()[0]["composition"] == "basic"
    with pytest.raises(PrivacyError, match="one of basic, zcdp, gaussian, not 'pld'"):
        ledger.open_account("b", "u", 1.0, 1e-5, composition="pld")


def test_no_adaptive_choice_within_a_zcdp_account_exceeds_its_delta(tmp_path: Path) -> None:
    """The worst known adversary: a Gaussian first; where its result is bad, another with all that is left of rho; elsewhere a release that
    brings all that is left of slack. Its exact delta is computed from Gaussian tails, for every share of the first release."""
    for epsilon, delta in ((1.0, 1e-6), (1.0, 1e-3), (3.0, 1e-5), (0.5, 1e-2), (2.0, 1e-9)):
        limit = Limit(round(epsilon * 1e9), round(delta * 1e18))
        most = _largest(lambda rho, limit=limit: fits("zcdp", limit, Amounts(rho=round(rho * RHO_UNIT))), 10.0)  # type: ignore[misc]
        slack = _largest(lambda part, limit=limit: fits("zcdp", limit, Amounts(slack=round(part * 1e18))), delta)  # type: ignore[misc]
        assert slack == pytest.approx(delta / 2, rel=1e-9)
        worst = max(_adaptive_delta(epsilon, most, share, slack) for share in np.linspace(0.02, 0.98, 25))
        assert 0.3 * delta < worst <= delta
        unsplit = _largest(lambda rho, e=epsilon, d=delta: zcdp_delta(Fraction(rho), 0.0, e) <= d, 10.0)  # type: ignore[misc]
        old = [(share, delta - zcdp_delta(Fraction(unsplit * share), 0.0, epsilon)) for share in np.linspace(0.02, 0.98, 25)]
        assert max(_adaptive_delta(epsilon, unsplit, share, left) for share, left in old) > 1.1 * delta, (
            "the attack sees the old rule"
        )


def _largest(holds: Callable[[float], bool], high: float) -> float:
    """The largest number, to 60 halvings, for which a falling condition holds."""
    low = 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _adaptive_delta(epsilon: float, rho: float, share: float, slack: float) -> float:
    """The exact delta at `epsilon` of a Gaussian with `share` of rho, and then, after its result, the worse of a Gaussian with the rest and
    of what tells all with chance `slack`."""
    first, rest = rho * share, rho * (1 - share)
    one, other = math.sqrt(2 * first), math.sqrt(2 * rest)
    losses = np.linspace(first - 9 * one, first + 14 * one, 40_001)
    weights = stats.norm.pdf(losses, first, one) * (losses[1] - losses[0])
    left = epsilon - losses
    gaussian = stats.norm.sf((left - rest) / other) - np.exp(np.minimum(left, 700)) * stats.norm.sf((left + rest) / other)
    telling = slack + (1 - slack) * np.maximum(1 - np.exp(left) / (1 - slack), 0)
    return float((weights * np.maximum(np.maximum(gaussian, 0), telling)).sum())


def test_a_period_has_a_cap_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_700_000_000.0]  # 14 November 2023
    monkeypatch.setattr(ledger_events.time, "time", lambda: clock[0])
    ledger = Ledger(tmp_path)
    ledger.open_account("visits", "user_id", 10.0, 1e-4, period=("month", 0.3, 1e-5))
    for number in range(3):
        pay(ledger, f"r{number}")
    with pytest.raises(BudgetError, match="left this month"):
        pay(ledger, "r3")
    clock[0] -= 60 * 86400  # a clock set back opens no other month
    with pytest.raises(BudgetError, match="left this month"):
        pay(ledger, "r3")
    clock[0] += 90 * 86400
    assert pay(ledger, "r3").fresh
    assert ledger.accounts()[0]["period"]["spent_epsilon"] == 0.1
    ledger.verify()
    ledger.set_limit("visits", 10.0, 1e-4)
    assert "period" not in ledger.accounts()[0]
    with pytest.raises(PrivacyError, match="a period is one of"):
        ledger.set_limit("visits", 1.0, 1e-5, period=("fortnight", 1.0, 1e-6))


def test_a_period_keeps_its_delta_too(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open_account("visits", "user_id", 10.0, 1e-4, period=("year", 5.0, 2.5e-6))
    pay(ledger, "r0", epsilon=0.1, delta=1e-6)
    pay(ledger, "r1", epsilon=0.1, delta=1e-6)
    with pytest.raises(BudgetError, match="left this year"):
        pay(ledger, "r2", epsilon=0.1, delta=1e-6)
    assert pay(ledger, "r3", epsilon=0.1, delta=4e-7).fresh


def test_a_period_counts_what_was_spent_before_its_cap(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open_account("visits", "user_id", 10.0, 1e-4, period=("year", 5.0, 1e-4))
    pay(ledger, "r0", epsilon=0.9)
    ledger.set_limit("visits", 10.0, 1e-4, period=("month", 1.8, 1e-4))
    pay(ledger, "r1", epsilon=0.9)
    ledger.verify()
    with pytest.raises(BudgetError, match="left this month"):
        pay(ledger, "r2", epsilon=0.9)
    ledger.export(tmp_path / "ledger.jsonl")
    events = _events(tmp_path / "ledger.jsonl")
    events[2]["body"]["limit"]["period_epsilon"] = 10**9
    _relink(events, tmp_path / "ledger.jsonl")
    with pytest.raises(PrivacyError, match="overspent in its month"):
        verify_file(tmp_path / "ledger.jsonl")


# the chain, elsewhere --------------------------------------------------------------------------------------------------------


@pytest.fixture
def exported(ledger: Ledger, tmp_path: Path) -> Path:
    for number in range(3):
        pay(ledger, f"r{number}")
    ledger.finish("r1", "d")
    ledger.export(tmp_path / "ledger.jsonl")
    return tmp_path / "ledger.jsonl"


def test_an_export_is_verified_without_the_state_file(ledger: Ledger, exported: Path) -> None:
    settled = ledger.spends()[1]["settled"]["hash"]
    assert verify_file(exported, [settled, ledger.head()]) == 5
    assert exported.stat().st_mode & 0o077 == 0


def test_every_flipped_byte_of_an_export_is_found(exported: Path) -> None:
    whole = exported.read_bytes()
    for at in range(len(whole)):
        if at == len(whole) - 1:
            continue  # the last line's end: what it ends is whole
        exported.write_bytes(whole[:at] + bytes([whole[at] ^ 0x01]) + whole[at + 1 :])
        with pytest.raises(PrivacyError):
            verify_file(exported)


def test_every_removed_event_is_found_the_last_against_a_card(ledger: Ledger, exported: Path) -> None:
    lines = exported.read_text().splitlines(keepends=True)
    for at in range(len(lines) - 1):
        exported.write_text("".join(lines[:at] + lines[at + 1 :]))
        with pytest.raises(PrivacyError, match="altered at event"):
            verify_file(exported)
    exported.write_text("".join(lines[:-1]))
    assert verify_file(exported) == 4
    with pytest.raises(PrivacyError, match="the end of the chain was cut off"):
        verify_file(exported, [ledger.spends()[1]["settled"]["hash"]])


@pytest.mark.parametrize(
    "forge",
    [
        lambda e: e[1]["body"].update(after={"epsilon": 0, "delta": 0, "rho": 0, "slack": 0}),
        lambda e: e[1].update(epsilon=1),
        lambda e: e[0]["body"]["limit"].update(epsilon=10**8),
        lambda e: e[2].update(release="r0"),
        lambda e: e[4].update(release="never"),
        lambda e: e[0].update(kind="cap"),
        lambda e: e[1].update(account="nobody"),
        lambda e: e[1]["body"].pop("description"),
        lambda e: e[1]["body"]["description"].update(epsilon=1e-3),
        lambda e: e[1]["body"]["description"].update(events=[{"noise": "none"}]),
    ],
)
def test_a_chain_forged_whole_must_still_add_up(exported: Path, forge: Any) -> None:
    """Whoever can rewrite every hash can still not overspend: balances and caps are checked, not only hashes."""
    events = _events(exported)
    forge(events)
    _relink(events, exported)
    with pytest.raises(PrivacyError, match="does not fit"):
        verify_file(exported)


def _events(path: Path) -> list[dict[str, Any]]:
    """The events of an export, their bodies parsed."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return [event | {"body": json.loads(event["body"])} for event in events]


def _relink(events: list[dict[str, Any]], path: Path) -> None:
    """Write events, bodies parsed, as a chain that fits together again."""
    previous = ledger_events.FIRST
    for event in events:
        event |= {"body": ledger_events.canonical(event["body"]), "previous": previous}
        event["hash"] = previous = ledger_events.hash_of(event)
    ledger_events.written(events, path)


def test_a_spend_beyond_the_cap_of_its_time_is_found_though_the_cap_was_raised_later(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open_account("a", "u", 1.0, 1e-5)
    pay(ledger, "r0", epsilon=0.5, accounts=["a"])
    ledger.set_limit("a", 4.0, 1e-5)
    pay(ledger, "r1", epsilon=0.5, accounts=["a"])
    ledger.verify()
    ledger.export(tmp_path / "ledger.jsonl")
    events = _events(tmp_path / "ledger.jsonl")
    events[0]["body"]["limit"]["epsilon"] = 10**8
    _relink(events, tmp_path / "ledger.jsonl")
    with pytest.raises(PrivacyError, match=r"does not fit.*overspent"):
        verify_file(tmp_path / "ledger.jsonl")


@pytest.mark.parametrize("line", [b"", b"{}", b"[" * 100_000, b"x" * (2 << 20), b"null", b'{"seq": 1}', b"\xff\xfe"])
def test_a_line_that_is_no_event_is_named(exported: Path, line: bytes) -> None:
    exported.write_bytes(line + b"\n" + exported.read_bytes())
    with pytest.raises(PrivacyError, match="line 1: the line is no event"):
        verify_file(exported)


# sign-off --------------------------------------------------------------------------------------------------------------------


def test_a_release_that_changed_after_its_sign_off_is_refused(ledger: Ledger) -> None:
    first = Decision("r1", "areas", "matrix", "data 1", "rest 1")
    with pytest.raises(PrivacyError, match="nobody has signed"):
        ledger.refuse_unsigned(first, "release")
    with pytest.raises(PrivacyError, match="the name of who decides"):
        ledger.decide(first, " ")
    ledger.decide(first, "A. Steward", "seen")
    ledger.refuse_unsigned(first, "release")
    changes = {("data 2", "rest 1"): "its data changed after A. Steward", ("data 1", "rest 2"): "its settings changed",
               ("data 2", "rest 2"): "its data and its settings changed"}  # fmt: skip
    for (data, rest), said in changes.items():
        with pytest.raises(PrivacyError, match=said):
            ledger.refuse_unsigned(Decision("r2", "areas", "matrix", data, rest), "release")
    assert [body["by"] for body in ledger.decisions("areas", "matrix")] == ["A. Steward"]
    ledger.verify()


# the clock -------------------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_forward_is_noticed_and_time_that_passes_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, running = [1_700_000_000.0], [5_000_000]
    monkeypatch.setattr(ledger_events.time, "time", lambda: wall[0])
    monkeypatch.setattr(ledger_events, "since_boot", lambda: ("one start", running[0]))
    ledger = Ledger(tmp_path)
    ledger.open_account("visits", "user_id", 10.0, 1e-4, period=("month", 0.3, 1e-5))
    pay(ledger, "r0")
    wall[0] += 20 * 86_400
    running[0] += 20 * 86_400_000
    pay(ledger, "r1")
    assert ledger.clock_jumps() == [], "twenty days went by"
    wall[0] += 40 * 86_400
    running[0] += 60_000
    pay(ledger, "r2")
    ((jump),) = ledger.clock_jumps()
    assert round(jump["days"]) == 40
    ledger.verify()
    ledger.export(tmp_path / "ledger.jsonl")
    verify_file(tmp_path / "ledger.jsonl")
    assert "clock_set_forward" in (tmp_path / "ledger.jsonl").read_text()
    monkeypatch.setattr(ledger_events, "since_boot", lambda: ("another start", 10))
    wall[0] += 40 * 86_400
    pay(ledger, "r3")
    assert len(ledger.clock_jumps()) == 1, "nothing to compare with after a restart"


def test_the_machine_says_since_when_it_runs() -> None:
    boot, running = ledger_events.since_boot()
    again, later = ledger_events.since_boot()
    assert boot == again
    assert boot
    assert 0 < running <= later


def test_a_release_is_named_by_its_step_whatever_its_mechanism_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of a step of the grid of a sum once took the place of the name of the release's step."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    import pellucid as pl

    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "keys"))
    pq.write_table(pa.table({"user": [f"u{n}" for n in range(50)], "amount": [1.0] * 50}), tmp_path / "d.parquet")
    source = pl.source(tmp_path / "d.parquet", label="private", unit="user", budget=pl.Budget(epsilon=2, delta=1e-5), name="d")
    amounts = pl.release(pl.privacy.sum(["amount"], 0, 20), of=source, epsilon=1.0, delta=1e-6, name="amounts")
    run_here(pl.Pipeline("p", [source, amounts]), home=tmp_path / "home")
    (spend,) = Ledger(tmp_path / "home").spends()
    assert (spend["description"]["pipeline"], spend["description"]["step"]) == ("p", "amounts")
    assert spend["description"]["grid_step"] > 0


@pytest.mark.parametrize("bounds", [(0, 1e308), (-1e308, 1e307), (0, 1e250)])
@pytest.mark.parametrize("mechanism", ["sum", "mean", "quantiles"])
def test_bounds_whose_error_is_no_number_are_refused_where_they_are_declared(mechanism: str, bounds: tuple[float, float]) -> None:
    import pellucid as pl

    with pytest.raises(PrivacyError, match=r"too large|finite"):
        getattr(pl.privacy, mechanism)("amount" if mechanism == "quantiles" else ["amount"], *bounds)
