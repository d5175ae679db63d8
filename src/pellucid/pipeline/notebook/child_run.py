"""Run a notebook's pipeline in a process of its own, as `pellucid run` does, with its progress in the cell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError, StepError
from pellucid.pipeline import own_process
from pellucid.pipeline.declaration import Pipeline
from pellucid.pipeline.notebook import written_file
from pellucid.pipeline.notebook.cell_slice import slice_of
from pellucid.pipeline.notebook.executed_cells import executed, kernel
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
    jobs: int | None = None,
    check: bool = True,
    quiet: bool = False,
    tags: RunTags | None = None,
) -> Run:
    """Write the pipeline's file from the executed cells, and run it; its run. The options are those of `pellucid.pipeline.running.run`;
    `quiet` shows no progress.

    The file is beside the notebook, named like the pipeline. Raises StepError where a step failed (unless `check` is false), UsageError
    where the cells do not say what the kernel holds, and what a run raises.
    """
    shell = kernel()
    live, statements = shell.user_ns, executed(shell)
    chosen = slice_of(pipeline, statements, live)
    written = written_file.write(pipeline.name, chosen, Path.cwd())
    written_file.check(chosen, statements, live)
    place = Path(home).absolute() if home is not None else home_for(written.path)
    command = [sys.executable, "-m", "pellucid", "run", str(written.path), "--json", "--home", str(place)]
    for name, value in (settings or {}).items():
        command += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    command += [word for name in _listed(only) for word in ("--only", name)]
    command += [word for name in _listed(again) for word in ("--from", name)]
    command += [] if seed is None else ["--seed", str(seed)]
    command += _as_words(tags or RunTags())
    command += [] if jobs is None else ["--jobs", str(jobs)]
    code, out, said = _child(command, written, quiet)
    told = _json(out)
    if code == 130 or told.get("status") == "interrupted":
        raise KeyboardInterrupt("interrupted; finished steps are kept, run again to go on")
    if "error" in told or "run" not in told:
        raise _error(told.get("error", {}), written, said)
    done = stored_run(place, told["run"])
    if check and done.status == "failed":
        failed = next(line for line in reversed(said) if line.startswith("pellucid: "))
        raise StepError(written.in_cells(failed.removeprefix("pellucid: ")))
    return done


def _as_words(tags: RunTags) -> list[str]:
    words = [f"--tag={key}={value}" for key, value in tags.tags.items()]
    return words + [f"--{word}={text}" for word, text in (("name", tags.name), ("note", tags.note)) if text]


def _listed(names: Iterable[str] | str) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _child(command: list[str], written: written_file.WrittenFile, quiet: bool) -> tuple[int, str, list[str]]:
    """The exit code, what it printed, and its lines on stderr; progress lines are shown as they come."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(own_process.import_path()), "COLUMNS": "100"},
        start_new_session=True,  # an interrupt of the kernel reaches it once, by us
    )
    assert child.stdout is not None
    assert child.stderr is not None
    printed: list[str] = []
    reader = threading.Thread(target=lambda: printed.append(child.stdout.read()), daemon=True)  # type: ignore[union-attr]
    reader.start()
    said: list[str] = []
    interrupted = False
    while True:
        try:
            for line in child.stderr:
                said.append(line.rstrip("\n"))
                if not quiet and not line.startswith("pellucid: "):  # an error is raised, and so said once
                    print(written.in_cells(said[-1]), flush=True)
            child.wait()
            break
        except KeyboardInterrupt:
            child.send_signal(signal.SIGKILL if interrupted else signal.SIGINT)
            interrupted = True
    reader.join()
    return 130 if interrupted else child.returncode, "".join(printed), said


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _error(told: Mapping[str, Any], written: written_file.WrittenFile, said: list[str]) -> PellucidError:
    """The error that the child ended with, in the words of the cells."""
    message = str(told.get("message") or (said[-1].removeprefix("pellucid: ") if said else "its process ended without a word"))
    return own_process.error_of({"type": told.get("type"), "message": written.in_cells(message)}, message)
