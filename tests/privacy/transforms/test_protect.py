"""In a pipeline: transforms stay protected, nothing that publishes takes them, and what keeps its unit can still be released."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from pellucid.errors import LabelError, PellucidError, UsageError
from pellucid.packages.publishing import publish
from pellucid.pipeline.record.run_record import Record
from pellucid.pipeline.running.pipeline_file import load
from pellucid.privacy import Ledger
from pellucid.store.labels import Level

PIPELINE = """
import pellucid as pl
from pellucid.privacy.transforms import Pseudonym, Sample, DropRare, SuppressSmall, Drop, Mask

visits = pl.source("visits.csv", label="private", unit="user_id", types={"user_id": "string"}, budget=pl.Budget(epsilon=3.0))
masked = pl.protect([Pseudonym("user_id", release="spring"), Sample("user_id", 0.9, release="spring")], of=visits)
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "keys"))
    rows = "\n".join(f"u{person},{item}" for person in range(400) for item in ("home", "help", "shop")[: 1 + person % 3])
    (tmp_path / "visits.csv").write_text(f"user_id,area\n{rows}\n")
    shutil.copy(Path(__file__).parents[3] / "requirements-dev.lock", tmp_path / "requirements.lock")

    def made(text: str, name: str = "pipeline") -> Any:
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(PIPELINE) + textwrap.dedent(text))
        sys.modules.pop(name, None)
        return load(path)

    return made


def test_what_is_protected_is_not_open_and_keeps_its_accounts(write: Any) -> None:
    pipeline = write("""
        rare = pl.protect(DropRare("area", "user_id", 5), of=masked)
        small = pl.protect(SuppressSmall(("area",), 5), of=visits)
        blind = pl.protect(Drop(("user_id",)), of=visits)
        alike = pl.protect(Mask("user_id", 1), of=visits)

        @pl.step
        def further(masked: pl.Table) -> pl.Table:
            return masked

        pipeline = pl.Pipeline("masks", [visits, masked, rare, small, blind, alike, further])
    """)
    labels = {name: bound.label for name, bound in pipeline.steps.items()}
    assert labels["masked"].level is Level.PROTECTED
    assert labels["masked"].unit == "user_id"
    for name in ("rare", "small", "blind", "alike", "further"):
        assert labels[name].level is Level.PROTECTED, name
        assert labels[name].unit is None, name
    assert {label.accounts for label in labels.values()} == {frozenset(["visits"])}


def test_nothing_that_publishes_takes_it(write: Any, tmp_path: Path) -> None:
    pipeline = write('pipeline = pl.Pipeline("masks", [visits, masked])')
    home = tmp_path / ".pellucid"
    run = pipeline.run(home=home, confined=True)
    assert run.status == "done"
    with pytest.raises(LabelError) as caught:
        publish(home, run.id, tmp_path / "out")
    said = str(caught.value)
    assert "masked is protected only: a transform proves nothing against someone who knows something else about a person" in said
    assert "pl.release(" in said
    assert "\n" not in said
    assert not (tmp_path / "out").exists()


def test_a_package_of_something_open_holds_nothing_of_it(write: Any, tmp_path: Path) -> None:
    pipeline = write("""
        counts = pl.release(pl.privacy.histogram(key="area", max_contributions=3), of=masked, epsilon=2.0, delta=1e-6)
        about = pl.About(title="Masks", description="Visits", creators=("Doe, Jane",), licence="MIT", data_licence="CC0-1.0")
        pipeline = pl.Pipeline("masks", [visits, masked, counts], about=about)
    """)
    home = tmp_path / ".pellucid"
    run = pipeline.run(home=home, confined=True)
    published = publish(home, run.id, tmp_path / "out")
    assert "masked" in published.withheld
    kept = Record(home)
    (row,) = [row for row in kept.steps(run.id) if row.step == "masked"]
    kept.close()
    assert (row.kind, row.label) == ("protect", "protected")
    secrets = [row.key, *(a.sha256 for a in row.outputs.values()), (tmp_path / "keys" / "steward.key").read_bytes().hex()]
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert not [s for s in secrets if s.encode() in path.read_bytes()], path


def test_a_release_of_what_keeps_its_unit_is_charged(write: Any, tmp_path: Path) -> None:
    text = """
        counts = pl.release(pl.privacy.histogram(key="area", max_contributions=3), of=masked, epsilon=2.0, delta=1e-6)
        pipeline = pl.Pipeline("masks", [visits, masked, counts])
    """
    home = tmp_path / ".pellucid"
    write(text).run(home=home, confined=True)
    ledger = Ledger(home)
    spends = ledger.spends()
    ledger.close()
    assert [spend["account"] for spend in spends] == ["visits"]
    more = write("""
        again = pl.release(pl.privacy.histogram(key="area", max_contributions=3), of=visits, epsilon=2.0, delta=1e-6)
        pipeline = pl.Pipeline("masks", [visits, again])
    """)
    with pytest.raises(PellucidError, match="left"):
        more.run(home=home, confined=True)


def test_what_compares_people_cannot_be_released(write: Any) -> None:
    with pytest.raises(LabelError, match="has no unit"):
        write("""
            rare = pl.protect(DropRare("area", "user_id", 5), of=visits)
            counts = pl.release(pl.privacy.histogram(key="area", max_contributions=3), of=rare, epsilon=2.0, delta=1e-6)
            pipeline = pl.Pipeline("masks", [visits, rare, counts])
        """)


def test_the_same_again_is_reused_and_another_key_makes_others(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, home = write('pipeline = pl.Pipeline("masks", [visits, masked])'), tmp_path / ".pellucid"
    first, again = pipeline.run(home=home, confined=True), pipeline.run(home=home, confined=True)
    assert [run.steps["masked"].action for run in (first, again)] == ["ran", "reused"]
    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "other"))
    other = pipeline.run(home=home, confined=True)
    assert other.steps["masked"].action == "ran"
    one, two = (set(run["masked"].arrow()["user_id"].to_pylist()) for run in (first, other))
    assert not one & two


def test_assessments_are_private_steps(write: Any, tmp_path: Path) -> None:
    pipeline = write("""
        before = pl.privacy.assess.log(visits, unit="user_id", item="area", known=2)
        after = pl.privacy.assess.table(masked, quasi_identifiers=["area"])
        pipeline = pl.Pipeline("masks", [visits, masked, before, after])
    """)
    labels = {name: bound.label.level for name, bound in pipeline.steps.items()}
    assert (labels["before"], labels["after"]) == (Level.PRIVATE, Level.PROTECTED)
    home = tmp_path / ".pellucid"
    run = pipeline.run(home=home, confined=True)
    assert run["before"]["k1_anonymity"] == 133
    assert run["after"]["k_anonymity"] >= 100
    record = Record(home)
    assert {row.kind for row in record.steps(run.id)} == {"source", "protect", "assess"}
    record.close()
    with pytest.raises(LabelError):
        publish(home, run.id, tmp_path / "out")


def test_an_open_table_needs_no_protection_and_others_may_not_claim_it(write: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is open: there is nothing to protect"):
        write("""
            areas = pl.source("visits.csv", label="open")
            again = pl.protect(Mask("area", 1), of=areas)
            pipeline = pl.Pipeline("masks", [areas, again])
        """)
    with pytest.raises(LabelError, match="only pellucid's own transforms"):
        write("""
            import dataclasses

            class Own:
                def keeps(self, unit): return True

            own = dataclasses.replace(masked, protection=Own())
            pipeline = pl.Pipeline("masks", [visits, own])
        """)
