"""A dry run finds what can be found without running: missing files, options a reader has not, columns that are not there."""

from __future__ import annotations

import pytest
from workshop import Project

TEXT = """
    rows = pl.source("rows.csv", label="{label}"{more})


    @pl.step
    def size(rows: pl.Table) -> pl.Metrics:
        return {{"rows": rows.num_rows}}


    pipeline = pl.Pipeline("sizes", [rows, size])
"""

WRONG = {
    "no file": ("open", ', name="rows"', "there is no such file", False),
    "an option that is not there": ("open", ', delimeter=";"', "has no option 'delimeter'", True),
    "a column that is not there": ("open", ', columns=["aa"]', "there is no column 'aa'", True),
    "a type that is none": ("open", ', types={"a": "strung"}', "'strung' is not a type", True),
    "no such reader": ("open", ', format="cvs"', "there is no reader named 'cvs'", True),
    "a unit that is not there": (
        "private",
        ', unit="persno"',
        'there is no column "persno" to be the unit. Did you mean "person"?',
        True,
    ),
    "a time that is not there": ("private", ', unit=pl.UserDay("person", time="whne")', 'no column "whne" to be the unit', True),
}


@pytest.mark.quick(3)
@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_source_is_found_and_nothing_runs(case: str, project: Project) -> None:
    label, more, said, there = WRONG[case]
    project.write(pipeline=TEXT.format(label=label, more=more))
    if there:
        project.write(rows_csv="person,a\nzanzibar,1\n")
    done = project.pellucid("run", "pipeline.py", "--dry-run")
    assert done.code == 1
    line = next(line for line in done.out.splitlines() if line.startswith("rows"))
    assert line.split()[1] == "fail"
    assert said in line
    assert "zanzibar" not in done.out + done.err
    steps = project.pellucid("run", "pipeline.py", "--dry-run", "--json").json["steps"]
    assert steps["rows"]["action"] == "fail"
    assert project.pellucid("runs").out == "no runs yet: pellucid run FILE\n"


def test_a_broken_row_of_private_data_is_not_quoted(project: Project) -> None:
    project.write(rows_csv="person,a\nada,1\nzanzibar,2,3\n", pipeline=TEXT.format(label="private", more=', unit="person"'))
    done = project.pellucid("run", "pipeline.py", "--dry-run")
    assert "zanzibar" not in done.out + done.err


def test_a_source_that_can_be_read_would_run(project: Project) -> None:
    project.write(rows_csv="person,a\nada,1\n", pipeline=TEXT.format(label="private", more=', unit="person"'))
    done = project.pellucid("run", "pipeline.py", "--dry-run")
    assert done.code == 0
    assert done.out.splitlines()[1].split()[:2] == ["rows", "run"]
