"""Two runs of a script compared: what it does when only what it was seen to read is there, at another time, in another folder.

That is what a re-run will be, so what differs here would differ there, or worse: would be taken for a result. The cause is looked for by a
third run in a full copy: if that is as the first, something was read that was not seen; if not, the script does not do the same twice.
"""

from __future__ import annotations

import ast
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pellucid.errors import UsageError
from pellucid.packages.adopting import notebook_cells, script_process
from pellucid.packages.adopting.script_step import laid_out

MOST_UNSEEN = 50  # files that native code opens: each costs a run
COARSEST_CLOCK = 2.1  # seconds: the times in a zip file are even
_SOURCES = {
    "random": "random numbers without a seed (random)",
    "secrets": "random numbers without a seed (secrets)",
    "uuid": "random identifiers (uuid)",
    "default_rng": "random numbers without a seed (numpy)",
    "RandomState": "random numbers without a seed (numpy)",
    "rand": "random numbers without a seed",
    "randn": "random numbers without a seed",
    "time": "the clock (time)",
    "datetime": "the clock (datetime)",
    "tempfile": "names of temporary files",
    "getpid": "the number of its process",
    "cwd": "the folder it runs in",
    "getcwd": "the folder it runs in",
    "set": "the order of a set",
    "urandom": "random numbers without a seed (os.urandom)",
}


def compare(
    script: str,
    files: Mapping[str, bytes],
    folders: Sequence[str],
    written: Mapping[str, bytes],
    printed: bytes,
    arguments: Sequence[str],
    scratch: Path,
    original: Path,
    started: float,
) -> dict[str, bytes]:
    """Run the script with `files` and `folders` alone; what it needs besides: the files that it could not open and that are there.

    `written` and `printed` are what the first run gave (begun at `started`); `original` is a copy of the whole folder, as it was before.
    Raises UsageError where it ends, prints or writes other than it did before.
    """
    time.sleep(max(0.0, started + COARSEST_CLOCK - time.time()))
    more: dict[str, bytes] = {}
    while True:
        alone = scratch / f"alone-{len(more)}"
        alone.mkdir()
        laid_out(alone, {**files, **more}, folders)
        done = script_process.run(script, alone, arguments, as_a_step=True)
        if done.returncode == 0:
            break
        missing = _missing(script_process.last_line(done), original, script) - files.keys() - more.keys()
        if not missing or len(more) > MOST_UNSEEN:
            raise UsageError(
                "it does not run with what it was seen to read",
                where=script,
                why=f"it ended with {done.returncode}: {script_process.last_line(done)[:200]}",
                fix="Name what it needs besides with --data",
            )
        more |= {path: (original / path).read_bytes() for path in sorted(missing)}
    different = _different(alone, written, printed, done.stdout)
    if not different:
        return more
    again = script_process.run(script, original, arguments)
    repeats = again.returncode == 0 and not _different(original, written, printed, again.stdout)
    named = ", ".join(different[:5]) + (f" and {len(different) - 5} more" if len(different) > 5 else "")
    if repeats:
        raise UsageError(
            f"{named}: other than with all files of its folder",
            where=script,
            why="it depends on a file that it was not seen to read, or on a variable of your environment",
            fix="Name the file with --data FILE, give the value as an argument, or go on with --although",
        )
    causes = _causes(files[script], script)
    why = "a re-run would differ, and could not be told from a forgery"
    raise UsageError(
        f"{named}: not the same in two runs",
        where=script,
        why=f"{why}; it may be {' or '.join(causes)}" if causes else why,
        fix="Give it a seed and no clock; or take it as it is with --although: a re-run will then say that it differs",
    )


def _missing(said: str, original: Path, script: str) -> set[str]:
    """The files of the folder that a message names, native code's above all: it says there what it could not open, or find by a pattern."""
    found: set[str] = set()
    for named in re.findall(r"[^\s'\"`:()<>,]*[/.*][^\s'\"`:()<>,]+", said):
        pattern = os.path.normpath(
            os.path.join(script_process.folder_of(script), named.partition("/alone-")[2].partition("/")[2] or named)
        )
        for path in [original / pattern, *(original.glob(pattern) if "*" in pattern and not os.path.isabs(pattern) else ())]:
            if path.is_file() and path.resolve().is_relative_to(original):
                found.add(path.resolve().relative_to(original).as_posix())
    return found


def _different(folder: Path, written: Mapping[str, bytes], printed: bytes, prints: bytes) -> list[str]:
    """The names of what differs: files, and "what it prints"."""
    found = [path for path, body in sorted(written.items()) if not _is(folder / path, body)]
    return found + (["what it prints"] if prints != printed else [])


def _is(path: Path, body: bytes) -> bool:
    return path.is_file() and path.read_bytes() == body


def _causes(text: bytes, script: str) -> list[str]:
    """What in the script may come out different each time, by the names it uses."""
    source = "\n".join(notebook_cells.code_cells(text, script)) if script.endswith(script_process.NOTEBOOK) else text
    names: set[str] = set()
    for node in ast.walk(compile(source, script, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)):
        if isinstance(node, ast.Import):
            names |= {part for alias in node.names for part in alias.name.split(".")}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Name):
            names.add(node.id)
    return list(dict.fromkeys(cause for name, cause in _SOURCES.items() if name in names))
