"""Receipts: a signed verdict counts once a key, for the package it names; every other is refused by the name of what is wrong."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from package_shop import Shop
from witnesses import NOW, key_of, receipt_of, verdict_of

from pellucid.errors import PackageError, UsageError
from pellucid.packages import issue
from pellucid.packages.format import manifest, signature
from pellucid.packages.publishing import publish
from pellucid.packages.receipts import receipt, tally
from pellucid.packages.reproducing.difference_diagnosis import kernels

pytestmark = pytest.mark.timeout(120)


def pellucid(*words: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pellucid", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_a_re_run_leaves_a_receipt_that_others_can_count(published: Path, tmp_path: Path) -> None:
    private, public = key_of(tmp_path, "ann")
    done = pellucid("reproduce", published, "--receipt", tmp_path / "ann.json", "--sign", private)
    assert done.returncode == 0, done.stderr
    told = json.loads(pellucid("receipts", published, tmp_path / "ann.json", "--trust", public, "--json").stdout)
    assert (told["confirmed"], told["confirmed_by_trusted"], told["refused"]) == (1, 1, [])
    (found,) = told["receipts"]
    assert found["verdict"] == "bit-identical"
    assert all(found["machine"][name] for name in ("system", "machine", "cpu", "libc"))
    assert "openblas" in found["machine"]["kernel"]
    assert found["machine"]["python"].startswith("3.")
    assert [result for _, role, result in found["steps"] if role != "private"] == ["bit-identical"] * 4
    shown = pellucid("receipts", published, tmp_path / "ann.json")
    assert shown.returncode == 0
    assert "1 came to the same result by keys of their own, 0 of them trusted by you" in shown.stdout


def test_the_receipt_is_an_in_toto_statement_of_the_package_and_says_no_more_than_the_verdict(
    published: Path, tmp_path: Path
) -> None:
    path = receipt_of(published, tmp_path, "ann")
    data = json.loads(path.read_text())
    statement = json.loads(base64.b64decode(data["envelope"]["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "tag:pellucid,2026:verdict/v1"
    assert statement["subject"] == [{"name": "MANIFEST.sha256", "digest": {"sha256": verdict_of(published).package}}]
    said = statement["predicate"]
    assert said["when"] == "2100-01-02T03:04:05Z"
    assert {"verdict", "steps", "machine", "suspects", "runner", "network", "confined"} <= said.keys()
    assert "seconds" not in said
    read = receipt.read(path)
    assert (read.key, read.verdict) == (signature.key_id(data["public_key"].encode()), "bit-identical")


def test_keys_are_counted_not_files(published: Path, tmp_path: Path) -> None:
    ann, bob = receipt_of(published, tmp_path, "ann"), receipt_of(published, tmp_path, "bob")
    cat = receipt_of(published, tmp_path, "cat", verdict="different")
    again = receipt_of(published, tmp_path, "ann", file="ann-later.json", when=NOW + timedelta(hours=1))
    copy = tmp_path / "copy.json"
    copy.write_bytes(bob.read_bytes())
    found = tally(published, [ann, bob, cat, again, copy], trust=[key_of(tmp_path, "bob")[1]], now=NOW)
    assert {(r.path.name, r.verdict, known) for r, known in found.counted} == {
        ("bob.json", "bit-identical", True),
        ("ann-later.json", "bit-identical", False),
        ("cat.json", "different", False),
    }
    assert (found.confirmed, found.confirmed_by_trusted, found.keys("different")) == (2, 1, 1)
    assert {(one.path.name, one.name) for one in found.refused} == {("ann.json", "duplicate"), ("copy.json", "replayed")}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(5)))
def test_the_count_does_not_depend_on_the_order(published: Path, tmp_path: Path, order: list[int]) -> None:
    made = tmp_path / "made"
    if not made.exists():
        made.mkdir()
        for name in ("ann", "bob", "cat"):
            receipt_of(published, made, name, verdict="within what another kernel may do" if name == "cat" else "bit-identical")
        receipt_of(published, made, "ann", file="ann2.json", when=NOW + timedelta(hours=2), verdict="different")
        (made / "bob2.json").write_bytes((made / "bob.json").read_bytes())
    paths = [made / name for name in ("ann.json", "bob.json", "cat.json", "ann2.json", "bob2.json")]
    found = tally(published, [paths[at] for at in order], now=NOW)
    assert [(r.key, r.verdict) for r, _ in found.counted] == [
        (r.key, r.verdict) for r, _ in tally(published, paths, now=NOW).counted
    ]
    assert (found.confirmed, found.within, found.keys("different")) == (1, 1, 1)


def test_the_publisher_is_no_second_witness(shop: Shop, tmp_path: Path) -> None:
    private, _ = key_of(tmp_path, "publisher")
    publish(shop.home, shop.run, tmp_path / "signed", sign=private)
    own = receipt_of(tmp_path / "signed", tmp_path, "publisher")
    other = receipt_of(tmp_path / "signed", tmp_path, "ann")
    found = tally(tmp_path / "signed", [own, other], now=NOW)
    assert found.confirmed == 1
    assert [(one.path.name, one.name) for one in found.refused] == [("publisher.json", "the publisher's own")]
    for name in (signature.FILE, signature.KEY):  # stripped: the package is the same by its list of files
        (tmp_path / "signed" / name).unlink()
    publisher = key_of(tmp_path, "publisher")[1]
    assert tally(tmp_path / "signed", [own, other], now=NOW).confirmed == 2
    found = tally(tmp_path / "signed", [own, other], key=publisher, now=NOW)
    assert (found.confirmed, [one.name for one in found.refused]) == (1, ["the publisher's own"])


def test_another_publisher_than_the_named_one_is_no_publisher(shop: Shop, tmp_path: Path) -> None:
    publish(shop.home, shop.run, tmp_path / "signed", sign=key_of(tmp_path, "publisher")[0])
    other = receipt_of(tmp_path / "signed", tmp_path, "ann")
    with pytest.raises(PackageError, match="signed by another key"):
        tally(tmp_path / "signed", [other], key=key_of(tmp_path, "bob")[1], now=NOW)


def test_a_receipt_that_is_not_there_is_the_callers_mistake(published: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such receipt"):
        tally(published, [tmp_path / "nothing.json"])


def test_within_a_tolerance_that_nobody_declared_does_not_count(published: Path, tmp_path: Path) -> None:
    path = receipt_of(published, tmp_path, "ann", verdict="within what another kernel may do")  # it names another kernel
    assert (tally(published, [path], now=NOW).confirmed, tally(published, [path], now=NOW).within) == (0, 1)
    known = manifest.read(published)
    resign(path, key_of(tmp_path, "ann")[0], set_in("predicate", "machine", "kernel", to=kernels(known.environment)))
    found = tally(published, [path], now=NOW)
    assert (found.confirmed, found.within) == (0, 0)
    assert "nobody declared" in found.refused[0].why


def resign(path: Path, key: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """The receipt with its statement changed, signed as it should be by the same key."""
    data = json.loads(path.read_text())
    statement = json.loads(base64.b64decode(data["envelope"]["payload"]))
    change(statement)
    data["envelope"] = json.loads(signature.envelope(statement, key)[0])
    path.write_text(json.dumps(data))


Spoil = Callable[[Path, Path], Any]


def edit(change: Callable[[dict[str, Any]], None]) -> Spoil:
    """Change the file and sign nothing."""

    def apply(path: Path, key: Path) -> None:
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))

    return apply


def said(change: Callable[[dict[str, Any]], None]) -> Spoil:
    return lambda path, key: resign(path, key, change)


def other_payload(data: dict[str, Any]) -> None:
    text = base64.b64decode(data["envelope"]["payload"]).replace(b"bit-identical", b"different")
    data["envelope"]["payload"] = base64.b64encode(text).decode()


def other_key(data: dict[str, Any]) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = Ed25519PrivateKey.generate().public_key()
    data["public_key"] = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def other_key_and_name(data: dict[str, Any]) -> None:
    other_key(data)
    data["envelope"]["signatures"][0]["keyid"] = signature.key_id(data["public_key"].encode())


def two_signatures(data: dict[str, Any]) -> None:
    data["envelope"]["signatures"] *= 2


def set_in(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def apply(data: dict[str, Any]) -> None:
        place: Any = data
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = to

    return apply


def one_step_less(statement: dict[str, Any]) -> None:
    statement["predicate"]["steps"].pop()


def one_step_differs(statement: dict[str, Any]) -> None:
    next(step for step in statement["predicate"]["steps"] if step["role"] == "re-run")["result"] = "different"


HOSTILE: dict[str, tuple[Spoil, str]] = {
    "the verdict rewritten": (edit(other_payload), "altered"),
    "the signature cut": (edit(set_in("envelope", "signatures", 0, "sig", to="00")), "altered"),
    "no signature": (edit(set_in("envelope", "signatures", to=[])), "wrong key"),
    "signed twice": (edit(two_signatures), "wrong key"),
    "another's key put in": (edit(other_key), "wrong key"),
    "another's key and its name put in": (edit(other_key_and_name), "altered"),
    "a payload that is no base64": (edit(set_in("envelope", "payload", to="%%%")), "altered"),
    "another payload type": (edit(set_in("envelope", "payloadType", to="text/plain")), "altered"),
    "a key that is none": (edit(set_in("public_key", to="-----BEGIN")), "malformed"),
    "a surrogate for a key": (edit(set_in("public_key", to="\ud800")), "malformed"),
    "another format": (edit(set_in("format", to="receipt 9")), "malformed"),
    "no JSON": (lambda path, key: path.write_text("{"), "malformed"),
    "a JSON bomb": (lambda path, key: path.write_text('{"a":' * 100_000), "malformed"),
    "a folder's worth of nothing": (lambda path, key: path.write_text(""), "malformed"),
    "another package": (said(set_in("subject", 0, "digest", to={"sha256": "0" * 64})), "wrong package"),
    "two packages": (said(set_in("subject", to=[{"name": "MANIFEST.sha256", "digest": {"sha256": "0" * 64}}] * 2)), "malformed"),
    "another subject": (said(set_in("subject", 0, "name", to="manifest.json")), "malformed"),
    "another kind of statement": (said(set_in("predicateType", to="tag:pellucid,2026:package/v1")), "replayed"),
    "no statement": (said(set_in("_type", to="x")), "altered"),
    "a verdict of its own": (said(set_in("predicate", "verdict", to="perfect")), "malformed"),
    "a time that is none": (said(set_in("predicate", "when", to="2100-13-45T99:99:99Z")), "malformed"),
    "the past": (said(set_in("predicate", "when", to="1999-01-01T00:00:00Z")), "misdated"),
    "the future": (said(set_in("predicate", "when", to="2101-01-01T00:00:00Z")), "misdated"),
    "another run": (said(set_in("predicate", "run", to="somebody's")), "contradicts the package or itself"),
    "a step left out": (said(one_step_less), "contradicts the package or itself"),
    "a step that differs": (said(one_step_differs), "contradicts the package or itself"),
    "steps that are none": (said(set_in("predicate", "steps", to=[1])), "malformed"),
    "no machine": (said(set_in("predicate", "machine", to="fast")), "malformed"),
}


@pytest.mark.quick(12)
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_wrong_with_a_receipt_is_named(name: str, published: Path, tmp_path: Path) -> None:
    spoil, reason = HOSTILE[name]
    path = receipt_of(published, tmp_path, "ann")
    good = receipt_of(published, tmp_path, "bob")
    spoil(path, key_of(tmp_path, "ann")[0])
    found = tally(published, [path, good], now=NOW)
    assert [(one.path.name, one.name) for one in found.refused] == [("ann.json", reason)], found.refused
    assert found.confirmed == 1


def test_control_characters_of_a_stranger_do_not_reach_the_terminal(published: Path, tmp_path: Path) -> None:
    path = receipt_of(published, tmp_path, "ann", when=NOW.replace(year=2026, month=12))
    resign(path, key_of(tmp_path, "ann")[0], set_in("predicate", "machine", "cpu", to="\x1b[2Jcpu\n\u202e" + "x" * 5000))
    read = receipt.read(path)
    assert read.machine["cpu"].isprintable()
    assert len(read.machine["cpu"]) <= 200


def test_nothing_is_run_for_a_receipt_that_cannot_be_written(published: Path, tmp_path: Path) -> None:
    private, public = key_of(tmp_path, "ann")
    there = tmp_path / "there.json"
    there.write_text("mine")
    public.chmod(0o600)
    for words, said_ in (
        (("--receipt", there, "--sign", private), "there is something already"),
        (("--receipt", tmp_path / "no" / "r.json", "--sign", private), "no such folder"),
        (("--receipt", tmp_path / "r.json"), "needs both"),
        (("--receipt", tmp_path / "r.json", "--sign", private, "--as-steward"), "nothing of the private side"),
        (("--receipt", tmp_path / "r.json", "--sign", public), "it is not a private key"),
        (("--receipt", tmp_path / "r.json", "--sign", private, "--step", "shares"), "a receipt is of a whole re-run"),
    ):
        done = pellucid("reproduce", published, *words)
        assert done.returncode == 2
        assert said_ in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert there.read_text() == "mine"
    with pytest.raises(UsageError, match="something already"):
        issue(verdict_of(published), there, key=private)
    verdict = verdict_of(published)
    told = replace(verdict, steps=tuple(replace(step, result="bit-identical") for step in verdict.steps))
    with pytest.raises(UsageError, match="nothing of the private side"):
        issue(told, tmp_path / "r.json", key=private)
    assert not (tmp_path / "r.json").exists()


def test_a_refused_receipt_shows_in_the_exit_code(published: Path, tmp_path: Path) -> None:
    path = receipt_of(published, tmp_path, "ann")
    edit(other_payload)(path, path)
    done = pellucid("receipts", published, path)
    assert done.returncode == 1
    assert "refused: ann.json: altered" in done.stdout
    with pytest.raises(PackageError):
        tally(tmp_path / "nowhere", [path])
