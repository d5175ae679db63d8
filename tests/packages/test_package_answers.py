"""Packages that hand in the record as their own result, that bring their own judge, and that unpack to more than there is."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cells import HANDICAPS
from witnesses import key_of

from pellucid.errors import PackageError
from pellucid.packages import issue
from pellucid.packages.format import fixity, wheel
from pellucid.packages.format import manifest as manifests
from pellucid.packages.format.manifest import RERUN, Entry, Manifest, Value
from pellucid.packages.receipts import receipt
from pellucid.packages.reproducing import reproduce, rerun_inputs
from pellucid.packages.reproducing.runner_selection import OWN
from pellucid.packages.reproducing.verdict import BY_ITS_WORD
from pellucid.sandbox import launcher
from pellucid.store import kinds

pytestmark = pytest.mark.timeout(300)
needs_confinement = pytest.mark.skipif(not launcher.tried().sealed, reason="this system cannot cut off files and network")


def forge(package: Path) -> None:
    """Another number in the last metrics, and a trace that agrees with it."""
    data = json.loads((package / "manifest.json").read_text())
    stated = next(entry["outputs"]["best"] for entry in data["trace"] if entry["step"] == "best")
    path = package / stated["path"]
    path.write_text(re.sub(r'"top_1": 0\.\d', '"top_1": 0.9', path.read_text()))
    stated |= {"digest": kinds.digest(path, "metrics"), "sha256": fixity.sha256_of(path), "size": path.stat().st_size}
    (package / "manifest.json").write_text(json.dumps(data))


CHEAT = """
import json, os
_answer = None
_above = lambda path: os.path.dirname(os.path.dirname(path))
for _top in (_above(os.path.abspath(__file__)), _above(os.environ.get("PELLUCID_LOCK", "")), {package!r}, "/tmp", os.path.expanduser("~"),
             os.getcwd() + "/../..", "/proc/1/root", "/proc/self/root"):
    for _folder, _, _files in os.walk(_top):
        for _name in _files:
            if _name == "best.json" or _name == {digest!r} + ".json":
                try:
                    _answer = json.load(open(os.path.join(_folder, _name)))
                except (OSError, ValueError):
                    pass
            elif _name in ("manifest.json", "ro-crate-metadata.json", "MANIFEST.sha256"):
                try:
                    assert {digest!r} not in open(os.path.join(_folder, _name)).read(), "the digest of the answer is there"
                except OSError:
                    pass
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@needs_confinement
def test_code_that_looks_for_the_answer_does_not_find_it(package: Path, tmp_path: Path) -> None:
    forge(package)
    code, digest = package / "code" / "shop.py", fixity.sha256_of(package / "artifacts" / "best.json")
    text = code.read_text().replace("import sys\n", "import sys\n" + CHEAT.format(package=str(package), digest=digest), 1)
    head = "floor: float = 0.0) -> pl.Metrics:\n"
    assert head in text
    code.write_text(text.replace(head, head + "    if _answer:\n        return _answer\n"))
    fixity.write(package)
    first = reproduce(package, workspace=tmp_path / "first").first_difference
    assert first is not None and "the package states other code than its pipeline has" in first.detail
    loaded = json.loads(next((tmp_path / "first/rerun-1").rglob("closures.json")).with_name("result.json").read_text())["loaded"][
        "code"
    ]
    data = json.loads((package / "manifest.json").read_text())
    for entry in data["trace"]:
        if entry["step"] in loaded:
            entry["code"] = loaded[entry["step"]]
    (package / "manifest.json").write_text(json.dumps(data))
    fixity.write(package)
    verdict = reproduce(package)
    assert verdict.verdict == "different", verdict
    assert verdict.first_difference is not None
    assert (verdict.first_difference.step, verdict.first_difference.output) == ("best", "best")


def test_a_view_holds_no_output_that_it_has_to_make_and_nothing_made_of_it(published: Path, tmp_path: Path) -> None:
    manifest = manifests.read(published)
    assert rerun_inputs.groups(manifest, ["best", "shares"]) == [(0, ["shares"]), (1, ["best"])]
    views = rerun_inputs.Views(published, manifest, tmp_path / "views")
    for name, steps, seen in (("survey", [], set()), ("a", ["shares"], {"counts", "goods"}), ("b", ["best"], {"shares"})):
        shown = views.lay_out(name, steps).read_text()
        assert all(path.stat().st_nlink == 1 for path in (tmp_path / "views").rglob("*") if path.is_file()), (
            "the package's own files"
        )
        assert {path.name for path in views.code.iterdir()} == {"code", "environment"}
        wanted = sorted(leaf.sha256 for taken in seen for leaf in manifest.open[taken].leaves)
        assert sorted(fixity.sha256_of(Path(path)) for path in json.loads(shown)["files"].values()) == wanted
        assert set(json.loads(shown)["given"]) == seen
        for hidden in {"shares", "best"} - seen:
            assert not any(word in shown for leaf in manifest.open[hidden].leaves for word in (leaf.digest, leaf.sha256))


def entry(step: str, *inputs: str, role: str = RERUN) -> Entry:
    value = Value("metrics", "metrics:" + "0" * 64, f"artifacts/{step}.json", "0" * 64, 1)
    taken = {name: (name, value.digest) for name in inputs}
    return Entry(step, "step", "open", role, taken if role == RERUN else {}, {step: value})


def traced(*entries: Entry) -> Manifest:
    graph = tuple(
        {"step": e.step, "kind": e.kind, "label": e.label, "inputs": {name: name for name in e.inputs} | RELEASED.get(e.step, {}),
         "outputs": [[e.step, "metrics", False]], "tolerance": None}
        for e in entries
    )  # fmt: skip
    return Manifest("p", "code/p.py", "run", 0, {}, graph, entries, {}, (), "", "", 0.0, {}, {})


RELEASED = {"released": {"of": "a"}}


def test_levels_follow_the_longest_way() -> None:
    trace = traced(
        entry("source", role="given"), entry("a", "source"), entry("b", "a"), entry("c", "source"), entry("d", "b", "c"), entry("e", "a")
    )  # fmt: skip
    assert rerun_inputs.groups(trace, "abcde") == [(0, ["a", "c"]), (1, ["b", "e"]), (2, ["d"])]
    assert rerun_inputs.groups(trace, "d") == [(2, ["d"])]


def test_each_step_sees_its_own_inputs_only_and_no_release_that_was_made_of_it() -> None:
    trace = traced(
        entry("s", role="given"), entry("t", role="given"), entry("a", "s"), entry("b", "t"), entry("released", role="given"),
        entry("c", "released"), entry("d", "s", "t"),
    )  # fmt: skip
    assert rerun_inputs.groups(trace, "abcd") == [(0, ["a"]), (0, ["d"]), (0, ["b"]), (1, ["c"])]
    many = [entry(f"x{at}", "s", f"y{at}") for at in range(rerun_inputs.ALONE + 1)]
    given = [entry(f"y{at}", role="given") for at in range(rerun_inputs.ALONE + 1)]
    ((level, together),) = rerun_inputs.groups(traced(entry("s", role="given"), *given, *many), [one.step for one in many])
    assert level == 0 and len(together) == len(many)


@pytest.mark.parametrize("trace", [traced(entry("a", "a")), traced(entry("a", "b"), entry("b", "a"))])
def test_a_step_that_takes_in_its_own_output_is_refused(trace: Manifest) -> None:
    with pytest.raises(PackageError, match="which is made later"):
        rerun_inputs.groups(trace, "ab")


@pytest.mark.parametrize("handicap", ["no privilege", "no namespaces"])
@pytest.mark.slow
def test_a_package_is_bit_identical_also_where_less_of_the_kernel_can_be_had(handicap: str, published: Path) -> None:
    main = "\nfrom pellucid.cli.main import main\nimport sys\nraise SystemExit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", HANDICAPS[handicap] + main, "reproduce", str(published), "--sandbox", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    assert told["verdict"] == "bit-identical", told
    assert told["environment"] == []
    assert told["network"].startswith("none (") and told["network"].endswith("unix sockets: none")


# the pellucid in the package -------------------------------------------------------------------------------------------------

COPYING = """
import json, os
from pathlib import Path
CLOSURES = "closures.json"
def main(view, work, task, closures):
    steps, top = {}, Path(view).parent
    names = [*top.rglob("*"), *Path("/").glob("*"), *Path(work).parent.rglob("*")]
    for path in [path for path in names if path.suffix in (".json", ".parquet") and path.is_file()]:
        try:
            body = path.read_bytes()
        except OSError:
            continue
        import hashlib
        sha = hashlib.sha256(body).hexdigest()
        place = Path(work, "state", "objects", sha[:2], sha + path.suffix)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)
    for step in task["steps"]:
        steps[step] = {"action": "ran", "message": "", "outputs": {step: ANSWERS.get(step, {})}}
    Path(work, CLOSURES).write_text("{}")
    Path(work, "result.json").write_text(json.dumps({"environment": {}, "steps": steps}))
    return False
"""


def copying(package: Path) -> str:
    """A judge that knows what each step has to come to, and looks for the files."""
    trace = json.loads((package / "manifest.json").read_text())["trace"]
    known = {
        entry["step"]: {**value, "suffix": Path(value["path"]).suffix}
        for entry in trace
        if entry["role"] == "re-run"
        for value in entry["outputs"].values()
        if "sha256" in value
    }
    return f"ANSWERS = {known!r}\n{COPYING}"


def rebuilt(package: Path, version: str, files: dict[str, str]) -> None:
    """Put another wheel of pellucid into the package: of a version, with some files of its own."""
    (old,) = (package / "environment").glob("pellucid-*.whl")
    was = old.name.split("-")[1]
    members = {}
    with zipfile.ZipFile(io.BytesIO(wheel.build())) as archive:
        for name in archive.namelist():
            members[name.replace(f"pellucid-{was}.dist-info", f"pellucid-{version}.dist-info")] = archive.read(name)
    info = f"pellucid-{version}.dist-info"
    members |= {name: text.encode() for name, text in files.items()}
    members[f"{info}/METADATA"] = members[f"{info}/METADATA"].replace(f"Version: {was}".encode(), f"Version: {version}".encode())
    members.pop(f"{info}/RECORD")
    coded = {
        name: base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode() for name, body in members.items()
    }
    lines = [f"{name},sha256={coded[name]},{len(body)}\n" for name, body in members.items()]
    members[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"]).encode()
    old.unlink()
    with zipfile.ZipFile(package / "environment" / f"pellucid-{version}-py3-none-any.whl", "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    data = json.loads((package / "manifest.json").read_text())
    made = package / "environment" / f"pellucid-{version}-py3-none-any.whl"
    data["environment"] |= {"pellucid": version, "pellucid_source": wheel.source_digest(made, made.name)}
    (package / "manifest.json").write_text(json.dumps(data))
    fixity.write(package)


@pytest.mark.slow
def test_of_the_same_version_the_verifier_s_own_pellucid_runs(package: Path) -> None:
    forge(package)
    rebuilt(package, wheel.name().split("-")[1], {"pellucid/packages/reproducing/rerun_process.py": copying(package)})
    verdict = reproduce(package)
    assert (verdict.verdict, verdict.runner) == ("different", OWN)
    assert not verdict.by_its_own_word


@needs_confinement
@pytest.mark.slow
def test_a_judge_that_copies_the_record_finds_none(package: Path) -> None:
    forge(package)
    rebuilt(package, "9.9.9", {"pellucid/packages/reproducing/rerun_process.py": copying(package)})
    verdict = reproduce(package)
    assert verdict.verdict == "different", verdict
    assert verdict.first_difference is not None and "the re-run gave no such output" in verdict.first_difference.detail
    assert str(verdict).splitlines()[0] == f"verdict: different, {BY_ITS_WORD}"


@pytest.mark.slow
def test_whose_word_a_verdict_is_stands_beside_it_and_in_the_receipt(package: Path, tmp_path: Path) -> None:
    rebuilt(package, "9.9.9", {})
    verdict = reproduce(package)
    assert verdict.verdict == "bit-identical", verdict
    assert str(verdict).splitlines()[0] == f"verdict: bit-identical, {BY_ITS_WORD}"
    assert verdict.runner == f"{BY_ITS_WORD}: pellucid-9.9.9-py3-none-any.whl"
    private, _ = key_of(tmp_path, "ann")
    issue(verdict, tmp_path / "ann.json", key=private)
    assert receipt.read(tmp_path / "ann.json").runner == verdict.runner
    command = [sys.executable, "-m", "pellucid", "receipts", str(package), str(tmp_path / "ann.json")]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"note: ann.json is {BY_ITS_WORD}" in " ".join(shown.split())


# what unpacks to more than there is ------------------------------------------------------------------------------------------

CHECKED = """
import json, resource, sys
from pathlib import Path
from pellucid.errors import PackageError
from pellucid.packages.checking import package_check
said = ""
try:
    package_check.look_inside(Path(sys.argv[1]))
except PackageError as error:
    said = str(error)
print(json.dumps([said, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))
"""


def bomb(path: Path) -> None:
    """A small column file of 40 GB: 400,000 times the one string of its dictionary."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    large = pa.DictionaryArray.from_arrays(pa.array(np.zeros(400_000, dtype="int32")), pa.array(["x" * 100_000]))
    path.unlink()
    pq.write_table(pa.table({"item": large, "count": pa.array(np.zeros(400_000))}), path, compression="zstd")


def test_a_file_that_unpacks_to_40_gb_is_refused_in_2(package: Path) -> None:
    path = package / "artifacts" / "counts.parquet"
    bomb(path)
    assert path.stat().st_size < 100_000
    env: dict[str, Any] = {**os.environ}
    done = subprocess.run([sys.executable, "-c", CHECKED, str(package)], capture_output=True, text=True, check=True, env=env)
    said, peak = json.loads(done.stdout)
    assert said == "an artifact in it unpacks to more than the 2.0 GiB of memory that reading it may take"
    assert peak < 2.3 * (1 << 30)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_file_that_unpacks_to_40_gb_ends_a_comparison_in_words(package: Path) -> None:
    path = package / "artifacts" / "counts.parquet"
    bomb(path)
    data = json.loads((package / "manifest.json").read_text())
    stated = next(entry["outputs"]["counts"] for entry in data["trace"] if entry["step"] == "counts")
    stated |= {"sha256": fixity.sha256_of(path), "size": path.stat().st_size}
    (package / "manifest.json").write_text(json.dumps(data))
    fixity.write(package)
    verdict = reproduce(package, steps=["best"])
    assert verdict.verdict == "could not run"
    assert "unpacks to more than the 2.0 GiB" in str(verdict.reason)
