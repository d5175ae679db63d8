"""A package that is not whole is refused by the name of what is wrong, before anything of it is run."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid.errors import PackageError, UsageError
from pellucid.packages import check
from pellucid.packages.format import fixity
from pellucid.packages.format.json_text import MAX_BYTES
from pellucid.packages.reproducing import reproduce, virtual_environment


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: object, **__: object) -> None:
        raise AssertionError("it went on to build an environment")

    monkeypatch.setattr(virtual_environment, "build", build)


def flip(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


def rehashed(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """A change by someone who can also write the list of files."""

    def changed(package: Path) -> None:
        change(package)
        fixity.write(package)

    return changed


def line(text: str) -> Callable[[Path], None]:
    def add(package: Path) -> None:
        with (package / "MANIFEST.sha256").open("a") as file:
            file.write(text)

    return add


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edited(package: Path) -> None:
        manifest = json.loads((package / "manifest.json").read_text())
        change(manifest)
        (package / "manifest.json").write_text(json.dumps(manifest))

    return rehashed(edited)


def into_wheel(name: str) -> Callable[[Path], None]:
    def add(package: Path) -> None:
        (wheel,) = (package / "environment").glob("*.whl")
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr(name, "import os")

    return rehashed(add)


def locked(text: str) -> Callable[[Path], None]:
    return rehashed(lambda package: (package / "environment" / "requirements.lock").write_text(text))


def output(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = step(manifest, "best")["outputs"]["best"]
    return found


def step(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in manifest["trace"] if entry["step"] == name)


def node(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in manifest["graph"] if one["step"] == name)


ZEROS = "0" * 64
SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed artifact": (lambda p: flip(p / "artifacts/counts.parquet"), r"artifacts/counts\.parquet: the file was changed"),
    "changed code": (lambda p: flip(p / "code/shop.py"), r"code/shop\.py: the file was changed"),
    "a changed manifest": (lambda p: flip(p / "manifest.json"), r"manifest\.json: the file was changed"),
    "a changed readme": (lambda p: flip(p / "README.md"), r"README\.md: the file was changed"),
    "a missing file": (lambda p: (p / "code/shop_cellar.py").unlink(), r"code/shop_cellar\.py: the file is missing"),
    "an extra file": (lambda p: (p / "code/json.py").write_text(""), r"code/json\.py: the file is not listed"),
    "a link to a file": (lambda p: (p / "code/x.py").symlink_to("/etc/passwd"), r"code/x\.py: it is a link"),
    "a listed link": (rehashed(lambda p: (p / "x").symlink_to("/etc/hostname")), "x: it is a link"),
    "a link to a folder": (lambda p: (p / "more").symlink_to(p / "code"), "more: it is a link"),
    "a pipe": (lambda p: os.mkfifo(p / "pipe"), "pipe: it is not a plain file"),
    "a path that leaves": (line(f"{ZEROS}  ../secret\n"), r"MANIFEST\.sha256, line .*'\.\./secret' leads out"),
    "a path that leaves later": (line(f"{ZEROS}  code/../../x\n"), "leads out of the package"),
    "an absolute path": (line(f"{ZEROS}  /etc/passwd\n"), "'/etc/passwd' leads out"),
    "a line that is none": (line("hello\n"), "it is not a SHA-256, two spaces and a path"),
    "a backslash": (line(f"{ZEROS}  a\\b\n"), "it is not a SHA-256"),
    "a file listed twice": (lambda p: line((p / "MANIFEST.sha256").read_text())(p), "listed twice"),
    "an empty list": (lambda p: (p / "MANIFEST.sha256").write_text(""), "lists 0 files"),
    "no list": (lambda p: (p / "MANIFEST.sha256").unlink(), "there is no MANIFEST.sha256"),
    "truncated JSON": (rehashed(lambda p: os.truncate(p / "manifest.json", 900)), r"manifest\.json: it is not JSON"),
    "an array for JSON": (rehashed(lambda p: (p / "manifest.json").write_text("[]")), "not a JSON object"),
    "deep JSON": (rehashed(lambda p: (p / "manifest.json").write_text("[" * 99999)), "nested 99999 deep"),
    "large JSON": (rehashed(lambda p: (p / "manifest.json").write_bytes(b" " * (MAX_BYTES + 1))), "larger than"),
    "twin members": (rehashed(lambda p: (p / "manifest.json").write_text('{"a":1,"a":2}')), "two members of one name"),
    "no JSON numbers": (rehashed(lambda p: (p / "manifest.json").write_text('{"a":NaN}')), "NaN is not JSON"),
    "another format": (edit(lambda m: m.update(format="pellucid package 9")), "its format is 'pellucid package 9'"),
    "no trace": (edit(lambda m: m.pop("trace")), 'it has no "trace"'),
    "a number for a name": (edit(lambda m: m.update(pipeline=1)), 'its "pipeline" is not a str'),
    "a pipeline file elsewhere": (edit(lambda m: m.update(file="../areas.py")), "is not one in code/"),
    "a pipeline file that is not there": (edit(lambda m: m.update(file="code/../../a.py")), "is not one in code/"),
    "an artifact elsewhere": (edit(lambda m: output(m).update(path="code/shop.py")), "is not that of a metrics in artifacts/"),
    "an artifact outside": (edit(lambda m: output(m).update(path="artifacts/../../x.json")), "is not that of a metrics in artifacts/"),
    "an unknown kind": (edit(lambda m: output(m).update(kind="pickle")), "no kind of artifact named 'pickle'"),
    "an artifact of another size": (edit(lambda m: output(m).update(size=1)), "another size than the file has"),
    "an artifact of other bytes": (edit(lambda m: output(m).update(sha256=ZEROS)), "another SHA-256 than the list of files"),
    "a tolerance of everything": (edit(lambda m: step(m, "best").update(tolerance=1)), "its tolerance is not a number from 0 to less"),
    "a tolerance below nothing": (edit(lambda m: step(m, "best").update(tolerance=-1e-9)), "its tolerance is not a number from 0 to less"),
    "another tolerance than planned": (edit(lambda m: step(m, "best").update(tolerance=0.1)), "states another tolerance than its graph"),
    "much of another kernel": (edit(lambda m: m.update(other_kernel=1.0)), "its other_kernel is not a number from 0 to 1e-06"),
    "a computed step that is given": (edit(lambda m: step(m, "best").update(role="given")), "everything else is re-run"),
    "a release that is re-run": (edit(lambda m: step(m, "counts").update(role="re-run")), "sources and releases are given"),
    "a private step that is open": (edit(lambda m: step(m, "tidy").update(label="open")), "do not go together"),
    "an open step that is private": (edit(lambda m: step(m, "best").update(role="private")), "do not go together"),
    "another kind of step": (edit(lambda m: step(m, "best").update(kind="train")), "states another kind than its graph"),
    "another input": (edit(lambda m: step(m, "best").update(inputs={})), "states another input than its graph"),
    "a private source that is open in the graph": (edit(lambda m: node(m, "sales").update(label="open")), "states another label"),
    "nothing withheld": (edit(lambda m: m.update(withheld=[])), "its withheld list differs from the non-open outputs"),
    "a graph without a step": (edit(lambda m: m["graph"].remove(node(m, "tidy"))), "the steps of its trace are not those of its graph"),
    "a graph of nothing": (edit(lambda m: m["graph"].append(None)), "a node of its graph is none"),
    "a lock by name alone": (edit(lambda m: m["environment"].update(lock=ZEROS)), "the lock it names is not"),
    "a pellucid by name alone": (edit(lambda m: m["environment"].update(pellucid_source=ZEROS)), "the pellucid it names is not"),
    "a version by name alone": (edit(lambda m: m["environment"].update(pellucid="9.9")), "the pellucid it names is not"),
    "no licence of a source": (edit(lambda m: m["licences"].clear()), "its licences are not those of its open sources"),
    "a setting of a private step": (edit(lambda m: m["settings"].update({"tidy.x": "1"})), "which is of no open step"),
    "a file of nobody's": (rehashed(lambda p: (p / "install.sh").write_text("x")), "install.sh: it is no part of a package"),
    "no manifest": (rehashed(lambda p: (p / "manifest.json").unlink()), r"manifest\.json: the file is missing"),
    "no lock": (rehashed(lambda p: (p / "environment/requirements.lock").unlink()), "requirements.lock: the file is missing"),
    "a lock with an address": (locked("--index-url http://x.example\na==1 --hash=sha256:" + ZEROS), "more than names, versions"),
    "a lock with a path": (locked("-e ."), "is not name==version"),
    "a lock with a link": (locked("a @ http://x.example/a.whl"), "is not name==version"),
    "two wheels": (rehashed(lambda p: (p / "environment/b.whl").write_text("")), "holds 2 wheels"),
    "no wheel": (rehashed(lambda p: [w.unlink() for w in p.rglob("*.whl")]), "holds 0 wheels"),
    "a wheel that runs by itself": (into_wheel("now.pth"), r"holds 'now\.pth', which is no part of pellucid"),
    "a wheel that leaves": (into_wheel("pellucid/../../x.py"), "which is no part of pellucid"),
    "a wheel that is none": (rehashed(lambda p: [w.write_text("x") for w in p.rglob("*.whl")]), "it is not a wheel"),
}  # fmt: skip


@pytest.mark.quick(22)
@pytest.mark.parametrize("case", SPOILED)
def test_a_spoiled_package_is_refused(case: str, package: Path) -> None:
    spoil, said = SPOILED[case]
    spoil(package)
    with pytest.raises(PackageError, match=said) as caught:
        reproduce(package)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_digests_of_an_unknown_form_are_compared_with_nothing(package: Path) -> None:
    """Whoever names another recipe cannot switch the comparison off."""

    def forge(manifest: dict[str, Any]) -> None:
        manifest["digests"] = "pellucid-digest-0"
        for entry in manifest["trace"]:
            for value in entry.get("outputs", {}).values():
                value["digest"] = f"{value['kind']}:{ZEROS}"

    edit(forge)(package)
    with pytest.raises(PackageError, match="its digests are of the form 'pellucid-digest-0'"):
        check(package)
    verdict = reproduce(package)
    assert (verdict.verdict, verdict.exit_code) == ("could not run", 2)
    assert "nothing can be compared" in str(verdict.reason)
    assert "  re-run:" not in str(verdict)


def test_a_key_that_is_not_there_is_said_first(package: Path, tmp_path: Path) -> None:
    flip(package / "artifacts/counts.parquet")
    with pytest.raises(PackageError, match="the key cannot be read"):
        check(package, key=tmp_path / "nope.pem")


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="there is no such folder"):
        reproduce(tmp_path / "nowhere")


def test_a_file_name_from_a_stranger_does_not_reach_the_terminal_raw(package: Path) -> None:
    (package / "\x1b[2Jgone").write_text("")
    with pytest.raises(PackageError) as caught:
        reproduce(package)
    assert "\x1b" not in str(caught.value)


def test_a_moved_copy_is_still_whole(package: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(package, tmp_path / "else where"))
    assert check(moved).pipeline == "shop"


# where a package is named ----------------------------------------------------------------------------------------------------


def test_a_package_one_folder_further_in_is_found_and_named(published: Path, tmp_path: Path) -> None:
    """As file managers make them: the folder itself in the zip, and a folder in a folder when it is unpacked."""
    shutil.copytree(published, tmp_path / "outer" / "my package")
    made = Path(shutil.make_archive(str(tmp_path / "sent"), "zip", tmp_path / "outer", "my package"))
    with pytest.raises(PackageError) as caught:
        check(made)
    said = "there is no MANIFEST.sha256 in it: the package is one folder further in"
    assert str(caught.value) == f"{made}: {said}. Unpack it, and name the folder 'my package'"
    with pytest.raises(PackageError) as caught:
        check(tmp_path / "outer")
    assert str(caught.value) == f"{tmp_path / 'outer'}: {said}. Name '{tmp_path / 'outer' / 'my package'}'"
    assert check(tmp_path / "outer" / "my package").files > 10


def test_a_zip_that_holds_no_package_is_named_itself(published: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(published, tmp_path / "outer" / name)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("a")
    for folder in ("outer", "text"):
        made = Path(shutil.make_archive(str(tmp_path / "sent"), "zip", tmp_path / folder))
        for package in (made, tmp_path / folder):
            with pytest.raises(PackageError) as caught:
                check(package)
            said = "there is no MANIFEST.sha256 in it. Name a folder or zip written by pellucid publish"
            assert str(caught.value) == f"{package}: {said}"


ADDRESSES = (
    "http://127.0.0.1:99999/a.zip",
    "http://[::1",
    "http://127.0.0.1:x/",
    "https://me:pass@127.0.0.1:9/a.zip",
    "http:///a.zip",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_cannot_be_one_is_refused_and_no_password_is_shown(address: str) -> None:
    with pytest.raises(UsageError, match=r"no address|must not hold a name or password") as caught:
        reproduce(address)
    assert "pass@" not in str(caught.value)
    assert "me:" not in str(caught.value)


def test_what_is_asked_of_an_address_is_not_shown() -> None:
    with pytest.raises(PackageError, match=r"^http://127\.0\.0\.1:9/a\.zip: it cannot be fetched") as caught:
        reproduce("http://127.0.0.1:9/a.zip?token=secret#x")
    assert "secret" not in str(caught.value)
