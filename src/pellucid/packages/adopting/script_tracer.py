"""Watching a script: it runs once in a copy of its folder, and what it opens, imports and writes there is noted.

An audit hook writes down every file that Python opens, lists or asks for, in this process and in those it starts; a comparison of the
folder before and after tells what was written. The copy is where a re-run will be too: a file that is not in the script's folder is not
in the copy, and the script is refused by the name of that file instead of failing later on another's machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import PellucidError, UsageError
from pellucid.packages.adopting import script_process

MAX_FOLDER = 2 << 30  # bytes that are copied to watch the script
SKIPPED = {".git", ".venv", "venv", "__pycache__", ".pellucid", "node_modules", ".ipynb_checkpoints"}
_SYSTEM = ("/etc", "/proc", "/sys", "/dev")  # what libraries look into, and do without in a re-run
# One line for each file as it is opened first, so that nothing is lost when a process ends without saying so: the path and "read", "made"
# (made or emptied, so what was in it before does not matter), "kept" (written into), "listed" (a folder) or "asked" (whether it is there,
# and what of: `os.stat` has no audit event, so it is wrapped).
_HOOK = """
def _watch():
    import atexit, json, os, sys
    log = os.path.abspath(os.environ["PELLUCID_WATCH"])
    root = os.path.realpath(os.environ["PELLUCID_WATCH_ROOT"]) + os.sep
    seen = set()
    def say(line):
        try:
            with open(log, "a") as file:
                file.write(json.dumps(line) + "\\n")
        except OSError:
            pass
    def note(path, how):
        path = os.path.abspath(os.fsdecode(path))
        if path != log and (path, how) not in seen:
            seen.add((path, how))
            say([path, how])
    def hook(event, arguments):
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            flags = arguments[2]
            writes = flags & (os.O_WRONLY | os.O_RDWR)
            note(arguments[0], "made" if flags & (os.O_TRUNC | os.O_EXCL) else "kept" if writes else "read")
        elif event in ("os.listdir", "os.scandir") and not isinstance(arguments[0], int):
            note(arguments[0] or ".", "listed")
    def wrapped(ask):
        def asked(path, *rest, **named):
            if isinstance(path, (str, bytes, os.PathLike)):
                try:
                    text = os.path.abspath(os.fsdecode(path))
                    if text.startswith(root):
                        note(text, "asked")
                except (ValueError, TypeError):
                    pass
            return ask(path, *rest, **named)
        return asked
    os.stat, os.lstat, os.access = wrapped(os.stat), wrapped(os.lstat), wrapped(os.access)
    sys.addaudithook(hook)
    @atexit.register
    def write():
        say(sorted({name.partition(".")[0] for name in sys.modules if isinstance(name, str)}) + [None])
_watch()
"""


@dataclass(frozen=True)
class Watched:
    """What a script did in the folder `copy`: the files of it that it read and those that it wrote (relative paths), the folders that were
    there, the modules that it imported (top names), and what it printed."""

    copy: Path
    read: tuple[str, ...]
    written: tuple[str, ...]
    folders: tuple[str, ...]
    modules: tuple[str, ...]
    printed: bytes


def watch(script: Path, root: Path, name: str, copy: Path, arguments: Sequence[str]) -> Watched:
    """Run `name`, a script in `copy`, once. `script` is what the user named, in the folder `root` that `copy` was made of.

    Raises PellucidError when it fails, and UsageError when it uses files that are not in the root.
    """
    scratch = copy.parent
    log, temporary = scratch / "opened.jsonl", scratch / "tmp"
    temporary.mkdir()
    log.touch()
    environment = {"PELLUCID_WATCH": str(log), "PELLUCID_WATCH_ROOT": str(copy), "TMPDIR": str(temporary)}
    before, folders, started = _states(copy), _folders(copy), time.time()
    done = script_process.run(name, copy, arguments, hook=_HOOK, environment=environment)
    opened, modules = _noted(log)
    if done.returncode:
        raise _failed(script, root, name, copy, done, opened)
    fresh = {path: how[0] in ("made", "kept") for path, how in opened.items() if set(how) & {"read", "made", "kept"}}
    _refuse_outside(root, name, copy, fresh, started)
    after = _states(copy)
    made = {path for path in after if before.get(path) != after[path] or set(opened.get(str(copy / path), ())) & {"made", "kept"}}
    listed = {folder for folder, how in opened.items() if "listed" in how}
    read = [
        path
        for path in before
        if _was_read(opened.get(str(copy / path), []), made_new=path in made) or str((copy / path).parent) in listed
    ]
    return Watched(copy, tuple(read), tuple(sorted(made)), folders, modules, done.stdout)


def _was_read(how: list[str], *, made_new: bool) -> bool:
    """Whether what was in the file before mattered: it was opened, or asked for, before it was emptied or made again."""
    if not how:
        return False
    return how[0] != "made" or (not made_new and "read" in how)


def _failed(
    script: Path, root: Path, name: str, copy: Path, done: subprocess.CompletedProcess[bytes], opened: dict[str, list[str]]
) -> PellucidError:
    """The error of a script that ended badly; raises UsageError where a file is missing that is there for the user."""
    last = script_process.last_line(done)
    _refuse_missing(root, name, copy, [*(path for path, how in opened.items() if how[0] == "read"), *_paths_in(last)])
    fix = "Run it by itself first; when it works there, it needs something that is not in its folder"
    if last.startswith("EOFError"):
        fix = "It waits for input, and in a re-run nobody answers: give it that after --, or in a file"
    if last.startswith("ModuleNotFoundError"):
        fix = (
            "Install what it imports into the environment that pellucid runs in; adopt then locks it, with its version and hashes"
        )
    return PellucidError(f"the script ended with {done.returncode}", where=name, why=last[:300], fix=fix)


def copied(script: Path, root: Path, copy: Path, data: Sequence[Path]) -> str:
    """Copy the folder `root`; the script's path in it. A link to a file becomes that file."""
    from pellucid.packages.adopting.notebook_cells import code_cells

    size = 0
    copy.mkdir(parents=True)
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(one for one in folders if not _is_left_out(one))
        for one in folders:
            if not Path(folder, one).is_symlink():
                (copy / Path(folder, one).relative_to(root)).mkdir(parents=True, exist_ok=True)
        for one in names:
            path = Path(folder, one)
            if not path.is_file():
                continue
            size += path.stat().st_size
            if size > MAX_FOLDER:
                raise UsageError(
                    f"its folder holds more than {MAX_FOLDER >> 30} GiB", where=str(root), fix="Put it in one of its own"
                )
            target = copy / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for path in data:
        if not path.is_relative_to(root) or not (copy / path.relative_to(root)).is_file():
            raise UsageError("it is no file in the script's folder", where=str(path), fix="Put it there")
    if script.suffix == script_process.NOTEBOOK:
        code_cells(script.read_bytes(), script.name)
    return script.relative_to(root).as_posix()


def _is_left_out(folder: str) -> bool:
    return folder in SKIPPED or folder.startswith(".")


def _states(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Each file's content, and when and as which file it was written: one that is written again as it was is written."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    found = {}
    for path in paths:
        stat = path.stat()
        known = hashlib.sha256(path.read_bytes()).hexdigest(), stat.st_mtime_ns, stat.st_ino
        found[path.relative_to(folder).as_posix()] = known
    return found


def _folders(folder: Path) -> tuple[str, ...]:
    """Every folder in it, the empty ones too, so that a script finds them where it writes."""
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_dir())
    return tuple(path for path in found if "__pycache__" not in path)


def _noted(log: Path) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """Path -> in which ways it was used, in their order; and the modules."""
    opened: dict[str, list[str]] = {}
    modules: set[str] = set()
    for line in log.read_text().splitlines():
        told = json.loads(line)
        if told[-1] is None:
            modules.update(told[:-1])
        else:
            opened.setdefault(told[0], []).append(told[1])
    return opened, tuple(sorted(modules))


def _paths_in(said: str) -> list[str]:
    """What may be paths in a message: native code says there what it could not open."""
    return re.findall(r"[^\s'\"`:()<>,]*[/.][^\s'\"`:()<>,]+", said)


def _refuse_missing(root: Path, name: str, copy: Path, paths: Sequence[str]) -> None:
    """Name the file that is there for the script and not for its copy, where there is one."""
    for path in paths:
        wanted = Path(os.path.abspath(copy / path))
        if wanted.exists():
            continue
        relative = os.path.relpath(wanted, copy)
        own = Path(os.path.normpath(root / relative))
        if own.exists():
            _refuse(name, f"it reads {relative}", *_reason(root, own))
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


def _refuse_outside(root: Path, name: str, copy: Path, opened: dict[str, bool], started: float) -> None:
    """A script that reads or writes elsewhere by an absolute path would not find it there again. Raises UsageError."""
    for path in _foreign(opened, copy.parent):
        made_now = path.stat().st_mtime >= started
        if opened[str(path)] and made_now:
            fix = "Let it write into its own folder, by a relative path"
            _refuse(name, f"it writes {path}", "that is outside of the script's folder", fix)
        if not opened[str(path)] and not made_now:
            inside = path.is_relative_to(root)
            why = "that is an absolute path" if inside else "it lies outside of the script's folder"
            put = "" if inside else "Put the file into the script's folder. "
            _refuse(name, f"it reads {path}", why, f"{put}Name it in the script by a relative path")


def _foreign(opened: dict[str, bool], scratch: Path) -> Iterator[Path]:
    """The files that were opened and belong neither to the copy nor to Python, the system, or a library's hidden folders."""
    from pellucid.sandbox import environment_paths

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
