"""What a pipeline file reads while it loads: never private data, however it reads them; and threads it leaves are named."""

from __future__ import annotations

import pytest
from workshop import *  # noqa: F403

ROWS = "user_id,area\n471100815,Zebulon\n471200815,Quagmire\n"
HEAD = """
import csv, mmap, os, pathlib, shutil, subprocess
HERE = pathlib.Path(__file__).parent
"""
TAIL = """
visits = pl.source("visits.csv", label="private", unit="user_id")
items = pl.source("items.csv", label="open")
@pl.step
def summary(items: pl.Table) -> pl.Metrics:
    return {"n": float(len(str(SECRET)))}
pipeline = pl.Pipeline("p", [visits, items, summary])
"""
READS = {
    "open": "SECRET = open(HERE / 'visits.csv').read()",
    "read_text": "SECRET = (HERE / 'visits.csv').read_text()",
    "csv": "SECRET = list(csv.reader(open(HERE / 'visits.csv')))",
    "os.open": "fd = os.open(HERE / 'visits.csv', os.O_RDONLY); SECRET = os.read(fd, 100); os.close(fd)",
    "copy": "shutil.copy(HERE / 'visits.csv', HERE / 'taken.csv'); SECRET = (HERE / 'taken.csv').read_text()",
    "copy made before": "SECRET = (HERE / 'copy.csv').read_text()",
    "link": "SECRET = (HERE / 'link.csv').read_text()",
    "second name": "SECRET = (HERE / 'hard.csv').read_text()",
    "in a module": "from helper import SECRET",
    "in a function": "def f():\n    return (HERE / 'visits.csv').read_text()\nSECRET = f()",
    "in a class": "class C:\n    text = (HERE / 'visits.csv').read_text()\nSECRET = C.text",
    "in a default": "def f(x=(HERE / 'visits.csv').read_text()):\n    return x\nSECRET = f()",
    "numpy": "import numpy; SECRET = numpy.loadtxt(HERE / 'visits.csv', dtype=str, delimiter=',')",
    "pyarrow": "import pyarrow.csv; SECRET = pyarrow.csv.read_csv(HERE / 'visits.csv', pyarrow.csv.ReadOptions(use_threads=False)).to_pylist()",
    "duckdb": "import duckdb; SECRET = duckdb.sql(f\"SELECT * FROM '{HERE / 'visits.csv'}'\").fetchall()",
    "libc": "import ctypes; libc = ctypes.CDLL(None); fd = libc.open(str(HERE / 'visits.csv').encode(), 0)\n"
            "buffer = ctypes.create_string_buffer(100); libc.read(fd, buffer, 100); SECRET = buffer.value",
    "another program": "SECRET = subprocess.run(['cat', HERE / 'visits.csv'], capture_output=True).stdout",
}  # fmt: skip


@pytest.mark.quick(2)
@pytest.mark.parametrize("how", READS, ids=lambda how: how.replace(" ", "-"))
def test_private_data_are_not_read_while_the_file_loads(project, how: str) -> None:
    import os

    project.write(
        visits_csv=ROWS,
        copy_csv=ROWS,
        items_csv="n\n1\n",
        helper="SECRET = open('visits.csv').read()\n",
        pipeline=HEAD + READS[how] + TAIL,
    )
    os.symlink(project.folder / "visits.csv", project.folder / "link.csv")
    os.link(project.folder / "visits.csv", project.folder / "hard.csv")
    for command in (["run", "pipeline.py"], ["run", "pipeline.py", "--twice"]):
        done = project.pellucid(*command)
        assert done.code != 0, done.out
        assert "is read while the pipeline file loads" in done.err, done.err
        assert "Zebulon" not in done.out + done.err
    line = done.err.strip().splitlines()[-1]
    if how in ("open", "read_text", "csv"):
        assert "pipeline.py:4:" in line.replace(", ", ":") or "pipeline.py:4" in line, line


def test_open_data_may_be_read_while_the_file_loads(project) -> None:
    project.write(visits_csv=ROWS, items_csv="n\n1\n", pipeline=HEAD + "SECRET = (HERE / 'items.csv').read_text()" + TAIL)
    done = project.run()
    assert done.code == 0, done.err


def test_an_open_file_as_long_as_a_private_one_may_be_read_while_the_file_loads(project) -> None:
    """Both are read to be compared, by Pellucid, and that is not the pipeline's file reading them."""
    other = "n\n" + "1" * (len(ROWS) - 2)
    assert len(other) == len(ROWS)
    project.write(visits_csv=ROWS, items_csv=other, pipeline=HEAD + "SECRET = (HERE / 'items.csv').read_text()" + TAIL)
    done = project.run()
    assert done.code == 0, done.err


STARTS = {
    "thread": "import threading, time\nSECRET = 1\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "polars": "import polars\nSECRET = int(polars.read_csv(HERE / 'items.csv').lazy().select(polars.col('n').sum()).collect().item())",
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("starts", STARTS)
def test_a_file_that_starts_threads_while_it_loads_runs(project, starts) -> None:
    project.write(visits_csv=ROWS, items_csv="n\n1\n", pipeline=HEAD + STARTS[starts] + TAIL)
    done = project.pellucid("run", "pipeline.py", timeout=60)
    assert done.code == 0, done.err


def test_such_a_file_is_loaded_in_the_sandbox_of_the_step(project) -> None:
    """A thread that loading starts is no way round the confinement: it can read the project's files, but not the private ones."""
    spy = """
import ctypes, threading, queue
SECRET, ASKED, TOLD = 1, queue.Queue(), queue.Queue()

def spy():
    while True:
        TOLD.put(ctypes.CDLL(None).open(os.fsencode(ASKED.get()), 0))

threading.Thread(target=spy, daemon=True).start()
"""
    tail = TAIL.replace(
        "pipeline = ",
        """
@pl.step
def asks() -> pl.Metrics:
    global_names = globals()
    asked, told = global_names["ASK" + "ED"], global_names["TO" + "LD"]
    found = []
    for name in ("visits.csv", "items.csv"):
        asked.put(str(HERE / name))
        found.append(float(told.get(timeout=20)))
    return {"private": found[0], "open": float(found[1] >= 0)}


pipeline = """,
    ).replace("[visits", "[asks, visits")
    project.write(visits_csv=ROWS, items_csv="n\n1\n", pipeline=HEAD + spy + tail)
    done = project.pellucid("run", "pipeline.py", timeout=60)
    assert done.code == 0, done.err
    assert "asks (open): open 1, private -1" in done.out, done.out


ELSEWHERE = {
    "the file": 'TOP = open("visits.csv").read()',
    "the file by a library": 'import polars\nTOP = str(polars.read_csv("visits.csv").rows())',
    "a copy": 'TOP = open("copy.csv").read()',
    "a file of a private folder": 'TOP = open("wards/one.csv").read()',
    "a private result": 'TOP = str(pl.load("last", "heavy", home=".pellucid", private=True).polars().collect().rows())',
    "the result of a run": 'TOP = str(pl.runs(".pellucid")[0]["heavy"].polars().collect().rows())',
    "the stored source": 'TOP = str(pl.runs(".pellucid")[0]["visits"].polars().collect().rows())',
    "a module that reads it": "from reading import TOP",
}


@pytest.mark.quick(1)
@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", ELSEWHERE, ids=lambda way: way.replace(" ", "-"))
def test_what_is_private_in_another_pipeline_of_the_state_folder_is_not_read_while_a_file_loads(project, way: str) -> None:
    rows = "user_id,area\n471100815,Zebulon\n"
    (project.folder / "wards").mkdir()
    (project.folder / "wards/one.csv").write_text(rows.replace("Zebulon", "Quagmire"))
    project.write(
        visits_csv=rows, copy_csv=rows, reading='TOP = open("visits.csv").read()\n',
        pipeline="""
visits = pl.source("visits.csv", label="private", unit="user_id")
wards = pl.source("wards", label="private", unit="user_id", format="csv")
@pl.step
def heavy(visits: pl.Table) -> pl.Table:
    return visits.polars().with_columns(weight=7)
pipeline = pl.Pipeline("before", [visits, wards, heavy])
""",
    )  # fmt: skip
    first = project.run("--only", "heavy")
    assert first.code == 0, first.err
    other = "@pl.step\ndef shown() -> pl.Metrics:\n    return {'n': len(TOP)}\npipeline = pl.Pipeline('after', [shown])\n"
    project.write(pipeline=f"{ELSEWHERE[way]}\n{other}")
    done = project.pellucid("run", "pipeline.py")
    assert done.code != 0 and "while the pipeline file loads" in done.err, done.err
    assert "not open" in done.err and "471100815" not in done.err


def test_a_module_that_a_library_makes_while_it_runs_is_the_library_s() -> None:
    """torch.classes names "_classes.py", which is nowhere; a file of the project is there, or its package is the project's."""
    import numpy as np

    from pellucid.pipeline.declaration.source_code import is_project_module

    assert np.__file__
    assert not is_project_module("numpy.made_up", "_made_up.py")
    assert not is_project_module("numpy", None)
    assert is_project_module("nobody_knows_it", "_made_up.py")
    assert is_project_module("numpy.made_up", __file__)
