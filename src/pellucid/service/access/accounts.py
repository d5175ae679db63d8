"""Users, their passwords (argon2), their tokens and their sessions. Of a token or a session only the SHA-256 is kept."""

from __future__ import annotations

import hashlib
import math
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError, suggest
from pellucid.service.access.roles import ROLES, Actor
from pellucid.store import StateConnection, connect, transaction

if TYPE_CHECKING:
    from argon2 import PasswordHasher

DDL = """
CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, made REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tokens (
    digest TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users ON DELETE CASCADE, role TEXT NOT NULL,
    made REAL NOT NULL, expires REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    digest TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users ON DELETE CASCADE, form TEXT NOT NULL, expires REAL NOT NULL
) STRICT, WITHOUT ROWID;
"""
SIGNED_IN = ROLES[1:]
SHORTEST_PASSWORD = 12
SESSION_SECONDS = 12 * 3600.0
TOKEN_PREFIX = "pellucid_"
NO_PASSWORD = "!"
FREE_FAILURES = 5  # wrong passwords before the next try has to wait
LONGEST_WAIT = 60.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_ONE_AT_A_TIME = threading.Semaphore(1)  # a password costs 64 MiB and a core on purpose


class WrongPasswordError(UsageError):
    """A name and a password that do not go together. `wait`: seconds until the next try is looked at."""

    def __init__(self, wait: float = 0.0) -> None:
        self.wait = wait
        fix = f"Wait {math.ceil(wait)} s before the next try" if wait else "Try again"
        super().__init__("name and password do not go together", fix=fix)


@dataclass(frozen=True)
class User:
    """A user: `made` in seconds since 1970."""

    name: str
    role: str
    made: float


class Accounts:
    """The users of one state folder. Each call opens the state file anew, so that any thread may ask."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._failures: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def _opened(self) -> Iterator[StateConnection]:
        db = connect(self.home, DDL, durable=True)
        try:
            yield db
        finally:
            db.close()

    def add(self, name: str, role: str, password: str) -> User:
        """A new user. Raises UsageError for a name that is taken or unusable, an unknown role, or a short password."""
        if not _NAME.fullmatch(name) or name == "local":
            raise UsageError(f"{name!r:.70} cannot name a user", fix='Use letters, digits, "_", ".", "@" and "-"')
        _checked_role(role, SIGNED_IN)
        if len(password) < SHORTEST_PASSWORD or len(password) > 1000:
            raise UsageError("the password is too short", fix=f"Use {SHORTEST_PASSWORD} characters or more; a few words are good")
        user = User(name, role, time.time())
        hashed = _hasher().hash(password)
        with self._opened() as db, transaction(db):
            if db.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone():
                raise UsageError(f'there is a user "{name}" already', fix="Give another name, or remove that one")
            db.execute("INSERT INTO users VALUES (?, ?, ?, ?)", (name, role, hashed, user.made))
        return user

    def all(self) -> list[User]:
        """Every user, by name."""
        with self._opened() as db:
            return [
                User(row["name"], row["role"], row["made"]) for row in db.execute("SELECT * FROM users ORDER BY name").fetchall()
            ]

    def remove(self, name: str) -> None:
        """Forget a user, with all sessions and tokens."""
        self._known(name)
        with self._opened() as db:
            db.execute("DELETE FROM users WHERE name = ?", (name,))

    def token(self, name: str, role: str = "", days: int = 90) -> str:
        """A new token for a user: it acts with `role`, or with the user's where that is less, for so many days. Shown once."""
        user = self._known(name)
        role = role or user.role
        _checked_role(role, SIGNED_IN)
        if not 1 <= days <= 366:
            raise UsageError(f"a token for {days} days", fix="Give from 1 to 366")
        if ROLES.index(role) > ROLES.index(user.role):
            raise UsageError(f"{name} is {user.role}", why=f"a token cannot act as {role}", fix=f"Ask for {user.role} or less")
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        with self._opened() as db:
            row = (_digest(secret), name, role, time.time(), time.time() + days * 86_400.0)
            db.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?)", row)
        return secret

    def sign_in(self, name: str, password: str) -> str:
        """A new session of a user, as the secret that the cookie carries.

        Raises WrongPasswordError, the same for a name that is not there; after five in a row each next one has to wait, longer each time.
        """
        self._wait_over(name)
        with self._opened() as db:
            row = db.execute("SELECT password FROM users WHERE name = ?", (name,)).fetchone()
        with _ONE_AT_A_TIME:
            right = _fits(row["password"] if row is not None else _nobody(), password) and row is not None
        if not right:
            raise WrongPasswordError(self._failed(name))
        with self._lock:
            self._failures.pop(name, None)
        return self._session(name)

    def _session(self, name: str) -> str:
        secret = secrets.token_urlsafe(32)
        with self._opened() as db:
            db.execute("DELETE FROM sessions WHERE expires < ?", (time.time(),))
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?)",
                (_digest(secret), name, secrets.token_urlsafe(24), time.time() + SESSION_SECONDS),
            )
        return secret

    def sign_in_known(self, name: str, role: str) -> str:
        """A new session of somebody whom a provider vouches for, with the role that the list of this service gives them.

        They are a user without a password. Raises UsageError where a user of that name has one: a provider cannot take over their name.
        """
        _checked_role(role, SIGNED_IN)
        with self._opened() as db, transaction(db):
            row = db.execute("SELECT password FROM users WHERE name = ?", (name,)).fetchone()
            if row is not None and row["password"] != NO_PASSWORD:
                raise UsageError(f"{name} signs in with a password here", fix="Sign in with it")
            db.execute("INSERT OR IGNORE INTO users VALUES (?, ?, ?, ?)", (name, role, NO_PASSWORD, time.time()))
            db.execute("UPDATE users SET role = ? WHERE name = ?", (role, name))
        return self._session(name)

    def sign_out(self, secret: str) -> None:
        """End a session."""
        with self._opened() as db:
            db.execute("DELETE FROM sessions WHERE digest = ?", (_digest(secret),))

    def by_session(self, secret: str) -> Actor | None:
        """Whose session it is; None for one that is over or never was."""
        return self._actor(
            "SELECT users.name, users.role, form, expires FROM sessions JOIN users ON user = users.name WHERE digest = ?", secret
        )

    def by_token(self, secret: str) -> Actor | None:
        """Whose token it is, acting with the lesser of its role and the user's; None for one that has expired or never was."""
        about = "users.name, users.role, tokens.role AS narrowed, expires"
        query = f"SELECT {about} FROM tokens JOIN users ON user = users.name WHERE digest = ?"
        return self._actor(query, secret)

    def _actor(self, query: str, secret: str) -> Actor | None:
        with self._opened() as db:
            row = db.execute(query, (_digest(secret),)).fetchone()
        if row is None or row["expires"] < time.time():
            return None
        told: dict[str, Any] = dict(row)
        role = min(told["role"], told.get("narrowed", told["role"]), key=ROLES.index)
        return Actor(told["name"], role, told.get("form", ""))

    def _known(self, name: str) -> User:
        users = {one.name: one for one in self.all()}
        if name not in users:
            raise UsageError(f'there is no user "{name:.70}"', fix=suggest(name, users, "See: pellucid user list"))
        return users[name]

    def _wait_over(self, name: str) -> None:
        with self._lock:
            until = max(self._failures.get(one, (0, 0.0))[1] for one in (name, ""))
        if until > time.monotonic():
            raise WrongPasswordError(until - time.monotonic())

    def _failed(self, name: str) -> float:
        """Count a wrong password, for its name and for all names together; the seconds to wait."""
        longest = 0.0
        with self._lock:
            if len(self._failures) > 10_000:
                self._failures.clear()
            for one, free in ((name, FREE_FAILURES), ("", 4 * FREE_FAILURES)):
                count = self._failures.get(one, (0, 0.0))[0] + 1
                wait = min(LONGEST_WAIT, 2.0 ** (count - free)) if count > free else 0.0
                self._failures[one] = (count, time.monotonic() + wait)
                longest = max(longest, wait)
        return longest


def _checked_role(role: str, known: tuple[str, ...]) -> None:
    if role not in known:
        raise UsageError(f'there is no role "{role:.40}"', fix=suggest(role, known))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobody() -> str:
    """The hash of a password that nobody has, so that a name which is not there takes as long as one that is."""
    return _hasher().hash(secrets.token_urlsafe(32))


def _fits(hashed: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
