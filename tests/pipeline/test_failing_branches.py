"""A branch that fails is named and the others go on; a failure is said once; what a step writes and does not return is said."""

from __future__ import annotations

import pytest
from workshop import Project

OPEN = """
    @pl.step(over={"n": [1, 2, 3, 4]})
    def many(n: int) -> pl.Metrics:
        if n in BAD:
            raise ValueError(f"{n} is bad")
        return {"n": n}


    @pl.step
    def total(many: list[pl.Metrics]) -> pl.Metrics:
        return {"total": sum(one["n"] for one in many)}


    pipeline = pl.Pipeline("sweep", [many, total])
"""

PRIVATE = """
    rows = pl.source("rows.csv", label="private", unit="who")


    @pl.step(over={"n": [1, 2, 3, 4]})
    def many(rows: pl.Table, n: int) -> pl.Metrics:
        if n in BAD:
            raise ValueError(f"{n} is bad")
        return {"n": n}


    pipeline = pl.Pipeline("sweep", [rows, many])
"""


def with_bad(text: str, *bad: int) -> str:
    return f"\n    BAD = {bad!r}\n{text}"


@pytest.mark.quick(1)
@pytest.mark.parametrize("jobs", ["1", "3"])
def test_the_other_branches_go_on_and_are_not_run_again(project: Project, jobs: str) -> None:
    project.write(pipeline=with_bad(OPEN, 2, 4))
    done = project.pellucid("run", "pipeline.py", "--jobs", jobs)
    assert done.code == 1
    (said,) = [line for line in done.err.splitlines() if line.startswith("pellucid: ")]
    assert "2 of 4 branches failed" in said
    assert "many[n=2]" in said
    assert "many[n=4]" in said
    assert done.err.count("2 is bad") == 1, "a failure is said once"
    assert "2 is bad" in project.pellucid("show", "--log", "many[n=2]").out
    assert "many[n=4]" in project.pellucid("show", "--log", "many").out
    project.write(pipeline=with_bad(OPEN))
    again = project.pellucid("run", "pipeline.py", "--json").json
    assert again["steps"]["total"]["metrics"] == {"total": 10}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_branch_that_failed_runs_again_and_no_other(project: Project) -> None:
    """A file that is there the second time is no part of a key."""
    marker = project.folder / "there.txt"
    bad = OPEN.replace("if n in BAD:", f"import os\n        if n == 2 and not os.path.exists({str(marker)!r}):")
    project.write(pipeline=bad.replace("@pl.step(over", "@pl.step(over", 1))
    assert project.pellucid("run", "pipeline.py").code == 1
    steps = project.pellucid("show", "--json").json["steps"]
    assert {name for name, step in steps.items() if step["action"] == "failed"} == {"many", "many[n=2]"}
    assert {name for name, step in steps.items() if step["action"] == "ran"} == {"many[n=1]", "many[n=3]", "many[n=4]"}
    project.pellucid("run", "pipeline.py")
    steps = project.pellucid("show", "--json").json["steps"]
    assert not {"many[n=1]", "many[n=3]", "many[n=4]"} & {name for name, step in steps.items() if step["action"] == "ran"}


def test_which_branches_of_a_private_step_fail_is_not_told(project: Project) -> None:
    """Of many branches it would tell as much as a message: so the first failure ends the step, and no branch is named."""
    project.write(rows_csv="who,a\n1,2\n", pipeline=with_bad(PRIVATE, 2, 4))
    done = project.pellucid("run", "pipeline.py", "--jobs", "1")
    assert done.code == 1
    assert "branches failed" not in done.err
    assert "is bad" not in done.err
    steps = project.pellucid("show", "--json").json["steps"]
    assert len([name for name, step in steps.items() if step["action"] == "failed"]) == 1
    assert "many[n=3]" not in steps
    assert "many[n=4]" not in steps


LEFT = """
    rows = pl.source("rows.csv", label="{label}"{unit})


    @pl.step
    def chart(rows: pl.Table) -> pl.{kind}:
        import os
        os.makedirs("deep/er")
        with open("deep/er/left-{word}.txt", "w") as file:
            file.write("left")
        with open("page.html", "w") as file:
            file.write("<p>a page</p>")
        return {value}


    pipeline = pl.Pipeline("chart", [rows, chart])
"""


def test_what_a_step_writes_and_does_not_return_is_said(project: Project) -> None:
    text = LEFT.format(label="open", unit="", kind="File", word="over", value='"page.html"')
    project.write(rows_csv="a\n1\n", pipeline=text)
    done = project.pellucid("run", "pipeline.py")
    assert done.code == 0, done.err
    assert 'step "chart" wrote deep/er/left-over.txt and did not return it' in done.err
    assert "did not return it" in project.pellucid("show").out


def test_what_a_private_step_writes_is_not_said(project: Project) -> None:
    text = LEFT.format(label="private", unit=', unit="a"', kind="Metrics", word="secret", value='{"n": 1}')
    project.write(rows_csv="a\n1\n", pipeline=text)
    done = project.pellucid("run", "pipeline.py")
    assert done.code == 0, done.err
    assert "secret" not in done.err + project.pellucid("show").out


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("data.csv", "this is a data file, not a pipeline file. Have one written: pellucid init data.csv"),
        ("data.parquet", "this is a data file"),
        ("notes.ipynb", "this is a notebook, not a pipeline file"),
        ("package.zip", "pellucid reproduce package.zip"),
        ("notes.md", "this is no Python file"),
        ("statistics.py", "this file is named like a module of Python: whatever imports Python's own module statistics"),
    ],
)
def test_a_file_that_is_no_pipeline_is_told_what_it_is(project: Project, name: str, said: str) -> None:
    (project.folder / name).write_text("a,b\n1,2\n")
    done = project.pellucid("run", name)
    assert done.code == 2
    assert said in done.line
