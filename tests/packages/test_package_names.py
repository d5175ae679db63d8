"""Names and paths that a stranger chose: none can lead a reader, a terminal or a file system astray."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import PackageError, UsageError
from pellucid.packages import check
from pellucid.packages.artifact_import import ImportedArtifact, take
from pellucid.packages.format import fixity, manifest, naming_rules, signature
from pellucid.packages.format.origin import quoted
from pellucid.packages.format.origin_chain import origin_of
from pellucid.packages.reproducing.verdict import StepVerdict, Verdict
from pellucid.packages.standards.markdown import code, plain

BAD = [
    "code/A\u0301.py",
    "code/x\u202etxt.exe",
    "code/CON",
    "code/con.py",
    "code/-rf",
    "code/a.",
    "code/a:b",
    "code/a\x9bb",
    "code/a\u2028b",
]
TWINS = [
    ("code/Read.py", "code/read.py"),
    ("code/\u00e9.py", "code/\u00c9.py"),
    ("code/A/x.py", "code/a/y.py"),
    ("code/ﬁ.py", "code/fi.py"),
]


def listed(package: Path, *paths: str) -> None:
    """Put files in, and list them as a publisher would that has no care."""
    for path in paths:
        (package / path).parent.mkdir(exist_ok=True)
        (package / path).write_text("x")
    with (package / fixity.FILE).open("a") as file:
        file.writelines(f"{fixity.sha256_of(package / path)}  {path}\n" for path in paths)


@pytest.mark.parametrize("path", BAD, ids=ascii)
def test_a_path_that_is_another_elsewhere_is_refused_in_folders_and_zips(path: str, package: Path, tmp_path: Path) -> None:
    listed(package, path)
    with pytest.raises(PackageError) as caught:
        check(package)
    assert str(caught.value).isprintable()
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as file:
        file.writestr(path, "x")
    with pytest.raises(PackageError, match="cannot be one"):
        check(tmp_path / "in.zip")
    with pytest.raises(UsageError, match="cannot be a path"):
        fixity.write(package)


@pytest.mark.parametrize("pair", TWINS, ids=ascii)
def test_two_paths_that_are_one_elsewhere_are_refused_in_folders_and_zips(
    pair: tuple[str, str], package: Path, tmp_path: Path
) -> None:
    listed(package, *pair)
    with pytest.raises(PackageError, match="one file on some systems"):
        check(package)
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as file:
        for path in pair:
            file.writestr(path, "x")
    with pytest.raises(PackageError, match=r"one file on some systems|two files named"):
        check(tmp_path / "in.zip")
    with pytest.raises(UsageError, match="one file on some systems"):
        fixity.write(package)


def edited(package: Path, path: list[Any], value: object) -> None:
    data = json.loads((package / "manifest.json").read_text())
    place: Any = data
    for part in path[:-1]:
        place = place[part]
    if path[-1] == "rename":
        (old,) = place
        place[value] = place.pop(old)
    else:
        place[path[-1]] = value
    (package / "manifest.json").write_text(json.dumps(data))


ESCAPES = ["\x1b[2J", "a\x9b2Jb", "a\x7f", "a\u202eb", "a\u2028b", "../../x", "a b", "", "x" * 300]


@pytest.mark.parametrize("name", ESCAPES, ids=ascii)
@pytest.mark.parametrize("place", [["pipeline"], ["run"], ["trace", 0, "step"], ["trace", -1, "step"], ["date"]], ids=str)
def test_a_name_that_no_pipeline_takes_is_refused(place: list[Any], name: str, package: Path) -> None:
    edited(package, place, name)
    with pytest.raises(PackageError) as caught:
        manifest.read(package)
    assert str(caught.value).isprintable()


def test_an_output_that_no_pipeline_names_so_is_refused(package: Path) -> None:
    at = next(at for at, entry in enumerate(manifest.read(package).trace) if entry.step == "best")
    edited(package, ["trace", at, "outputs", "rename"], "../../escaped")
    with pytest.raises(PackageError, match="cannot be one"):
        manifest.read(package)


def test_a_day_that_is_none_is_refused(package: Path) -> None:
    for day in ("9999-99-99", "2026-02-30", "2026-2-3", "20260203"):
        edited(package, ["date"], day)
        with pytest.raises(PackageError, match="is not one"):
            manifest.read(package)


@given(st.text(max_size=40) | st.text("-.=_aé", max_size=4) | st.sampled_from([".", "..", "con", "Nul.x", "con.é", "-é", "x."]))
def test_an_artifact_has_a_plain_file_whatever_its_name(name: str) -> None:
    found = naming_rules.as_file(name)
    assert naming_rules.is_artifact_path(f"artifacts/{found}") and naming_rules.is_artifact_path(f"artifacts/{found}.parquet")
    assert found == name or len(found) > 12


@given(st.text(max_size=60))
def test_nothing_in_a_text_is_markup(text: str) -> None:
    assert "\n" not in plain(text) + code(text)
    assert code(text).count("`") == 2
    assert not any(mark in plain(text).replace("\\\\", "").replace(f"\\{mark}", "") for mark in "<|`[]")


def test_a_verdict_prints_no_control_characters() -> None:
    steps = (StepVerdict("a\x1b[2J\u202e", "step", "re-run", "bit-identical"),)
    shown = str(Verdict("bit-identical", steps=steps, reason="x\u2028y\x9b", signed="\x7f"))
    assert all(line.isprintable() for line in shown.split("\n"))
    assert len(shown.splitlines()) == len(shown.split("\n"))


def test_a_verdict_lists_as_re_run_what_was() -> None:
    steps = (
        StepVerdict("one", "step", "re-run", "bit-identical"),
        StepVerdict("two", "step", "re-run", "within tolerance", 1e-9),
        StepVerdict("three", "step", "re-run"),
    )
    shown = str(Verdict("within tolerance", steps=steps))
    assert "  re-run: one, two\n  not re-run: three" in shown
    assert "  within tolerance: two (declared by its publisher: 1e-09)" in shown
    none = tuple(StepVerdict(step.step, "step", "re-run") for step in steps)
    assert "  re-run:" not in str(Verdict("could not run", steps=none, reason="why"))


def test_the_line_to_paste_names_files_as_texts(package: Path, tmp_path: Path) -> None:
    assert quoted(Path('x") or ("')) == '"x\\") or (\\""'
    made = take(package, "counts", tmp_path / "next")
    assert isinstance(made, ImportedArtifact)
    assert made.line == 'counts = pl.source("counts.parquet", label="open", origin="counts.origin.json")'


FALSE: dict[str, object] = {
    "title": "Another", "creators": ["Roe, Richard"], "licence": "CC0-1.0", "date": "2020-01-01", "run": "another",
    "guarantee": {"epsilon": 0.01, "delta": 0}, "signed": "f" * 64, "sha256": "0" * 64, "origins": [],
}  # fmt: skip


@pytest.mark.quick(1)
@pytest.mark.parametrize("part", [name for name in FALSE if name != "origins"])
def test_an_origin_is_what_its_package_says_and_nothing_else(part: str, package: Path) -> None:
    """Whoever cites a package cannot give it another title, people, licence, guarantee, day or signer."""
    from dataclasses import replace

    from pellucid.packages.checking.package_check import follow

    there = manifest.read(package)
    origin = origin_of(there, "counts", fixity.sha256_of(package / fixity.FILE), None)
    mine = replace(there, licences={"goods": {**there.licences["goods"], "origin": origin}})
    assert [said for _, _, said in follow(mine, [package])] == ["found"]
    false = replace(there, licences={"goods": {**there.licences["goods"], "origin": origin | {part: FALSE[part]}}})
    with pytest.raises(PackageError, match=f"the {part} that is cited is not its own"):
        follow(false, [package])


def test_the_id_of_a_key_is_the_one_that_its_tools_make() -> None:
    """Whoever verifies an envelope with securesystemslib alone finds the key by the id in it."""
    import hashlib

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner, SSlibKey

    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public = private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    canonical = f'{{"keytype":"ed25519","keyval":{{"public":"{raw}"}},"scheme":"ed25519"}}'
    assert signature.key_id(pem) in (SSlibKey.from_crypto(public).keyid, hashlib.sha256(canonical.encode()).hexdigest())
    envelope = Envelope(b"{}", "application/x", {})
    envelope.sign(CryptoSigner(private, SSlibKey.from_crypto(public, keyid=signature.key_id(pem))))
    envelope.verify([SSlibKey.from_crypto(public)], 1)
