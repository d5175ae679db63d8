"""Run a script's pipeline in a process of its own, as `pellucid run` does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pellucid import errors
from pellucid.errors import PellucidError, StepError, UsageError
from pellucid.pipeline.declaration import Pipeline
from pellucid.pipeline.own_process.description import describe
from pellucid.pipeline.record import Run, RunTags, stored_run
from pellucid.store import home_for


def run(
    pipeline: Pipeline,
    *,
    settings: Mapping[str, Any] | None = None,
    home: Path | str | None = None,
    seed: int | None = None,
    only: Iterable[str] = (),
    again: Iterable[str] = (),
    jobs: int = 1,
    confined: bool = True,
    check: bool = True,
    tags: RunTags | None = None,
) -> Run:
    """Load the pipeline's file in another process, and run it there with each step in a worker; its run. The options are those of
    `pellucid.pipeline.running.run`; `confined` changes nothing.

    The file must define this pipeline, and no other. Raises UsageError where it does not, StepError where a step failed (unless `check` is
    false), and what a run raises.
    """
    if pipeline.file is None:
        raise UsageError(
            f'pipeline "{pipeline.name}" cannot run in this process, and has no file that others could load',
            why="it has steps that are not open, or this process has read a result that is not: memory is not shared with what is private",
            fix="Write the pipeline into a file, and run it: pellucid run FILE",
        )
    place = Path(home).absolute() if home is not None else home_for(pipeline.file)
    tags = tags or RunTags()
    request = {
        "file": str(pipeline.file),
        "expected": describe(pipeline),
        "options": {
            "settings": {
                name: value if isinstance(value, str) else json.dumps(value) for name, value in (settings or {}).items()
            },
            "home": str(place),
            "seed": seed,
            "only": [only] if isinstance(only, str) else list(only),
            "again": [again] if isinstance(again, str) else list(again),
            "jobs": jobs,
        },
        "name": tags.name,
        "tags": dict(tags.tags),
        "note": tags.note,
    }
    told = _child(json.dumps(request))
    if told.get("interrupted"):
        raise KeyboardInterrupt("interrupted; finished steps are kept, run again to go on")
    if "run" not in told:
        raise error_of(told.get("error", {}), "its process ended without a word")
    done = stored_run(place, told["run"])
    if check and done.status == "failed":
        report = next(report for report in done.steps.values() if report.action == "failed")
        raise StepError(f'step "{report.step}" failed', why=report.message, fix=f"See: pellucid show {done.id}")
    return done


def _child(request: str) -> dict[str, Any]:
    """What the process answers; nothing where it ended without an answer."""
    mine, theirs = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-m", "pellucid.pipeline.own_process.child", str(theirs)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # the file has said what it says when the script loaded it
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(import_path())},
        pass_fds=[theirs],
    )
    os.close(theirs)
    assert child.stdin is not None
    with suppress(BrokenPipeError), child.stdin:
        child.stdin.write(request)
    answer, interrupted = "", False
    with os.fdopen(mine) as out:
        while child.returncode is None:
            try:
                answer = out.read() or answer
                child.wait()
            except KeyboardInterrupt:  # the child has it too, and tidies up
                interrupted = True
    try:
        found = json.loads(answer)
    except ValueError:
        return {"interrupted": True} if interrupted else {}
    return found if isinstance(found, dict) else {}


def import_path() -> list[str]:
    """Where another process finds the pellucid that this one has: the same one, also where a script or a cell put it on the path."""
    here = str(Path(errors.__file__).parents[1])
    given = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    installed = any(os.path.realpath(here) == os.path.realpath(part) for part in given) or here.endswith("site-packages")
    return given if installed else [here, *given]


def error_of(told: Mapping[str, Any], otherwise: str) -> PellucidError:
    """The error that another process ended with."""
    kind = getattr(errors, str(told.get("type")), UsageError)
    kind = kind if isinstance(kind, type) and issubclass(kind, PellucidError) else UsageError
    found: PellucidError = kind(str(told.get("message") or otherwise))
    return found
