"""A look at the rows before a release is said before it is shown, costs nothing, and is on every card afterwards."""

from __future__ import annotations

import json
import re

import pytest
from workshop import Project

from pellucid.privacy.accounting.looks import LOOKED, looked, note_look
from pellucid.privacy.private_forecast import WARNING

PIPELINE = """
    rows = pl.source("rows.csv", label="private", unit="person", budget=pl.Budget(epsilon=4.0, delta=1e-5))

    counts = pl.release(pl.privacy.histogram("item", max_contributions={cap}), of=rows, epsilon=1.0, delta=1e-6)


    @pl.step
    def top(counts: pl.Table) -> pl.Table:
        return counts.polars().sort("count", descending=True).head(1)


    about = pl.About(
        title="Counts", description="How many have each item.", creators=("Doe, Jane",), licence="MIT", data_licence="CC-BY-4.0"
    )
    pipeline = pl.Pipeline("counted", [rows, counts, top], about=about)
"""
ROWS = "person,item\n" + "".join(f"{person},zanzibar{item}\n" for person in range(120) for item in range(person % 4))


def on_the_card(project: Project, folder: str) -> list[str]:
    assert project.pellucid("publish", "last", folder).code == 0
    readme = (project.folder / folder / "README.md").read_text()
    card = json.loads((project.folder / folder / "privacy/counts.json").read_text())
    assert (LOOKED in readme) == (LOOKED in card["not_covered"])
    return list(card["not_covered"])


def test_whoever_looks_is_told_before_and_every_later_card_tells_its_readers(project: Project) -> None:
    project.write(rows_csv=ROWS, pipeline=PIPELINE.format(cap=3))
    assert project.pellucid("run", "pipeline.py").code == 0
    assert LOOKED not in on_the_card(project, "before")
    project.write(pipeline=PIPELINE.format(cap=2))
    spent = project.pellucid("ledger", "--json", "--home", ".pellucid").json["accounts"]["rows"]["spent"]
    plain = project.pellucid("ledger", "plan", "pipeline.py")
    assert "private" not in plain.out and not looked(project.folder / ".pellucid", ["rows"])
    seen = project.pellucid("ledger", "plan", "pipeline.py", "--from-rows")
    assert " ".join(seen.err.split()).startswith(WARNING)
    assert "counts (private): it names " in seen.out
    assert "zanzibar" not in seen.out + seen.err
    assert project.pellucid("ledger", "--json", "--home", ".pellucid").json["accounts"]["rows"]["spent"] == spent
    assert (project.folder / ".pellucid/pellucid.db").stat().st_mode & 0o077 == 0
    assert project.pellucid("run", "pipeline.py").code == 0
    assert LOOKED in on_the_card(project, "after")
    figure = re.search(r"it names ([\d.]+) of", seen.out)
    assert figure is not None
    assert project.pellucid("check", "after").code == 0
    public = b"".join(path.read_bytes() for path in (project.folder / "after").rglob("*.json"))
    assert b"simulated" not in public and b"it names" not in public


@pytest.mark.slow
def test_a_release_that_was_paid_for_before_is_served_again_as_it_was(project: Project) -> None:
    project.write(rows_csv=ROWS, pipeline=PIPELINE.format(cap=3))
    assert project.pellucid("run", "pipeline.py").code == 0
    note_look(project.folder / ".pellucid", ["rows"])
    assert project.pellucid("run", "pipeline.py", "--from", "counts").code == 0
    assert LOOKED not in on_the_card(project, "again")  # its settings were chosen before


@pytest.mark.slow
def test_rows_that_wait_for_a_release_are_not_paid_for(project: Project) -> None:
    project.write(
        rows_csv=ROWS,
        pipeline="""
            rows = pl.source("rows.csv", label="private", unit="person", budget=pl.Budget(epsilon=4.0, delta=1e-5))

            counts = pl.release(pl.privacy.histogram("item", max_contributions=3), of=rows, epsilon=1.0, delta=1e-6)


            @pl.step(per_unit=True)
            def known(rows: pl.Table, counts: pl.Table) -> pl.Table:
                return {"share": min(1.0, rows.num_rows / max(1, counts.num_rows))}


            quality = pl.release(pl.privacy.mean(columns=["share"]), of=known, epsilon=0.5, delta=1e-6)

            pipeline = pl.Pipeline("waiting", [rows, counts, known, quality])
        """,
    )
    refused = project.pellucid("ledger", "plan", "pipeline.py", "--from-rows")
    assert refused.code == 2 and 'wait for the release "counts"' in refused.err and "--only counts" in refused.err
    assert not project.pellucid("ledger", "--json", "--home", ".pellucid").json["accounts"]
    assert project.pellucid("run", "pipeline.py", "--only", "counts").code == 0
    assert (
        "quality (private): share is expected to be off by"
        in project.pellucid("ledger", "plan", "pipeline.py", "--from-rows").out
    )
