"""The guarantee in a package: of the right shape, the one of the release's own output, and no stronger than the noise it describes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from package_shop import Shop

from pellucid.errors import PackageError
from pellucid.packages.checking import guarantee_verification
from pellucid.packages.checking.artifact_verification import otherwise
from pellucid.packages.checking.package_check import whole_package
from pellucid.packages.format import fixity, guarantee_schema
from pellucid.packages.format.manifest import Entry, Value

sys.path.insert(0, str(Path(__file__).parents[1] / "privacy"))
ZEROS = "0" * 64


def released(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in data["trace"] if entry["step"] == "counts")
    return found


def promise(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda data: change(released(data)["guarantee"])


def mechanism(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda data: change(released(data)["guarantee"]["mechanism"])


def both(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    """Guarantee and mechanism state the same."""
    return promise(lambda g: (g.update({name: value}), g["mechanism"].update({name: value})))


def event(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return mechanism(lambda m: m["events"][0].update(changes))


LIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "none at all": (lambda data: released(data).pop("guarantee"), "a release without a guarantee"),
    "null": (lambda data: released(data).update(guarantee=None), "a release without a guarantee"),
    "of a step that is no release": (lambda d: next(e for e in d["trace"] if e["step"] == "best").update(guarantee={}), "is no release"),
    "more than a guarantee": (promise(lambda g: g.update(more=1)), "it does not consist of"),
    "a smaller epsilon": (promise(lambda g: g.update(epsilon=0.01)), "its epsilon is no number, or not that of its mechanism"),
    "a smaller epsilon twice": (both("epsilon", 0.01), "another epsilon than its output"),
    "epsilon 0": (both("epsilon", 0), "epsilon must be a number above 0"),
    "a huge epsilon": (both("epsilon", 1e5), "promises nothing"),
    "a text for epsilon": (both("epsilon", "1"), "its epsilon is no number"),
    "delta 5": (both("delta", 5), "delta must lie between 0 and 1"),
    "a smaller delta": (both("delta", 0), "another delta than its output"),
    "true for delta": (both("delta", True), "its delta is no number"),
    "objects for accounts": (promise(lambda g: g.update(accounts=[{}])), "its accounts have no names"),
    "no account": (promise(lambda g: g.update(accounts=[])), "its accounts have no names"),
    "no event": (promise(lambda g: g.update(ledger={})), "it names no event of a ledger"),
    "a hash that is none": (promise(lambda g: g["ledger"].update(hash="x")), "is no digest"),
    "no commitment": (promise(lambda g: g.update(key_commitment="")), "is no digest"),
    "no unit": (mechanism(lambda m: m.update(unit="")), "its mechanism has no unit"),
    "no relation": (mechanism(lambda m: m.pop("relation")), "its mechanism has no relation"),
    "nothing not covered": (mechanism(lambda m: m.update(not_covered=[])), "what is not covered is not a list of texts"),
    "letters not covered": (mechanism(lambda m: m.update(not_covered="abc")), "what is not covered is not a list"),
    "an object not covered": (mechanism(lambda m: m.update(not_covered={"a": 1})), "what is not covered is not a list"),
    "no events": (mechanism(lambda m: m.pop("events")), "its events are not what an accountant takes"),
    "an event of nothing": (mechanism(lambda m: m.update(events=[{}])), "its events are not"),
    "a number that fills the memory": (event(sigma2="1e99999999"), "its events are not"),
    "cells that fill the memory": (event(cells=10**12), "its events are not"),
    "another output's number": (mechanism(lambda m: m.update(max_contributions=1)), "another max_contributions than its output"),
    "less noise than it takes": (event(sigma2="1/2"), "the noise that it describes gives epsilon"),
    "more cells than it takes": (event(cells=200), "the noise that it describes gives epsilon"),
    "a threshold that takes all of delta": (mechanism(lambda m: m.update(extra_delta=0.5)), "gives none at this delta"),
}  # fmt: skip


@pytest.mark.parametrize("case", LIES)
def test_a_guarantee_that_is_none_or_another_is_refused(case: str, package: Path) -> None:
    lie, said = LIES[case]
    data = json.loads((package / "manifest.json").read_text())
    lie(data)
    (package / "manifest.json").write_text(json.dumps(data))
    fixity.write(package)
    with pytest.raises(PackageError, match=said) as caught:
        _ = whole_package(package), otherwise(package)
    assert "\n" not in str(caught.value)


def test_a_release_that_keeps_its_guarantee_back_is_refused(package: Path) -> None:
    data = json.loads((package / "manifest.json").read_text())
    released(data)["outputs"].pop("counts_guarantee")
    node = next(node for node in data["graph"] if node["step"] == "counts")
    node["outputs"] = [output for output in node["outputs"] if output[0] == "counts"]
    (package / "artifacts/counts_guarantee.json").unlink()
    (package / "manifest.json").write_text(json.dumps(data))
    fixity.write(package)
    with pytest.raises(PackageError, match="does not give its guarantee beside what it releases"):
        whole_package(package)


@pytest.mark.quick(2)
@pytest.mark.parametrize("relation", ["add-remove", "replace"])
@pytest.mark.parametrize("epsilon", [0.05, 1.0, 8.0])
def test_what_every_mechanism_promises_is_accepted_and_half_of_it_refused(relation: str, epsilon: float, tmp_path: Path) -> None:
    """Of every mechanism there is: shape, output and noise agree; the same noise does not carry half the epsilon."""
    import mechanism_checks as every

    from pellucid.store import kinds

    def entry(described: dict[str, Any], stated: float) -> Entry:
        whole = {**described, "unit": "user_id", "epsilon": stated}
        known = {"epsilon": stated, "delta": described["delta"], "accounts": ["a"], "mechanism": whole}
        known |= {"key_commitment": ZEROS, "ledger": {"seq": 1, "hash": ZEROS}}
        path = Value("metrics", f"metrics:{ZEROS}", "g.json", ZEROS)
        outputs = {"r": path, "r_guarantee": path}
        return Entry(
            "r",
            "release",
            "open",
            "given",
            outputs=outputs,
            guarantee=guarantee_schema.checked(json.loads(json.dumps(known)), "r"),
        )

    tried = 0
    for name, case in ((name, case) for name, cases in every.CASES.items() for case in cases):
        delta = 0.0 if getattr(case.mechanism, "pure", False) else 1e-6
        described = case.mechanism.guarantee(epsilon, delta, relation)
        honest = entry(described, epsilon)
        kinds.save(case.mechanism.numbers(epsilon, delta, relation), "metrics", tmp_path, "g")
        guarantee_verification.refuse_other_output(tmp_path, honest, name)
        guarantee_verification.refuse_stronger(honest, name)
        with pytest.raises(PackageError, match="the noise that it describes gives"):
            guarantee_verification.refuse_stronger(entry(described, epsilon / 2), name)
        tried += 1
    assert tried >= 10


def test_the_steward_holds_the_guarantee_against_the_ledger(shop: Shop, package: Path, keys: Path) -> None:
    from pellucid.packages.format import manifest
    from pellucid.packages.reproducing import steward_rerun

    steward = steward_rerun.Steward(shop.home, keys)
    assert {result for _, _, result, _ in steward_rerun.rerun(manifest.read(package), steward)} == {"bit-identical"}
    data = json.loads((package / "manifest.json").read_text())
    released(data)["guarantee"]["mechanism"]["unit"] = "household"  # nothing in the package speaks against it
    (package / "manifest.json").write_text(json.dumps(data))
    found = [one for one in steward_rerun.rerun(manifest.read(package), steward) if one[2] != "bit-identical"]
    assert [(step, detail) for step, _, _, detail in found] == [("counts", "the ledger has another guarantee than the package")]
