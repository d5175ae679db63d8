"""No stale results in projects that nobody wrote by hand: one edit of a generated project, in the old state folder and from nothing.

`generated_projects` has the features; hypothesis chooses some, the form of each import, a slot to edit and its new value.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import generated_projects as generated
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from workshop import environ

SERVER = """
import decimal, json, os, string, sys, textwrap, traceback
from pathlib import Path
import numpy, pellucid.pipeline.running.execution
from pellucid.pipeline.running.pipeline_file import load

def answer(asked):
    os.chdir(asked["folder"])
    pipeline = load(Path("p.py"))
    found = {}
    for home in asked["homes"]:
        done = pipeline.run(home=Path(home), check=False)
        found[home] = {name: [step.action, step.digest, step.message] for name, step in done.steps.items()}
    return found

pellucid.pipeline.keys.environment.pellucid_digest()
for line in sys.stdin:
    sys.stdout.flush()
    if os.fork() == 0:
        try:
            print(json.dumps(answer(json.loads(line))), flush=True)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.wait()
    print("end", flush=True)
"""


@pytest.fixture(scope="module")
def ask() -> Any:
    """Runs the project in a folder with some state folders, in a process that knows nothing of it yet."""
    environment = environ({"PYTHONHASHSEED": "0", "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"})
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def asked(folder: Path, *homes: Path) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps({"folder": str(folder), "homes": [str(home) for home in homes]}) + "\n")
            process.stdin.flush()
            lines = []
            while (line := process.stdout.readline()).strip() != "end":
                assert line
                lines.append(line)
            assert lines, "it raised"
            return dict(json.loads(lines[-1]))

        yield asked
        process.stdin.close()


def edited(
    ask: Callable[..., dict[str, Any]], place: Path, chosen: list[tuple[str, str]], slot: str, number: int
) -> tuple[Any, Any] | None:
    """The steps of the edited project in the state folder of the project as it was, and in a new one; None where a step is refused."""
    shutil.rmtree(place, ignore_errors=True)
    project, old, new = place / "project", place / "old", place / "new"
    generated.write(project, generated.build(chosen, {}))
    first = ask(project, old)[str(old)]
    refused = [message for action, _, message in first.values() if action == "failed"]
    assert all("cannot be seen beforehand" in message or "it used" in message for message in refused), first
    if refused:  # a module that is first imported while a step runs imports others by a made-up name, or reads a file
        return None
    generated.write(project, generated.build(chosen, {slot: number}))
    found = ask(project, old, new)
    return found[str(old)], found[str(new)]


def stale(kept: dict[str, Any], fresh: dict[str, Any]) -> list[str]:
    return [name for name in fresh if kept[name][1] != fresh[name][1]]


@pytest.mark.slow
@pytest.mark.parametrize("feature", generated.FEATURES)
def test_each_feature_alone_is_never_stale(ask: Any, tmp_path: Path, feature: str) -> None:
    chosen = [(feature, "name")]
    changed = 0
    for slot in generated.slots(chosen):
        found = edited(ask, tmp_path / "one", chosen, slot, 2)
        assert found is not None
        kept, fresh = found
        assert not stale(kept, fresh), slot
        changed += kept["s0"][0] == "ran"
    assert changed, "no edit of it changes anything"


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
def test_no_edit_of_a_generated_project_is_stale(ask: Any, tmp_path: Path, soak: Callable[[int], int]) -> None:
    pairs = st.tuples(st.sampled_from(sorted(generated.FEATURES)), st.sampled_from(sorted(generated.FORMS)))

    @given(chosen=st.lists(pairs, min_size=2, max_size=5), data=st.data(), number=st.integers(2, 9))
    @settings(
        max_examples=max(100, soak(2000)),
        deadline=None,
        derandomize=soak(2000) <= 100,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def search(chosen: list[tuple[str, str]], data: st.DataObject, number: int) -> None:
        slot = data.draw(st.sampled_from(generated.slots(chosen)))
        found = edited(ask, tmp_path / "many", chosen, slot, number)
        assume(found is not None)
        assert not stale(*found), (chosen, slot, number)

    search()
