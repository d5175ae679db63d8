"""The first process of a re-run: it imports the libraries of the package's environment, and nothing of the package, and forks a member for
each group of steps.

Starting Python and importing the libraries takes longer than most steps. A member takes what is imported along, and gives up all files
but its own (Landlock) before it loads anything of the package: what it may read are its view, the files of its inputs and the environment,
what it may write is its own folder. So each sees its own inputs only, and no member can leave anything to another.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_LONGEST = 256 << 20  # bytes of what the survey says
NAMES, LENGTH, LEVEL = "names", 32, "-" * 32  # the file, how long each name in it is, and what begins a level
_INHERIT_ORPHANS = 36
FAILED = 3  # exit code of a member with a step that failed: the next ones need not begin


def main(spec: str) -> None:
    """Entry of the process: SPEC is a file with the folders `views` and `works`, the name of the `code` in views, what all may `read`, how
    many members run at once (`jobs`), `keep_going`, and the `closures` of the steps; where these are not known the first is the survey.

    Beside it is a file with the names of the members, which are those of their tasks and working folders, in the order in which they begin.
    A name is read when its turn comes: what is in the memory of this process is in that of every member, and names of others are secret.
    After `LEVEL` none begins before all that came before have ended, with whatever they started: a step whose input is the result of
    another could tell that one what to come to.
    """
    from pellucid.packages.reproducing import rerun_outputs, rerun_process
    from pellucid.pipeline import running as runner
    from pellucid.sandbox import end_descendants, landlock, libc

    told = json.loads(Path(spec).read_text())
    for name in (*runner.WARM, "pellucid.pipeline.running.scheduler", "pellucid.pipeline.running.worker_pool"):
        importlib.import_module(name)
    landlock.environment_paths()
    libc().prctl(_INHERIT_ORPHANS, 1, 0, 0, 0)
    gc.collect()
    gc.freeze()
    names, closures = os.open(Path(spec).with_name(NAMES), os.O_RDONLY), told["closures"]
    running: set[int] = set()
    if closures is None:
        survey = _next(names)
        running.add(_forked(told, survey, "", names))
        failed = _ended(running, 0)
        end_descendants(os.getpid())
        if failed:
            return
        closures = rerun_outputs.regular_file(Path(told["works"], survey), rerun_process.CLOSURES, _LONGEST).decode()
    while name := _next(names):
        if _ended(running, 0 if name == LEVEL else told["jobs"] - 1) and not told["keep_going"]:
            break
        if name == LEVEL:
            end_descendants(os.getpid())
        else:
            running.add(_forked(told, name, closures, names))
    _ended(running, 0)


def _next(names: int) -> str:
    return os.read(names, LENGTH + 1).decode().strip()


def _ended(running: set[int], most: int) -> bool:
    """Wait until no more than `most` members run; whether one of those that ended did not end well."""
    failed = False
    while len(running) > most:
        pid, status = os.wait()
        if pid in running:  # else an orphan of a member
            running.remove(pid)
            failed |= status != 0
    return failed


def _forked(told: Mapping[str, Any], name: str, closures: str, names: int) -> int:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.close(names)
            code = _be(told, name, closures)
        except BaseException as error:  # noqa: BLE001 - nothing of the parent may run on in the member
            with suppress(BaseException):
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return pid


def _be(told: Mapping[str, Any], name: str, closures: str) -> int:
    """Give up what is not this member's, and re-run its steps."""
    from pellucid.packages.format import lock_file
    from pellucid.packages.reproducing import rerun_process
    from pellucid.sandbox import landlock

    os.setsid()
    view, work = Path(told["views"], told["code"]), Path(told["works"], name)
    for log, to in (("rerun.out", 1), ("rerun.err", 2)):
        handle = os.open(work / log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        os.dup2(handle, to)
        os.close(handle)
    os.environ.update(HOME=str(work / "home"), TMPDIR=str(work / "tmp"), PELLUCID_LOCK=str(view / lock_file.FILE))
    os.chdir(work)
    task = json.loads(Path(told["views"], f"{name}.json").read_text())
    if landlock.abi():
        landlock.restrict([*told["read"], "/proc", str(view), *task["files"].values()], [str(work)])
    return FAILED if rerun_process.main(view, work, task, closures) else 0


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # some libraries are noisy when an interpreter ends
