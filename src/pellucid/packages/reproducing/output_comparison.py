"""The comparison: the package's values against the re-run's, by the verifier's own pellucid, in a process that can only read.

Two files of the same bytes hold the same value. Otherwise their canonical digests decide, and where these part, how far the
values do. Every claimed digest is computed anew from the file it is claimed of.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pellucid.errors import PellucidError
from pellucid.packages.checking import mismatch, not_as_written, unpacked
from pellucid.packages.format import Entry, Manifest, Value, read_json, reading
from pellucid.packages.format import manifest as manifests
from pellucid.packages.reproducing import pipeline_verification
from pellucid.packages.reproducing.verdict import DIFFERENT, IDENTICAL, KERNEL, WITHIN
from pellucid.pipeline.record import Artifact
from pellucid.store import Objects, nothing_lasts

Finding = tuple[str, str, str, str]  # step, output, result, detail
REPORT = "report.json"
LONGEST_DETAIL = 400  # characters: a difference stays one, however much there is to say of it


def main(package: str, taken: str, kernel: str) -> None:
    """Entry of the process: print the findings as JSON, or the error.

    `taken`: the folder with what was copied out of the re-run; its `REPORT` is what was said of it, and which steps to `compare`;
    `kernel`: "other" where the linear algebra kernel is not the one on record.
    """
    nothing_lasts()
    try:
        with reading("the result of the re-run"):
            manifest = manifests.read(Path(package))
            told = read_json(Path(taken, REPORT), "the result of the re-run")
            made = {name: (artifact, Objects(Path(taken))) for name, artifact in _outputs(told, manifest).items()}
            findings = compare(manifest, Path(package), made, set(told["compare"]), kernel == "other", _otherwise(manifest, told))
            found: Any = {"findings": [(*some, detail[:LONGEST_DETAIL]) for *some, detail in findings]}
    except PellucidError as error:
        found = {"error": str(error)}
    except MemoryError:
        found = {"error": unpacked()}
    print(json.dumps(found))


def _outputs(result: Mapping[str, Any], manifest: Manifest) -> dict[str, Artifact]:
    """The artifacts that the re-run gave, by name. What is not one is left out, and so found missing."""
    made: dict[str, Artifact] = {}
    for entry in manifest.trace:
        for name in entry.outputs:
            try:
                made[name] = Artifact.from_json(result["steps"][entry.step]["outputs"][name])
            except (KeyError, TypeError, ValueError):
                continue
    return made


def _otherwise(manifest: Manifest, told: Mapping[str, Any]) -> dict[str, str]:
    """The steps whose record is not what the re-run loaded; none where it does not say, as earlier pellucids did not."""
    loaded, environment = told.get("loaded"), told.get("environment")
    if not isinstance(loaded, dict) or not isinstance(environment, dict):
        return {}
    return dict(pipeline_verification.departures(manifest, loaded, environment))


def compare(
    manifest: Manifest,
    package: Path,
    made: Mapping[str, tuple[Artifact, Objects]],
    steps: Container[str],
    other_kernel: bool,
    otherwise: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Finding]:
    """A finding for each output of each open step, in the order of the trace; of steps that were re-run only, those in `steps`.

    `otherwise` are steps of which the package's record is another than the pipeline: they are different whatever they give. Nothing here
    raises for what a file holds.
    """
    known = {entry.step for entry in manifest.trace}
    kernel = manifest.other_kernel if other_kernel else None
    stated = {name: value.digest for name, value in manifest.open.items()}
    for step, detail in otherwise.items():
        if step not in known:
            yield step, "", DIFFERENT, detail
    for entry in manifest.trace:
        if entry.role == manifests.RERUN and entry.step not in steps:
            if entry.step in otherwise:
                yield entry.step, "", DIFFERENT, otherwise[entry.step]
            continue
        for name, digest in entry.inputs.values():
            if stated[name] != digest:
                yield entry.step, name, DIFFERENT, f"by the trace its input {name} was another than the {name} in the package"
        for name, value in entry.outputs.items():
            result, detail = IDENTICAL, ""
            if entry.role == manifests.RERUN:
                artifact, objects = made.get(name, (None, None))
                result, detail = _against(entry, value, artifact, objects, package, kernel)
            if result == IDENTICAL and (why := mismatch(value, package) or not_as_written(value, package)):
                result, detail = DIFFERENT, why
            yield entry.step, name, result, detail
        if entry.step in otherwise:
            yield entry.step, "", DIFFERENT, otherwise[entry.step]


def _against(
    entry: Entry, value: Value, made: Artifact | None, objects: Objects | None, package: Path, kernel: float | None
) -> tuple[str, str]:
    """A value against its re-run: the worst result over its elements."""
    if made is None or objects is None:
        return DIFFERENT, "the re-run gave no such output"
    if (value.items is None) != (made.items is None) or value.kind != made.kind:
        return DIFFERENT, "the re-run gave another kind of output"
    if value.items is None:
        return _leaf(entry, value, made, objects, package, kernel)
    names, others = [name for name, _ in value.items], [name for name, _ in made.items or ()]
    if names != others:
        parted = next((pair for pair in zip(names, others, strict=False) if pair[0] != pair[1]), (len(names), len(others)))
        return DIFFERENT, f"its elements are not the same: {parted[0]!r} in the package, {parted[1]!r} in the re-run"
    worst = (IDENTICAL, "")
    for (name, one), (_, other) in zip(value.items, made.items or (), strict=True):
        result, detail = _against(entry, one, other, objects, package, kernel)
        if result == DIFFERENT:
            return DIFFERENT, f"element {name!r}: {detail}"
        if result == KERNEL or (result == WITHIN and worst[0] != KERNEL):
            worst = (result, detail)
    return worst


def _leaf(entry: Entry, value: Value, made: Artifact, objects: Objects, package: Path, kernel: float | None) -> tuple[str, str]:
    import pyarrow as pa

    from pellucid.store import kinds, sha256_of

    published = package / value.path
    try:
        rerun = objects.path(made.sha256, made.suffix)
        if sha256_of(published) == sha256_of(rerun):
            return IDENTICAL, ""
        found = kinds.compare(value.kind, published, rerun)
    except MemoryError:
        raise
    except (PellucidError, OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        return DIFFERENT, f"it cannot be read: {error}"
    if found is None:
        return DIFFERENT, "the same values, in a file of other bytes: it was not written by the step, or holds something besides"
    detail = f"{found.where}: {found.detail} (first: the package, second: the re-run)"
    if entry.tolerance is not None and found.max_rel is not None and found.max_rel <= entry.tolerance:
        return WITHIN, detail
    if kernel is not None and found.max_scaled is not None and found.max_scaled <= kernel:
        return KERNEL, f"{detail}, within what another kernel may make of it ({kernel:g})"
    return DIFFERENT, detail


if __name__ == "__main__":
    main(*sys.argv[1:])
