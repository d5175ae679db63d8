"""`pellucid run --twice` names the steps that are not deterministic, and what first comes out differently."""

from __future__ import annotations

import pytest

BODIES = {
    "hash_order": "return {'n': float(next(iter({f'word {at}': at for at in range(50)}.keys() & {f'word {at}' for at in range(50)}))[5:])}",
    "clock": "import time; return {'n': time.time()}",
    "system_random": "import os; return {'n': int.from_bytes(os.urandom(6))}",
    "numpy_unseeded": "import numpy; return {'n': float(numpy.random.default_rng().random())}",
    "working_folder": "import os; return {'n': float(sum(map(ord, os.getcwd())))}",
}


def body(name: str) -> str:
    return f"@pl.step\ndef {name}() -> pl.Metrics:\n    {BODIES[name]}\n"


@pytest.mark.timeout(180)
def test_each_kind_of_chance_is_named_and_a_good_step_passes(project):
    good = """
@pl.step
def seeded(seed: int) -> pl.Metrics:
    import random, numpy
    return {"n": float(numpy.random.default_rng(seed).random()), "global": random.random(), "words": len({"a", "b"})}
"""
    names = [*BODIES, "seeded"]
    text = "\n".join([good, *map(body, BODIES), f'pipeline = pl.Pipeline("chance", [{", ".join(names)}])'])
    project.write(pipeline=text)
    done = project.run("--twice")
    assert done.code == 1
    steps = done.json["steps"]
    assert {name for name, step in steps.items() if not step["deterministic"]} == set(BODIES)
    assert all(steps[name]["detail"].startswith(f"{name}: ") for name in BODIES), "it says which output differs"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_per_unit_step_that_keeps_state_between_people_is_found(project):
    project.write(
        rows_csv="user,n\n" + "".join(f"{user},{user}\n" for user in range(5)),
        pipeline="""
        rows = pl.source("rows.csv", label="private", unit="user")
        seen = []
        @pl.step(per_unit=True)
        def sums(rows: pl.Table) -> pl.Table:
            seen.append(rows.num_rows)
            return {"place": len(seen)}
        pipeline = pl.Pipeline("state", [rows, sums])
        """,
    )
    done = project.run("--twice")
    assert done.code == 1
    assert {name for name, step in done.json["steps"].items() if not step["deterministic"]} == {"sums"}
