"""The standards' own validators on a package, each in an environment of its own and without network; and strangers' tools."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pellucid.errors import PackageError
from pellucid.packages import check
from pellucid.packages.catalogue.site_build import build
from pellucid.packages.checking import artifact_verification, package_check
from pellucid.packages.checking.package_check import whole_package
from pellucid.packages.format import fixity, wheel
from pellucid.packages.format.json_text import as_json

HERE = Path(__file__).parent
CONTEXTS = HERE.parents[2] / "shared" / "data" / "ro-crate-contexts"
Tool = Callable[[str], Path]
pytestmark = pytest.mark.timeout(300)

DATACITE = """
import json, sys
from datacite import schema45
record = json.load(open(sys.argv[1]))
print(json.dumps([error.message for error in schema45.validator.iter_errors(record)]))
"""
CYCLONEDX = """
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
print(json.dumps([] if error is None else [str(error)]))
"""
ROWS = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlcroissant
found = mlcroissant.Dataset(sys.argv[1])
print(json.dumps({r.uuid: sum(1 for _ in found.records(r.uuid)) for r in found.metadata.record_sets}))
"""
CRATE = """
import json, sys
from rocrate.rocrate import ROCrate
crate = ROCrate(sys.argv[1])
print(json.dumps([crate.root_dataset["name"], crate.mainEntity.id, len(crate.data_entities)]))
"""


def alone(*command: Any) -> subprocess.CompletedProcess[str]:
    """Run a command without any network, where this system allows to take it away."""
    words = [str(word) for word in command]
    if subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode == 0:
        words = ["unshare", "-rn", *words]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def said(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr[-800:]
    return json.loads(done.stdout.splitlines()[-1])


# The pattern of this check takes "http..." alone for an absolute URI; a step of somebody's pipeline has no address on the web, and its
# urn: is one as well. The workflow and its file are named by their path, as RO-Crate asks.
UNANSWERABLE = {"process-run-crate-0.5_5.1"}


@pytest.mark.slow
@pytest.mark.skipif(not CONTEXTS.is_dir(), reason=f"the contexts are not at {CONTEXTS}")
@pytest.mark.parametrize(
    "profile", ["ro-crate-1.1", "process-run-crate-0.5", "workflow-run-crate-0.5", "provenance-run-crate-0.5"]
)
def test_the_crate_meets_all_that_its_profiles_require_and_recommend(profile: str, published: Path, tool: Tool) -> None:
    done = alone(tool("roc-validator"), HERE / "validators" / "rocrate.py", published, CONTEXTS, profile, "RECOMMENDED")
    findings = said(done)
    assert [finding for finding in findings if finding[0] == "REQUIRED"] == []
    assert {finding[1] for finding in findings} <= UNANSWERABLE, findings


@pytest.mark.slow
@pytest.mark.skipif(not CONTEXTS.is_dir(), reason=f"the contexts are not at {CONTEXTS}")
def test_the_validator_is_not_blind(package: Path, tool: Tool) -> None:
    path = package / "ro-crate-metadata.json"
    crate = json.loads(path.read_text())
    for entity in crate["@graph"]:
        entity.pop("instrument", None)
    path.write_text(json.dumps(crate))
    done = alone(
        tool("roc-validator"), HERE / "validators" / "rocrate.py", package, CONTEXTS, "provenance-run-crate-0.5", "REQUIRED"
    )
    assert said(done)


@pytest.mark.slow
def test_the_data_sets_are_valid_croissant_and_load_with_their_own_tool(published: Path, tool: Tool) -> None:
    python = tool("mlcroissant")
    done = alone(python.parent / "mlcroissant", "validate", "--jsonld", published / "croissant.json")
    assert done.returncode == 0, done.stderr[-800:]
    assert "Found the following" not in done.stderr, done.stderr[-800:]
    rows = said(alone(python, "-c", ROWS, published / "croissant.json"))
    assert rows == {"goods": 2, "counts": 2, "shares/0000-power=1.0": 2, "shares/0001-power=2.0": 2}


@pytest.mark.slow
def test_the_citation_the_record_and_the_bill_of_materials_are_valid(published: Path, tool: Tool) -> None:
    cff = alone(tool("cffconvert").parent / "cffconvert", "--validate", "-i", published / "CITATION.cff")
    assert cff.returncode == 0, cff.stdout + cff.stderr
    assert said(alone(tool("datacite"), "-c", DATACITE, published / "datacite.json")) == []
    assert said(alone(tool("cyclonedx"), "-c", CYCLONEDX, published / "sbom.cdx.json")) == []


def test_libraries_in_the_bill_of_materials_have_hashes_and_licences(published: Path) -> None:
    bill = json.loads((published / "sbom.cdx.json").read_text())
    libraries = {one["name"]: one for one in bill["components"] if one["type"] == "library"}
    locked = (published / "environment/requirements.lock").read_text()
    assert len(libraries) > 20
    for name, one in libraries.items():
        files = one["externalReferences"]
        assert files and all(file["hashes"][0]["content"] in locked and file["url"].endswith(".whl") for file in files), name
    assert libraries["numpy"]["licenses"] != [] and {"expression": "MIT"} in libraries["polars"]["licenses"]
    lacking = sorted(name for name, one in libraries.items() if "licenses" not in one)
    assert len(lacking) <= 3, f"installed distributions state theirs: {lacking}"


@pytest.mark.slow
def test_the_crate_opens_with_strangers_tools(published: Path, tool: Tool) -> None:
    python = tool("roc-validator")
    name, entity, parts = said(alone(python, "-c", CRATE, published))
    assert (name, entity) == ("What a shop sells", "code/shop.py")
    assert parts > 15
    report = alone(python.parent / "runcrate", "report", published)
    assert report.returncode == 0, report.stderr[-800:]
    assert "action: #run-of-shares" in report.stdout and "artifacts/counts.parquet" in report.stdout


def test_pylock_is_one_and_names_what_the_lock_names(published: Path) -> None:
    import tomllib

    from packaging.pylock import Pylock

    found = tomllib.loads((published / "pylock.toml").read_text())
    Pylock.from_dict(found).validate()
    locked = {
        line.split("==")[0] for line in (published / "environment" / "requirements.lock").read_text().splitlines() if "==" in line
    }
    assert {package["name"] for package in found["packages"]} == {name.lower().replace("_", "-") for name in locked}
    assert all(wheel["hashes"]["sha256"] for package in found["packages"] for wheel in package["wheels"])


def test_the_page_is_for_people_and_leads_nowhere_else(published: Path) -> None:
    text = (published / "ro-crate-preview.html").read_text()
    for shown in ("What a shop sells", "Doe, Jane", "epsilon 2", "power=1.0", "<svg", "Withheld, because not open: sales"):
        assert shown in text, shown
    assert "<script" not in text and 'src="http' not in text and 'href="http' not in text


def test_the_card_of_a_release_is_for_machines_and_for_people(published: Path) -> None:
    card = json.loads((published / "privacy" / "counts.json").read_text())
    assert (card["epsilon"], card["delta"], card["unit"], card["relation"]) == (2.0, 1e-6, "person", "add or remove one unit")
    assert card["not_covered"] and len(card["ledger"]["hash"]) == 64 and len(card["key_commitment"]) == 64
    assert any("e^2 = 7.39" in sentence for sentence in card["in_words"])


def rewritten(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(package: Path) -> None:
        text = (package / path).read_text()
        assert old in text
        (package / path).write_text(text.replace(old, new, 1))
        fixity.write(package)

    return change


def swapped_hash(package: Path) -> None:
    path = package / "pylock.toml"
    path.write_text(re.sub('sha256 = "[0-9a-f]{8}', 'sha256 = "00000000', path.read_text(), count=1))
    fixity.write(package)


ANEW = "it is not what follows from the manifest and the files"
LIES = {
    "another number in the readme": (rewritten("README.md", "| best | `top_0` | 0.5", "| best | `top_0` | 0.9"), f"README.md: {ANEW}"),
    "a script on the page": (rewritten("ro-crate-preview.html", "<h1>", "<script>1</script><h1>"), f"preview.html: {ANEW}"),
    "another guarantee on the page": (rewritten("ro-crate-preview.html", "epsilon 2", "epsilon 0.02"), f"preview.html: {ANEW}"),
    "another guarantee": (rewritten("privacy/counts.json", '"epsilon": 2.0', '"epsilon": 0.2'), ANEW),
    "another title": (rewritten("datacite.json", "What a shop sells", "Truth"), f"datacite.json: {ANEW}"),
    "another creator": (rewritten("datacite.json", "Doe", "Roe"), f"datacite.json: {ANEW}"),
    "another author to cite": (rewritten("CITATION.cff", "Doe", "Roe"), f"CITATION.cff: {ANEW}"),
    "another context": (rewritten("ro-crate-metadata.json", "w3id.org/ro/crate/1.1/context", "x.example"), ANEW),
    "a dangling reference": (rewritten("ro-crate-metadata.json", '"@id": "#control-best"', '"@id": "#none"'), ANEW),
    "another column": (rewritten("croissant.json", '"column": "price"', '"column": "name"'), f"croissant.json: {ANEW}"),
    "null for the columns": (rewritten("croissant.json", '"field": [', '"field": null, "x": ['), f"croissant.json: {ANEW}"),
    "no licence": (rewritten("croissant.json", '"license": [', '"licence": ['), f"croissant.json: {ANEW}"),
    "another bill": (rewritten("sbom.cdx.json", '"specVersion": "1.6"', '"specVersion": "1.5"'), f"sbom.cdx.json: {ANEW}"),
    "an undescribed file": (lambda p: ((p / "more.txt").write_text("x"), fixity.write(p)), "more.txt: it is no part of a package"),
    "an undescribed file of code": (lambda p: ((p / "code/more.py").write_text("x"), fixity.write(p)), ANEW),
    "no card": (lambda p: ((p / "privacy/counts.json").unlink(), fixity.write(p)), "privacy/counts.json: the file is missing"),
    "more in the manifest": (rewritten("manifest.json", '"seed": 7', '"seed": 7,\n "more": 1'), f"manifest.json: {ANEW}"),
    "another place to get a library": (rewritten("pylock.toml", "https://files.pythonhosted.org", "file:///tmp"), "is not that of a wheel"),
    "another library": (rewritten("pylock.toml", 'name = "numpy"', 'name = "numpie"'), "its packages are not those of"),
    "another file of a library": (swapped_hash, "names a file that environment/requirements.lock does not allow"),
    "more than a lock": (rewritten("pylock.toml", "[[packages]]", "[tool.x]\n[[packages]]"), "it is not as pellucid writes it"),
    "a lock that is none": (lambda p: ((p / "pylock.toml").write_text("x = ["), fixity.write(p)), "it is no pylock.toml"),
}  # fmt: skip


@pytest.fixture
def unsealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Artifacts are opened in this process: the same is found, seconds sooner."""
    monkeypatch.setattr(package_check, "look_inside", artifact_verification.otherwise)


@pytest.mark.quick(8)
@pytest.mark.usefixtures("unsealed")
@pytest.mark.parametrize("case", LIES)
def test_a_description_that_tells_of_something_else_is_refused(case: str, package: Path) -> None:
    lie, reason = LIES[case]
    lie(package)
    with pytest.raises(PackageError, match=reason):
        check(package)


def by_another_pellucid(package: Path) -> None:
    """A package whose wheel is of another source."""
    (own,) = (package / "environment").glob("*.whl")
    with zipfile.ZipFile(own) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    record = next(name for name in members if name.endswith("/RECORD"))
    nothing = base64.urlsafe_b64encode(hashlib.sha256(b"").digest()).rstrip(b"=").decode()
    members |= {"pellucid/more.py": b"", record: members[record] + f"pellucid/more.py,sha256={nothing},0\n".encode()}
    with zipfile.ZipFile(own, "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["environment"]["pellucid_source"] = wheel.source_digest(own, own.name)
    (package / "manifest.json").write_bytes(as_json(manifest))


@pytest.mark.usefixtures("unsealed")
def test_descriptions_by_another_pellucid_are_not_called_right(package: Path) -> None:
    by_another_pellucid(package)
    fixity.write(package)
    found = check(package)
    assert found.exit_code == 1
    assert "ro-crate-metadata.json" in found.otherwise
    assert str(found).startswith("whole, but for its descriptions: shop")
    assert "Believe the manifest, not them" in str(found)


@pytest.mark.usefixtures("unsealed")
def test_a_catalogue_takes_no_word_from_descriptions_that_are_not_confirmed(package: Path, tmp_path: Path) -> None:
    by_another_pellucid(package)
    text = (package / "croissant.json").read_text().replace('"column": "price"', '"column": "prize-of-lies"')
    (package / "croissant.json").write_text(text)
    fixity.write(package)
    build([package], tmp_path / "site")
    assert not [path for path in (tmp_path / "site").rglob("*.html") if "prize-of-lies" in path.read_text()]


def test_one_hostile_package_does_not_stop_a_site(published: Path, package: Path, tmp_path: Path) -> None:
    rewritten("croissant.json", '"field": [', '"field": null, "x": [')(package)
    made = build([package, published], tmp_path / "site", keep_going=True)
    assert (made.packages, len(made.refused)) == (1, 1)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10**6), value=st.sampled_from([None, 7, -1, "x\x1b", [], {}, [None], {"a": None}, True, 1e300]))
def test_hostile_json_gets_one_line(published: Path, at: int, value: object) -> None:
    """Anything in the place of any value of the manifest: refused by name, or found out by its descriptions; never another error."""
    data = json.loads((published / "manifest.json").read_text())
    places = list(places_in(data))
    holder, name = places[at % len(places)]
    if holder[name] == value:
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(published, Path(folder, "package"), copy_function=os.link))
        holder[name] = value
        for path in ("manifest.json", "MANIFEST.sha256"):
            (copy / path).unlink()
        (copy / "manifest.json").write_bytes(as_json(data))
        fixity.write(copy)
        with suppress(PackageError):
            whole_package(copy)


def places_in(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value, the containers' too."""
    for name in list(data) if isinstance(data, dict) else range(len(data)):
        yield data, name
        if isinstance(data[name], dict | list):
            yield from places_in(data[name])
