"""The view: what of a package a re-run sees. Not the answer: nothing that it has to make, nor anything made of it.

A step that can read its recorded output can hand it in as its own. So steps are re-run level by level of the graph, each level in a
process that sees the code, the lock, and the recorded inputs of its own steps alone: no input of a level comes after a step of it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pellucid.packages import lock
from pellucid.packages import manifest as manifests
from pellucid.packages.manifest import RERUN, Entry, Manifest
from pellucid.packages.untrusted import refuse

CODE = "code"


def levels(manifest: Manifest, steps: Iterable[str]) -> list[list[str]]:
    """The steps by the longest way to them over steps that are re-run, in the order of the trace.

    Raises PackageError for a trace in which a step takes in what comes later: its own output, or what was made of it.
    """
    depth: dict[str, int] = {}  # of each artifact made so far
    found: dict[int, list[str]] = {}
    wanted = set(steps)
    for entry in manifest.trace:
        later = [name for name, _ in entry.inputs.values() if name not in depth]
        if later:
            refuse(f"{manifests.FILE}, step {entry.step!r:.60}", f"it takes in {later[0]!r:.60}, which is made later")
        at = max((depth[name] for name, _ in entry.inputs.values()), default=0)
        depth |= dict.fromkeys(entry.outputs, at + 1 if entry.role == RERUN else 0)
        if entry.step in wanted:
            found.setdefault(at, []).append(entry.step)
    return [found[at] for at in sorted(found)]


def lay_out(package: Path, manifest: Manifest, steps: Sequence[str], folder: Path, *, shared: bool) -> None:
    """Make the view for these steps, which must be of one level, as the new folder `folder`. With `shared` its files are the package's own:
    only where a re-run cannot write to them."""
    known = [_known(entry, steps, manifest) for entry in manifest.trace]
    named = {leaf.path for entry in known for value in entry.outputs.values() for leaf in value.leaves}
    paths = [path for path in (package / CODE).rglob("*") if path.is_file()]
    for path in (*paths, package / lock.FILE, *(package / name for name in sorted(named))):
        at = folder / path.relative_to(package)
        at.parent.mkdir(parents=True, exist_ok=True)
        _put(path, at, shared)
    shown = replace(manifest, trace=tuple(known))
    (folder / manifests.FILE).write_text(json.dumps(shown.to_json()))


def _known(entry: Entry, steps: Sequence[str], manifest: Manifest) -> Entry:
    """What a step's entry says to these steps: if it is one of them its inputs, and of what it gave what they take in."""
    mine = {name for one in manifest.trace if one.step in steps for name, _ in one.inputs.values()}
    taken = {name: value for name, value in entry.outputs.items() if name in mine}
    inputs = entry.inputs if entry.step in steps else {}
    return replace(entry, inputs=inputs, outputs=taken)


def _put(path: Path, at: Path, shared: bool) -> None:
    if shared:
        try:
            os.link(path, at)
            return
        except OSError:  # another file system, or not one's own file
            pass
    shutil.copyfile(path, at)
