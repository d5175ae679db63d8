"""From Python nothing is weaker: a pipeline with anything not open runs in workers, from a script too, or does not run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workshop import *  # noqa: F403
from workshop import actions, environ

import pellucid as pl
from pellucid.errors import LabelError, UsageError
from pellucid.pipeline.running import load, run
from pellucid.pipeline.running.executors import InProcess

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
def peek(items: pl.Table, times: int = 1) -> pl.Metrics:
    return {"seen": sum(state()) * times}
pipeline = pl.Pipeline("memo", [visits, items, private, peek])
"""
RUN = "done = pipeline.run(); print(done['peek']['seen'], done.steps['peek'].action)"
MAIN = f'if __name__ == "__main__":\n    {RUN}\n'


def memo(project, which: str = "a memo", more: str = MAIN):
    rows = {
        "visits_csv": "user_id,area\n471100815,Zebulon\n",
        "items_csv": "n\n1\n",
        "others_csv": "user_id,area\n7,X\n",
        "helper": "\n",
    }
    return project.write(**rows, pipeline=MEMO[which] + STEPS + more)


def script(project, name: str = "pipeline.py", *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, name, *arguments],
        cwd=project.folder,
        env=environ({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.quick(1)
@pytest.mark.parametrize("which", MEMO, ids=lambda which: which.replace(" ", "-"))
def test_what_a_private_step_leaves_in_memory_no_open_step_finds(project, which: str) -> None:
    done = script(memo(project, which))
    assert done.stdout == "0 ran\n", done.stderr
    assert "in process" not in project.pellucid("show", "last").out
    again = project.run()
    assert actions(again.json)["peek"] == "reused", "the keys are those of pellucid run"


SAME = "pipeline = pl.Pipeline('memo', [visits, items, private, peek]); "


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("FACTOR = 2; ", 'step "peek"'),
        ("pipeline = pl.Pipeline('memo', [visits, items, private, peek], seed=7); ", "the pipeline that the script runs"),
        ("pipeline = pl.Pipeline('memo', [items, visits, private]); ", 'step "peek"'),
        ("pipeline = pl.Pipeline('other', [visits, items, private, peek]); ", "the pipeline that the script runs"),
        (f"visits = pl.source('others.csv', label='private', unit='user_id', name='visits'); {SAME}", 'step "visits"'),
        (f"visits = pl.source('visits.csv', label='private', unit=pl.Row()); {SAME}", 'step "visits"'),
        ("pipeline = pipeline.with_settings({'peek.times': 3}); ", 'step "peek"'),
    ],
    ids=["global", "seed", "fewer", "name", "path", "unit", "settings"],
)  # fmt: skip
def test_a_script_that_holds_another_pipeline_than_its_file_is_refused(project, changed: str, said: str) -> None:
    memo(project, more=f'if __name__ == "__main__":\n    {changed}{RUN}\n')
    text = (project.folder / "pipeline.py").read_text().replace("sum(state()) * times", "sum(state()) * times * FACTOR")
    (project.folder / "pipeline.py").write_text(text.replace("visits = pl.source", "FACTOR = 1\nvisits = pl.source", 1))
    done = script(project)
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1], done.stderr
    assert not (project.folder / ".pellucid" / "objects").exists(), "before anything ran"


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_settings_failures_and_other_scripts(project) -> None:
    memo(project)
    other = "from pipeline import pipeline\nimport pellucid as pl\n"
    (project.folder / "other.py").write_text(
        other + "print(pipeline.run(settings={'peek.times': 3}, only=['peek'], jobs=2, seed=4).steps['peek'].action)\n"
        "try:\n    pipeline.run(settings={'peek.tims': 3})\nexcept pl.PellucidError as error:\n    print(type(error).__name__, error)\n"
    )
    done = script(project, "other.py")
    assert done.stdout.startswith("ran\nUsageError "), done.stderr
    assert 'Did you mean "times"?' in done.stdout
    (project.folder / "visits.csv").unlink()
    failed = script(project)
    assert failed.returncode == 1
    assert "no such file" in failed.stderr.splitlines()[-1]


def test_a_file_that_runs_its_pipeline_while_it_loads_is_refused(project) -> None:
    memo(project, more=RUN)
    for done in (script(project), project.run()):
        said = done.stderr if isinstance(done, subprocess.CompletedProcess) else done.err
        assert 'Put the call at the end of the file, under: if __name__ == "__main__":' in said.splitlines()[-1]


def test_without_a_file_or_its_loading_nothing_private_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "visits.csv").write_text("person\n1\n")
    monkeypatch.chdir(tmp_path)
    made = pl.Pipeline("made", [pl.source("visits.csv", label="private", unit="person")])
    for attempt, said in (
        (lambda: run(made), "workers need a pipeline that was loaded from its file"),
        (lambda: run(made, confined=False), "workers need a pipeline that was loaded from its file"),
        (lambda: run(made, engine=InProcess(made)), "do not run in the process of their caller"),
        (lambda: made.run(home=tmp_path / "home"), "it defines no pipeline"),  # its file is this test
    ):
        with pytest.raises((UsageError, LabelError), match=said):
            attempt()
    made.file = None  # as in a console
    with pytest.raises(UsageError, match="cannot run in this process, and has no file"):
        made.run()


def test_what_is_all_open_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.py").write_text(
        "import os\nimport pellucid as pl\n@pl.step\ndef here() -> pl.Metrics:\n    return {'pid': os.getpid()}\n"
        "pipeline = pl.Pipeline('p', [here])\n"
    )
    assert load(tmp_path / "p.py").run(home=tmp_path / "home")["here"]["pid"] == os.getpid()


CLOSED_OVER = """
import sys
import pellucid as pl
items = pl.source("items.csv", label="open")
def make(value):
    @pl.step
    def shown(items: pl.Table) -> pl.Metrics:
        return {"n": value}
    return pl.Pipeline("after", [items, shown])
pipeline = make(0)
if __name__ == "__main__":
    value = pl.runs(".pellucid")[-1]["private"]["n"] if sys.argv[1] == "private" else 0
    print(make(value).run()["shown"]["n"])
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_process_that_has_read_what_is_private_runs_nothing_that_its_file_does_not_define(project) -> None:
    assert memo(project).run("--only", "private").code == 0
    (project.folder / "after.py").write_text(CLOSED_OVER)
    assert script(project, "after.py", "nothing").stdout == "0\n"
    refused = script(project, "after.py", "private")
    assert refused.returncode == 1
    assert "the script holds another pipeline than its file" in refused.stderr.splitlines()[-1], refused.stderr


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_an_interrupted_script_ends_with_its_workers_and_keeps_what_is_done(project) -> None:
    waits = "    print('begun', flush=True)\n    import time\n    time.sleep(50)\n"
    memo(project)
    file = project.folder / "pipeline.py"
    file.write_text(file.read_text().replace("    state().append", waits + "    state().append"))
    command = [sys.executable, "pipeline.py"]
    with subprocess.Popen(
        command, cwd=project.folder, env=environ({}), stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        while not any(b"begun" in path.read_bytes() for path in project.home.glob("locks/*.output")):
            assert child.poll() is None
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGINT)
        _, said = child.communicate()
    assert "KeyboardInterrupt" in said.splitlines()[-1], said
    assert "interrupted" in project.pellucid("runs").out
