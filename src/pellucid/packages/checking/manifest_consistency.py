"""Whether what a manifest says agrees with itself and with the files: before anything of a package is run or believed.

The trace is what was done, the graph what was planned, and both come from one pipeline: a step that is named otherwise in one than in
the other, an artifact of another size, a file that nothing names, is a package that nobody published so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.packages.checking import guarantee_verification
from pellucid.packages.format import PRIVATE, RERUN, Entry, Manifest, lock_file, pylock, refuse, signature, wheel
from pellucid.packages.format import manifest as manifests
from pellucid.packages.standards import generated_metadata

_WHERE = manifests.FILE


def refuse_disagreement(package: Path, manifest: Manifest, listed: Mapping[str, str], own: str) -> None:
    """Hold a manifest against itself and the files of its package; `own` is the path of the wheel. Raises PackageError."""
    _files(package, manifest, listed)
    _graph(manifest)
    _sources(manifest)
    _environment(package, manifest, listed, own)
    _places(manifest, listed, own)
    for entry in manifest.trace:
        if entry.guarantee is not None:
            guarantee_verification.refuse_other_output(package, entry, f"{_WHERE}, step {entry.step!r:.60}")


def _files(package: Path, manifest: Manifest, listed: Mapping[str, str]) -> None:
    """Every artifact's file has the SHA-256 and the size that are stated, and is that of no other."""
    paths = [leaf.path for value in manifest.open.values() for leaf in value.leaves]
    if len(set(paths)) < len(paths):
        refuse(_WHERE, "two artifacts are in one file")
    for value in manifest.open.values():
        for leaf in value.leaves:
            if listed.get(leaf.path) != leaf.sha256:
                refuse(leaf.path, "the manifest states another SHA-256 than the list of files")
            if os.lstat(package / leaf.path).st_size != leaf.size:
                refuse(leaf.path, "the manifest states another size than the file has")


def _graph(manifest: Manifest) -> None:
    """Every step of the trace is the node of the graph, and all that is not open is withheld."""
    nodes = {node["step"]: node for node in manifest.graph}
    done = {entry.step for entry in manifest.trace}
    if [node["step"] for node in manifest.graph if node["step"] in done] != [entry.step for entry in manifest.trace]:
        refuse(_WHERE, "the steps of its trace are not those of its graph, or in another order")
    for entry in manifest.trace:
        for what, stated, planned in _told_twice(entry, nodes[entry.step]):
            if stated != planned:
                refuse(f"{_WHERE}, step {entry.step!r:.60}", f"its trace states another {what} than its graph")
    shown = {node["step"] for node in manifest.graph if node["label"] == "open"}
    for path in manifest.settings:
        if path.partition(".")[0] not in shown:
            refuse(_WHERE, f"it sets {path!r:.60}, which is of no open step")
    withheld = tuple(output[0] for node in manifest.graph if node["label"] != "open" for output in node["outputs"])
    if manifest.withheld != withheld:
        refuse(_WHERE, "its withheld list differs from the non-open outputs in its graph")


def _told_twice(entry: Entry, node: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What trace and graph both say of a step: what it is, by the trace, by the graph."""
    told: list[tuple[str, Any, Any]] = [("kind", entry.kind, node["kind"]), ("label", entry.label, node["label"])]
    if entry.role == PRIVATE:
        return told
    made = sorted([name, value.kind, value.items is not None] for name, value in entry.outputs.items())
    told.append(("output", made, sorted(list(output) for output in node["outputs"])))  # the graph alone keeps their order
    if entry.role == RERUN:
        told.append(("input", {parameter: name for parameter, (name, _) in entry.inputs.items()}, dict(node["inputs"])))
        told.append(("tolerance", entry.tolerance, node["tolerance"]))
    return told


def _sources(manifest: Manifest) -> None:
    """A licence for each open source, and for nothing else."""
    sources = {entry.step for entry in manifest.trace if entry.kind == "source" and entry.role != PRIVATE}
    if manifest.licences.keys() != sources:
        refuse(_WHERE, "its licences are not those of its open sources")


def _environment(package: Path, manifest: Manifest, listed: Mapping[str, str], own: str) -> None:
    """The lock and the pellucid that the run is said to have had are those in the package."""
    known = manifest.environment
    if known["lock"] != listed[lock_file.FILE]:
        refuse(_WHERE, f"the lock it names is not {lock_file.FILE}")
    rerun = any(manifest.entries(RERUN))  # what is re-run was made by the very pellucid in the package
    if wheel.source_digest(package / own, own) != known["pellucid_source"] or (
        rerun and wheel.version(own) != known.get("pellucid")
    ):
        refuse(_WHERE, f"the pellucid it names is not {own}")


def _places(manifest: Manifest, listed: Mapping[str, str], own: str) -> None:
    """No file is in it that is no artifact, code, environment or description."""
    known = {_WHERE, lock_file.FILE, own, pylock.FILE, signature.FILE, signature.KEY, *generated_metadata.paths(manifest)}
    known |= {leaf.path for value in manifest.open.values() for leaf in value.leaves}
    for path in listed:
        if path not in known and not path.startswith(("code/", f"{pylock.WHEELS}/")):
            refuse(path, "it is no part of a package", "nothing in the manifest names it")
    for path in sorted(known - listed.keys() - {signature.FILE, signature.KEY}):
        refuse(path, "the file is missing from the package")
