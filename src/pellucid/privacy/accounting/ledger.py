"""The ledger: the privacy accounts, what was spent from them, and on what.

A release spends before it runs, durably, so a crash can lose a release but never a spend, and what was spent on it can be used to
finish it. The ledger is one append-only chain of events (ledger_events.py): account opened, cap set, spend, finish (the spend is settled
by the digest of what it gave out), refuse. Amounts are whole numbers (amounts.py); whether a spend fits is account.py's.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pellucid import html_display
from pellucid.errors import PrivacyError
from pellucid.privacy.accounting import ledger_events, ledger_spending, ledger_statement, ledger_verification, sign_off
from pellucid.privacy.accounting.account import COMPOSITIONS, Account, Limit, Releases
from pellucid.privacy.accounting.amounts import Amounts, cap
from pellucid.privacy.accounting.composition import checked_events, privacy_cost
from pellucid.privacy.parameters import checked_delta, checked_epsilon
from pellucid.store import StateConnection, checkpoint, connect, transaction


@dataclass(frozen=True)
class Spend:
    """What one release has paid. `state`: "spent" (paid, may still have to run) or "finished" with the `digest` it released.

    `fresh` tells whether this call paid; False means the release had paid before and this cost nothing. `first` tells whether nothing had
    been paid for it at all: of two calls at once it is one.
    """

    release_id: str
    accounts: tuple[str, ...]
    epsilon: float
    delta: float
    state: str
    digest: str | None
    fresh: bool
    first: bool


class Ledger:
    """The accounts in the state file of `home`. Safe for several processes and threads at once; survives kill and power loss."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._process = 0
        self._connection: StateConnection | None = None

    def __repr__(self) -> str:
        told = [f"  {row[0]} ({row[1]}): cap {row[2]}, spent {row[3]}, left {row[4]}" for row in self._rows()]
        return "\n".join([f"Ledger in {self._home}: epsilon, delta of each account", *(told or ["  no account"])])

    def _repr_html_(self) -> str:
        head = f"Ledger in {self._home}: epsilon, delta of each account"
        return html_display.table(head, ["account", "unit", "cap", "spent", "left"], self._rows())

    def _rows(self) -> list[list[str]]:
        words = ("cap", "spent", "left")
        return [
            [str(one["name"]), str(one["unit"]), *(f"{one[f'{word}_epsilon']:g}, {one[f'{word}_delta']:g}" for word in words)]
            for one in self.accounts()
        ]

    def open_account(
        self,
        name: str,
        unit: str,
        cap_epsilon: float,
        cap_delta: float,
        *,
        composition: str = "basic",
        period: tuple[str, float, float] | None = None,
        sign_off: bool = False,
        data: Iterable[str] = (),
    ) -> None:
        """Open an account for the privacy of `unit`s. One that is open stays as it is, cap included: see `set_limit`.

        `composition` is "basic" or "zcdp" (account.py); `period` caps each calendar day, week, month or year (UTC) too, as
        (name, epsilon, delta). With `sign_off` no release runs before somebody has signed for it. `data` are keyed pseudonyms of
        the data whose people this account is about: the same data cannot pay from a second account, see `share`.
        """
        _checked_text("an account's name", name)
        _checked_text("an account's unit", unit)
        if composition not in COMPOSITIONS:
            raise PrivacyError(f"composition is one of {', '.join(COMPOSITIONS)}, not {composition!r}")
        limit = _limit(cap_epsilon, cap_delta, period)
        with self._lock, self._turn() as db:
            row = db.execute("SELECT body FROM ledger WHERE kind = 'open' AND account = ?", (name,)).fetchone()
            if row is None:
                body = {"unit": unit, "composition": composition, "limit": asdict(limit), "sign_off": sign_off}
                ledger_events.append(db, "open", name, None, limit.epsilon, limit.delta, body)
            elif json.loads(row["body"])["unit"] != unit:
                raise PrivacyError(
                    f"account {name!r} protects {json.loads(row['body'])['unit']!r}, not {unit!r}",
                    fix="Give the source another account, or declare the unit the account was opened for",
                )
            for one in data:
                ledger_spending.bind_data(db, name, one)

    def share(self, name: str, other: str) -> None:
        """Let the account `name` (open or not yet) be about the same data as `other`, which is open. What people lose by both adds up: say
        so only where two caps for the same people are meant."""
        _checked_text("an account's name", name)
        with self._lock, self._turn() as db:
            ledger_spending.account_of(db, other)
            ledger_events.append(db, "share", name, None, 0, 0, {"with": other})

    def requires_sign_off(self, names: Iterable[str]) -> bool:
        """Whether one of these accounts was opened to wait for a signature."""
        with self._lock, self._turn() as db:
            opened = [ledger_spending.last(db, "open", name) for name in names]
        return any(body["sign_off"] for body in opened if body is not None)

    def set_limit(
        self, name: str, cap_epsilon: float, cap_delta: float, *, period: tuple[str, float, float] | None = None
    ) -> None:
        """Change what an account may spend. A cap below what is spent is allowed: it stops further releases.

        Without `period` a cap on a period that was there before is lifted.
        """
        limit = _limit(cap_epsilon, cap_delta, period)
        with self._lock, self._turn() as db:
            ledger_spending.account_of(db, name)
            ledger_events.append(db, "cap", name, None, limit.epsilon, limit.delta, {"limit": asdict(limit)})

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

        `description` is public; its `events` and `extra_delta` tell the accountant what the noise does (composition.py).
        A release that has paid is not charged again. Raises BudgetError when an account has not enough left, PrivacyError
        when the release was paid under another key (its noise would be drawn a second time) or at another price. A refusal is
        an event of its own.
        """
        names = tuple(sorted({accounts} if isinstance(accounts, str) else set(accounts)))
        if not names:
            raise PrivacyError("a release must name the accounts that pay for it", fix="Give the private source an account")
        _checked_text("a release's id", release_id)
        _checked_text("a key's commitment", commitment)
        epsilon, delta = checked_epsilon(epsilon), _delta(delta)
        events, extra = checked_events(description, epsilon, delta)
        asked = privacy_cost(epsilon, delta, events, extra)
        body = {"commitment": commitment, "description": dict(description)}
        ledger_events.canonical(body)
        with self._lock:
            try:
                with self._turn() as db:
                    missing, first, finish = ledger_spending.charge(db, names, release_id, asked, body)
            except PrivacyError as error:
                self._note_refusal(names, release_id, asked, error)
                raise
        digest = json.loads(finish["body"])["digest"] if finish else None
        return Spend(release_id, names, epsilon, delta, "finished" if finish else "spent", digest, bool(missing), first)

    def finish(self, release_id: str, digest: str) -> None:
        """Record what a paid release gave out. The same digest again is fine; another one is refused."""
        _checked_text("a digest", digest)
        with self._lock, self._turn() as db:
            if not db.execute("SELECT 1 FROM ledger WHERE kind = 'spend' AND release = ?", (release_id,)).fetchone():
                raise PrivacyError("a release cannot finish before it is paid for", where=release_id)
            row = db.execute("SELECT body FROM ledger WHERE kind = 'finish' AND release = ?", (release_id,)).fetchone()
            if row is None:
                ledger_events.append(db, "finish", None, release_id, 0, 0, {"digest": digest})
            elif json.loads(row["body"])["digest"] != digest:
                raise PrivacyError(
                    "this release has already given out something else",
                    where=release_id,
                    why="one release must have one result: two would show more than was paid for",
                    fix="Nothing was given out now. Restore the released file from the store or a backup",
                )

    def refuse(self, accounts: Iterable[str], release_id: str | None, error: PrivacyError) -> None:
        """Leave a trace of a release that was refused before it could ask to spend."""
        with self._lock:
            self._note_refusal(tuple(sorted(accounts)), release_id, Amounts(), error)

    def decide(self, decided: sign_off.Decision, by: str, note: str = "") -> None:
        """Record that `by` signs for a release as it stands."""
        with self._lock, self._turn() as db:
            sign_off.note(db, decided, by, note)

    def refuse_unsigned(self, decided: sign_off.Decision, where: str) -> None:
        """Raise PrivacyError unless somebody has signed for this very release."""
        with self._lock, self._turn() as db:
            sign_off.refuse_unsigned(db, decided, where)

    def decisions(self, pipeline: str, step: str) -> list[dict[str, Any]]:
        """Who has signed for a pipeline's release, and when (`time`, ms), in order."""
        with self._lock, self._turn() as db:
            return sign_off.decided(db, pipeline, step)

    def accounts(self) -> list[dict[str, Any]]:
        """Every account as `Account.to_json` tells it."""
        with self._lock, self._turn() as db:
            names = [row["account"] for row in db.execute("SELECT account FROM ledger WHERE kind = 'open' ORDER BY account")]
            return [ledger_spending.account_of(db, name).to_json() for name in names]

    def account(self, name: str) -> Account:
        """One account. Raises PrivacyError where there is none of that name."""
        with self._lock, self._turn() as db:
            return ledger_spending.account_of(db, name)

    def releases(self, name: str) -> Releases:
        """(events, extra delta) of every release an account has paid for, in order."""
        with self._lock, self._turn() as db:
            return ledger_spending.releases_of(db, name)

    def spends(self) -> list[dict[str, Any]]:
        """Every spend in order; see `statement.spends`."""
        with self._lock, self._turn() as db:
            return ledger_statement.spends(db)

    def refusals(self) -> list[dict[str, Any]]:
        """Every refusal in order; see `statement.refusals`."""
        with self._lock, self._turn() as db:
            return ledger_statement.refusals(db)

    def head(self) -> str:
        """The hash of the last event. Publish it: only so can a ledger cut off at its end be told from a whole one."""
        with self._lock:
            row = self._db().execute("SELECT hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
        return str(row["hash"]) if row else ledger_events.FIRST

    def clock_jumps(self) -> list[dict[str, Any]]:
        """Where the clock was set forward by more than a day: `seq`, `time` (s), `days`. It enters a period before its time."""
        with self._lock, self._turn() as db:
            return ledger_statement.clock_jumps(db)

    def verify(self, heads: Iterable[str] = ()) -> int:
        """Recompute the chain and every balance; how many events there are.

        `heads` are hashes that the chain must hold, from cards. Raises PrivacyError at the first event that does not fit.
        """
        with self._lock, self._turn() as db:
            return ledger_verification.verify(map(dict, db.execute("SELECT * FROM ledger ORDER BY seq")), str(self._home), heads)

    def export(self, path: Path) -> int:
        """Write every event to a file that `pellucid.privacy.accounting.verify_file` checks anywhere; how many there are.

        It holds release ids, which cover digests of private data: it is for auditors, not for publication.
        """
        with self._lock, self._turn() as db:
            return ledger_events.written(map(dict, db.execute("SELECT * FROM ledger ORDER BY seq")), path)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    def _note_refusal(self, names: tuple[str, ...], release_id: str | None, asked: Amounts, error: PrivacyError) -> None:
        with self._turn() as db:
            body = {"accounts": list(names), "why": error.what}
            ledger_events.append(db, "refuse", None, release_id, asked.epsilon, asked.delta, body)

    @contextmanager
    def _turn(self) -> Iterator[StateConnection]:
        """One transaction. What it wrote is in the state file itself when it ends: a backup of that file alone has every event."""
        db = self._db()
        before = db.total_changes
        with db.turn():
            with transaction(db):
                yield db
            if db.total_changes != before:
                checkpoint(db)

    def _db(self) -> StateConnection:
        """The connection of this process: SQLite's must not be used across a fork."""
        if self._connection is None or self._process != os.getpid():
            self._connection, self._process = connect(self._home, ledger_events.DDL, durable=True), os.getpid()
        return self._connection


def _limit(epsilon: object, delta: object, period: tuple[str, float, float] | None) -> Limit:
    limits = cap(epsilon, delta)
    return Limit(*limits) if period is None else Limit(*limits, period[0], *cap(period[1], period[2]))


def _delta(value: object) -> float:
    """A usable delta; 0 is one, of a release whose guarantee is by epsilon alone."""
    return 0.0 if type(value) in (int, float) and value == 0 else checked_delta(value)


def _checked_text(what: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise PrivacyError(f"{what} must be text, not {value!r}")
