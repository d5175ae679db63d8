"""The re-run: in the package's environment, open steps again, each from the inputs the package has on record.

Every step starts from the recorded inputs, not from what the re-run made of them: so a difference names the step that makes it,
and does not travel. Where all outputs agree, this is the same as running the steps in a row.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError, PellucidError
from pellucid.packages.format import Value
from pellucid.pipeline.keys import Closure
from pellucid.pipeline.record import Artifact, Record
from pellucid.pipeline.running import Branch, Plan
from pellucid.store import Objects, nothing_lasts

if TYPE_CHECKING:
    from pellucid.pipeline.declaration import Bound, Pipeline

RESULT, CLOSURES = "result.json", "closures.json"
_NONE = Closure({}, (), ())


class Replay(Plan):
    """A plan without keys: nothing is reused. `closures` says which files and modules of the code each step needs."""

    def __init__(self, pipeline: Pipeline, record: Record, seed: int, closures: Mapping[str, Closure]) -> None:
        self.pipeline, self.record, self.seed, self.hash_seed = pipeline, record, seed, "0"
        self.environment, self.budgets, self.files = {}, {}, {}
        self.say = lambda _: None
        self._named = closures

    def closure(self, bound: Bound) -> Closure:
        return self._named.get(bound.name, _NONE)

    def _branch(
        self,
        bound: Bound,
        name: str,
        inputs: Mapping[str, Artifact],
        settings: Mapping[str, Any],
        element: tuple[str, int] | None = None,
    ) -> Branch:
        return Branch(name, json.dumps([bound.name, name, element]), {}, inputs, element)


def main(view: Path, work: Path, task: Mapping[str, Any], closures: str) -> bool:
    """Do a task on the code in `view`, and write the result, or the error, as JSON to `work`; whether something failed.

    The task is {file, settings, seed, steps, open, given, files, keep_going, slots}. Without `steps` it is the survey: to say what the
    pipeline is, and in a file `CLOSURES`, whose text the others are given, which files of the code each of the steps `open` needs.
    """
    nothing_lasts()
    try:
        found = _rerun(view, work, task, closures) if task["steps"] else _survey(view, work, task)
    except PellucidError as error:
        found = {"error": str(error)}
    (work / RESULT).write_text(json.dumps(found))
    return "error" in found or any(step["action"] == "failed" for step in found["steps"].values())


def _rerun(view: Path, work: Path, task: Mapping[str, Any], closures: str) -> dict[str, Any]:
    from pellucid.pipeline.keys import machine
    from pellucid.pipeline.running import Scheduler, Workers, chosen, load

    home, file = work / "state", view / task["file"]
    objects = Objects(home)
    given = {name: _take_in(Value.from_json(value, name), task["files"], objects) for name, value in task["given"].items()}
    engine = Workers(file, task["settings"], slots=task["slots"], environment=dict(os.environ), forked=True)
    engine.ready()  # it is forked before this process loads the file, which may start threads
    pipeline = load(file).with_settings(task["settings"])
    named = _closures(view, closures)
    found: dict[str, Any] = {}
    environment: dict[str, Any] = machine()
    record = Record(home)
    for some in [[step] for step in task["steps"]] if task["keep_going"] else [task["steps"]]:
        run = record.start(
            pipeline=pipeline.name, file=file, seed=task["seed"], settings={}, environment={}, git=None, graph=[]
        )  # fmt: skip
        plan = Replay(pipeline, record, task["seed"], named)
        wanted = chosen(pipeline, some, given)
        scheduler = Scheduler(pipeline, record, plan, engine, run, wanted=wanted, forced=set(), progress=None, given=given)
        scheduler.go()
        environment |= scheduler.seen
        for name, report in scheduler.reports.items():
            outputs = {output: artifact.to_json() for output, artifact in report.outputs.items()}
            found[name] = {"action": report.action, "message": report.message, "outputs": outputs}
    engine.close()
    record.close()
    return {"environment": environment | {"blas": engine.blas}, "steps": found}


def _survey(view: Path, work: Path, task: Mapping[str, Any]) -> dict[str, Any]:
    """What the pipeline file says, for the comparison with the trace: the graph, and each open step's settings and digests of code."""
    from pellucid.pipeline.declaration import settings
    from pellucid.pipeline.keys import environment
    from pellucid.pipeline.running import described, load

    pipeline = load(view / task["file"]).with_settings(task["settings"])
    steps = {name: pipeline.steps[name] for name in task["open"] if name in pipeline.steps}
    record = Record(work / "state")
    plan = Plan(pipeline, record, environment.shipped_lock(), seed=task["seed"], hash_seed="0")
    closures = {name: plan.closure(bound) for name, bound in steps.items()}
    record.close()
    named = {
        name: {
            "files": [_inside(path, view) for path in closure.files],
            "modules": [[module, _inside(path, view)] for module, path in closure.modules],
        }
        for name, closure in closures.items()
    }
    (work / CLOSURES).write_text(json.dumps(named))
    code = {name: {k: v for k, v in one.parts.items() if k.startswith(("code ", "module "))} for name, one in closures.items()}
    plain = {name: {n: settings.plain(v, name) for n, v in b.settings.items()} for name, b in steps.items()}
    loaded = {"name": pipeline.name, "graph": described(pipeline), "settings": plain, "code": code}
    return {"environment": {}, "steps": {}, "loaded": loaded}


def _inside(path: Path, view: Path) -> str:
    return os.path.relpath(path, view) if path.is_relative_to(view) else str(path)


def _closures(view: Path, text: str) -> dict[str, Closure]:
    """What the survey found out, in the words of another member's view."""
    return {
        step: Closure(
            {},
            tuple(view / name for name in known["files"]),
            tuple((module, view / name) for module, name in known["modules"]),
        )
        for step, known in json.loads(text).items()
    }


def _take_in(value: Value, files: Mapping[str, str], objects: Objects) -> Artifact:
    """An artifact of the package in the re-run's own store; `files` says where a path of the package is."""
    from pellucid.store import Saved, sha256_of

    if value.items is not None:
        return Artifact(value.kind, value.digest, items=tuple((name, _take_in(v, files, objects)) for name, v in value.items))
    scratch = objects.scratch()
    copy = scratch / Path(value.path).name
    shutil.copyfile(files[value.path], copy)
    sha256, size = sha256_of(copy), copy.stat().st_size
    stored = objects.adopt(Saved(value.kind, value.digest, sha256, size, copy))
    shutil.rmtree(scratch)
    if not stored.is_file():
        raise PackageError("the artifact could not be taken in", where=value.path)
    return Artifact(value.kind, value.digest, sha256, stored.suffix, size)
