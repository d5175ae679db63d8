"""Pipelines written over the cells of notebooks, run by a real kernel: results and keys are those of the same code in a file."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kernel_run import Shown

Notebook = Callable[..., list[Shown]]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

START = "import numpy as np\nimport pellucid as pl\nfrom helper import SCALE"
ROWS = 'rows = pl.source("rows.csv", label="open")'
FACTOR = "FACTOR = 2\n\n\ndef scaled(values):\n    return values * FACTOR * SCALE"
MEAN = """@pl.step
def mean(rows: pl.Table, shift: float = 0.5) -> pl.Metrics:
    return {"mean": float(scaled(rows.polars().collect()["a"]).mean() + shift)}"""
MODEL = """@pl.step
def model(rows: pl.Table) -> pl.Model:
    return pl.Model("mean", {"weights": np.arange(4.0)}, {"rate": 0.5})"""
ABOUT = 'pl.About(title="Open", description="Means", creators=("Doe, Jane",), licence="MIT", data_licence="CC0-1.0")'
PIPELINE = f'pipeline = pl.Pipeline("means", [rows, mean, model], about={ABOUT})'
OPEN = [START, ROWS, FACTOR, MEAN, MODEL, PIPELINE]
RUN = "run = pipeline.run()"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text("a\n1\n2\n6\n")
    (tmp_path / "helper.py").write_text("SCALE = 10\n")
    draw = random.Random(1)
    visits = [f"p{who},area{area}" for who in range(400) for area in draw.sample(range(8), 3)]
    (tmp_path / "visits.csv").write_text("\n".join(["person,area", *visits]) + "\n")
    return tmp_path


def pellucid(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PELLUCID_KEYS": str(folder / "keys"), "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "pellucid", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def errors(shown: list[Shown]) -> list[str]:
    return [one.error for one in shown if one.error]


def test_results_and_keys_are_those_of_the_same_code_in_a_file(folder: Path, notebook: Notebook) -> None:
    keys = "import json; print(json.dumps({n: [r.action, r.digest] for n, r in run.steps.items()}))"
    shown = notebook(*OPEN, RUN, keys)
    assert errors(shown) == []
    assert "✓ mean" in shown[-2].text, "progress, in the cell"
    found = json.loads(shown[-1].text)
    there = folder / "there"
    there.mkdir()
    (there / "means.py").write_text("\n\n\n".join(OPEN) + "\n")
    (folder / "rows.csv").rename(there / "rows.csv")
    (folder / "helper.py").rename(there / "helper.py")
    ran = pellucid(there, "run", "means.py", "--json")
    assert ran.returncode == 0, ran.stderr
    steps = json.loads(ran.stdout)["steps"]
    assert {name: step["digest"] for name, step in steps.items()} == {name: digest for name, (_, digest) in found.items()}
    of_the_file = json.loads(pellucid(there, "show", "--json").stdout)["steps"]
    of_the_notebook = json.loads(pellucid(folder, "show", "--json", "--home", ".pellucid").stdout)["steps"]
    assert {name: step["outputs"] for name, step in of_the_file.items()} == {
        name: step["outputs"] for name, step in of_the_notebook.items()
    }


def test_the_file_that_is_written_has_the_notebooks_keys(folder: Path, notebook: Notebook) -> None:
    """With the kernel's own Python, the file re-runs nothing."""
    again = """import subprocess, sys
print(subprocess.run([sys.executable, "-m", "pellucid", "run", "means.py"], capture_output=True, text=True).stdout)"""
    shown = notebook(*OPEN, RUN, again)
    assert errors(shown) == []
    assert "0 ran, 3 reused" in shown[-1].text


def test_a_private_graph_is_confined_and_released(folder: Path, notebook: Notebook) -> None:
    cells = [
        "import pellucid as pl",
        'visits = pl.source("visits.csv", label="private", unit="person", budget=pl.Budget(epsilon=2.0, delta=1e-5))',
        'counts = pl.release(pl.privacy.histogram("area", max_contributions=3), of=visits, epsilon=1.0, delta=1e-6)',
        "@pl.step\ndef rows(visits: pl.Table) -> pl.Metrics:\n    return {'rows': visits.num_rows}",
        "@pl.step\ndef peek(visits: pl.Table) -> pl.Metrics:\n    open('/etc/passwd').read()\n    return {'rows': 1}",
        'pipeline = pl.Pipeline("visits", [visits, counts, rows])',
        "pipeline.run()",
        'pl.load(pl.runs()[0], "rows")',
        'pl.load("last", "counts")',
        'peeking = pl.Pipeline("peeking", [visits, peek])\npeeking.run()',
        'pl.load("last~1", "visits", private=True)',
    ]
    shown = notebook(*cells)
    assert "withheld: not open" in shown[6].html
    assert "withheld: not open" in shown[6].value
    assert shown[7].error.startswith('LabelError: "rows" is private')
    assert "area0" in shown[8].html
    assert "it used /etc/passwd, which it does not declare" in shown[9].error
    assert "Rows withheld" in shown[10].html
    assert not any("p17" in one.html + one.value + one.text for one in shown), "no private value shows itself"
    spent = json.loads(pellucid(folder, "ledger", "--json").stdout)["accounts"]["visits"]["spent"]
    assert spent == 1.0


def test_cells_that_are_run_again_re_run_what_they_touch(folder: Path, notebook: Notebook) -> None:
    other = MEAN.replace("+ shift", "- shift")
    shown = notebook(*OPEN, RUN, "FACTOR = 3", RUN, other, RUN, "SHIFT = 1", RUN, 'run["mean"]')
    assert errors(shown) == []
    actions = [{line.split()[1]: line[0] for line in shown[at].text.splitlines() if line[0] in "✓·"} for at in (6, 8, 10, 12)]
    assert actions[0] == {"rows": "✓", "mean": "✓", "model": "✓"}
    assert actions[1] == {"rows": "·", "mean": "✓", "model": "·"}
    assert actions[2] == {"rows": "·", "mean": "✓", "model": "·"}
    assert actions[3] == {"rows": "·", "mean": "·", "model": "·"}
    assert shown[-1].value == "{'mean': 89.5}"


def test_what_is_shown_and_magics_stay_out_and_what_changes_a_name_comes_along(folder: Path, notebook: Notebook) -> None:
    cells = [
        START,
        "%config InlineBackend.rc = {}",
        "nodes = []\nlimits = {'low': 1}",
        "!echo hello",
        ROWS + "\nnodes.append(rows)",
        "%%time\nimport math\nbase = math.floor(2.5)",
        "import types\nconfig = types.SimpleNamespace(a=1)",
        "config.__dict__.update(a=5)",
        "for extra in (1, 2):\n    limits[f'at{extra}'] = extra * base",
        "print(limits); limits",
        "@pl.step\ndef total(rows: pl.Table) -> pl.Metrics:\n    return {'total': sum(limits.values()) + config.a}",
        "nodes += [total]",
        'pipeline = pl.Pipeline("limits", nodes)',
        "del extra",
        'pipeline.run()["total"]',
    ]
    shown = notebook(*cells)
    assert errors(shown) == []
    assert shown[-1].value == "{'total': 12}"
    written = (folder / "limits.py").read_text()
    for left_out in ("echo", "print(", "get_ipython"):
        assert left_out not in written


WRONG: dict[str, tuple[list[str], str]] = {
    "a step fails": (
        [*OPEN[:3], MEAN.replace("return", "raise ValueError('no good')\n    return"), MODEL, PIPELINE, RUN],
        'StepError: step "mean" failed: it raised ValueError in cell [4], line 3: no good.',
    ),
    "a cell that failed half-way": (
        [*OPEN, "FACTOR = 1 / 0\n\n\ndef scaled(values):\n    return values", RUN],
        'UsageError: cell [7], line 4: "scaled" is not what this cell says',
    ),
    "a cell that failed before it defined": (
        [*OPEN, "1 / 0\n\n\ndef scaled(values):\n    return values", RUN],
        'UsageError: cell [7], line 4: "scaled" is not what this cell says',
    ),
    "a name changed by a function": (
        [*OPEN, "def change():\n    global FACTOR\n    FACTOR = 7", "change()", RUN],
        '"FACTOR" is not what this cell says',
    ),
    "a name from a shell command": (
        [START, "LIST = !ls", ROWS, "@pl.step\ndef n(rows: pl.Table) -> pl.Metrics:\n    return {'n': len(LIST)}",
         'pipeline = pl.Pipeline("shell", [rows, n])', RUN],
        "UsageError: cell [2], line 1: the pipeline needs a name that comes from a magic or a shell command",
    ),
    "a pipeline without a name": ([*OPEN[:5], 'pl.Pipeline("means", [rows, mean, model]).run()'], "this pipeline has no name in a cell"),
    "a setting that is not there": ([*OPEN, 'pipeline.run(settings={"mean.shfit": 1.0})'], 'Did you mean "shift"?'),
    "a file that is there": (
        [*OPEN[:5], 'pipeline = pl.Pipeline("helper", [rows, mean, model])', RUN],
        "helper.py: this file is there already, and was not written from a notebook",
    ),
    "a source made anew under a release": (
        ["import pellucid as pl", 'visits = pl.source("visits.csv", label="private", unit="person")',
         'counts = pl.release(pl.privacy.histogram("area"), of=visits, epsilon=1.0, delta=1e-6)',
         'pipeline = pl.Pipeline("visits", [visits, counts])', 'visits = pl.source("visits.csv", label="private", unit="area")', RUN],
        'UsageError: cell [3], line 1: this still uses the "visits" from before cell [5], line 1. Run this cell again',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_goes_wrong_is_said_once_and_names_the_cell(case: str, folder: Path, notebook: Notebook) -> None:
    cells, said = WRONG[case]
    last = notebook(*cells)[-1]
    assert said in last.error
    assert "Traceback" not in last.text
    assert last.text.count("no good") <= 1, "a failure is said once"


def test_an_interrupt_ends_the_run_and_finished_steps_are_kept(folder: Path, notebook: Notebook) -> None:
    slow = MODEL.replace("return pl.Model", "import time; time.sleep(120)\n    return pl.Model")
    shown = notebook(*OPEN[:4], slow, PIPELINE, "pipeline.run(jobs=1)", MODEL, RUN, interrupt=(6, 6.0))
    assert shown[6].error.startswith("KeyboardInterrupt")
    assert shown[8].error == ""
    assert "· mean" in shown[8].text


def test_large_output_comes_through(folder: Path, notebook: Notebook) -> None:
    loud = """@pl.step
def loud(rows: pl.Table) -> pl.Metrics:
    print("x" * 3_000_000)
    return {f"m{at}": at for at in range(20_000)}"""
    cells = [START, ROWS, loud, 'pipeline = pl.Pipeline("loud", [rows, loud])', RUN, 'len(run["loud"])']
    shown = notebook(*cells)
    assert errors(shown) == []
    assert shown[-1].value == "20000"
    assert len(shown[-2].text) < 10_000


def test_the_cells_are_the_packages_code(folder: Path, notebook: Notebook) -> None:
    rows = ROWS.replace('label="open"', 'label="open", licence="CC0-1.0"')
    shown = notebook(START, rows, *OPEN[2:], RUN)
    assert errors(shown) == []
    published = pellucid(folder, "publish", "last", "out")
    assert published.returncode == 0, published.stderr
    code = (folder / "out/code/means.py").read_text()
    assert "def scaled(values):" in code
    assert "pipeline.run" not in code
    assert pellucid(folder, "check", "out").returncode == 0


def test_what_comes_of_a_run_stays_out_or_is_refused(folder: Path, notebook: Notebook) -> None:
    """A chart of a run's result next to a setting of the pipeline does not make the run a part of it; a step that needs it is told."""
    limits = "LIMITS = {'low': 1}\n\n\ndef chart(limits, value):\n    print('charted', sorted(limits), value)"
    step = "@pl.step\ndef low(rows: pl.Table) -> pl.Metrics:\n    return {'low': LIMITS['low']}"
    pipeline = 'pipeline = pl.Pipeline("charts", [rows, low])'
    use = 'found = [run[name]["low"] for name in ("low",)][0]\nchart(LIMITS, found)'
    needs = "@pl.step\ndef low(rows: pl.Table) -> pl.Metrics:\n    return {'low': found}"
    shown = notebook(START, ROWS, limits, step, pipeline, RUN, use, 'chart(LIMITS, run["low"])', RUN, needs, RUN)
    assert [one.error for one in shown[:9]] == [""] * 9
    written = (folder / "charts.py").read_text()
    assert "chart(LIMITS" not in written
    assert "pipeline.run" not in written
    assert "which comes from running a pipeline. Make it in a step" in shown[10].error
    assert shown[10].error.startswith("UsageError: cell [")


@pytest.mark.parametrize("name", ["statistics", "polars"])
def test_a_pipeline_named_like_a_module_stands_in_no_ones_way(name: str, folder: Path, notebook: Notebook) -> None:
    shown = notebook(*OPEN[:5], f'pipeline = pl.Pipeline("{name}", [rows, mean, model])', "import statistics, polars", RUN, RUN)
    assert errors(shown) == []
    assert (folder / f"{name}_pipeline.py").exists()


def test_values_show_themselves(folder: Path, notebook: Notebook) -> None:
    shown = notebook(*OPEN, "pipeline", RUN, "run", 'run["rows"]', 'run["model"]', 'run["mean"]', "FACTOR = 5", "other = pipeline.run()",
                     "run.compare(other)['first_difference']", "pl.runs()[0].id == other.id")  # fmt: skip
    assert errors(shown) == []
    assert shown[6].html.count("<svg") == 1
    assert "mean" in shown[6].value
    assert "mean 60.5" in shown[8].html
    assert "(int64)" in shown[9].html
    assert "<td" in shown[9].html
    assert "weights" in shown[10].html
    assert "60.5" in shown[11].html
    assert "'step': 'mean'" in shown[14].value
    assert shown[15].value == "True"
    for one in shown:
        assert "<script" not in one.html
        assert "http" not in one.html.replace("http://www.w3.org/2000/svg", "")
