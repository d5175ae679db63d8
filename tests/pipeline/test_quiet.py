"""The record keeps quiet: no command shows a digest, a key or a number of branches of what is not open, unless the steward asks."""

from __future__ import annotations

import re

import pytest
from workshop import *  # noqa: F403

from pellucid.pipeline.record import Record

PIPELINE = """
visits = pl.source("visits.csv", label="private", unit="user_id")
items = pl.source("items.csv", label="open")
@pl.step
def secret(visits: pl.Table) -> pl.Metrics:
    return {"visited": 1.0}
@pl.step(over="visits", by="area")
def each(visits: pl.Table) -> pl.Metrics:
    return {"n": float(visits.num_rows)}
@pl.step
def plain(items: pl.Table) -> pl.Metrics:
    return {"items": float(items.num_rows)}
pipeline = pl.Pipeline("quiet", [visits, items, secret, each, plain])
"""
COMMANDS = [
    ["run", "pipeline.py"], ["run", "pipeline.py", "--json"], ["show"], ["show", "--json"], ["runs"], ["runs", "--json"],
    ["compare", "last", "last~1"], ["compare", "last", "last~1", "--json"], ["why", "secret"], ["why", "secret", "--json"],
    ["why", "each"], ["graph", "pipeline.py"], ["graph", "pipeline.py", "--json"], ["gc", "--json"],
]  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("quiet"))  # noqa: F405
    project.write(visits_csv="user_id,area\n471100815,Zebulon\n471200815,Quagmire\n", items_csv="n\n1\n", pipeline=PIPELINE)
    first = project.run()
    assert first.code == 0, first.err
    assert project.run().code == 0  # so that there are two to compare
    record = Record(project.home)
    try:
        steps = record.steps(first.json["run"])
    finally:
        record.close()
    closed = [step for step in steps if step.label != "open"]
    secrets = {
        value
        for step in closed
        for made in step.outputs.values()
        for value in (made.digest.rpartition(":")[2], made.sha256)
        if value
    }
    secrets |= {step.key for step in closed if step.key} | {
        part for step in closed for part in step.parts.values() if len(part) == 64
    }
    public = {part for step in steps if step.label == "open" for part in (step.key, *step.parts.values())}
    return project, secrets - public, [*COMMANDS]


@pytest.mark.quick(6)
@pytest.mark.parametrize("at", range(len(COMMANDS)), ids=lambda at: "-".join(COMMANDS[at]))
def test_a_command_shows_nothing_that_confirms_a_guess(told, at: int) -> None:
    project, secrets, commands = told
    done = project.pellucid(*commands[at])
    said = done.out + done.err
    assert done.code == 0, said
    assert [secret[:12] for secret in secrets if secret[:12] in said] == []
    assert "Zebulon" not in said and "471100815" not in said
    assert not re.search(r"each +×|\"branches\"", said), "how many areas there are is private"


def test_the_steward_sees_them_when_asking(told) -> None:
    project, secrets, _ = told
    said = project.pellucid("show", "--json", "--private").out + project.pellucid("why", "secret", "--json", "--private").out
    assert any(secret in said for secret in secrets)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("where", ["in the step", "at the top"])
def test_publish_names_what_its_readers_will_see(project, where: str) -> None:
    """Steps, settings and code files by name; a module that only a private step imports, inside of it, stays at home."""
    inside, top = ("    import wards\n", "") if where == "in the step" else ("", "import wards\n")
    project.write(
        visits_csv="user_id,area\n1,a\n2,b\n", rows_csv="n\n1\n", wards="NAMES = ['Ward Zebulon']\n", helper="def twice(n):\n    return 2 * n\n",
        pipeline=f"""
import helper
{top}
visits = pl.source("visits.csv", label="private", unit="user_id")
rows = pl.source("rows.csv", label="open", licence="CC0-1.0")
@pl.step
def staffed(visits: pl.Table) -> pl.Metrics:
{inside}    return {{"n": visits.num_rows * len(wards.NAMES)}}
@pl.step
def shown(rows: pl.Table, ward_of_interest: int = 7) -> pl.Metrics:
    return {{"n": helper.twice(rows.num_rows) + ward_of_interest}}
about = pl.About(title="t", description="d", creators=("A, B",), licence="MIT", data_licence="CC0-1.0")
pipeline = pl.Pipeline("listed", [visits, rows, staffed, shown], about=about)
""",
    )  # fmt: skip
    assert project.run().code == 0
    done = project.pellucid("publish", "last", "package")
    assert done.code == 0, done.err
    line = next(part for part in done.out.replace("\n  ", " ").split("\n") if part.startswith("names that its readers see"))
    for name in ("steps", "shown", "staffed", "shown.ward_of_interest", "code/helper.py", "code/pipeline.py"):
        assert name in line, line
    assert ("code/wards.py" in line) == (where == "at the top"), line
    assert (project.folder / "package/code/wards.py").exists() == (where == "at the top")
