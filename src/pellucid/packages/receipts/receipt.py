"""A receipt: the verdict of a re-run, signed by who came to it, as an in-toto Statement about one package.

Its subject is the SHA-256 of the package's list of files, so it speaks of these very bytes. The file holds the signer's public key
too, so anyone can check it; whose key that is, the reader must know. What it says is the signer's word: a receipt proves who says
that a re-run came out so, not that it did.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pellucid.errors import PackageError, UsageError
from pellucid.packages.format import parse_json, printable, read_json, take

if TYPE_CHECKING:
    from pellucid.packages.reproducing import Verdict

FORMAT = "pellucid receipt 1"
VERDICT = "tag:pellucid,2026:verdict/v1"
MALFORMED, ALTERED, WRONG_KEY, WRONG_PACKAGE = "malformed", "altered", "wrong key", "wrong package"
REPLAYED, DUPLICATE, OWN, MISDATED = "replayed", "duplicate", "the publisher's own", "misdated"
CONTRADICTS = "contradicts the package or itself"
OPEN_ONLY = "a receipt is of what anyone can re-run, and says nothing of the private side"
_WHEN = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_SHA256 = re.compile("[0-9a-f]{64}")
_MACHINE = ("system", "machine", "cpu", "libc", "python", "kernel")


class UnfitError(PackageError):
    """A receipt that does not count: `what` is the name of the reason (altered, wrong package, ...), `why` says more."""


def unfit(name: str, why: str, where: Path) -> NoReturn:
    """Raise UnfitError."""
    raise UnfitError(name, where=printable(str(where)), why=printable(why)[:300], fix="Ask the one who signed it for another")


@dataclass(frozen=True)
class Receipt:
    """A receipt whose signature holds: the signer's key (SHA-256 of its raw bytes), the package it names, its verdict, and when.

    `steps` are (step, role, result); `machine` is system, machine, cpu, libc, python and kernel; `statement` the SHA-256 of what was
    signed. All of it is the signer's word.
    """

    path: Path
    key: str
    package: str
    verdict: str
    when: str
    pipeline: str
    run: str
    steps: tuple[tuple[str, str, str], ...]
    machine: Mapping[str, str]
    network: str
    confined: str
    runner: str
    wheels: str
    suspects: tuple[str, ...]
    reason: str
    statement: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**vars(self), "path": str(self.path), "steps": [list(step) for step in self.steps], "machine": dict(self.machine)}


def refuse_unwritable(target: Path, key: Path) -> None:
    """Refuse a receipt that could not be written or signed, before anything is run for it. Raises UsageError."""
    from pellucid.packages.format import signature

    signature.private_key(key)
    if target.exists() or target.is_symlink():
        raise UsageError("there is something already", where=str(target), fix="Name a new file with --receipt")
    if not target.absolute().parent.is_dir():
        raise UsageError("there is no such folder", where=str(target.parent), fix="Make it first")


def issue(verdict: Verdict, target: Path, *, key: Path, when: datetime | None = None) -> bytes:
    """Write a verdict, signed with an ed25519 private key (PEM), to the new file `target`; return its bytes.

    `when` is the time of the re-run (now). Raises UsageError for a key that cannot be used, a file that
    exists, and the verdict of a steward's re-run of the private side.
    """
    from pellucid.packages.format import as_json, signature

    refuse_unwritable(target, key)
    if any(step.result for step in verdict.steps if step.role == "private"):
        raise UsageError(OPEN_ONLY, where=str(target), fix="Re-run the open side alone")
    statement = signature.statement(verdict.package, VERDICT, predicate(verdict, when or datetime.now(UTC)))
    body, public = signature.envelope(statement, key)
    envelope = parse_json(body, target.name)
    text = as_json({"format": FORMAT, "envelope": envelope, "public_key": public.decode()})
    draft = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        draft.write_bytes(text)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return text


def predicate(verdict: Verdict, when: datetime) -> dict[str, Any]:
    """What is signed of a verdict: all but how long it took, which depends on what else the machine did."""
    told = verdict.to_json()
    told["steps"] = [{name: step[name] for name in ("step", "role", "result")} for step in told["steps"]]
    names = ("verdict", "pipeline", "run", "steps", "first_difference", "reason", "network", "confined", "runner", "wheels")
    known = {name: told[name] for name in (*names, "environment", "suspects", "private")}
    return {"when": when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), **known, "machine": dict(verdict.machine)}


def read(path: Path) -> Receipt:
    """The receipt in a file, its signature verified by the key that came with it. Raises UnfitError naming what is wrong with it."""
    from pellucid.packages.format import signature

    try:
        data = read_json(path, path.name)
        if take(data, "format", str, path.name) != FORMAT:
            unfit(MALFORMED, f"its format is {data['format']!r:.60}, this pellucid reads {FORMAT!r}", path)
        envelope, pem = take(data, "envelope", dict, path.name), take(data, "public_key", str, path.name).encode()
        public = signature.parsed_key(pem, path.name)
        signers = [one.get("keyid") for one in take(envelope, "signatures", list, path.name) if isinstance(one, dict)]
    except UnfitError:
        raise
    except (PackageError, UnicodeError) as error:
        unfit(MALFORMED, error.what if isinstance(error, PackageError) else "its key is not text", path)
    if signers != [public.keyid]:
        unfit(WRONG_KEY, "the key in it is not the one key that its signature names", path)
    try:
        statement = signature.verified(envelope, public, path.name)
        payload = base64.b64decode(take(envelope, "payload", str, path.name))
    except (PackageError, ValueError) as error:
        unfit(ALTERED, str(getattr(error, "what", "its payload cannot be read")), path)
    if statement.get("predicateType") != VERDICT:
        unfit(REPLAYED, f"what was signed is no verdict but {statement.get('predicateType')!r:.80}", path)
    try:
        return _taken_apart(statement, path, public.keyid, hashlib.sha256(payload).hexdigest())
    except UnfitError:
        raise
    except PackageError as error:
        unfit(MALFORMED, error.what, path)


def _taken_apart(statement: Mapping[str, Any], path: Path, key: str, digest: str) -> Receipt:
    from pellucid.packages.format import fixity
    from pellucid.packages.reproducing import EXIT

    where = path.name
    subjects = take(statement, "subject", list, where)
    subject = subjects[0] if len(subjects) == 1 and isinstance(subjects[0], dict) else {}
    named = subject.get("digest")
    package = named.get("sha256") if isinstance(named, dict) and len(named) == 1 else None
    if subject.get("name") != fixity.FILE or not isinstance(package, str) or not _SHA256.fullmatch(package):
        unfit(MALFORMED, "it does not name one package by the SHA-256 of its list of files", path)
    said = take(statement, "predicate", dict, where)
    texts = {
        name: take(said, name, str, where)
        for name in ("verdict", "when", "pipeline", "run", "network", "confined", "runner", "wheels")
    }
    if texts["verdict"] not in EXIT:
        unfit(MALFORMED, f"there is no verdict {texts['verdict']!r:.40}", path)
    if not _WHEN.fullmatch(texts["when"]) or not _is_time(texts["when"]):
        unfit(MALFORMED, f"its time {texts['when']!r:.40} is not one", path)
    steps = []
    for step in take(said, "steps", list, where):
        if not isinstance(step, dict):
            unfit(MALFORMED, "a step of it is not an object", path)
        steps.append((take(step, "step", str, where), take(step, "role", str, where), take(step, "result", str, where)))
    machine = take(said, "machine", dict, where)
    suspects = [take(one, "what", str, where) for one in take(said, "suspects", list, where) if isinstance(one, dict)]
    return Receipt(
        path=path,
        key=key,
        package=package,
        steps=tuple(steps),
        machine={name: _shown(machine.get(name, "not said")) for name in _MACHINE},
        suspects=tuple(_shown(what) for what in suspects[:20]),
        reason=_shown(said.get("reason") or ""),
        statement=digest,
        **{name: text if name in ("pipeline", "run") else _shown(text) for name, text in texts.items()},
    )


def _shown(value: object) -> str:
    return printable(str(value))[:200]


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
