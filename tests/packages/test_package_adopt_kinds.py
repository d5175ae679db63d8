"""Fifty scripts and notebooks of the kinds people have: the package holds what the script does, or adopt says why not. Nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.errors import PellucidError
from pellucid.packages.adopting import script_process, title_and_description
from pellucid.packages.adopting.adoption import adopt
from pellucid.pipeline.declaration.about import About
from pellucid.pipeline.running import load, run

pytestmark = pytest.mark.timeout(300)
ABOUT = About("A script", "of a folder", ("Doe, Jane",), "MIT", "CC-BY-4.0")
FILES = {
    "rows.csv": "id,name,score\n00123,Zebulon,1.50\n00124,NA,2.25\n", "data/a.txt": "alpha\n", "data/b.txt": "beta\n",
    "config.json": '{"k": 3}', "pkg/__init__.py": "", "pkg/sub.py": "def twice(x):\n    return 2 * x\n", "empty.txt": "",
    "q.sql": "SELECT 1", "old.csv": "x\n1\n",
}  # fmt: skip
# name -> the script; "refused: WORDS" where adopt must refuse it with these words
SCRIPTS: dict[str, tuple[str, str]] = {
    "prints": ("print('hello', 1 / 3)", ""),
    "reads and writes text": ("t = open('data/a.txt').read(); open('out.txt', 'w').write(t.upper())", ""),
    "writes a csv by hand": ("open('out.csv', 'w').write(open('rows.csv').read())", ""),
    "pandas": ("import pandas as pd; f = pd.read_csv('rows.csv', dtype=str); f.to_csv('sub.csv', index=False); print(f.describe())", ""),
    "polars": ("import polars as p; p.read_csv('rows.csv').write_parquet('out.parquet'); print(p.read_csv('rows.csv'))", ""),
    "numpy": ("import numpy as np; np.savetxt('z.csv', np.eye(3)); np.save('z.npy', np.arange(3)); np.savez('z.npz', a=np.eye(2))", ""),
    "json": ("import json; k = json.load(open('config.json'))['k']; json.dump({'k': k, 'ok': True}, open('r.json', 'w'))", ""),
    "local modules": ("from pkg.sub import twice; print(twice(21))", ""),
    "a module by name": ("import importlib; print(importlib.import_module('pkg.sub').twice(4))", ""),
    "glob": ("import glob; print(sorted(glob.glob('data/*.txt')), len(glob.glob('*')))", ""),
    "walk": ("import os; print(sorted(os.path.join(a, c) for a, b, d in os.walk('data') for c in d))", ""),
    "pathlib": ("from pathlib import Path; print([p.name for p in sorted(Path('data').iterdir())])", ""),
    "asks what is there": ("import os; print(os.path.exists('rows.csv'), os.path.getsize('q.sql'), os.path.exists('no'))", ""),
    "asks by pathlib": ("from pathlib import Path; print(Path('data/a.txt').exists(), Path('data').is_dir(), Path('no').exists())", ""),
    "an empty file": ("print(len(open('empty.txt').read()))", ""),
    "writes an empty file": ("open('done', 'w').close()", ""),
    "writes into an empty folder": ("open('work/x.txt', 'w').write('1')", ""),
    "makes folders": ("import os; os.makedirs('a/b', exist_ok=True); open('a/b/c.txt', 'w').write('1')", ""),
    "writes again what is there": ("open('old.csv', 'w').write('x\\n1\\n')", ""),
    "appends": ("open('old.csv', 'a').write('2\\n')", ""),
    "replaces a file": ("import os; open('t', 'w').write('n'); os.replace('t', 'old.csv')", ""),
    "sqlite": ("import sqlite3; d = sqlite3.connect(':memory:'); print(d.execute(open('q.sql').read()).fetchall())", ""),
    "sub-process": ("import subprocess as s, sys; print(s.check_output([sys.executable, '-c', 'print(open(\"q.sql\").read())']))", ""),
    "threads": ("from concurrent.futures import ThreadPoolExecutor as T\nwith T(4) as t: print(list(t.map(abs, range(5))))", ""),
    "a seed": ("import random, numpy as np; random.seed(1); print(random.random(), np.random.default_rng(1).normal())", ""),
    "gzip": ("import gzip; gzip.open('o.gz', 'wt').write('x'); print(1)", ""),
    "a csv that is packed": ("import pandas as pd; pd.DataFrame({'a': [1]}).to_csv('o.csv.gz', index=False)", ""),
    "zip": ("import zipfile; z = zipfile.ZipFile('o.zip', 'w'); z.writestr('a', 'b'); z.write('q.sql'); z.close()", ""),
    "plots": ("import matplotlib.pyplot as p\np.plot([1, 2]); p.savefig('a.svg'); p.savefig('b.pdf'); p.savefig('c.png')", ""),
    "warns and logs": ("import warnings, logging; warnings.warn('x'); logging.warning('y'); print('z')", ""),
    "argv": ("import sys; print(sys.argv[1:])", ""),
    "exits well": ("import sys; print('ok'); sys.exit(0)", ""),
    "name and main": ("if __name__ == '__main__':\n    print(__name__, __file__ == 's.py' or __file__.endswith('/s.py'))", ""),
    "no seed": ("import random; print(random.random())", "what it prints: not the same in two runs.*random"),
    "numpy without a seed": ("import numpy as np; np.save('n.npy', np.random.default_rng().normal())", "n.npy: not the same.*numpy"),
    "the clock": ("import datetime; open('o', 'w').write(datetime.datetime.now().isoformat())", "o: not the same.*clock"),
    "the clock of day": ("import time; print(int(time.time()) // 2)", "not the same in two runs.*clock"),
    "identifiers": ("import uuid; print(uuid.uuid4())", "not the same in two runs.*identifiers"),
    "its folder": ("import os; print(os.getcwd())", "not the same in two runs.*folder it runs in"),
    "the temporary folder": ("import tempfile; print(tempfile.mkdtemp())", "not the same in two runs.*temporary files"),
    "a process's number": ("import os; open('pid', 'w').write(str(os.getpid()))", "pid: not the same in two runs.*process"),
    "tar": ("import tarfile; t = tarfile.open('o.tar', 'w'); t.add('q.sql'); t.close()", "o.tar: not the same in two runs|"),
    "native code": ("import pyarrow.csv as c; print(c.read_csv('rows.csv').num_rows, c.read_csv('old.csv').num_rows)", ""),
    "a variable of the environment": ("import os; print(os.environ.get('ADOPT_WORD', 'none'))", "or on a variable of your environment"),
    "fails": ("raise ValueError('no')", "ended with 1: ValueError: no"),
    "a library that is not here": ("import nothere", "ModuleNotFoundError.*Install what it imports"),
}  # fmt: skip
CELLS: dict[str, tuple[list[str], list[str], str]] = {  # name -> cells, what its output says, refusal
    "values": (["x = 5\nx", "x + 1"], ["5", "6"], ""),
    "a semicolon": (["x = 5\nx;", "print('end')"], ["end"], ""),
    "display": (["display(1, 'two')", "for i in range(2):\n    display(i)"], ["1", "'two'", "0", "1"], ""),
    "await": (["import asyncio\nawait asyncio.sleep(0)\nawait asyncio.sleep(0, 7)"], ["7"], ""),
    "a frame": (["import pandas as pd\npd.DataFrame({'a': [1, 2]})"], ["0  1"], ""),
    "a plot": (["%matplotlib inline\nimport matplotlib.pyplot as plt", "plt.plot([1, 2]);"], ["<picture of"], ""),
    "files and modules": (["from pkg.sub import twice\ntwice(int(open('config.json').read()[6]))"], ["6"], ""),
    "magics": (["!ls", "x = 1", "%%bash\nls", "%timeit x"], [], "cell 1: !ls; cell 3: %%bash; cell 4: %timeit x"),
}


def scene(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "work").mkdir()
    return folder


def alone(folder: Path, script: str, arguments: list[str]) -> tuple[bytes, dict[str, bytes]]:
    """What the script does by itself, in its folder: what it prints, and every file that is new or written again."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    done = script_process.run(script, folder, arguments)
    assert done.returncode == 0, done.stderr
    after = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    written = {path for path in after if before.get(path) != path.stat().st_mtime_ns}
    return done.stdout, {path.relative_to(folder).as_posix(): path.read_bytes() for path in written}


def adopted(folder: Path, script: str, to: Path, arguments: list[str]) -> tuple[bytes, dict[str, bytes]]:
    """What the adopted pipeline gives when it is run."""
    made = adopt(folder / script, to, about=ABOUT, arguments=arguments)
    done = run(load(made.pipeline), home=to / ".pellucid", confined=True)
    given = {path: done[name].read_bytes() for name, path in made.outputs.items()}
    return given.pop("stdout"), given


@pytest.mark.quick(2)
@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_package_holds_what_the_script_does_or_says_why_not(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, refusal = SCRIPTS[kind]
    monkeypatch.setenv("ADOPT_WORD", "mine")
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
        (scene(tmp_path / name) / "s.py").write_text(text)
    arguments = ["--n", "3", "a b"] if kind == "argv" else []
    error, found = None, None
    try:
        found = adopted(tmp_path / "mine", "s.py", tmp_path / "adopted", arguments)
    except PellucidError as refused:
        error = refused
    if error is not None:
        assert refusal, error
        assert re.search(refusal, str(error)), error
        assert "\n" not in str(error) and error.fix
        assert not (tmp_path / "adopted").exists()
        return
    assert not refusal or refusal.endswith("|"), "it must be refused"
    assert found == alone(tmp_path / "theirs", "s.py", arguments)


@pytest.mark.quick(1)
@pytest.mark.parametrize("kind", CELLS)
def test_what_the_cells_of_a_notebook_show_is_an_output(kind: str, tmp_path: Path) -> None:
    cells, says, refusal = CELLS[kind]
    (tmp_path / "mine").mkdir()
    book = {"cells": [{"cell_type": "code", "source": text} for text in cells], "nbformat": 4, "metadata": {}}
    (scene(tmp_path / "mine") / "n.ipynb").write_text(json.dumps(book))
    if refusal:
        with pytest.raises(PellucidError, match=refusal.replace("(", r"\(")):
            adopted(tmp_path / "mine", "n.ipynb", tmp_path / "adopted", [])
        return
    printed, files = adopted(tmp_path / "mine", "n.ipynb", tmp_path / "adopted", [])
    lines = printed.decode().splitlines()
    assert all(any(said in line for line in lines) for said in says), printed
    assert not says or lines.count(says[0]) <= says.count(says[0])
    page = files["n-shown.html"].decode()
    assert page.count("<h2>") == len(cells)
    if kind == "a plot":
        assert page.count("data:image/png;base64") == 1
    if kind == "a frame":
        assert "<table" in page


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_script_in_a_folder_of_its_own_runs_from_the_root(tmp_path: Path) -> None:
    """As people run it: `python src/main.py` where data/ is."""
    scene(tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/helper.py").write_text("WORD = 'help'\n")
    (tmp_path / "src/main.py").write_text("import sys, helper\nprint(helper.WORD, open('data/a.txt').read(), sys.argv[1:])\n")
    command = [sys.executable, "-m", "pellucid", "adopt", "src/main.py", "../adopted", "--root", ".", "--licence", "MIT",
               "--data-licence", "CC0-1.0", "--creator", "Doe, Jane", "--json", "--", "--n", "3"]  # fmt: skip
    (tmp_path.parent / "adopted").mkdir(exist_ok=True)
    os.rmdir(tmp_path.parent / "adopted")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"] == {"data/a.txt": "data", "src/helper.py": "code", "src/main.py": "code"}
    made = run(load(tmp_path.parent / "adopted/pipeline.py"), home=tmp_path / "state", confined=True)
    assert made["stdout"].read_bytes() == b"help alpha\n ['--n', '3']\n"


def test_a_script_whose_two_runs_differ_is_taken_when_its_user_says_so(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/s.py").write_text("import random; print(random.random())")
    assert adopt(tmp_path / "mine/s.py", tmp_path / "adopted", about=ABOUT, although=True).pipeline.is_file()


SAYS = {
    "docstring": ({"s.py": '"""Mean ratings.\n\nOf films, by year.\n"""\n'}, ("Mean ratings", "Of films, by year.")),
    "readme": ({"s.py": "1", "README.md": "![x](y)\n# The *study*\n\nWhat we [did](http://x).\n\nMore."}, ("The study", "What we did.")),
    "plain readme": ({"s.py": "1", "README.txt": "The study\n=========\n\nWhat we did.\n"}, ("The study", "What we did.")),
    "nothing": ({"s.py": "x = 1"}, ("", "")),
    "not Python": ({"s.py": "def ("}, ("", "")),
}  # fmt: skip


@pytest.mark.parametrize("where", SAYS)
def test_title_and_description_come_from_what_is_there(where: str, tmp_path: Path) -> None:
    files, says = SAYS[where]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert title_and_description(tmp_path / "s.py", tmp_path) == says


def test_the_first_heading_of_a_notebook_is_its_title(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["Intro\n"]},
        {"cell_type": "markdown", "source": ["## A study\n", "\n", "Of films."]},
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}))
    assert title_and_description(tmp_path / "n.ipynb", tmp_path) == ("A study", "Of films.")
