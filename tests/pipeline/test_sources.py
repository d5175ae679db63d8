"""What may be a source at all."""

from __future__ import annotations

import pytest
from workshop import *  # noqa: F403

PIPELINE = """
rows = pl.source({where!r}, name="rows", label="open", licence="CC0-1.0", format="file")
@pl.step
def count(rows: Path) -> pl.Metrics:
    return {{"n": 1.0}}
pipeline = pl.Pipeline("reads-its-state", [rows, count])
"""


@pytest.mark.parametrize("where", [".", ".pellucid", ".pellucid/pellucid.db"])
def test_a_state_folder_is_no_source(project, where: str) -> None:
    """It changes with every run; and to open and close the state file drops the locks that the run has on it."""
    project.write(rows_csv="a\n1\n", pipeline="from pathlib import Path\n" + PIPELINE.format(where=where))
    done = project.run()
    assert done.code != 0
    assert "holds a state folder of pellucid" in done.line, done.err
