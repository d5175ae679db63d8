"""The standards' own validators on a package, each in an environment of its own and without network; and strangers' tools."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid.errors import PackageError
from pellucid.packages import check, fixity

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


LIES = {
    "another guarantee": (rewritten("privacy/counts.json", '"epsilon": 2.0', '"epsilon": 0.2'), "another guarantee"),
    "another title": (rewritten("datacite.json", "What a shop sells", "Truth"), "another title or year"),
    "another citation": (rewritten("CITATION.cff", "What a shop sells", "Truth"), "it lacks the line"),
    "another context": (rewritten("ro-crate-metadata.json", "w3id.org/ro/crate/1.1/context", "x.example"), "its context is not"),
    "a dangling reference": (rewritten("ro-crate-metadata.json", '"@id": "#control-best"', '"@id": "#none"'), "refers to"),
    "an undescribed file": (lambda p: ((p / "more.txt").write_text("x"), fixity.write(p)), "it does not describe 'more.txt'"),
    "another croissant file": (rewritten("croissant.json", '"contentUrl": "artifacts/b', '"contentUrl": "artifacts/w'), "by its place"),
    "no licence": (rewritten("croissant.json", '"license": [', '"licence": ['), "states no licence"),
    "another bill": (rewritten("sbom.cdx.json", '"specVersion": "1.6"', '"specVersion": "1.5"'), "not CycloneDX 1.6"),
    "changed code": (rewritten("code/shop.py", "power", "powder"), "another SHA-256 of 'code/shop.py'"),
    "no card": (lambda p: ((p / "privacy/counts.json").unlink(), fixity.write(p)), "privacy/counts.json: the file is missing"),
}  # fmt: skip


@pytest.mark.parametrize("case", LIES)
def test_a_description_that_tells_of_something_else_is_refused(case: str, package: Path) -> None:
    lie, reason = LIES[case]
    assert check(package).files > 20
    lie(package)
    with pytest.raises(PackageError, match=reason):
        check(package)
