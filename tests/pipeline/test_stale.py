"""No stale results: after any edit, a run gives what a run from nothing gives, and runs the steps that the edit concerns, no others.

The project in `edited/` is run once; each edit starts from a copy of it, together with its store, in a fresh process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from workshop import environ

EDITED = Path(__file__).parent / "edited"
SERVER = """
import json, os, sys, tempfile
from pathlib import Path
import duckdb, numpy, polars, pyarrow.csv, pyarrow.parquet, pellucid.data, pellucid.store.table_partition, pellucid.pipeline.running.execution
from pellucid.pipeline.running.pipeline_file import load

def answer(asked):
    os.chdir(asked["folder"])
    os.environ.update(asked["environment"])
    pipeline = load(Path("pipeline.py"))
    given = dict(settings=asked["settings"], seed=asked["seed"])
    kept = pipeline.run(home=Path(asked["home"]), **given)
    with tempfile.TemporaryDirectory() as empty:
        fresh = pipeline.run(home=Path(empty), **given)
    return {"ran": [n for n, s in kept.steps.items() if s.action == "ran"],
            "kept": {n: s.digest for n, s in kept.steps.items()},
            "fresh": {n: s.digest for n, s in fresh.steps.items()}}

pellucid.pipeline.keys.environment.pellucid_digest()  # once: it is the code loaded here that runs
for line in sys.stdin:
    sys.stdout.flush()
    if os.fork() == 0:
        print(json.dumps(answer(json.loads(line))), flush=True)
        os._exit(0)
    if os.wait()[1]:
        print("null", flush=True)
"""


@dataclass(frozen=True)
class Edit:
    """A change (file, old text, new text) or another, and the steps whose result changes with it."""

    name: str
    change: tuple[str, str, str] | Callable[[Path], object] | None
    steps: Iterable[str] = ()
    settings: dict[str, object] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    seed: int | None = None
    also: Iterable[str] = ()  # may run, for nothing: the cut between steps is on the safe side

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def same_stamp(file: str, old: str, new: str) -> Callable[[Path], None]:
    """Other bytes under the same size and the same time stamps (but for the change time, which nobody can set)."""
    assert len(old) == len(new)

    def change(folder: Path) -> None:
        before = (folder / file).stat()
        replace(folder, file, old, new)
        os.utime(folder / file, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = (folder / file).stat()
        assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)

    return change


def replace(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {file}"
    (folder / file).write_text(text.replace(old, new))


def swap(one: str, other: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / one).rename(folder / "aside")
        (folder / other).rename(folder / one)
        (folder / "aside").rename(folder / other)

    return change


P = "pipeline.py"
DATA = {"total", "ratio", "by_group", "rows"}

EDITS = [
    Edit("data with the same size and time stamp", same_stamp("rows.csv", "a,1,4", "b,1,4"), {"rows", "by_group"}, also={"total", "ratio"}),
    Edit("helper with the same size and time stamp", same_stamp("far.py", "+ 1", "+ 2"), {"through_helpers"}),
    Edit("pipeline file with the same size and time stamp", same_stamp(P, "LIMIT = 3", "LIMIT = 9"), {"constant"}, also={"conditional"}),
    Edit("helper one import away", ("far.py", "+ 1", "+ 20"), {"through_helpers"}),
    Edit("helper two imports away", ("further.py", "+ 1", "+ 20"), {"through_helpers"}),
    Edit("helper three imports away", ("furthest.py", "THREE = 3", "THREE = 30"), {"through_helpers"}),
    Edit("module of a package", ("package/rates.py", "* 2", "* 20"), {"through_package"}),
    Edit("relative import of a module of a package", ("package/base.py", "RATE = 5", "RATE = 6"), {"through_package"}),
    Edit("re-export in a package", ("package/__init__.py", "from .rates import rate", "from .rates import rate as _rate\n\n\ndef rate():\n    return _rate() + 1\n"), {"through_package"}),
    Edit("module constant", (P, "LIMIT = 3", "LIMIT = 33"), {"constant"}, also={"conditional"}),
    Edit("environment read at import", None, {"from_environment"}, environment={"PELLUCID_TEST_LIMIT": "5"}),
    Edit("environment in a helper's dictionary", None, {"helper_environment"}, environment={"PELLUCID_TEST_TABLE": "5"}),
    Edit("environment in a helper's default argument", None, {"helper_environment"}, environment={"PELLUCID_TEST_DEFAULT": "5"}),
    Edit("environment in one of two closures", None, {"two_closures"}, environment={"PELLUCID_TEST_SCALE": "5"}),
    Edit("item set at top level", (P, 'CONFIG["x"] = 2', 'CONFIG["x"] = 7'), {"mutated"}),
    Edit("update at top level", (P, "CONFIG.update(y=3)", "CONFIG.update(y=7)"), {"mutated"}, also={"*"}),
    Edit("item set through another name", (P, 'ALIAS["z"] = 4', 'ALIAS["z"] = 7'), {"mutated"}),
    Edit("append at top level", (P, "LIST.append(2)", "LIST.append(7)"), {"appended"}, also={"*"}),
    Edit("default argument", (P, "a: int = 5", "a: int = 8"), {"defaults"}),
    Edit("keyword-only default", (P, "b: int = 6", "b: int = 8"), {"defaults"}),
    Edit("closure variable", (P, "adding(9)", "adding(90)"), {"closed"}),
    Edit("body of the factory", (P, '{"value": amount}', '{"value": amount + 1}'), {"closed"}),
    Edit("decorator in the file", (P, '["value"] + 1}', '["value"] + 2}'), {"decorated"}),
    Edit("decorator from elsewhere", ("decorators.py", "* 2", "* 3"), {"decorated_elsewhere"}),
    Edit("the function under functools.wraps", (P, '@plus_one\ndef decorated() -> pl.Metrics:\n    return {"value": 1}', '@plus_one\ndef decorated() -> pl.Metrics:\n    return {"value": 4}'), {"decorated"}),
    Edit("decorator taken away", (P, "@pl.step\n@plus_one\ndef decorated", "@pl.step\ndef decorated"), {"decorated"}),
    Edit("method of an instance that is a step", (P, "self.start + self.place()", "self.start - self.place()"), {"counter"}),
    Edit("method of its base class", (P, "self.offset + 1", "self.offset + 2"), {"counter"}),
    Edit("attribute of its base class", (P, "offset = 10", "offset = 11"), {"counter"}),
    Edit("state of the instance", (P, "Counter(1)", "Counter(2)"), {"counter"}),
    Edit("base class elsewhere", ("solid.py", "factor = 1", "factor = 2"), {"area"}),
    Edit("method of a class elsewhere", ("shapes.py", "self.side**2", "self.side**3"), {"area"}),
    Edit("field of a data class", (P, "depth: int = 4", "depth: int = 5"), {"of_options"}, also={"method"}),
    Edit("method of a data class that is a setting", (P, "self.depth * 2", "self.depth * 3"), {"method"}, also={"of_options"}),
    Edit("enum value", (P, "FAST = 1", "FAST = 3"), {"of_enum"}, also={"of_mode"}),
    Edit("enum value behind a closure", (P, "SLOW = 2", "SLOW = 4"), {"of_mode"}, also={"of_enum"}),
    Edit("argument of functools.partial", (P, "exponent=3", "exponent=5"), {"partial"}, also={"configured"}),
    Edit("setting in the declaration", (P, '{"exponent": 4}', '{"exponent": 5}'), {"configured"}),
    Edit("lambda in a nested function", (P, "x + 8", "x + 9"), {"nested"}),
    Edit("lambda on a line with another statement", (P, "x + SEMICOLON", "x - SEMICOLON"), {"on_one_line"}),
    Edit("setting from outside", None, {"defaults"}, settings={"defaults.a": 50}),
    Edit("column from outside", None, {"total"}, settings={"total.column": "m"}),
    Edit("lock file", ("requirements.lock", "1.0", "1.1"), (), also={"*"}),
    Edit("swapped inputs", swap("rows.csv", "more.csv"), {"rows", "more", "total", "ratio", "by_group"}),
    Edit("swapped source paths", (P, 'rows = pl.source("rows.csv", label="open", unit=None)\nmore = pl.source("more.csv"', 'rows = pl.source("more.csv", label="open", unit=None)\nmore = pl.source("rows.csv"'), {"rows", "more", "total", "ratio", "by_group"}),
    Edit("columns renamed in the data", ("rows.csv", "g,n,m", "g,m,n"), {"rows", "total", "ratio"}, also={"by_group"}),
    Edit("option of a source", (P, 'delimiter=","', 'delimiter=",", types={"n": "float64"}'), {"more"}, also={"ratio"}),
    Edit("module imported in a function", ("late.py", "VALUE = 1", "VALUE = 2"), {"imports_inside"}),
    Edit("module imported by its name", ("named.py", "VALUE = 1", "VALUE = 2"), {"imports_by_name"}),
    Edit("module imported on a condition", ("large.py", "SIZE = 100", "SIZE = 101"), {"conditional"}),
    Edit("the condition of an import", (P, "if LIMIT > 2:", "if LIMIT > 20:"), {"conditional"}, also={"*"}),
    Edit("module behind a star", ("stars.py", "STAR = 6", "STAR = 7"), {"star"}),
    Edit("plug-in found by a name made up at import", ("pluga.py", "return 1", "return 2"), {"registered"}),
    Edit("seed", None, {"seeded"}, seed=99, also={"*"}),
    Edit("list of a fan-out", (P, '{"power": [1, 2]}', '{"power": [1, 3]}'), {"over_list"}),
    Edit("column of the partitions", (P, 'by="g"', 'by="n"'), {"by_group"}),
    Edit("return type", (P, "def total(rows: pl.Table, column: str = \"n\") -> pl.Metrics:\n    return {\"value\": float(", "def total(rows: pl.Table, column: str = \"n\") -> pl.Metrics:\n    return {\"value\": int("), {"total"}),
]  # fmt: skip

NOT_EDITS = [
    Edit("comment", (P, "# noqa: E702, E731 -", "# noqa: E702, E731 - changed")),
    Edit("comment in a helper", ("far.py", "return", "# more\n    return")),
    Edit("docstring", ("far.py", '"""One import away."""', '"""An import away."""')),
    Edit("docstring of a step", (P, "def constant() -> pl.Metrics:\n", 'def constant() -> pl.Metrics:\n    """Say it."""\n')),
    Edit("blank lines", (P, "def adding(amount):\n", "\n\ndef adding(amount):\n\n")),
    Edit("layout", (P, 'CONFIG = {"a": 1}', 'CONFIG = {\n    "a": 1,\n}')),
    Edit("time stamps", lambda folder: [os.utime(path) for path in folder.rglob("*.*")]),
    Edit("moved checkout", None),
    Edit("file that nobody imports", ("unused.py", "this.", "that.")),
    Edit("order in the list of the pipeline", (P, "rows, more, constant, from_environment", "more, from_environment, constant, rows")),
    Edit("another name for the pipeline", (P, '"edited",', '"renamed",')),
    Edit("module on the other side of a condition", ("large.py", '"""One', '"""Another')),
    Edit("bytes of a lock that says the same", lambda folder: os.utime(folder / "requirements.lock")),
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Answers each question in a process of its own, forked from one that has imported the libraries and nothing of the project."""
    environment = environ({"PYTHONHASHSEED": "0", "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"})
    said = tmp_path_factory.mktemp("server") / "stderr"
    with (
        said.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", SERVER],
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        ) as process,
    ):

        def ask(folder: Path, home: Path, edit: Edit) -> dict:
            asked = {
                "folder": str(folder),
                "home": str(home),
                **{n: getattr(edit, n) for n in ("settings", "environment", "seed")},
            }
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            found = json.loads(process.stdout.readline())
            assert found is not None, said.read_text()
            return found

        yield ask
        process.stdin.close()


@pytest.fixture(scope="module")
def base(tmp_path_factory, server):
    """Makes a copy of the project and of its store after one run, edits it, and runs it; also gives what that first run gave."""
    folder = tmp_path_factory.mktemp("base")
    shutil.copytree(EDITED, folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
    before = server(folder / "project", folder / "home", Edit("nothing", None))
    assert before["ran"] == list(before["kept"]), "the first run runs everything"

    def edited(place: Path, edit: Edit) -> dict:
        shutil.copytree(folder, place / "copy")
        if callable(edit.change):
            edit.change(place / "copy" / "project")
        elif edit.change is not None:
            replace(place / "copy" / "project", *edit.change)
        return server(place / "copy" / "project", place / "copy" / "home", edit)

    return edited, before


@pytest.mark.quick(4)
@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_an_edit_runs_what_it_concerns(base, tmp_path, edit):
    edited, before = base
    found = edited(tmp_path, edit)
    assert found["kept"] == found["fresh"], "a kept result is not what a run from nothing gives"
    changed = {name for name, digest in found["fresh"].items() if digest != before["fresh"][name]}
    assert changed == set(edit.steps), "the edit does not do what it is meant to test"
    if "*" not in edit.also:
        assert set(found["ran"]) <= set(edit.steps) | set(edit.also)


@pytest.mark.quick(1)
@pytest.mark.parametrize("edit", NOT_EDITS, ids=str)
def test_what_is_no_edit_runs_nothing(base, tmp_path, edit):
    edited, _ = base
    found = edited(tmp_path, edit)
    assert found["ran"] == []
    assert found["kept"] == found["fresh"]


OTHERS = [
    Edit("another step's setting", None, settings={"defaults.b": 60}),
    Edit("another step's default argument", (P, "b: int = 6", "b: int = 61")),
    Edit("another step's body", (P, "a * 10 + b", "a * 100 + b")),
]


@pytest.mark.quick(1)
@pytest.mark.parametrize("edit", OTHERS, ids=str)
def test_what_concerns_another_step_does_not_concern_this(base, tmp_path, edit):
    edited, _ = base
    assert edited(tmp_path, edit)["ran"] == ["defaults"]
