"""The re-run: in the package's environment, every open step again, each from the inputs the package has on record.

Every step starts from the recorded inputs, not from what the re-run made of them: so a difference names the step that makes it,
and does not travel. Where all outputs agree, this is the same as running the steps in a row.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError, PellucidError
from pellucid.packages.format import Manifest, Value
from pellucid.packages.format import manifest as manifests
from pellucid.pipeline.record import Artifact
from pellucid.store import Objects

if TYPE_CHECKING:
    from pellucid.pipeline.declaration import Pipeline


def main(package: str, home: str, out: str, steps: str, keep_going: str) -> None:
    """Entry of the process: `python -m pellucid.packages.reproducing.rerun_process PACKAGE HOME RESULT STEPS KEEP_GOING`.

    STEPS is a JSON list; KEEP_GOING is "yes" to run the others when one fails. The result, or the error, is JSON.
    """
    try:
        found = _rerun(Path(package), Path(home), json.loads(steps), keep_going == "yes")
    except PellucidError as error:
        found = {"error": str(error)}
    Path(out).write_text(json.dumps(found))


def _rerun(package: Path, home: Path, steps: list[str], keep_going: bool) -> dict[str, Any]:
    from pellucid.pipeline.record import Record
    from pellucid.pipeline.running import load, run

    manifest = manifests.read(package)
    pipeline = load(package / manifest.file)
    used = {name for entry in manifest.trace for name, _ in entry.inputs.values()}
    objects = Objects(home)
    given = {name: _take_in(value, package, objects) for name, value in manifest.open.items() if name in used}
    found: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    for some in [[step] for step in steps] if keep_going else [steps]:
        done = run(
            pipeline,
            settings=manifest.settings,
            home=home,
            seed=manifest.seed,
            only=some,
            jobs=os.cpu_count() or 1,
            confined=True,
            check=False,
            given=given,
        )
        record = Record(home)
        environment |= {name: value for name, value in record.find(done.id)["environment"].items() if value}
        record.close()
        for name, report in done.steps.items():
            outputs = {output: artifact.to_json() for output, artifact in report.outputs.items()}
            found[name] = {"action": report.action, "message": report.message, "outputs": outputs}
    return {"environment": environment, "steps": found, "loaded": _loaded(pipeline, manifest, home)}


def _loaded(pipeline: Pipeline, manifest: Manifest, home: Path) -> dict[str, Any]:
    """What the pipeline file says, for the comparison with the trace: the graph, and each open step's settings and digests of code."""
    from pellucid.pipeline.declaration import settings
    from pellucid.pipeline.keys import environment
    from pellucid.pipeline.record import Record
    from pellucid.pipeline.running import Plan, described

    pipeline = pipeline.with_settings(manifest.settings)
    steps = {
        entry.step: pipeline.steps[entry.step] for entry in manifest.entries(manifests.RERUN) if entry.step in pipeline.steps
    }
    record = Record(home)
    plan = Plan(pipeline, record, environment.shipped_lock(), seed=manifest.seed, hash_seed="0")
    code = {
        name: {k: v for k, v in plan.closure(b).parts.items() if k.startswith(("code ", "module "))} for name, b in steps.items()
    }
    record.close()
    plain = {name: {n: settings.plain(v, name) for n, v in b.settings.items()} for name, b in steps.items()}
    return {"name": pipeline.name, "graph": described(pipeline), "settings": plain, "code": code}


def _take_in(value: Value, package: Path, objects: Objects) -> Artifact:
    """An artifact of the package in the re-run's own store."""
    from pellucid.store import Saved, sha256_of

    if value.items is not None:
        return Artifact(value.kind, value.digest, items=tuple((name, _take_in(v, package, objects)) for name, v in value.items))
    scratch = objects.scratch()
    copy = scratch / Path(value.path).name
    shutil.copyfile(package / value.path, copy)
    sha256, size = sha256_of(copy), copy.stat().st_size
    stored = objects.adopt(Saved(value.kind, value.digest, sha256, size, copy))
    shutil.rmtree(scratch)
    if not stored.is_file():
        raise PackageError("the artifact could not be taken in", where=value.path)
    return Artifact(value.kind, value.digest, sha256, stored.suffix, size)


if __name__ == "__main__":
    main(*sys.argv[1:])
