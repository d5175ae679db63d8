"""Steps in one process share memory: what an open one gave beside private ones is neither published nor exported."""

from __future__ import annotations

import pytest
from workshop import *  # noqa: F403

ABOUT = 'pl.About(title="t", description="d", creators=("A, B",), licence="MIT", data_licence="CC0-1.0")'
MEMO = {
    "a memo": "import functools\n@functools.lru_cache\ndef state():\n    return []\n",
    "a global": "STATE = []\ndef state():\n    return STATE\n",
    "a default": "def state(kept=[]):\n    return kept\n",
    "an attribute": "def state():\n    return state.__dict__.setdefault('kept', [])\n",
    "a module": "import helper\ndef state():\n    return helper.__dict__.setdefault('kept', [])\n",
}
STEPS = """
visits = pl.source("visits.csv", label="private", unit="user_id")
items = pl.source("items.csv", label="open", licence="CC0-1.0")
@pl.step
def private(visits: pl.Table) -> pl.Metrics:
    state().append(float(visits.polars().collect()["user_id"][0]))
    return {"n": 1.0}
@pl.step
def peek(items: pl.Table) -> pl.Metrics:
    return {"seen": sum(state())}
"""


@pytest.mark.quick(1)
@pytest.mark.parametrize("memo", MEMO, ids=lambda memo: memo.replace(" ", "-"))
def test_a_memo_carries_nothing_private_into_a_package(project, memo: str) -> None:
    project.write(
        visits_csv="user_id,area\n471100815,Zebulon\n", items_csv="n\n1\n", helper="\n",
        pipeline=MEMO[memo] + STEPS + f'pipeline = pl.Pipeline("memo", [visits, items, private, peek], about={ABOUT})\n',
    )  # fmt: skip
    ran = "import json, pathlib; from pellucid.pipeline.running import load; print(json.dumps(load(pathlib.Path('pipeline.py')).run().id))"
    run = project.python(ran)
    refused = project.pellucid("publish", run, "package")
    assert refused.code != 0
    assert "peek ran in one process with steps that are not open" in refused.line or "cannot be" in refused.line, refused.err
    assert not (project.folder / "package").exists()
    # the same file, run as one should: each step in a process of its own, so that the memo is empty
    done = project.run("--home", "fresh")
    assert done.code == 0 and done.json["steps"]["peek"]["metrics"] == {"seen": 0}, done.err
