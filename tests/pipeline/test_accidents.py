"""Thirty accidents of well-meaning authors: whatever a step prints, raises, returns, keeps or writes, nothing private is shown or published.

After each, everything that a person or a stranger would see is searched for the private cells: what the commands say, and the package.
"""

from __future__ import annotations

import pytest
from workshop import *  # noqa: F403

ROWS = "user_id,area,age\n471100815,Zebulon,33\n471200815,Quagmire,44\n471300815,Zebulon,55\n"
CELLS = ("Zebulon", "Quagmire", "471100815", "471200815")
BEGIN = """
import os, sys, json, logging, functools, warnings, subprocess
from pathlib import Path
HERE = Path(__file__).parent
visits = pl.source("visits.csv", label="private", unit="user_id")
items = pl.source("items.csv", label="open", licence="CC0-1.0")
"""
END = """
@pl.step
def plain(items: pl.Table) -> pl.Metrics:
    return {"items": float(items.num_rows)}
about = pl.About(title="t", description="d", creators=("A, B",), licence="MIT", data_licence="CC0-1.0")
pipeline = pl.Pipeline("accident", [visits, items, secret, plain%s], about=about)
"""
SECRET = """
@pl.step
def secret(visits: pl.Table) -> pl.Metrics:
    rows = visits.polars().collect()
    row = f"{rows['user_id'][0]} {rows['area'][0]}"
    BODY
    return {"n": 1.0}
"""
# what the body of a private step does with one of its rows -> whether the run goes through
DOES = {
    "prints it": ("print(row); print(row, file=sys.stderr)", True),
    "logs it": ("logging.basicConfig(level='INFO'); logging.info(row); logging.error(row)", True),
    "warns of it": ("warnings.warn(row)", True),
    "lets a program print it": ("subprocess.run(['echo', row], check=False)", True),
    "writes to the terminal": ("os.write(1, row.encode()); os.write(2, row.encode())", True),
    "raises it": ("raise ValueError(row)", False),
    "asserts it": ("assert rows.is_empty(), row", False),
    "misses a key": ("{}[row]", False),
    "exits with it": ("sys.exit(row)", False),
    "is named by it": ("raise type(row.split()[1], (Exception,), {})()", False),
    "notes it": ("e = ValueError('bad'); e.add_note(row); raise e", False),
    "chains it": ("raise RuntimeError('bad') from KeyError(row)", False),
    "is in a file of its name": ("exec(compile('1/0', row, 'exec'))", False),
    "opens a file of its name": ("open(row)", False),
    "returns it": ("return row", False),
    "returns it as a number": ("return {'n': row}", False),
    "returns it as a name": ("return {row: float('nan'), 'x' * 9999: 1.0}", True),
    "returns it as a metric": ("return {row.split()[1]: 1.0}", True),
    "sets the process's title": ("open('/proc/self/comm', 'w').write(row[-12:])", None),
    "kills itself": ("os.kill(os.getpid(), int(row[0]) + 5)", False),
}
# what lies about between steps: a private step leaves it, an open one looks for it
LEFT = {
    "a file beside the pipeline": ("(HERE / 'left.txt').write_text(row)", "(HERE / 'left.txt').read_text()"),
    "a file where it runs": ("Path('left.txt').write_text(row)", "Path('left.txt').read_text()"),
    "a file for all": ("Path('/tmp/pellucid-left.txt').write_text(row)", "Path('/tmp/pellucid-left.txt').read_text()"),
    "a file of the user": ("Path('~/.left.txt').expanduser().write_text(row)", "Path('~/.left.txt').expanduser().read_text()"),
    "a variable of the environment": ("os.environ['LEFT'] = row", "os.environ['LEFT']"),
    "a global": ("global KEPT; KEPT = row", "KEPT"),
    "an attribute of a module": ("json.left = row", "json.left"),
    "a memo": ("memo().append(row)", "memo()[0]"),
    "an attribute of the package": ("pl.left = row", "pl.left"),
    "the data themselves": ("pass", "(HERE / 'visits.csv').read_text()"),
}
PEEK = """
@functools.cache
def memo():
    return []
KEPT = ""
@pl.step
def peek(items: pl.Table) -> pl.Metrics:
    try:
        found = LOOK
    except Exception:
        found = ""
    return {"found": float(len(found))}
"""
# what a pipeline file reads, computes or names before any step runs
FILES = {
    "reads the areas while loading": 'AREAS = sorted({line.split(",")[1] for line in open(HERE / "visits.csv")})',
    "reads them with polars": 'import polars; AREAS = polars.read_csv(HERE / "visits.csv")["area"].to_list()',
    "reads a copy": 'import shutil; shutil.copy(HERE / "visits.csv", HERE / "c.csv"); AREAS = open(HERE / "c.csv").read()',
    "opens the same file": 'again = pl.source("visits.csv", label="open", name="again")',
}


def seen(project) -> str:
    """All that a person sees without asking for private things, and all that a package holds."""
    said = []
    for command in (
        ["run", "pipeline.py"], ["run", "pipeline.py", "--json", "--quiet"], ["show"], ["show", "--json"], ["runs", "--json"],
        ["why", "secret"], ["graph", "pipeline.py", "--json"], ["publish", "last", "package"],
    ):  # fmt: skip
        done = project.pellucid(*command)
        assert "Traceback" not in done.err, done.err
        said += [done.out, done.err]
    package = project.folder / "package"
    held = [path for path in package.rglob("*") if path.is_file()] if package.exists() else []
    assert "visits.csv" not in {path.name for path in held}
    # the names of files, and what is in them; the pipeline file itself holds no cell
    return "\n".join([*said, *(f"{path.name}\n{path.read_bytes().decode('latin-1')}" for path in held)])


def clean(project) -> None:
    found = seen(project)
    assert [cell for cell in CELLS if cell in found] == []


@pytest.mark.quick(1)
@pytest.mark.parametrize("does", DOES, ids=lambda does: does.replace(" ", "-"))
def test_whatever_a_private_step_does_with_a_row_it_is_not_shown(project, does: str) -> None:
    body, goes_through = DOES[does]
    project.write(visits_csv=ROWS, items_csv="n\n1\n", pipeline=BEGIN + SECRET.replace("BODY", body) + END % "")
    done = project.run()
    if goes_through is not None:
        assert (done.code == 0) == goes_through, done.err
    clean(project)


@pytest.mark.quick(1)
@pytest.mark.parametrize("left", LEFT, ids=lambda left: left.replace(" ", "-"))
def test_what_a_private_step_leaves_lying_about_no_open_step_finds(project, left: str) -> None:
    keep, look = LEFT[left]
    guarded = f"try:\n        {keep}\n    except Exception: pass"
    if keep.startswith("global"):
        guarded = keep.replace("; ", "\n    ")
    project.write(visits_csv=ROWS, items_csv="n\n1\n",
                  pipeline=BEGIN + PEEK.replace("LOOK", look) + SECRET.replace("BODY", guarded) + END % ", peek")  # fmt: skip
    done = project.run()
    if done.code == 0:
        assert done.json["steps"]["peek"]["metrics"] == {"found": 0.0}
    else:
        assert done.line
    clean(project)


@pytest.mark.quick(1)
@pytest.mark.parametrize("way", FILES, ids=lambda way: way.replace(" ", "-"))
def test_a_file_that_takes_private_data_in_while_it_loads_is_refused(project, way: str) -> None:
    more = ", again" if "again = " in FILES[way] else ""
    project.write(visits_csv=ROWS, items_csv="n\n1\n",
                  pipeline=BEGIN + FILES[way] + SECRET.replace("BODY", "pass") + END % more)  # fmt: skip
    done = project.run()
    assert done.code != 0 and done.line, done.err
    clean(project)


@pytest.mark.slow
def test_a_cell_that_cannot_be_read_is_not_in_the_message(project) -> None:
    """Nor one in the unit's column, nor a row with too many cells."""
    for rows, types in (
        (ROWS.replace("33", "Zebulon471100815"), ', types={"age": "int64"}'),
        (ROWS + ",Quagmire,1\n", ""),
        (ROWS + "471100815,Zebulon,1,Quagmire,Zebulon\n", ""),
        (ROWS + '"471100815,Zebulon\n', ""),
    ):
        begin = BEGIN.replace('unit="user_id")', f'unit="user_id"{types})')
        project.write(visits_csv=rows, items_csv="n\n1\n", pipeline=begin + SECRET.replace("BODY", "pass") + END % "")
        clean(project)
