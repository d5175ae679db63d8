"""Whatever a script's files, title and arguments are called, the written pipeline runs, or nothing is written and the reason is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from package_shop import run_file

from pellucid.errors import PellucidError, UsageError
from pellucid.packages.adopting import wrapper_pipeline
from pellucid.packages.adopting.adoption import adopt
from pellucid.packages.adopting.notebook_cells import code_cells
from pellucid.pipeline.declaration.about import About

pytestmark = pytest.mark.timeout(120)
ABOUT = About("A script", "of a folder", ("Doe, Jane",), "MIT", "CC-BY-4.0")
WANTED = ["--licence", "MIT", "--data-licence", "CC0-1.0", "--creator", "Doe, Jane"]


def command(*words: str | Path, cwd: Path, said: str = "") -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "pellucid", "adopt", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, check=False, cwd=cwd, input=said)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_name_of_a_file_gets_in_the_way_of_the_pipeline(folder: Path, tmp_path: Path) -> None:
    taken = [
        "class",
        "pl",
        "script",
        "files",
        "stdout.",
        "None",
        "requirements.lock",
        "x-y.csv",
        "x_y.csv",
        "ä.csv",
        "²",
        "a'\"\n.txt",
    ]
    for name in taken:
        (folder / name).write_text("1")
    (folder / "typing.txt").write_text("0")
    text = f"total = sum(int(open(name).read()) for name in {taken!r})\n"
    text += "open('typing.txt', 'a').write('1'); open('pipeline', 'w').write(str(total)); print(total)\n"
    (folder / "pipeline.py").write_text(text)
    made = adopt(folder / "pipeline.py", tmp_path / "adopted", about=ABOUT)
    assert made.files == {**dict.fromkeys([*taken, "typing.txt"], "data"), "pipeline.py": "code"}
    assert sorted(made.outputs.values()) == ["pipeline", "stdout", "typing.txt"]
    assert (tmp_path / "adopted" / "files" / "pipeline.py").read_text() == text
    assert "pyarrow==" in (tmp_path / "adopted" / "requirements.lock").read_text()
    run_file(made.pipeline, keys=tmp_path / "keys")
    found = [
        path.read_text() for path in (tmp_path / "adopted" / ".pellucid").rglob("*") if path.is_file() and path.stat().st_size < 4
    ]
    assert str(len(taken)) in found


def test_two_names_are_never_one_and_every_name_can_be_one() -> None:
    paths = ["a.csv", "a-csv", "A.csv", "ä.csv", "日本", "語", "_", "", "1", "if", "x" * 300, "x" * 300 + "y", "pl"]
    named = wrapper_pipeline.names(paths, ["a_csv_2"])
    assert list(named) == paths and len(set(named.values())) == len(paths)
    assert all(name.isidentifier() and name.isascii() and len(name) < 70 for name in named.values())
    assert not {"a_csv_2", "pl", "if"} & set(named.values())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_text_of_people_becomes_code(folder: Path, tmp_path: Path) -> None:
    evil = '"""\n__import__("pathlib").Path(__file__).with_name("hit").touch()\n"""\\'
    name = 'a"""+open("hit","w")+""".py'
    (folder / name).write_text("import sys; print(sys.argv)")
    about = About(evil, evil, (evil,), "MIT", "CC-BY-4.0", (evil,), evil)
    made = adopt(folder / name, tmp_path / "adopted", about=about, arguments=[evil])
    run_file(made.pipeline, keys=tmp_path / "keys")
    assert not list(tmp_path.rglob("hit"))


@pytest.mark.parametrize("tolerance", ["nan", "inf", "-inf", "-1", "1", "1e400"])
def test_a_tolerance_is_a_share(folder: Path, tmp_path: Path, tolerance: str) -> None:
    (folder / "a.py").write_text("print(1)")
    done = command("project/a.py", "adopted", *WANTED, f"--tolerance={tolerance}", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is no tolerance" in done.stderr
    assert not (tmp_path / "adopted").exists()


def test_nobody_answers_a_script_that_asks(folder: Path, tmp_path: Path) -> None:
    (folder / "a.py").write_text("print(input())")
    done = command("project/a.py", "adopted", *WANTED, cwd=tmp_path, said="yes\n")
    assert done.returncode == 2
    assert "It waits for input" in done.stderr
    assert not (tmp_path / "adopted").exists()


ELSEWHERE = {
    "an absolute path": ("open('{outside}/rows.csv')", r"it reads \S+/outside/rows.csv: it lies outside"),
    "its own absolute path": ("open('{project}/own.csv')", r"it reads \S+/project/own.csv: that is an absolute path"),
    "a path that leads out": ("open('../outside/rows.csv')", r"it reads ../outside/rows.csv: it lies outside"),
    "out, by pandas": ("import pandas; pandas.read_csv('../outside/rows.csv')", r"it reads ../outside/rows.csv: it lies outside"),
    "out, by native code": (
        "import polars; polars.read_csv('../outside/rows.csv')",
        r"it reads ../outside/rows.csv: it lies outside",
    ),
    "out, a folder": ("import os; os.listdir('../outside')", r"it reads ../outside: it lies outside"),
    "out, by a process of its own": (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'open(\"{outside}/rows.csv\")'], check=True)",
        r"it reads \S+/outside/rows.csv: it lies outside",
    ),
    "a link to a folder": ("open('linked/rows.csv')", r"it reads linked/rows.csv: linked is a link to a folder"),
    "a hidden folder": ("open('.hidden/rows.csv')", r"it reads .hidden/rows.csv: .hidden is a folder that is left out"),
    "the folder one is in": ("open('project/own.csv')", r"it reads project/own.csv: it is in the folder you are in"),
    "a file written elsewhere": ("open('{outside}/new.csv', 'w').write('1')", r"it writes \S+/outside/new.csv: that is outside"),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_a_file_that_is_not_in_the_folder_is_named(
    folder: Path, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    for place in (outside, folder / ".hidden"):
        place.mkdir()
        (place / "rows.csv").write_text("a\n1\n")
        os.utime(place / "rows.csv", (1e9, 1e9))
    (folder / "own.csv").write_text("a\n1\n")
    os.utime(folder / "own.csv", (1e9, 1e9))
    (folder / "linked").symlink_to(outside)
    text, said = ELSEWHERE[case]
    (folder / "a.py").write_text(text.format(outside=outside, project=folder))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said) as caught:
        adopt(folder / "a.py", tmp_path / "adopted", about=ABOUT)
    assert caught.value.fix
    assert not (tmp_path / "adopted").exists()


def test_a_link_to_a_file_is_that_file_and_what_a_script_makes_for_itself_is_its_own(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a\n1\n")
    (folder / "rows.csv").symlink_to(tmp_path / "rows.csv")
    for name in ("forked.txt", "log.txt", "old.txt"):
        (folder / name).write_text("x")
    (folder / "a.py").write_text(
        "import multiprocessing, tempfile\n"
        "with tempfile.NamedTemporaryFile(delete=False) as file: file.write(b'1')\n"
        "open(file.name).read()\n"
        "def read(name): return open(name).read()\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('fork').Pool(1) as pool: pool.map(read, ['forked.txt'])\n"
        "    open('old.txt', 'w').write('new'); open('old.txt').read()\n"
        "    open('log.txt', 'a').write('y'); open('rows.csv').read()\n"
    )
    made = adopt(folder / "a.py", tmp_path / "adopted", about=ABOUT)
    assert made.files == {"a.py": "code", "forked.txt": "data", "log.txt": "data", "rows.csv": "data"}
    assert not (tmp_path / "adopted" / "files" / "rows.csv").is_symlink()
    assert sorted(made.outputs.values()) == ["log.txt", "old.txt", "stdout"]


def test_a_text_may_have_lines_that_look_like_magics() -> None:
    def notebook(*texts: str) -> bytes:
        return json.dumps({"cells": [{"cell_type": "code", "source": text} for text in texts]}).encode()

    plain = 'print("""\n%d of\n!all\n""" % (1,))\nx = (7\n%4)'
    assert code_cells(notebook(plain, "%matplotlib inline\nx = 1"), "b.ipynb") == [plain, "\nx = 1"]
    bad = [f"!ls {number}" for number in range(9)]
    with pytest.raises(PellucidError, match=r"cell 1: !ls 0; cell 2: .* \(and 4 more\)"):
        code_cells(notebook(*bad), "b.ipynb")
    for text, line in (
        ("x = 1\n%timeit x", "%timeit x"),
        ("!ls", "!ls"),
        ("%%bash\nls", "%%bash"),
        ("x = 1\nx?", "x\\?"),
        ("def f(", "def f"),
    ):
        with pytest.raises(PellucidError, match=f"plain Python: cell 2: {line}"):
            code_cells(notebook("1", text), "b.ipynb")


def test_the_command_says_what_it_takes(folder: Path, tmp_path: Path) -> None:
    (folder / "a b.py").write_text("import sys; print(sys.argv[1])")
    for words, said in (
        ((".", "to", *WANTED), "there is no such script or notebook"),
        (("/", "to", *WANTED), "there is no such script or notebook"),
        (("project/a b.py", "to", *WANTED, "--arg", "--n"), "A value that begins with a hyphen is written --arg=VALUE"),
    ):
        done = command(*words, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert said in done.stderr
    done = command("project/a b.py", "to; here", *WANTED, "--arg=--n", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "run it: pellucid run 'to; here/pipeline.py'" in done.stdout
