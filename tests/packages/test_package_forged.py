"""Packages that lie: whatever is made up, the verdict is *different* or *could not run*, or the package is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from package_shop import Shop
from test_package_verdict import restate

from pellucid.errors import PackageError
from pellucid.packages import check
from pellucid.packages.format import fixity
from pellucid.packages.publishing import publish
from pellucid.packages.reproducing import reproduce, rerun_outputs
from pellucid.store import kinds

pytestmark = [pytest.mark.timeout(300)]
PATCH = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != "pellucid.pipeline.running.worker":
            return None
        sys.meta_path.remove(self)
        import importlib.util
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            for known in [n for n in vars(module) if n.startswith("_call")]:
                real = getattr(module, known)
                def call(bound, *rest, _real=real, **more):
                    found = _real(bound, *rest, **more)
                    return {"top_0": 0.9, "top_1": 0.9} if bound.name == "best" else found
                setattr(module, known, call)
        spec.loader.exec_module = exec_module
        return spec
sys.meta_path.insert(0, Finder())
"""
# what the code of a package can do as its process says what came out, to have the published files compared with themselves
SWAP = """
import json, os, pathlib
_write = pathlib.Path.write_text
def _swap(self, text, *rest, **more):
    if self.name != "result.json":
        return _write(self, text, *rest, **more)
    state, found = os.path.join(os.path.dirname(self), "state"), json.loads(text)
    for number, step in enumerate(found.get("steps", {}).values()):
        for name, out in step["outputs"].items():
            out = out if "sha256" in out else out["items"][0][1]
            sha = "%064x" % (number + 11) if MODE != "true name" else TRUE.get(name, out["sha256"])
            place = os.path.join(state, "objects", sha[:2], sha + out["suffix"])
            os.makedirs(os.path.dirname(place), exist_ok=True)
            if os.path.lexists(place):
                os.unlink(place)
            if MODE == "fifo":
                os.mkfifo(place)
            elif MODE == "folder link":
                os.rmdir(os.path.dirname(place))
                os.symlink(os.path.join(PACKAGE, "artifacts"), os.path.dirname(place))
            elif MODE == "result link":
                os.symlink(os.path.join(PACKAGE, "manifest.json"), self)
                return
            else:
                (os.link if MODE == "hard link" else os.symlink)(os.path.join(PACKAGE, "artifacts", name + out["suffix"]), place)
            out["sha256"] = sha
    return _write(self, json.dumps(found))
pathlib.Path.write_text = _swap
"""


def lie(package: Path) -> None:
    """Another number in the last metrics, and a trace that agrees with it."""
    path = package / "artifacts/best.json"
    path.write_text(re.sub(r'"top_1":\s*0\.\d+', '"top_1":0.9', path.read_text()))
    kinds.save(kinds.load(path, "metrics"), "metrics", path.parent, "best")
    restate(package, "best")


def never_better(package: Path) -> str:
    """What came of it: the words of a refusal or of a verdict that is none, or the first difference."""
    try:
        verdict = reproduce(package)
    except PackageError as error:
        return f"refused: {error}"
    assert verdict.verdict in ("different", "could not run"), verdict
    assert str(verdict).startswith(f"verdict: {verdict.verdict}")
    return f"{verdict.verdict}: {verdict.reason or (verdict.first_difference and verdict.first_difference.detail)}"


def put(package: Path, path: str, text: str) -> None:
    (package / path).parent.mkdir(parents=True, exist_ok=True)
    (package / path).write_text(text)
    fixity.write(package)


def hook(path: str) -> Callable[[Path], None]:
    def make(package: Path) -> None:
        lie(package)
        put(package, path, PATCH)

    return make


def swap(mode: str) -> Callable[[Path], None]:
    def make(package: Path) -> None:
        lie(package)
        true = {"best": fixity.sha256_of(package / "artifacts/best.json")}
        head = f"MODE, PACKAGE, TRUE = {mode!r}, {str(package)!r}, {true!r}\n"
        library = next(path for path in (package / "code").rglob("weights.py"))
        library.write_text(head + SWAP + library.read_text())
        fixity.write(package)

    return make


def trojan(package: Path, files: dict[str, str], *, honest_record: bool = True) -> None:
    """One of the wheels inside with more in it; the lock and the list of wheels agree with it, and its own RECORD with `honest_record`."""
    (wheel,) = (package / "environment/wheels").glob("threadpoolctl-*.whl") or sorted(
        (package / "environment/wheels").glob("*.whl")
    )[:1]
    old = fixity.sha256_of(wheel)
    with zipfile.ZipFile(wheel) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    record = next(name for name in members if name.endswith("/RECORD"))
    members |= {name: text.encode() for name, text in files.items()}
    old_record = members.pop(record)
    lines = [
        f"{n},sha256={base64.urlsafe_b64encode(hashlib.sha256(b).digest()).rstrip(b'=').decode()},{len(b)}\n"
        for n, b in members.items()
    ]
    members[record] = ("".join(lines) + f"{record},,\n").encode() if honest_record else old_record
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    new, size = fixity.sha256_of(wheel), wheel.stat().st_size
    lock = package / "environment/requirements.lock"
    lock.write_text(lock.read_text().replace(old, new))
    pylock = package / "pylock.toml"
    named = re.escape(wheel.name)
    text = re.sub(
        rf'(wheels/{named}", size = )\d+(, hashes = {{ sha256 = ")[0-9a-f]{{64}}', rf"\g<1>{size}\g<2>{new}", pylock.read_text()
    )
    pylock.write_text(text)
    data = json.loads((package / "manifest.json").read_text())
    data["environment"]["lock"] = fixity.sha256_of(lock)
    (package / "manifest.json").write_text(json.dumps(data))
    fixity.write(package)


def statistics(package: Path) -> None:
    """Another largest value in the footer of a table, whose rows are as they were."""
    import pyarrow.parquet as pq

    path = package / "artifacts/counts.parquet"
    data, at = bytearray(path.read_bytes()), 0
    foot = len(data) - 8 - struct.unpack("<I", data[-8:-4])[0]
    table = pq.read_table(path)
    name = next(field.name for field in table.schema if str(field.type) == "int64")
    largest, other = (struct.pack("<q", number) for number in (max(table[name].to_pylist()), 1))
    while (at := data.find(largest, max(at, foot))) != -1:
        data[at : at + 8] = other
    path.write_bytes(bytes(data))
    restate(package, "counts")


def notes(package: Path) -> None:
    import pyarrow.parquet as pq

    path = package / "artifacts/counts.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata({"note": "PRIVATE: Jane Doe"}), path)
    restate(package, "counts")


def elsewhere_written(package: Path) -> None:
    import polars

    path = package / "artifacts/counts.parquet"
    polars.read_parquet(path).write_parquet(path)
    restate(package, "counts")


def trailing(package: Path) -> None:
    path = package / "artifacts/best.json"
    path.write_text(path.read_text() + " " * 40 + "\n")
    restate(package, "best")


def kernel(package: Path) -> None:
    """Another kernel on record, so that what an honest step gives may be off by a little."""
    path = package / "artifacts/best.json"
    known = json.loads(path.read_text())
    path.write_text(json.dumps({name: value * (1 + 1e-9) for name, value in known.items()}))
    kinds.save(kinds.load(path, "metrics"), "metrics", path.parent, "best")
    restate(package, "best")
    data = json.loads((package / "manifest.json").read_text())
    for one in data["environment"]["blas"]:
        one["architecture"] = "Zen"
    (package / "manifest.json").write_text(json.dumps(data))
    fixity.write(package)


LIES: dict[str, Callable[[Path], None]] = {
    "a number": lie,
    "site hook elsewhere": hook("code/_elsewhere/sitecustomize.py"), "site hook": hook("code/sitecustomize.py"),
    "user hook": hook("code/_elsewhere/usercustomize.py"), "a hook as a package": hook("code/sitecustomize/__init__.py"),
    "a path file": hook("code/x.pth"), "pellucid elsewhere": hook("code/_elsewhere/pellucid/__init__.py"),
    "pellucid": hook("code/pellucid.py"),
    "the standard library": hook("code/json.py"), "the standard library elsewhere": hook("code/_elsewhere/random.py"),
    "a compiled module": hook("code/decimal.cpython-311-x86_64-linux-gnu.so"), "a locked library": hook("code/numpy/__init__.py"),
    "a locked library elsewhere": hook("code/_elsewhere/polars.py"), "in other letters": hook("code/NumPy.py"),
    "links": swap("link"), "hard links": swap("hard link"), "a link by its true name": swap("true name"),
    "a folder that is a link": swap("folder link"), "a pipe": swap("fifo"), "a result that is a link": swap("result link"),
    "statistics": statistics, "notes": notes, "written by another": elsewhere_written, "white space": trailing,
}  # fmt: skip


@pytest.mark.quick(1)
@pytest.mark.parametrize("what", LIES, ids=lambda what: what.replace(" ", "-"))
def test_no_lie_gets_better_than_different(what: str, package: Path) -> None:
    LIES[what](package)
    assert never_better(package)


@pytest.mark.slow
def test_another_kernel_on_record_excuses_nothing_that_no_kernel_changes(package: Path) -> None:
    """What another kernel may do is no excuse for a step that gives the same under any."""
    kernel(package)
    verdict = reproduce(package)
    assert (verdict.verdict, verdict.exit_code) == ("different", 1), verdict
    assert verdict.first_difference is not None and "it gives the same as here" in verdict.first_difference.detail


WHEELS = {
    "a path file": {"threadpoolctl_x.py": PATCH, "threadpoolctl.pth": "import threadpoolctl_x\n"},
    "a site hook": {"sitecustomize.py": PATCH},
    "in pellucid's folder": {"pellucid/pipeline/running/worker.py": "raise SystemExit(3)"},
    "bytecode in pellucid's folder": {"pellucid/__pycache__/errors.cpython-311.pyc": "x"},
}


@pytest.mark.slow
@pytest.mark.parametrize("what", WHEELS, ids=lambda what: what.replace(" ", "-"))
def test_a_wheel_inside_changes_nothing_and_is_named(what: str, shop: Shop, tmp_path: Path) -> None:
    publish(shop.home, shop.run, tmp_path / "package", with_wheels=True)
    lie(tmp_path / "package")
    trojan(tmp_path / "package", WHEELS[what])
    assert never_better(tmp_path / "package")


@pytest.mark.slow
def test_wheels_that_no_index_has_are_said_in_the_first_line(shop: Shop, tmp_path: Path) -> None:
    """A library with another line in it: nobody can see it, so the verdict says whose wheels they are."""
    publish(shop.home, shop.run, tmp_path / "package", with_wheels=True)
    trojan(tmp_path / "package", {"threadpoolctl_more.py": "x = 1\n"})
    verdict = reproduce(tmp_path / "package")
    assert str(verdict).splitlines()[0] == "verdict: bit-identical, with wheels from its publisher", verdict
    assert verdict.wheels.startswith("from the publisher")


def test_files_of_other_bytes_are_named_by_check(package: Path) -> None:
    for change, says in ((notes, "pellucid writes them otherwise"), (trailing, "pellucid writes them otherwise")):
        change(package)
        with pytest.raises(PackageError, match=says):
            check(package)


def test_what_is_taken_out_of_a_re_run_are_regular_files_of_their_hash(tmp_path: Path) -> None:
    import os

    state, to = tmp_path / "state", tmp_path / "to"
    body = b'{"a":1.0}\n'
    true = hashlib.sha256(body).hexdigest()
    (state / "objects" / true[:2]).mkdir(parents=True)
    place = state / "objects" / true[:2] / f"{true}.json"

    def taken(sha: str = true, suffix: str = ".json", most: int = 1000, **more: Any) -> list[str]:
        result = {"steps": {"s": {"outputs": {"o": {"sha256": sha, "suffix": suffix, **more}}}}}
        rerun_outputs.copy_out(result, state, to, most)
        return [path.name for path in to.rglob("*") if path.is_file()]

    place.write_bytes(b"other")
    assert taken() == [], "its bytes are not of that hash"
    place.write_bytes(body)
    os.link(place, tmp_path / "second")
    assert taken() == [], "it has another name"
    (tmp_path / "second").unlink()
    assert taken(most=3) == [], "it is too large"
    for sha, suffix in ((f"../{true}", ".json"), (true.upper(), ".json"), (true, ".exe"), (true, "/../x.json"), ("", ".json")):
        assert taken(sha, suffix) == []
    place.rename(tmp_path / "real")
    place.symlink_to(tmp_path / "real")
    assert taken() == [], "it is a link"
    place.unlink()
    os.mkfifo(place)
    assert taken() == [], "it is a pipe"
    place.unlink()
    place.parent.rmdir()
    (tmp_path / "away").mkdir()
    (tmp_path / "real").rename(tmp_path / "away" / place.name)
    place.parent.symlink_to(tmp_path / "away")
    assert taken() == [], "its folder is a link"
    place.parent.unlink()
    (tmp_path / "away").rename(place.parent)
    assert taken() == [place.name]


def test_the_first_line_says_a_loose_tolerance(package: Path) -> None:
    from pellucid.packages.reproducing.verdict import StepVerdict, Verdict

    loose = Verdict("within tolerance", steps=(StepVerdict("a", "step", "re-run", "within tolerance", 0.9),))
    assert str(loose).splitlines()[0] == "verdict: within tolerance, of 0.9, as its publisher declared"
    tight = Verdict("within tolerance", steps=(StepVerdict("a", "step", "re-run", "within tolerance", 1e-9),))
    assert str(tight).splitlines()[0] == "verdict: within tolerance"


RECORDS: dict[str, tuple[Callable[[dict[str, bytes]], None], str]] = {
    "another hash": (lambda m: m.update({"a/__init__.py": b"x = 2\n"}), "states another hash or size of 'a/__init__.py'"),
    "a file more": (lambda m: m.update({"a/more.py": b""}), "'a/more.py' is in one of both only"),
    "a file less": (lambda m: m.pop("a/data.txt") and None, "'a/data.txt' is in one of both only"),
    "no record": (lambda m: m.pop("a-1.dist-info/RECORD") and None, "0 files RECORD"),
    "two records": (lambda m: m.update({"b-1.dist-info/RECORD": b""}), "2 files RECORD"),
    "no hash": (
        lambda m: m.update({"a-1.dist-info/RECORD": re.sub(rb"(data.txt),[^,]*", rb"\1,", m["a-1.dist-info/RECORD"])}),
        "states another hash or size of 'a/data.txt'",
    ),
    "another algorithm": (
        lambda m: m.update({"a-1.dist-info/RECORD": m["a-1.dist-info/RECORD"].replace(b"sha256=", b"md5=")}),
        "states another hash or size",
    ),
    "no text": (lambda m: m.update({"a-1.dist-info/RECORD": b"\xff"}), "it is not a wheel"),
}


@pytest.mark.parametrize("what", [*RECORDS, ""])
def test_the_record_of_a_wheel_is_held_against_its_files(what: str, tmp_path: Path) -> None:
    from pellucid.packages.format import wheel

    members = {"a/__init__.py": b"x = 1\n", "a/data.txt": b"text", "a-1.dist-info/METADATA": b"Name: a\nVersion: 1\n"}
    hashes = {
        name: base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode() for name, body in members.items()
    }
    lines = [f"{name},sha256={hashes[name]},{len(body)}\r\n" for name, body in members.items()]
    members["a-1.dist-info/RECORD"] = "".join([*lines, "a-1.dist-info/RECORD,,\r\n"]).encode()
    if what:
        RECORDS[what][0](members)
    path = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    if not what:
        wheel.refuse_other_record(path, "w")
        return
    with pytest.raises(PackageError, match=re.escape(RECORDS[what][1])):
        wheel.refuse_other_record(path, "w")


@pytest.mark.slow
def test_a_wheel_whose_record_is_another_is_refused_before_anything_runs(shop: Shop, tmp_path: Path) -> None:
    publish(shop.home, shop.run, tmp_path / "package", with_wheels=True)
    check(tmp_path / "package")
    trojan(tmp_path / "package", {"threadpoolctl_more.py": "x = 1\n"}, honest_record=False)
    for judged in (check, reproduce):
        with pytest.raises(PackageError, match="its RECORD and its files differ"):
            judged(tmp_path / "package")


def test_what_the_lock_holds_beyond_what_pellucid_needs_is_listed(package: Path) -> None:
    from pellucid.packages.checking import beyond, libraries_in_words

    assert beyond(package) == () and "none but those that pellucid itself needs" in str(check(package))
    lock = package / "environment/requirements.lock"
    known = re.search(r"threadpoolctl==(\S+) \\\n.*?sha256:([0-9a-f]{64})", lock.read_text())
    assert known is not None
    text = lock.read_text().replace(known[2], "0" * 64) + "zebra==1.0 \\\n    --hash=sha256:" + "1" * 64 + "\n"
    lock.write_text(text)
    found = beyond(package)
    assert found == (f"threadpoolctl {known[1]} (files that pellucid's own lock does not have)", "zebra 1.0")
    assert libraries_in_words(found).startswith("beyond what pellucid needs: threadpoolctl")
    from pellucid.packages.reproducing.verdict import Verdict

    assert "libraries: beyond what pellucid needs: threadpoolctl" in str(Verdict("different", libraries=found))
    assert Verdict("different", libraries=found).to_json()["libraries"] == found
