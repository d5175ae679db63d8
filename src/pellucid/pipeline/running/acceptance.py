"""What the main process takes from a worker: only what it has looked at itself.

A worker runs a step's code, and what it says is data of that step's label. So no path, digest, size or kind is believed. Files are taken
from the call's own scratch folder by plain names, regular and with one name, by the descriptor that was hashed; the canonical digest
is computed here, except where only Pellucid's own code ran (a source, a release, a protection). For steps whose result is not open, what
may be told to everybody of a failure is chosen here, from a fixed set of sentences.
"""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.pipeline.declaration import Bound, Source
from pellucid.pipeline.keys import Closure
from pellucid.pipeline.record import Artifact, collection
from pellucid.pipeline.running.task import Failure, Leaf, Outcome
from pellucid.sandbox import SHARED_MEMORY
from pellucid.store import Objects, Saved, folders, kinds

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
SENTENCES = {
    "file": "it used a file that it does not declare: declare it with pl.source and name it as a parameter",
    "missing": "it looked for a file in its working folder, which is its own: declare the file with pl.source and name it as a parameter",
    "network": "it used the network; steps have none: fetch the data first and declare it with pl.source",
    "program": "it started a program, which nothing would hold here: use `pellucid run`",
    "shared memory": SHARED_MEMORY,
    "import": "it imported a module of the project in a way that cannot be seen beforehand; import it by name at the top of its file",
    "result": "it returned something else than it declares",
    "error": "it raised an error",
    "died": "its process ended without a result (killed, or out of memory?)",
}


class UnfitError(Exception):
    """What a worker left is not what its step may give. The text names no data."""


@dataclass(frozen=True)
class AcceptedOutput:
    """One output, looked at: its artifact."""

    name: str
    artifact: Artifact


def only_own_code(bound: Bound) -> bool:
    """Whether nothing but Pellucid's own code runs for this node."""
    node = bound.node
    if isinstance(node, Source):
        from pellucid.data import READERS

        return node.format == "file" or node.format in READERS
    return node.gate is not None or node.protection is not None


def take(bound: Bound, outcome: Outcome, scratch: Path, objects: Objects, *, cutting: bool) -> list[AcceptedOutput]:
    """The outputs that a call left in its scratch folder, in the order the step declares, moved into the store.

    Raises UnfitError for anything that such a call could not have left by honest means, StoreError where the disk fails.
    """
    expected = [("partitions", "table", True)] if cutting else [(name, kind, many) for name, kind, many in _each(bound)]
    if len(outcome.made) != len(expected):
        raise UnfitError("it gave another number of outputs than it declares")
    own = only_own_code(bound)
    taken = []
    folder = os.open(scratch, _FOLDER)
    try:
        for (name, kind, many), made in zip(expected, outcome.made, strict=True):
            if made.many != many or (not many and len(made.leaves) != 1):
                raise UnfitError("it gave a collection for a value, or a value for a collection")
            leaves = [(leaf.label, _leaf(leaf, kind, folder, objects, own)) for leaf in made.leaves]
            taken.append(AcceptedOutput(name, collection(kind, leaves) if many else leaves[0][1]))
    finally:
        os.close(folder)
    return taken


def left_behind(bound: Bound, outcome: Outcome, scratch: Path) -> str:
    """What to say of files that a step wrote and did not return; "" where there are none, or where their names may tell of data."""
    if not bound.outspoken or only_own_code(bound):
        return ""
    taken = {leaf.file for made in outcome.made for leaf in made.leaves}
    there = [entry for entry in folders.entries(scratch) if entry.is_file(follow_symlinks=False)]
    sizes = {entry.stat(follow_symlinks=False).st_size for entry in there if entry.name in taken}  # what is returned is a copy
    found = sorted(
        os.path.relpath(entry.path, scratch).removeprefix("work/")
        for entry in there
        if entry.name not in taken
        and not entry.name.startswith((".", "__"))
        and entry.stat(follow_symlinks=False).st_size not in sizes
    )
    if not found:
        return ""
    listed = ", ".join(name if name.isprintable() else repr(name) for name in found[:5]) + (" ..." if len(found) > 5 else "")
    return f'step "{bound.name}" wrote {listed} and did not return it, so it is gone: return its path as a pl.File'


def _each(bound: Bound) -> Iterable[tuple[str, str, bool]]:
    """Name, kind and whether it is a list, of each output of one call (a fan-out's collection is put together from its calls)."""
    if isinstance(bound.node, Source):
        ((name, kind, _),) = bound.outputs
        return [(name, kind, False)]
    return [(name, kind, output.many) for (name, kind, _), output in zip(bound.outputs, bound.node.outputs, strict=True)]


def _leaf(leaf: Leaf, kind: str, folder: int, objects: Objects, own: bool) -> Artifact:
    """One file: opened without following a link, hashed and digested by its descriptor, and linked into the store from it."""
    suffix = kinds.KINDS[kind].suffix
    if not leaf.file or leaf.file in (".", "..") or "/" in leaf.file or "\0" in leaf.file or not leaf.file.endswith(suffix):
        raise UnfitError("it named a file that is not one of its own")
    try:
        handle = os.open(leaf.file, _FILE, dir_fd=folder)
    except OSError as error:
        raise UnfitError("a file that it named is not there, or is not a plain file") from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_uid != os.geteuid():
            raise UnfitError("a file that it named is not a plain file with one name")
        sha256 = objects.hash_of(handle)
        digest = leaf.digest if own else _digest(Path(f"/proc/self/fd/{handle}"), kind)
        objects.adopt(Saved(kind, digest, sha256, found.st_size, Path(f"result{suffix}")), handle=handle)
    finally:
        os.close(handle)
    return Artifact(kind, digest, sha256, suffix, found.st_size)


def _digest(path: Path, kind: str) -> str:
    try:
        return kinds.digest(path, kind)
    except MemoryError as error:
        raise UnfitError("a file that it left needs more memory than there is") from error
    except Exception as error:
        raise UnfitError(f"a file that it left is not a {kind}") from error


# failures ---------------------------------------------------------------------------------------------------------------------


def public_line(bound: Bound, failure: Failure, code: Iterable[Path] = (), settings: Mapping[str, Any] | None = None) -> str:
    """What may be told to everybody of a failure.

    Of a step whose result is open, what its worker said. Of Pellucid's own code, the line that it made without data. Of any other step
    one of the fixed `SENTENCES`; a file is named in it only where its name stands, whole, as a text in the code or in a setting.
    """
    if bound.outspoken or only_own_code(bound) or failure.by_runner:
        return failure.public
    said = SENTENCES.get(failure.reason, SENTENCES["error"])
    if failure.reason in ("file", "missing") and (name := _written(failure.path, code, settings or {})):
        return f"it used {name}, which it does not declare: declare it with pl.source and name it as a parameter"
    return said


def _written(path: str, code: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """The longest text in the code or the settings that names this path as a whole; "" where there is none."""
    texts = {value for value in settings.values() if isinstance(value, str)}
    for file in code:
        try:
            tree = ast.parse(file.read_text())
        except (OSError, SyntaxError, ValueError):
            continue
        texts |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    fitting = [
        text for text in texts if text and text.isprintable() and (path == text or path.endswith("/" + text.removeprefix("./")))
    ]
    return max(fitting, key=len, default="")


def undeclared_import(outcome: Outcome, closure: Closure) -> Failure | None:
    """The failure of a step that imported a project module which its key does not know, as far as its worker says so."""
    stray = sorted(set(outcome.imported) - {name for name, _ in closure.modules})
    if not stray:
        return None
    said = f"it imported {stray[0]} in a way that cannot be seen beforehand; import it by name at the top of its file"
    return Failure("Undeclared", said, "", said, retry=False, reason="import")


def unfit(error: UnfitError) -> Failure:
    """The failure of a step whose worker left what cannot be taken."""
    said = f"its result was refused: {error}"
    return Failure("Refused", said, "", said, retry=False, by_runner=True)
