"""The view: what of a package a re-run sees. Not the answer: nothing that it has to make, nor anything made of it.

A step that can read its recorded output can hand it in as its own. So steps are re-run in groups that take in the same and are as far
down the graph, each group in a process that sees the code, the lock, and these inputs alone. Where that would be many processes, the
steps of a level of the graph are re-run together, and then see each other's inputs; never what comes after one of them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pellucid.packages.format import RERUN, Entry, Manifest, lock_file, refuse
from pellucid.packages.format import manifest as manifests

CODE = "code"
ALONE = 64  # groups that get a process each


def levels(manifest: Manifest, steps: Iterable[str]) -> list[list[str]]:
    """The steps in groups to be re-run together: by the longest way to them over steps that are re-run, then by what they take in.

    So nothing that is made of a step is seen where it is re-run, a release made of it neither, and as far as there are few (`ALONE`) each
    sees its own inputs only. Raises PackageError for a trace in which a step takes in what comes later: its own output, or what was made
    of it.
    """
    depth: dict[
        str, int
    ] = {}  # of each artifact, the private ones too: a release may be made of one that was made of an open step
    known: set[str] = set()
    found: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    wanted = set(steps)
    entries = {entry.step: entry for entry in manifest.trace}
    for node in manifest.graph:
        entry = entries.get(node["step"])
        taken = tuple(sorted({name for name, _ in entry.inputs.values()})) if entry is not None else ()
        later = [name for name in taken if name not in known]
        if later:
            refuse(f"{manifests.FILE}, step {node['step']!r:.60}", f"it takes in {later[0]!r:.60}, which is made later")
        at = max((depth.get(name, 0) for name in (*taken, *node["inputs"].values())), default=0)
        depth |= {output[0]: at + (entry is not None and entry.role == RERUN) for output in node["outputs"]}
        if entry is not None:
            depth |= dict.fromkeys(entry.outputs, at + (entry.role == RERUN))
            known |= entry.outputs.keys()
            if entry.step in wanted:
                found.setdefault((at, taken), []).append(entry.step)
    if len(found) > ALONE:
        merged: dict[tuple[int, tuple[str, ...]], list[str]] = {}
        for (at, _), some in sorted(found.items()):
            merged.setdefault((at, ()), []).extend(some)
        found = merged
    order = {entry.step: at for at, entry in enumerate(manifest.trace)}
    return [sorted(found[key], key=order.__getitem__) for key in sorted(found)]


def lay_out(package: Path, manifest: Manifest, steps: Sequence[str], folder: Path) -> None:
    """Make the view for these steps as the new folder `folder`: copies, for what reaches into a view must not reach the package."""
    known = [_known(entry, steps, manifest) for entry in manifest.trace]
    named = {leaf.path for entry in known for value in entry.outputs.values() for leaf in value.leaves}
    paths = [path for path in (package / CODE).rglob("*") if path.is_file()]
    for path in (*paths, package / lock_file.FILE, *(package / name for name in sorted(named))):
        at = folder / path.relative_to(package)
        at.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, at)
    shown = replace(manifest, trace=tuple(known))
    (folder / manifests.FILE).write_text(json.dumps(shown.to_json()))


def _known(entry: Entry, steps: Sequence[str], manifest: Manifest) -> Entry:
    """What a step's entry says to these steps: if it is one of them its inputs, and of what it gave what they take in."""
    mine = {name for one in manifest.trace if one.step in steps for name, _ in one.inputs.values()}
    taken = {name: value for name, value in entry.outputs.items() if name in mine}
    inputs = entry.inputs if entry.step in steps else {}
    return replace(entry, inputs=inputs, outputs=taken)
