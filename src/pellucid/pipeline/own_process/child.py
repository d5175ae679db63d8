"""The process that runs a script's pipeline: it loads the file, sees that it defines what the script holds, and runs it confined.

`python -m pellucid.pipeline.own_process.child FD`: the request comes on stdin and the answer goes to the descriptor, both JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError, UsageError
from pellucid.pipeline.declaration import Pipeline
from pellucid.pipeline.own_process.description import PIPELINE, describe
from pellucid.pipeline.record import RunTags
from pellucid.pipeline.running import load, run

FIX = "Run what the file defines: settings go in run(settings=...), and nothing else is changed after the file is loaded"


def refuse_another(pipeline: Pipeline, expected: Mapping[str, str], file: Path) -> None:
    """Raise UsageError where `expected`, what the script holds, is not what its file defines."""
    found = describe(pipeline)
    names = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    if not names:
        return
    steps = [name for name in pipeline.steps if name in names] or sorted(set(names) - {PIPELINE})
    which = f'step "{steps[0]}" of the pipeline' if steps else "the pipeline"
    why = f'{which} that the script runs is not as {file.name} defines it in "{pipeline.name}"'
    raise UsageError("the script holds another pipeline than its file", where=str(file), why=why, fix=FIX)


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    file = Path(request["file"])
    try:
        pipeline = load(file)
        refuse_another(pipeline, request["expected"], file)
        tags = RunTags(request["name"], request["tags"], request["note"])
        done = run(pipeline, **request["options"], tags=tags if tags != RunTags() else None, confined=True, check=False)
        return {"run": done.id}
    except KeyboardInterrupt:
        return {"interrupted": True}
    except PellucidError as error:
        return {"error": {"type": type(error).__name__, "message": str(error)}}


if __name__ == "__main__":
    found = _answer(json.load(sys.stdin))
    with os.fdopen(int(sys.argv[1]), "w") as out:
        json.dump(found, out)
