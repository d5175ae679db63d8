"""A worker's word is not believed: whatever a step sends instead of its outcome, nothing private is given out and no file is moved."""

from __future__ import annotations

import json
import sqlite3
import textwrap

import pytest
from workshop import *  # noqa: F403

# What stands in a step: it finds the socket of its own worker and answers in its place.
FORGE = """
import ctypes, json, os, struct, sys

def connection():
    frame = sys._getframe()
    while frame is not None:
        if "sock" in frame.f_locals and hasattr(frame.f_locals["sock"], "sendall"):
            return frame.f_locals["sock"]
        frame = frame.f_back

def answer(made, failure=None, imported=(), **more):
    body = json.dumps({"made": made, "failure": failure, "imported": list(imported), "points": [], **more}).encode()
    raw(struct.pack("<I", len(body)) + body)

def raw(data):
    connection().sendall(data)
    os._exit(0)

def one(file, digest="table:" + "0" * 64, label=""):
    return [[False, [[label, file, digest]]]]

def link(to, name):
    ctypes.CDLL(None).symlink(to.encode(), (up() + "/" + name).encode())  # as native code does: no audit hook sees it

def up():
    return os.path.dirname(os.getcwd())  # the scratch folder
"""

# name -> (what the step does, what the public message begins with)
REFUSED = {
    "path up": ('answer(one("../../../precious.parquet"))', "its result was refused"),
    "absolute path": ('answer(one(PRECIOUS))', "its result was refused"),
    "link to a file": ('link(PRECIOUS, "a.parquet"); answer(one("a.parquet"))', "its result was refused"),
    "link to a private object": ('link(OBJECT, "a.parquet"); answer(one("a.parquet"))', "its result was refused"),
    "name of a private object": ('answer(one(os.path.basename(OBJECT)))', "its result was refused"),
    "second name": ('open(up() + "/a.parquet", "w").close(); os.link(up() + "/a.parquet", up() + "/b.parquet"); answer(one("a.parquet"))',
                    "its result was refused"),
    "pipe": ('os.mkfifo(up() + "/a.parquet"); answer(one("a.parquet"))', "its result was refused"),
    "folder": ('os.mkdir(up() + "/a.parquet"); answer(one("a.parquet"))', "its result was refused"),
    "device": ('link("/dev/zero", "a.parquet"); answer(one("a.parquet"))', "its result was refused"),
    "folder that is a link": ('link(os.path.dirname(PRECIOUS), "d"); answer(one("d/precious.parquet"))', "its result was refused"),
    "nothing there": ('answer(one("a.parquet"))', "its result was refused"),
    "no name": ('answer(one(""))', "its result was refused"),
    "dot": ('answer(one("."))', "its result was refused"),
    "zero byte": ('answer(one("a\\0.parquet"))', "its result was refused"),
    "another kind": ('open(up() + "/a.json", "w").write("{}"); answer(one("a.json", "metrics:" + "0" * 64))', "its result was refused"),
    "not a table": ('open(up() + "/a.parquet", "w").write("no"); answer(one("a.parquet"))', "its result was refused"),
    "empty file": ('open(up() + "/a.parquet", "w").close(); answer(one("a.parquet"))', "its result was refused"),
    "two outputs": ('answer(one("a.parquet") + one("b.parquet"))', "its result was refused"),
    "no output": ('answer([])', "its result was refused"),
    "a collection": ('answer([[True, [["x", "a.parquet", "table:0"]]]])', "its result was refused"),
    "no file": ('answer([[False, []]])', "its result was refused"),
    "two files": ('answer([[False, [["", "a.parquet", "d"], ["", "b.parquet", "d"]]]])', "its result was refused"),
    "the old form": ('answer([["stolen", {"kind": "table", "digest": "d", "sha256": "s", "suffix": ".parquet", "size": 1}, {"s": PRECIOUS}]])',
                     "its process ended without a result"),
    "a number for a name": ('answer([[False, [["", 7, "d"]]]])', "its process ended without a result"),
    "no list": ('answer({"a": 1})', "its process ended without a result"),
    "failure of no form": ('answer([], failure={"public": "x"})', "its process ended without a result"),
    "deep": ('raw(struct.pack("<I", 200000) + b"[" * 200000)', "its process ended without a result"),
    "cut short": ('raw(struct.pack("<I", 1000) + b"{}")', "its process ended without a result"),
    "two messages": ('raw(2 * (struct.pack("<I", 2) + b"{}"))', "its process ended without a result"),
    "not JSON": ('raw(struct.pack("<I", 4) + b"\\xff" * 4)', "its process ended without a result"),
    "nothing": ('os._exit(0)', "its process ended without a result"),
    "log that is a link": ('link(PRECIOUS, "log"); answer([])', "its result was refused"),
}  # fmt: skip


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A folder whose run has a private table in its store, and a precious file beside it."""
    project = Project(tmp_path_factory.mktemp("forged"))  # noqa: F405
    project.write(visits_csv="user_id,area\n471100815,Zebulon\n471200815,Quagmire\n", rows_csv="n\n1\n2\n")
    (project.folder / "precious.parquet").write_text("a ruby")
    project.write(pipeline='v = pl.source("visits.csv", label="private", unit="user_id")\npipeline = pl.Pipeline("p", [v])\n')
    assert project.run().code == 0
    (stored,) = (path for path in (project.home / "objects").rglob("*.parquet"))
    return project, stored


def _try(scene, body: str, source: str = 'pl.source("rows.csv", label="open")') -> dict:
    project, stored = scene
    project.write(
        pipeline=f"PRECIOUS, OBJECT = {str(project.folder / 'precious.parquet')!r}, {str(stored)!r}\n"
        + FORGE
        + textwrap.dedent(f"""
        rows = {source}
        @pl.step
        def stolen(rows: pl.Table) -> pl.Table:
            {body}
        pipeline = pl.Pipeline("q", [rows, stolen])
        """)
    )
    done = project.run()
    assert (project.folder / "precious.parquet").read_text() == "a ruby"
    assert stored.is_file() and stored.stat().st_nlink == 1
    assert not list((project.home / "tmp").iterdir())
    assert "Zebulon" not in done.out + done.err and "471100815" not in done.out + done.err
    return done.json["steps"]["stolen"]


@pytest.mark.quick(2)
@pytest.mark.parametrize("how", REFUSED, ids=lambda how: how.replace(" ", "-"))
def test_a_forged_outcome_is_refused_and_nothing_is_moved_or_read(scene, how: str) -> None:
    body, said = REFUSED[how]
    step = _try(scene, body)
    assert step["action"] == "failed", step
    assert step["message"].startswith(said), step
    with sqlite3.connect(scene[0].home / "pellucid.db") as db:
        assert "a ruby" not in str(db.execute("SELECT private FROM steps").fetchall()), "a log is what was printed, and no link's"


def test_a_claimed_digest_and_size_are_not_taken(scene) -> None:
    """The file is its own, but what is said of it is a lie: what is recorded is what is there."""
    body = (
        "import pyarrow as pa, pyarrow.parquet as pq; pq.write_table(pa.table({'n': [1]}), up() + '/a.parquet');"
        " answer(one('a.parquet', 'table:' + 'f' * 64))"
    )
    step = _try(scene, body)
    assert step["action"] == "ran"
    digest = step["digest"]
    assert digest == _digest_of_one()


def test_what_a_worker_says_of_its_confinement_time_and_log_is_not_taken(scene) -> None:
    _try(scene, 'answer([], confined="nothing held it", seconds=-5.0, log="made up")')
    project, _ = scene
    shown = project.pellucid("show", "last", "--json").json
    assert "nothing held it" not in json.dumps(shown) and "made up" not in json.dumps(shown)


@pytest.mark.quick(1)
@pytest.mark.parametrize("field", ["type", "text", "trace", "public", "path"])
def test_a_failure_that_is_made_up_tells_nothing_of_private_rows(scene, field: str) -> None:
    """Whatever a step on private data says of its failure, the public line is one of the fixed sentences."""
    told = {"type": "E", "text": "", "trace": "", "public": "p", "retry": False, "reason": "file", "path": "x"}
    told[field] = "SECRET"
    body = (
        f"value = str(rows.polars().collect()['area'][0]); told = {told!r}; told[{field!r}] = value;"
        " told['by_runner'] = True; answer([], failure=told)"
    )
    project, _ = scene
    step = _try(scene, body, 'pl.source("visits.csv", label="private", unit="user_id")')
    assert step["action"] == "failed"
    for command in (["show", "last"], ["show", "last", "--json"], ["runs"], ["why", "pipeline.py", "stolen"]):
        done = project.pellucid(*command)
        assert "Zebulon" not in done.out + done.err, command


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_file_that_is_swapped_while_it_is_taken_gives_what_was_hashed(scene) -> None:
    """A daemon that swaps the result for a link to a private object, again and again: never is that object the result."""
    body = (
        "import pyarrow as pa, pyarrow.parquet as pq; pq.write_table(pa.table({'n': [1]}), up() + '/real');"
        " os.rename(up() + '/real', up() + '/a.parquet');"
        " pid = os.fork();"
        " [(os.rename(up() + '/a.parquet', up() + '/b'), link(OBJECT, 'a.parquet'), os.unlink(up() + '/a.parquet'),"
        " os.rename(up() + '/b', up() + '/a.parquet')) for _ in iter(int, 1)] if not pid else answer(one('a.parquet'))"
    )
    for _ in range(3):
        step = _try(scene, body)
        if step["action"] == "ran":
            assert step["digest"] == _digest_of_one()


def _digest_of_one() -> str:
    import tempfile
    from pathlib import Path

    import pyarrow as pa

    from pellucid.store import kinds

    with tempfile.TemporaryDirectory() as folder:
        return kinds.save(pa.table({"n": [1]}), "table", Path(folder), "a").digest
