"""A step reads what it declares and nothing else, whatever it reads with; what it may not do, a clear line says.

`pellucid run` holds steps by the kernel (Landlock); in process, and where the kernel has none, an audit hook holds Python.
"""

from __future__ import annotations

import ctypes
import sqlite3

import pytest
from workshop import actions

from pellucid.errors import StepError
from pellucid.sandbox import landlock

needs_landlock = pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")

READS = {
    "open": "return {'n': len(open(PATH).read())}",
    "os.open": "import os; return {'n': len(os.read(os.open(PATH, os.O_RDONLY), 9))}",
    "listdir": "import os; return {'n': len(os.listdir(os.path.dirname(PATH)))}",
    "scandir": "import os; return {'n': len(list(os.scandir(os.path.dirname(PATH))))}",
    "pyarrow": "import pyarrow.csv; return {'n': pyarrow.csv.read_csv(PATH).num_rows}",
    "pyarrow_parquet": "import pyarrow.parquet; return {'n': pyarrow.parquet.read_table(PATH + '.parquet').num_rows}",
    "polars": "import polars; return {'n': len(polars.read_csv(PATH))}",
    "polars_scan": "import polars; return {'n': len(polars.scan_csv(PATH).collect())}",
    "duckdb": "import duckdb; return {'n': len(duckdb.sql(f\"select * from read_csv('{PATH}')\").fetchall())}",
    "sqlite3": "import sqlite3; return {'n': len(sqlite3.connect(PATH + '.db').execute('select * from t').fetchall())}",
    "numpy_fromfile": "import numpy; return {'n': len(numpy.fromfile(PATH, dtype='u1'))}",
    "numpy_load": "import numpy; return {'n': len(numpy.load(PATH + '.npy', mmap_mode='r'))}",
    "c_fopen": "import ctypes; c = ctypes.CDLL(None); c.fopen.restype = ctypes.c_void_p; f = c.fopen(PATH.encode(), b'r')\n"
    "    if not f: raise PermissionError(13, 'Permission denied', PATH)\n    return {'n': 1}",
    "subprocess": "import subprocess; out = subprocess.run(['cat', PATH], capture_output=True)\n"
    "    if out.returncode: raise RuntimeError(out.stderr.decode())\n    return {'n': len(out.stdout)}",
    "shell": "import os\n    if os.system('cat ' + PATH): raise PermissionError(13, 'Permission denied', PATH)\n    return {'n': 1}",
    "thread": "from concurrent.futures import ThreadPoolExecutor\n    with ThreadPoolExecutor() as pool: text = pool.submit(lambda: open(PATH).read()).result()\n    return {'n': len(text)}",
    "symlink": "import os; os.symlink(PATH, 'link'); return {'n': len(open('link').read())}",
    "through_proc": "return {'n': len(open('/proc/self/root' + PATH).read())}",
}  # fmt: skip
NETWORK = {
    "tcp": "import socket; socket.create_connection(('127.0.0.1', PORT), timeout=2); return {'n': 1}",
    "udp": "import socket\n    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: s.sendto(b'x', ('192.0.2.1', 9)); return {'n': 1}",
    "udp_sendmsg": "import socket\n    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: s.sendmsg([b'x'], [], 0, ('192.0.2.1', 9)); return {'n': 1}",
    "abstract_unix": "import socket\n    with socket.socket(socket.AF_UNIX) as s: s.connect('\\0' + ABSTRACT); return {'n': 1}",
    "name": "import socket; socket.getaddrinfo('example.org', 80); return {'n': 1}",
    "c_connect": "import ctypes, struct; c = ctypes.CDLL(None, use_errno=True); fd = c.socket(2, 1, 0)\n"
    "    address = struct.pack('<H', 2) + struct.pack('>H', PORT) + bytes([127, 0, 0, 1]) + bytes(8)\n"
    "    if c.connect(fd, address, 16): raise OSError(ctypes.get_errno(), 'connect')\n    return {'n': 1}",
    "c_sendto": "import ctypes, struct; c = ctypes.CDLL(None, use_errno=True); fd = c.socket(2, 2, 0)\n"
    "    address = struct.pack('<H', 2) + struct.pack('>H', PORT) + bytes([127, 0, 0, 1]) + bytes(8)\n"
    "    if c.sendto(fd, b'x', 1, 0, address, 16) < 0: raise OSError(ctypes.get_errno(), 'sendto')\n    return {'n': 1}",
}  # fmt: skip


def write_secret(folder):
    """A file that no step declares, in all the forms the readers want."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    path = folder / "undeclared.csv"
    path.write_text("a\n1\n")
    pq.write_table(pa.table({"a": [1]}), f"{path}.parquet")
    np.save(f"{path}.npy", np.arange(3))
    with sqlite3.connect(f"{path}.db") as db:
        db.execute("create table t (a)")
    db.close()
    return path


def steps_of(bodies, **names):
    lines = [f"{name} = {value!r}" for name, value in names.items()]
    for name, body in bodies.items():
        lines.append(f"\n@pl.step\ndef via_{name.replace('.', '_')}() -> pl.Metrics:\n    {body}\n")
    listed = ", ".join("via_" + name.replace(".", "_") for name in bodies)
    lines.append(f"pipeline = pl.Pipeline('reads', [{listed}])")
    return "\n".join(lines)


def each_alone(project, names):
    """Run every step by itself in one process (a failing step ends its run), confined, and give what each said."""
    return project.python(
        f"""
        import json
        from pathlib import Path
        from pellucid.pipeline.running.worker_pool import Workers
        from pellucid.pipeline.running.pipeline_file import load
        from pellucid.pipeline.running.execution import run
        pipeline = load(Path("pipeline.py"))
        engine = Workers(pipeline.file, {{}}, slots=1)
        found = {{}}
        for name in {names!r}:
            done = run(pipeline, only=["via_" + name], engine=engine, check=False)
            found[name] = [done.steps["via_" + name].action, done.steps["via_" + name].message]
        engine.close()
        print(json.dumps(found))
        """
    )


@pytest.fixture(scope="module")
def undeclared(tmp_path_factory):
    return write_secret(tmp_path_factory.mktemp("elsewhere") / "data")


@needs_landlock
def test_an_undeclared_read_is_stopped_whatever_reads(project, undeclared):
    project.write(pipeline=steps_of(READS, PATH=str(undeclared)))
    names = [name.replace(".", "_") for name in READS]
    found = each_alone(project, names)
    assert {name: action for name, (action, _) in found.items()} == dict.fromkeys(names, "failed")
    for name, (_, message) in found.items():
        assert "which it does not declare" in message, (name, message)
        if name not in ("through_proc", "listdir", "scandir"):
            assert str(undeclared) in message, (name, message)
    assert found["open"][1] == (
        f"it used {undeclared}, which it does not declare: add undeclared = pl.source('{undeclared}', label=...) to the pipeline "
        "and a parameter undeclared to the step; what it writes belongs in its working folder"
    )


@needs_landlock
def test_the_network_is_out_of_reach_whatever_calls(project):
    import socket

    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        port = server.getsockname()[1]
        datagrams.bind(("127.0.0.1", port))
        datagrams.settimeout(0.2)
        abstract.bind(f"\0pellucid-{port}")
        abstract.listen()
        project.write(pipeline=steps_of(NETWORK, PORT=port, ABSTRACT=f"pellucid-{port}"))
        found = each_alone(project, list(NETWORK))
        with pytest.raises(TimeoutError):
            datagrams.recv(9)
    assert {name: action for name, (action, _) in found.items()} == dict.fromkeys(NETWORK, "failed")
    for name in NETWORK.keys() - {"c_connect", "c_sendto"}:
        assert "steps have none: fetch the data first and declare it with pl.source" in found[name][1], (name, found[name])


DECLARED = """
    table = pl.source("rows.csv", label="open")
    kept = pl.source("kept.db", label="open", format="file")

    @pl.step
    def arrow(table: pl.Table) -> pl.Metrics:
        return {"n": table.arrow()["a"].to_pylist()[1]}

    @pl.step
    def polars(table: pl.Table) -> pl.Metrics:
        return {"n": table.polars().collect()["a"][1]}

    @pl.step
    def duckdb(table: pl.Table) -> pl.Metrics:
        return {"n": table.duckdb().fetchall()[1][0]}

    @pl.step
    def sqlite(kept: pl.File) -> pl.Metrics:
        import sqlite3
        return {"n": sqlite3.connect(kept).execute("select a from t").fetchone()[0]}

    @pl.step
    def uri(kept: pl.File) -> pl.Metrics:
        import sqlite3
        return {"n": sqlite3.connect(f"file:{kept.path}?mode=ro&immutable=1", uri=True).execute("select a from t").fetchone()[0]}

    @pl.step
    def scratch(table: pl.Table) -> pl.Metrics:
        import os, tempfile
        from pathlib import Path
        Path("here.txt").write_text("2")
        os.rename("here.txt", "there.txt")
        with tempfile.TemporaryFile() as file:
            file.write(b"spill")
        return {"n": int(Path("there.txt").read_text())}

    pipeline = pl.Pipeline("declared", [table, kept, arrow, polars, duckdb, sqlite, uri, scratch])
"""


@pytest.fixture
def declared(project):
    with sqlite3.connect(project.folder / "kept.db") as db:
        db.execute("create table t as select 2 as a")
    db.close()
    return project.write(pipeline=DECLARED, rows_csv="a\n1\n2\n")


def test_what_is_declared_can_be_read_by_every_engine(declared):
    steps = declared.run().json["steps"]
    read = {name: step["metrics"]["n"] for name, step in steps.items() if "metrics" in step}
    assert read == dict.fromkeys(["arrow", "polars", "duckdb", "sqlite", "uri", "scratch"], 2)


def test_a_program_may_be_started_and_is_held_too(project):
    project.write(
        pipeline="""
        @pl.step
        def counted() -> pl.Metrics:
            import subprocess
            return {"n": int(subprocess.run(["sh", "-c", "echo 4"], capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout)}
        pipeline = pl.Pipeline("programs", [counted])
        """
    )
    assert project.run().json["steps"]["counted"]["metrics"] == {"n": 4}


WRITES = {
    "outside": "open(PLACE + '/new.txt', 'w'); return {'n': 1}",
    "over_the_source": "open(PLACE + '/rows.csv', 'a').write('x'); return {'n': 1}",
    "over_its_input": "open(rows.path, 'wb').write(b'x'); return {'n': 1}",
    "moved_out": "import os; open('a', 'w').close(); os.rename('a', PLACE + '/new.txt'); return {'n': 1}",
    "removed": "import os; os.remove(PLACE + '/rows.csv'); return {'n': 1}",
    "other_objects": "import os; from pathlib import Path; return {'n': len(list(os.scandir(Path(rows.path).parent.parent)))}",
    "other_object": "return {'n': len(open(PLACE + '/.pellucid/objects/' + OTHER[:2] + '/' + OTHER, 'rb').read())}",
    "state": "return {'n': len(open(PLACE + '/.pellucid/pellucid.db', 'rb').read())}",
    "keys": "import os; return {'n': len(os.listdir(KEYS))}",
    "folder": "return {'n': len(open(PLACE + '/rows.csv').read())}",
    "c_write": "import ctypes; fd = ctypes.CDLL(None).open((PLACE + '/new.txt').encode(), 0o101, 0o600)\n"
    "    if fd < 0: raise PermissionError(13, 'Permission denied', PLACE)\n    return {'n': 1}",
    "c_link": "import ctypes; \n    if ctypes.CDLL(None).link(str(rows.path).encode(), b'mine'): raise PermissionError(13, 'Permission denied', str(rows.path))\n    return {'n': 1}",
    "another_worker": "import os; return {'n': len(open(f'/proc/{os.getppid()}/environ', 'rb').read())}",
}  # fmt: skip


@needs_landlock
def test_a_step_leaves_everything_but_its_working_folder_alone(project, tmp_path):
    keys = tmp_path / "keys"
    keys.mkdir()
    project.write(rows_csv="a\n1\n", pipeline='rows = pl.source("rows.csv", label="open")\npipeline = pl.Pipeline("p", [rows])')
    assert project.run().code == 0
    (other,) = {path.name for path in (project.home / "objects").rglob("*.parquet")}
    text = steps_of(WRITES, PLACE=str(project.folder), KEYS=str(keys), OTHER=other).replace("() ->", "(rows: pl.Table) ->")
    text = text.replace("via_other_object(rows: pl.Table)", "via_other_object()").replace(
        "Pipeline('reads', [", "Pipeline('reads', [rows, "
    )
    project.write(pipeline='rows = pl.source("rows.csv", label="open")\n' + text)
    found = each_alone(project, list(WRITES))
    assert {name: action for name, (action, _) in found.items()} == dict.fromkeys(WRITES, "failed")
    assert (project.folder / "rows.csv").read_text() == "a\n1\n"
    assert not (project.folder / "new.txt").exists()


def test_a_confined_step_sees_a_bare_environment_and_the_file_the_whole(project):
    project.write(
        pipeline="""
        import os
        AT_IMPORT = int(os.environ.get("MY_LIMIT", "0"))
        @pl.step
        def seen() -> pl.Metrics:
            return {"at_import": AT_IMPORT, "inside": int(os.environ.get("MY_LIMIT", "0"))}
        pipeline = pl.Pipeline("environment", [seen])
        """
    )
    assert project.run(MY_LIMIT="7").json["steps"]["seen"]["metrics"] == {"at_import": 7, "inside": 0}
    again = project.run(MY_LIMIT="8").json["steps"]["seen"]
    assert (again["action"], again["metrics"]["at_import"]) == ("ran", 8)


# what a private step says ------------------------------------------------------------------------------------------------

PRIVATE = """
    rows = pl.source("rows.csv", label="private", unit="name")

    @pl.step
    def loud(rows: pl.Table) -> pl.Metrics:
        import os, sys
        name = rows.polars().collect()["name"][0]
        print("printed", name)
        print("complained", name, file=sys.stderr)
        os.write(2, f"wrote {name}".encode())
        raise %s

    pipeline = pl.Pipeline("private", [rows, loud])
"""
SECRET = "Ermintrude"
RAISES = {
    "an error of Python's": 'ValueError(f"no such person: {name}")',
    "an error of pellucid's, raised by the project": 'pl.PellucidError(f"bad row {name}", where=name, why=name, fix=name)',
    "an error with a path in it": 'PermissionError(13, "Permission denied", f"/data/{name}.txt")',
    "a text that reads like a path": 'RuntimeError(f"Permission denied: /data/{name}/x")',
    "a file by a person's name": 'Exception(open(f"/data/{name}.txt"))',
    "an address made of a name": "Exception(__import__('socket').create_connection((f'{name}.example', 80)))",
    "sys.exit": "SystemExit(name)",
    "a class that is named so": "type(name, (Exception,), {})()",
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("raised", RAISES, ids=lambda name: name.replace(" ", "-"))
def test_what_a_private_step_says_is_for_its_steward_only(project, raised):
    project.write(pipeline=PRIVATE % RAISES[raised], rows_csv=f"name,n\n{SECRET},1\n")
    done = project.pellucid("run", "pipeline.py")
    assert done.code == 1
    as_json = project.run()
    assert as_json.json["steps"]["loud"]["action"] == "failed"
    assert SECRET not in done.out + done.err + as_json.out + as_json.err
    kept = project.python(
        """
        import json
        from pathlib import Path
        from pellucid.pipeline.record.run_record import Record
        record = Record(Path(".pellucid"))
        step = {step.step: step for step in record.steps(record.find()["run"])}["loud"]
        print(json.dumps([step.label, step.message, step.private]))
        """
    )
    assert kept[0] == "private"
    assert SECRET not in kept[1]
    for said in ("printed", "complained", "wrote"):
        assert f"{said} {SECRET}" in kept[2]
    assert "Traceback" in kept[2]


def test_what_a_private_step_returns_by_mistake_is_not_named(project):
    project.write(
        rows_csv=f"name,n\n{SECRET},1\n",
        pipeline="""
        from typing import NamedTuple
        rows = pl.source("rows.csv", label="private", unit="name")
        class Two(NamedTuple):
            one: pl.Metrics
            other: pl.Metrics
        @pl.step
        def wrong(rows: pl.Table) -> Two:
            name = rows.polars().collect()["name"][0]
            return {name: {"n": 1}}
        @pl.step
        def words(rows: pl.Table) -> pl.Metrics:
            name = rows.polars().collect()["name"][0]
            return {name: name}
        pipeline = pl.Pipeline("private", [rows, wrong, words])
        """,
    )
    for step in ("wrong", "words"):
        done = project.pellucid("run", "pipeline.py", "--only", step)
        assert done.code == 1 and f'step "{step}" failed' in done.out + done.err
        assert SECRET not in done.out + done.err


def test_the_names_of_private_partitions_are_not_shown(project):
    project.write(
        rows_csv=f"name,n\n{SECRET},1\nBob,0\n",
        pipeline="""
        rows = pl.source("rows.csv", label="private", unit="n")
        @pl.step(over="rows", by="name")
        def each(rows: pl.Table) -> pl.Metrics:
            return {"n": 1 // rows.polars().collect()["n"][0]}
        pipeline = pl.Pipeline("private", [rows, each])
        """,
    )
    for done in (project.pellucid("run", "pipeline.py"), project.run(), project.pellucid("show", "last")):
        assert SECRET not in done.out + done.err
    assert "it raised an error" in project.pellucid("run", "pipeline.py").err


def test_what_an_open_step_says_may_be_read_by_anyone(project):
    project.write(
        pipeline="""
        @pl.step
        def loud() -> pl.Metrics:
            raise ValueError("no such area: 12")
        pipeline = pl.Pipeline("open", [loud])
        """
    )
    assert "it raised ValueError in pipeline.py, line 4: no such area: 12" in project.run().json["steps"]["loud"]["message"]


# without the kernel's help -----------------------------------------------------------------------------------------------

WITHOUT_LANDLOCK = """
import ctypes, struct, sys
# a seccomp filter that answers "no such system call" to landlock_create_ruleset (444), as an older kernel would
program = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
filter = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
assert libc.prctl(22, 2, ctypes.c_char_p(filter), 0, 0) == 0, ctypes.get_errno()
sys.argv = ["pellucid", "run", "pipeline.py", "--json", "--quiet"]
from pellucid.cli import main
sys.exit(main())
"""


@pytest.mark.quick(1)
@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="the filter is written for 64 bits")
@pytest.mark.parametrize("reads", ["open", "subprocess", "sqlite3", "thread", "listdir"])
def test_where_the_kernel_has_no_landlock_the_record_says_so_and_python_is_held(project, undeclared, reads):
    import subprocess
    import sys

    from workshop import environ

    project.write(pipeline=steps_of({"fine": "return {'n': 1}", reads: READS[reads]}, PATH=str(undeclared)))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LANDLOCK], cwd=project.folder, env=environ({}), capture_output=True, text=True, check=False
    )
    import json

    found = json.loads(done.stdout)
    assert actions(found) == {"via_fine": "ran", f"via_{reads}": "failed"}
    said = found["steps"][f"via_{reads}"]["message"]
    assert "which it does not declare" in said or "it started a program" in said
    held = project.python(
        """
        import json
        from pathlib import Path
        from pellucid.pipeline.record.run_record import Record
        record = Record(Path(".pellucid"))
        print(json.dumps([record.find()["environment"]["confined"], *(step.confined for step in record.steps(record.find()["run"]))]))
        """
    )
    assert len(set(held)) == 1 and held[0].startswith("audit hook")


# in process --------------------------------------------------------------------------------------------------------------

IN_PYTHON = [
    "open",
    "os.open",
    "listdir",
    "scandir",
    "sqlite3",
    "numpy_fromfile",
    "numpy_load",
    "subprocess",
    "shell",
    "thread",
    "symlink",
]


@pytest.mark.parametrize("reads", IN_PYTHON)
def test_in_process_the_audit_hook_stops_what_python_opens(tmp_path, undeclared, reads, monkeypatch):
    monkeypatch.chdir(tmp_path)
    import pellucid as pl

    names = {"pl": pl, "PATH": str(undeclared)}
    exec(compile(f"def reads() -> pl.Metrics:\n    {READS[reads]}\n", "<test>", "exec", dont_inherit=True), names)
    with pytest.raises(StepError, match=r"does not declare|started a program"):
        pl.Pipeline("reads", [pl.step(names["reads"])]).run(home=tmp_path / "home")
    assert undeclared.read_text() == "a\n1\n", "outside of steps nothing is guarded"


@pytest.mark.parametrize("calls", ["tcp", "udp", "udp_sendmsg", "abstract_unix", "name"])
def test_in_process_the_audit_hook_stops_the_network(tmp_path, calls):
    import pellucid as pl

    names = {"pl": pl, "PORT": 9, "ABSTRACT": "nobody"}
    exec(compile(f"def calls() -> pl.Metrics:\n    {NETWORK[calls]}\n", "<test>", "exec", dont_inherit=True), names)
    with pytest.raises(StepError, match="steps have none"):
        pl.Pipeline("calls", [pl.step(names["calls"])]).run(home=tmp_path / "home")
