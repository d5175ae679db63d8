"""Watching a script: it runs once in a copy of its folder, and what it opens, imports and writes there is noted.

An audit hook writes down every file that Python opens, in this process and in those it starts; a comparison of the folder before and
after tells what was written. The copy is where a re-run will be too: a file that is not in the script's folder is not in the copy, and
the script is refused by the name of that file instead of failing later on another's machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import PellucidError, UsageError

MAX_FOLDER = 2 << 30  # bytes that are copied to watch the script
SKIPPED = {".git", ".venv", "venv", "__pycache__", ".pellucid", "node_modules", ".ipynb_checkpoints"}
_SYSTEM = ("/etc", "/proc", "/sys", "/dev")  # what libraries look into, and do without in a re-run
# One line for each file as it is opened first, so that nothing is lost when a process ends without saying so. `fresh`: it is made or
# emptied, so what was in it before does not matter.
_HOOK = """
import atexit, json, os, sys
_log = os.path.abspath(os.environ["PELLUCID_WATCH"])
_seen = set()
def _say(line):
    try:
        with open(_log, "a") as file:
            file.write(json.dumps(line) + "\\n")
    except OSError:
        pass
def _note(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path != _log and path not in _seen:
            _seen.add(path)
            _say([path, bool(arguments[2] & (os.O_TRUNC | os.O_EXCL))])
sys.addaudithook(_note)
@atexit.register
def _write():
    _say(sorted({name.partition(".")[0] for name in sys.modules if isinstance(name, str)}) + [None])
"""


@dataclass(frozen=True)
class Watched:
    """What a script did in the folder `copy`: the files of it that it read and those that it wrote (relative paths), and the modules
    that it imported (top names)."""

    copy: Path
    read: tuple[str, ...]
    written: tuple[str, ...]
    modules: tuple[str, ...]


def watch(script: Path, name: str, copy: Path, arguments: Sequence[str]) -> Watched:
    """Run `name`, a script in `copy`, once. `script` is what the user named, in the folder that `copy` was made of.

    Raises PellucidError when it fails, and UsageError when it uses files that are not in its folder.
    """
    scratch = copy.parent
    hook, log, temporary = scratch / "hook", scratch / "opened.jsonl", scratch / "tmp"
    hook.mkdir()
    temporary.mkdir()
    log.touch()
    (hook / "sitecustomize.py").write_text(_HOOK)
    env = {**os.environ, "PYTHONPATH": f"{hook}{os.pathsep}{copy}", "PELLUCID_WATCH": str(log), "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {"MPLBACKEND": "Agg", "PYTHONHASHSEED": "0", "TMPDIR": str(temporary)}
    before, started = _hashes(copy), time.time()
    done = subprocess.run(
        [sys.executable, name, *arguments],
        cwd=copy,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        errors="replace",
        stdin=subprocess.DEVNULL,
    )
    opened, modules = _noted(log)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        _refuse_missing(script, name, copy, [*(path for path, fresh in opened.items() if not fresh), *_paths_in(last)])
        fix = "Run it by itself first; when it works there, it needs something that is not in its folder"
        if last.startswith("EOFError"):
            fix = "It waits for input, and in a re-run nobody answers: give it that as --arg, or in a file"
        raise PellucidError(f"the script ended with {done.returncode}", where=name, why=last[:300], fix=fix)
    _refuse_outside(script, name, copy, opened, started)
    after = _hashes(copy)
    written = tuple(sorted(path for path, digest in after.items() if before.get(path) != digest))
    read = tuple(path for path in before if opened.get(str(copy / path)) is False)
    return Watched(copy, read, written, modules)


def copied(script: Path, copy: Path, data: Sequence[Path]) -> str:
    """Copy the script's folder; the script's path in it. A notebook becomes a script, a link to a file that file."""
    from pellucid.packages.script import cells

    size = 0
    for folder, folders, names in os.walk(script.parent):
        folders[:] = [one for one in folders if not _is_left_out(one)]
        for one in names:
            path = Path(folder, one)
            if not path.is_file():
                continue
            size += path.stat().st_size
            if size > MAX_FOLDER:
                raise UsageError(
                    f"its folder holds more than {MAX_FOLDER >> 30} GiB", where=str(script.parent), fix="Put it in one of its own"
                )
            target = copy / path.relative_to(script.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for path in data:
        if not path.is_relative_to(script.parent) or not (copy / path.relative_to(script.parent)).is_file():
            raise UsageError("it is no file in the script's folder", where=str(path), fix="Put it there")
    if script.suffix == ".py":
        return script.name
    made = script.with_suffix(".py").name
    if (copy / made).exists():
        raise UsageError(f"there is a {made} beside the notebook already", where=str(script), fix="Rename one of them")
    (copy / made).write_text(cells(script.read_bytes(), script.name))
    return made


def _is_left_out(folder: str) -> bool:
    return folder in SKIPPED or folder.startswith(".")


def _hashes(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _noted(log: Path) -> tuple[dict[str, bool], tuple[str, ...]]:
    """Path -> whether it was made or emptied when it was opened first; and the modules."""
    opened: dict[str, bool] = {}
    modules: set[str] = set()
    for line in log.read_text().splitlines():
        told = json.loads(line)
        if told[-1] is None:
            modules.update(told[:-1])
        else:
            opened.setdefault(told[0], told[1])
    return opened, tuple(sorted(modules))


def _paths_in(said: str) -> list[str]:
    """What may be paths in a message: native code says there what it could not open."""
    return re.findall(r"[^\s'\"`:()<>,]*[/.][^\s'\"`:()<>,]+", said)


def _refuse_missing(script: Path, name: str, copy: Path, paths: Sequence[str]) -> None:
    """Name the file that is there for the script and not for its copy, where there is one."""
    for path in paths:
        wanted = Path(os.path.abspath(copy / path))
        if wanted.exists():
            continue
        relative = os.path.relpath(wanted, copy)
        own = Path(os.path.normpath(script.parent / relative))
        if own.exists():
            _refuse(name, f"it reads {relative}", *_reason(script.parent, own))
        if Path(relative).exists():
            fix = "Name the file in the script relative to the script's own folder"
            _refuse(
                name, f"it reads {relative}", "it is in the folder you are in, and a re-run has the script's folder only", fix
            )


def _reason(folder: Path, path: Path) -> tuple[str, str]:
    """Why a file was not copied, and what to do."""
    if not path.is_relative_to(folder):
        return "it lies outside of the script's folder", "Put the file into the folder, and name it there in the script"
    for part in [*reversed(path.relative_to(folder).parents), path.relative_to(folder)]:
        if (folder / part).is_symlink():
            return f"{part} is a link to a folder, and is not followed", "Put the folder itself there"
        if _is_left_out(part.name):
            return f"{part} is a folder that is left out", "Move the file to another folder of the script's"
    return "it was not copied", "Name it with --data"


def _refuse_outside(script: Path, name: str, copy: Path, opened: dict[str, bool], started: float) -> None:
    """A script that reads or writes elsewhere by an absolute path would not find it there again. Raises UsageError."""
    for path in _foreign(opened, copy.parent):
        made_now = path.stat().st_mtime >= started
        if opened[str(path)] and made_now:
            fix = "Let it write into its own folder, by a relative path"
            _refuse(name, f"it writes {path}", "that is outside of the script's folder", fix)
        if not opened[str(path)] and not made_now:
            inside = path.is_relative_to(script.parent)
            why = "that is an absolute path" if inside else "it lies outside of the script's folder"
            put = "" if inside else "Put the file into the script's folder. "
            _refuse(name, f"it reads {path}", why, f"{put}Name it in the script by a relative path")


def _foreign(opened: dict[str, bool], scratch: Path) -> Iterator[Path]:
    """The files that were opened and belong neither to the copy nor to Python, the system, or a library's hidden folders."""
    from pellucid.pipeline.landlock import environment_paths

    known = [Path(place) for place in (*environment_paths(), *_SYSTEM, str(scratch), str(scratch.resolve()))]
    for one in sorted(opened):
        path = Path(one)
        places = (path, Path(os.path.realpath(path)))
        if any(place.is_relative_to(own) for place in places for own in known) or any(p.startswith(".") for p in path.parts):
            continue
        if path.is_file():
            yield path


def _refuse(where: str, what: str, why: str, fix: str) -> None:
    raise UsageError(what, where=where, why=why, fix=fix)
