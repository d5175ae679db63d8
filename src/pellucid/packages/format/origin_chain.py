"""The chain of packages: the origin of an artifact in a package, and every origin that a package builds on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pellucid.packages.format.manifest import Manifest
from pellucid.packages.format.origin import FORMAT


def origin_of(manifest: Manifest, name: str, package: str, signed: str | None) -> dict[str, Any]:
    """The origin of the open artifact `name`, as it is written beside what is taken; `package` is the SHA-256 of the list of files,
    `signed` the key that signed it."""
    entry = next(entry for entry in manifest.trace if name in entry.outputs)
    value = entry.outputs[name]
    return {
        "format": FORMAT,
        "package": package,
        "pipeline": manifest.pipeline,
        "run": manifest.run,
        "date": manifest.date,
        "title": str(manifest.about["title"]),
        "creators": list(manifest.about["creators"]),
        "artifact": name,
        "kind": value.kind,
        "digest": value.digest,
        "sha256": value.sha256,
        "licence": _licence(manifest, entry.step, entry.kind),
        "guarantee": None if entry.guarantee is None else {n: entry.guarantee[n] for n in ("epsilon", "delta")},
        "signed": signed,
        "origins": [known["origin"] for known in manifest.licences.values() if known.get("origin")],
    }


def _licence(manifest: Manifest, step: str, kind: str) -> str:
    return str(manifest.licences[step]["licence"] if kind == "source" else manifest.about["data_licence"])


def chain(manifest: Manifest) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Every origin a package builds on, with its depth, nearest first."""
    waiting = [(1, known["origin"]) for known in manifest.licences.values() if known.get("origin")]
    while waiting:
        depth, origin = waiting.pop(0)
        yield depth, origin
        waiting += [(depth + 1, one) for one in origin["origins"]]
