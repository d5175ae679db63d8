"""Zips and signatures from strangers: refused by name, nothing written outside, nothing run, memory bounded."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid.errors import PackageError, UsageError
from pellucid.packages import check
from pellucid.packages.format import archive, fixity, signature
from pellucid.packages.publishing import publish
from pellucid.store import folders

pytestmark = pytest.mark.timeout(120)
Members = list[tuple[zipfile.ZipInfo | str, bytes]]


def zipped(path: Path, members: Members, compression: int = zipfile.ZIP_STORED) -> Path:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(path, "w", compression) as file:
            for name, body in members:
                file.writestr(name, body)
    return path


def linked(name: str, target: str, kind: int = stat.S_IFLNK) -> Members:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (kind | 0o777) << 16
    return [(entry, target.encode())]


def raw(name: bytes) -> Callable[[Path], None]:
    """A zip whose one member has this very name."""

    def write(path: Path) -> None:
        zipped(path, [("x" * len(name), b"body")])
        path.write_bytes(path.read_bytes().replace(b"x" * len(name), name))

    return write


def lying(path: Path) -> None:
    """A member that unpacks to more than the directory declares."""
    body = b"\0" * 3_000_000
    zipped(path, [("a.txt", body)], zipfile.ZIP_DEFLATED)
    text = bytearray(path.read_bytes())
    for at in (text.find(b"PK\x03\x04") + 22, text.find(b"PK\x01\x02") + 24):
        text[at : at + 4] = struct.pack("<I", 100_000)
    path.write_bytes(text)


def bomb(path: Path) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("bomb", "w") as member:
        for _ in range(300):
            member.write(b"\0" * (1 << 20))
    del packed


def overlapping(path: Path) -> None:
    """Fifield's better zip bomb in small: every directory entry points at the same packed bytes."""
    zipped(path, [("0000", os.urandom(100_000))])
    text = path.read_bytes()
    start, end = text.find(b"PK\x01\x02"), text.find(b"PK\x05\x06")
    entry = text[start:end]
    entries = b"".join(entry[:46] + b"%04d" % at + entry[50:] for at in range(1000))
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1000, 1000, len(entries), start, 0)
    path.write_bytes(text[:start] + entries + tail)


def encrypted(path: Path) -> None:
    zipped(path, [("a", b"body")])
    text = bytearray(path.read_bytes())
    text[text.find(b"PK\x03\x04") + 6] |= 1
    text[text.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(text)


def damaged(path: Path) -> None:
    zipped(path, [("a", b"hello world" * 100)], zipfile.ZIP_DEFLATED)
    text = bytearray(path.read_bytes())
    text[45] ^= 0xFF
    path.write_bytes(text)


def made(*members: Any) -> Callable[[Path], None]:
    return lambda path: (zipped(path, list(members)), None)[1]


HOSTILE: dict[str, Callable[[Path], None]] = {
    "up": made(("../evil", b"")),
    "up later": made(("a/../../evil", b"")),
    "up at the end": made(("a/..", b"")),
    "here": made(("./a", b"")),
    "here inside": made(("a/./b", b"")),
    "absolute": made(("/tmp/evil", b"")),
    "absolute, twice": made(("//evil", b"")),
    "empty part": made(("a//b", b"")),
    "a drive": made(("..\\evil", b"")),
    "a backslash": raw(b"a\\..\\b"),
    "a NUL": raw(b"a\0b.txt"),
    "an escape": made(("\x1b[2J", b"")),
    "a newline": made(("a\nb", b"")),
    "a bidi mark": made(("a\u202egnp.exe", b"")),
    "a very long name": made(("a" * 5000, b"")),
    "a link": made(*linked("l", "/etc/passwd")),
    "a link inside": made(*linked("code/l", "../../..")),
    "a link, then through it": made(*linked("l", "/tmp"), ("l/evil", b"")),
    "a pipe": made(*linked("p", "", stat.S_IFIFO)),
    "a device": made(*linked("d", "", stat.S_IFCHR)),
    "a block device": made(*linked("d", "", stat.S_IFBLK)),
    "a socket": made(*linked("s", "", stat.S_IFSOCK)),
    "twins": made(("a", b"1"), ("a", b"2")),
    "twins but for case": made(("a", b"1"), ("A", b"2")),
    "a file and a folder": made(("a", b"1"), ("a/b", b"2")),
    "nothing": made(),
    "no zip": lambda path: (path.write_bytes(b"hello"), None)[1],
    "empty": lambda path: (path.write_bytes(b""), None)[1],
    "cut off": lambda path: (zipped(path, [("a", b"x" * 1000)]), os.truncate(path, 500), None)[2],
    "a bomb": bomb,
    "a lying size": lying,
    "overlapping members": overlapping,
    "encrypted": encrypted,
    "damaged": damaged,
    "many members": lambda path: (zipped(path, [(f"{at}", b"") for at in range(200_001)]), None)[1],
    "just a folder": made(("a/", b"")),
    "no manifest": made(("a", b"x")),
}  # fmt: skip


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.quick(3)
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_zip_is_refused_and_writes_nothing_outside(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr("tempfile.tempdir", None)
    HOSTILE[case](tmp_path / "in.zip")
    before = tree(tmp_path)
    with pytest.raises(PackageError) as caught:
        check(tmp_path / "in.zip")
    assert tree(tmp_path) == before
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_bomb_does_not_fill_the_memory(tmp_path: Path) -> None:
    bomb(tmp_path / "b.zip")
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "from pathlib import Path\nfrom pellucid.errors import PackageError\nfrom pellucid.packages.format import archive\n"
        "Path(sys.argv[2]).mkdir()\n"
        "try: archive.unpack(Path(sys.argv[1]), Path(sys.argv[2]))\nexcept PackageError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "b.zip", tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "times its size" in done.stdout, done.stderr[-300:]
    assert resource.RLIMIT_AS


def test_a_published_zip_unpacks_to_the_published_folder(shop: Any, published: Path, tmp_path: Path) -> None:
    publish(shop.home, shop.run, tmp_path / "a.zip", zipped=True)
    publish(shop.home, shop.run, tmp_path / "b.zip", zipped=True)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    (tmp_path / "out").mkdir()
    archive.unpack(tmp_path / "a.zip", tmp_path / "out")
    assert {p: (tmp_path / "out" / p).read_bytes() for p in tree(tmp_path / "out") if (tmp_path / "out" / p).is_file()} == {
        p: (published / p).read_bytes() for p in tree(published) if (published / p).is_file()
    }
    assert check(tmp_path / "a.zip").pipeline == "shop"


# signatures ------------------------------------------------------------------------------------------------------------------


def key_in(folder: Path, name: str = "key.pem", kind: str = "ed25519") -> Path:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    made = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    path = folder / name
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def signed_once(shop: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("signed")
    key = key_in(folder)
    publish(shop.home, shop.run, folder / "package", sign=key)
    return folder / "package", key


@pytest.fixture
def signed(signed_once: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(signed_once[0], tmp_path / "signed"))


def test_a_signature_holds_and_says_whose_it_is(signed: Path, tmp_path: Path) -> None:
    found = check(signed)
    assert found.signed is not None and not found.signed.known
    trusted = tmp_path / "pub.pem"
    shutil.copy(signed / signature.KEY, trusted)
    known = check(signed, key=trusted).signed
    assert known is not None and known.known and known.key == found.signed.key
    assert "other_kernel" in found.signed.statement["predicate"]


def test_an_envelope_is_verified_by_cryptography_alone(signed: Path) -> None:
    """Not by the library that made it: DSSE's pre-authentication encoding, by hand."""
    import base64

    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    envelope = json.loads((signed / signature.FILE).read_text())
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    load_pem_public_key((signed / signature.KEY).read_bytes()).verify(base64.b64decode(envelope["signatures"][0]["sig"]), encoded)  # type: ignore[union-attr,call-arg,arg-type]


def edit_envelope(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edited(package: Path) -> None:
        envelope = json.loads((package / signature.FILE).read_text())
        change(envelope)
        (package / signature.FILE).write_text(json.dumps(envelope))

    return edited


def edit_statement(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    import base64

    def change_payload(envelope: dict[str, Any]) -> None:
        statement = json.loads(base64.b64decode(envelope["payload"]))
        change(statement)
        envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()

    return edit_envelope(change_payload)


def resigned(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Signed anew by somebody else's key, with another statement."""

    def forge(package: Path) -> None:
        found = signature.statement_of(package, {})
        change(found)
        body, public = signature.envelope(found, key_in(package.parent, "forger.pem"))
        (package / signature.FILE).write_bytes(body)
        (package / signature.KEY).write_bytes(public)

    return forge


def other_key(package: Path) -> None:
    other = key_in(package.parent, "other.pem")
    _, public = signature.envelope({}, other)
    (package / signature.KEY).write_bytes(public)


def other_kind(package: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    key = load_pem_private_key(key_in(package.parent, "ec.pem", "ec").read_bytes(), None)
    (package / signature.KEY).write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed file, listed anew": (lambda p: ((p / "README.md").write_text("x"), fixity.write(p)), "signature of another package"),
    "a changed payload": (edit_statement(lambda s: s.update(predicate={})), "not by this key, or not over this statement"),
    "a changed signature": (edit_envelope(lambda e: e["signatures"][0].update(sig="A" * 86 + "==")), "not by this key"),
    "no signature": (edit_envelope(lambda e: e.update(signatures=[])), "not by this key"),
    "a signature twice": (edit_envelope(lambda e: e["signatures"].append(dict(e["signatures"][0]))), "not a signed envelope"),
    "another key": (other_key, "not by this key"),
    "no key": (lambda p: (p / signature.KEY).unlink(), "a signature but no key"),
    "a key that is none": (lambda p: (p / signature.KEY).write_text("hello"), "not a public key in PEM form"),
    "a key of another kind": (other_kind, "not an ed25519 key"),
    "a key alone": (lambda p: (p / signature.FILE).unlink(), "there is a key but no signature"),
    "no JSON": (lambda p: (p / signature.FILE).write_text("{"), "it is not JSON"),
    "no envelope": (lambda p: (p / signature.FILE).write_text("{}"), "not a signed envelope"),
    "another payload type": (edit_envelope(lambda e: e.update(payloadType="text/plain")), "not an in-toto statement"),
    "another predicate": (resigned(lambda s: s.update(predicateType="https://slsa.dev/provenance/v1")), "a signature of something else"),
    "another subject": (resigned(lambda s: s.update(subject=[{"name": "x", "digest": {"sha256": "0" * 64}}])), "another package"),
    "two subjects": (resigned(lambda s: s.update(subject=s["subject"] * 2)), "another package"),
    "another statement type": (resigned(lambda s: s.update(_type="https://in-toto.io/Statement/v0.1")), "no in-toto statement"),
    "no tolerances": (resigned(lambda s: None), "not what the manifest says"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILED)
def test_a_spoiled_signature_is_refused(case: str, signed: Path) -> None:
    spoil, reason = SPOILED[case]
    spoil(signed)
    with pytest.raises(PackageError, match=reason):
        check(signed)


def test_a_package_by_another_key_than_the_named_one_is_refused(signed: Path, package: Path, tmp_path: Path) -> None:
    other_key(signed)
    named = Path(shutil.move(signed / signature.KEY, tmp_path / "named.pem"))
    with pytest.raises(PackageError, match="not by this key"):
        check(signed, key=named)
    with pytest.raises(PackageError, match="it is not signed"):
        check(package, key=named)


def test_a_signature_cannot_be_moved_to_another_package(signed: Path, package: Path) -> None:
    (package / "README.md").write_text("mine")
    fixity.write(package)
    for name in (signature.FILE, signature.KEY):
        shutil.copy(signed / name, package / name)
    with pytest.raises(PackageError, match="signature of another package"):
        check(package)


def test_a_signing_key_that_cannot_be_used_is_refused_by_name(shop: Any, tmp_path: Path) -> None:
    open_key, wrong = key_in(tmp_path, "open.pem"), key_in(tmp_path, "ec.pem", "ec")
    open_key.chmod(0o644)
    (tmp_path / "text.pem").write_text("hello")
    (tmp_path / "text.pem").chmod(0o600)
    cases = (
        (open_key, "others can read"),
        (wrong, "not an ed25519 key"),
        (tmp_path / "text.pem", "not a private key"),
        (tmp_path / "no", "cannot be read"),
    )
    for key, reason in cases:
        with pytest.raises(UsageError, match=reason):
            publish(shop.home, shop.run, tmp_path / "out", sign=key)
        assert not (tmp_path / "out").exists()


# fuzzing ---------------------------------------------------------------------------------------------------------------------


def fuzz(published: Path, folder: Path, seconds: float, seed: int) -> int:
    """Break a package's zip at random; each must be refused in one line or be whole. How many were tried."""
    import random
    import time

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for path in sorted(published.rglob("*")):
            if path.is_file() and path.suffix != ".whl":
                file.write(path, path.relative_to(published).as_posix())
    whole, rng, tried, ends = buffer.getvalue(), random.Random(seed), 0, time.monotonic() + seconds
    directory = whole.rfind(b"PK\x01\x02", 0, len(whole) - 5000)
    while time.monotonic() < ends:
        text = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(directory - 2000, len(text)) if rng.random() < 0.6 else rng.randrange(len(text))
            match rng.randrange(4):
                case 0:
                    text[at] = rng.randrange(256)
                case 1:
                    del text[at : at + rng.randint(1, 60)]
                case 2:
                    text[at:at] = rng.randbytes(rng.randint(1, 60))
                case _:
                    text[at : at + 4] = struct.pack("<I", rng.choice([0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
        (folder / "in.zip").write_bytes(text)
        out = folder / "out"
        out.mkdir()
        said = ""
        try:
            archive.unpack(folder / "in.zip", out)
            fixity.check(out)
        except PackageError as error:
            said = str(error)
        assert "\n" not in said
        assert tree(folder) - {"in.zip", "out"} == {name for name in tree(folder) if name.startswith("out/")}
        shutil.rmtree(out)
        tried += 1
    return tried


def test_broken_zips_are_refused_or_whole(published: Path, tmp_path: Path) -> None:
    assert fuzz(published, tmp_path, 3, 1) > 20


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_broken_zips_are_refused_or_whole_for_five_minutes(published: Path, tmp_path: Path, soak: Callable[[int], int]) -> None:
    assert fuzz(published, tmp_path, soak(300), 2) > soak(2000)


@pytest.mark.parametrize("levels", [101, 1500])
def test_folders_deeper_than_a_package_may_hold_are_refused_in_words(levels: int, package: Path) -> None:
    at = package / "artifacts"
    for _ in range(levels):
        at /= "d"
        at.mkdir()
    with pytest.raises(PackageError, match="it holds folders more than 100 deep"):
        check(package)
    folders.remove(package)
