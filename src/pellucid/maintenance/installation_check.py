"""Whether an installation is in order: what a steward or an operator asks before anything else. Looks, and mends nothing itself."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import PellucidError
from pellucid.pipeline.record import keys_folder
from pellucid.privacy import KEY_FILE, Ledger
from pellucid.sandbox import tried
from pellucid.store import STATE_FILE

LEAST_FREE = 1 << 30  # bytes of the disk
AHEAD = 300.0  # seconds that the last event of the accounts may lie in the future


@dataclass(frozen=True)
class Finding:
    """`state`: "ok", "warning" (it works, with less) or "trouble"; `fix`: what to do, empty where all is well."""

    name: str
    state: str
    said: str
    fix: str = ""


def findings(home: Path | None) -> list[Finding]:
    """What was found of Python, the packages, the sandbox, the keys and, where one is given, a state folder; in that order."""
    found = [_python(), _packages(), _sandbox(), _keys()]
    if home is None:
        found.append(Finding("state", "ok", "no state folder here yet"))
        return found
    return [*found, *_state(home)]


def _python() -> Finding:
    return Finding("python", "ok", f"{sys.version.split()[0]} on {sys.platform}")


def _packages() -> Finding:
    """Whether each package that pellucid requires is there, in a version that it allows."""
    from packaging.requirements import Requirement

    wrong = []
    for line in importlib.metadata.requires("pellucid") or []:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            wrong.append(f"{wanted.name} {version} is not {wanted.specifier}")
    if wrong:
        return Finding("packages", "trouble", "; ".join(wrong[:5]), "Install pellucid again, into an environment of its own")
    return Finding("packages", "ok", f"pellucid {importlib.metadata.version('pellucid')} and what it requires")


def _sandbox() -> Finding:
    """What the kernel holds, found out by a process that does nothing."""
    held = tried()
    said = f"network: {held.network_words}; files: {held.files_words}"
    if not held.sealed:
        fix = "Steps and re-runs are held by less (SECURITY.md): use Linux with Landlock, or let users make namespaces"
        return Finding("sandbox", "warning", said, fix)
    return Finding("sandbox", "ok", said)


def _keys() -> Finding:
    folder = keys_folder()
    if not (folder / KEY_FILE).exists():
        return Finding("keys", "ok", f"no steward's key yet; the first release makes one in {folder}")
    if folder.stat().st_mode & 0o077 or (folder / KEY_FILE).stat().st_mode & 0o077:
        return Finding("keys", "trouble", f"others can read {folder}", f"chmod 700 {folder}; chmod 600 {folder / KEY_FILE}")
    return Finding("keys", "ok", f"in {folder}, for you alone; keep a copy apart: a backup does not hold it")


def _state(home: Path) -> Iterator[Finding]:
    if not (home / STATE_FILE).exists():
        yield Finding("state", "trouble", f"there is no state in {home}", "Name another folder: --home FOLDER")
        return
    if home.stat().st_mode & 0o077:
        yield Finding("state", "trouble", f"others can read {home}", f"chmod 700 {home}")
        return
    yield (state := _database(home))
    if state.state == "ok":
        yield _accounts(home)
    free = shutil.disk_usage(home).free
    yield (
        Finding("disk", "ok", f"{free / 1e9:.1f} GB free")
        if free >= LEAST_FREE
        else Finding("disk", "warning", f"{free / 1e9:.2f} GB free", "Make room: pellucid gc, or another disk")
    )
    if not os.access(home, os.W_OK):
        yield Finding("writing", "trouble", f"{home} cannot be written", f"chmod u+w {home}")


def _database(home: Path) -> Finding:
    try:
        db = sqlite3.connect(f"file:{home / STATE_FILE}?mode=ro", uri=True)
        try:
            said = db.execute("PRAGMA quick_check").fetchone()[0]
        finally:
            db.close()
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        return Finding("state", "trouble", f"the state file is damaged: {str(said)[:100]}", "Restore it: pellucid restore FILE")
    return Finding("state", "ok", f"{home / STATE_FILE} is whole")


def _accounts(home: Path) -> Finding:
    ledger = Ledger(home)
    try:
        events = ledger.verify()
        last = max((float(one["time"]) for one in ledger.spends()), default=0.0)
    except (PellucidError, sqlite3.Error) as error:
        return Finding("accounts", "trouble", str(error), "Release nothing; restore the last backup whose chain is whole")
    finally:
        ledger.close()
    if last > time.time() + AHEAD:
        return Finding(
            "accounts", "trouble", "the last spend lies in the future", "Set the clock: budgets by period depend on it"
        )
    return Finding("accounts", "ok", f"the chain of {events} events is whole")
