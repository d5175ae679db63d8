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


RELEASE = """
    rows = pl.source("rows.csv", label="private", unit="person", budget=pl.Budget(epsilon=1.0, delta=1e-5))

    counts = pl.release(pl.privacy.histogram("{column}", max_contributions=2), of=rows, epsilon={epsilon}, delta=1e-6)

    pipeline = pl.Pipeline("counted", [rows, counts])
"""


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("column", "epsilon", "said"),
    [
        ("itme", 0.5, "the data has no column 'itme'. Did you mean \"item\"?"),
        ("score", 0.5, "column 'score' is of type double"),
        ("item", 1.5, "account 'rows' has epsilon 1 and delta 1e-05 left; this release asks for 1.5 and 1e-06"),
    ],
)
def test_a_release_that_would_be_refused_is_found_before_and_nothing_is_spent(
    column: str, epsilon: float, said: str, known: bool, project: Project
) -> None:
    project.write(rows_csv="person,item,score\n" + "".join(f"{n},zanzibar,0.5\n" for n in range(50)))
    if known:
        project.write(pipeline=RELEASE.format(column="item", epsilon=0.25).replace("[rows, counts]", "[rows]"))
        assert project.pellucid("run", "pipeline.py").code == 0
    project.write(pipeline=RELEASE.format(column=column, epsilon=epsilon))
    done = project.pellucid("run", "pipeline.py", "--dry-run")
    assert done.code == 1
    line = next(line for line in done.out.splitlines() if line.startswith("counts"))
    assert line.split()[1] == "fail" and said in line
    assert "zanzibar" not in done.out + done.err
    assert not project.pellucid("ledger", "--home", ".pellucid", "--json").json["accounts"]


def test_what_an_account_has_left_is_known_before_and_what_is_paid_for_costs_nothing(project: Project) -> None:
    project.write(rows_csv="person,item\n" + "".join(f"{n},a\n" for n in range(50)))
    project.write(pipeline=RELEASE.format(column="item", epsilon=0.75))
    assert project.pellucid("run", "pipeline.py").code == 0
    assert project.pellucid("run", "pipeline.py", "--dry-run").code == 0
    project.write(pipeline=RELEASE.format(column="item", epsilon=0.5))
    done = project.pellucid("run", "pipeline.py", "--dry-run")
    assert done.code == 1 and "has epsilon 0.25 and delta 9e-06 left" in done.out
