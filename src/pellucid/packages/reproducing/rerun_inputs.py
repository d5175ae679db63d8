"""The view: what of a package a re-run sees. Not the answer: nothing that it has to make, nor anything made of it.

A step that can read its recorded output can hand it in as its own. So steps are re-run in groups that take in the same and are as far
down the graph, each group in a process that sees the code, the lock, and these inputs alone. Where that would be more than `ALONE`
processes, the steps of a level of the graph are re-run together, and then see each other's inputs; never what comes after one of them.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from pellucid.packages.format import RERUN, Manifest, Value, lock_file, refuse
from pellucid.packages.format import manifest as manifests

CODE = "code"
ALONE = 256  # groups that get a process each


def groups(manifest: Manifest, steps: Iterable[str]) -> list[tuple[int, list[str]]]:
    """The steps in groups to be re-run together, each with its level: the longest way to them over steps that are re-run. In a level they
    are grouped by what they take in.

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
    return [(key[0], sorted(found[key], key=order.__getitem__)) for key in sorted(found)]


def see_others(manifest: Manifest, group: Iterable[str]) -> bool:
    """Whether a step of a group sees inputs of another that are not its own."""
    some = set(group)
    return len({frozenset(name for name, _ in entry.inputs.values()) for entry in manifest.trace if entry.step in some}) > 1


class Views:
    """What the members of a re-run see, below a folder: the code, which all see, and for each member a task and the files it takes in.

    The latter go by names that nobody can guess: Landlock lets a member read none of another's, but see that a name is there, and its size.
    All are copies, for what reaches into a view must not reach the package; one that several take in is there once.
    """

    def __init__(self, package: Path, manifest: Manifest, folder: Path) -> None:
        self.package, self.manifest, self.folder, self.code = package, manifest, folder, folder / "package"
        self._inputs: dict[str, str] = {}
        for path in (*(package / CODE).rglob("*"), package / lock_file.FILE):
            if path.is_file():
                at = self.code / path.relative_to(package)
                at.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, at)

    def lay_out(self, name: str, steps: Sequence[str], *, slots: int = 1, keep_going: bool = False) -> Path:
        """Write the task of a member that re-runs these steps (none: of the survey), and copy what they take in; where the task is."""
        manifest, wanted = self.manifest, set(steps)
        taken = {name for entry in manifest.trace if entry.step in wanted for name, _ in entry.inputs.values()}
        given = {name: value for name, value in manifest.open.items() if name in taken}
        task = {
            "file": manifest.file,
            "settings": dict(manifest.settings),
            "seed": manifest.seed,
            "steps": list(steps),
            "open": [] if steps else [entry.step for entry in manifest.entries(RERUN)],
            "given": {name: value.to_json() for name, value in given.items()},
            "files": {leaf.path: self._input(leaf) for value in given.values() for leaf in value.leaves},
            "keep_going": keep_going,
            "slots": slots,
        }
        place = self.folder / f"{name}.json"
        place.write_text(json.dumps(task))
        return place

    def _input(self, leaf: Value) -> str:
        if leaf.path not in self._inputs:
            copy = self.folder / f"{secrets.token_hex(16)}{Path(leaf.path).suffix}"
            shutil.copyfile(self.package / leaf.path, copy)
            self._inputs[leaf.path] = str(copy)
        return self._inputs[leaf.path]
