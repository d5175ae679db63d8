"""What there is to describe: a package's manifest, who made it, its files so far."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError
from pellucid.packages.format import RERUN
from pellucid.pipeline.declaration import About

if TYPE_CHECKING:
    from pellucid.packages.format import Entry, Manifest, Value

MEDIA = {
    ".parquet": "application/vnd.apache.parquet",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".json": "application/json",
    ".jsonld": "application/ld+json",
    ".py": "text/x-python",
    ".whl": "application/zip",
    ".md": "text/markdown",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".cff": "application/yaml",
    ".toml": "application/toml",
    ".lock": "text/plain",
    ".sha256": "text/plain",
}


def made_from(manifest: Manifest, entry: Entry) -> list[str]:
    """The releases that synthetic rows were made from; empty for any other step, and for one that was given anything but releases.

    A step's kind is its author's word; what it was given is in the graph, and whoever re-runs it gives it that and nothing else.
    """
    if entry.kind != "synthetic" or entry.role != RERUN:
        return []
    gave = {output[0]: node for node in manifest.graph for output in node["outputs"]}
    own = next((node for node in manifest.graph if node["step"] == entry.step), None)
    if own is None:
        return []
    behind = [gave.get(name) for name in own["inputs"].values()]
    return (
        sorted({str(node["step"]) for node in behind if node})
        if behind and all(n and n["kind"] == "release" for n in behind)
        else []
    )


@dataclass(frozen=True)
class Description:
    """A package about to be complete. `files`: path -> (SHA-256, bytes); `code` and `lock` are paths among them."""

    manifest: Manifest
    folder: Path
    files: dict[str, tuple[str, int]] = field(default_factory=dict)

    @functools.cached_property
    def about(self) -> About:
        known = self.manifest.about
        return About(**{**known, "creators": tuple(known["creators"]), "keywords": tuple(known["keywords"])})

    @property
    def date(self) -> str:
        """The day of the run (UTC): YYYY-MM-DD."""
        return self.manifest.date

    @functools.cached_property
    def identifier(self) -> str:
        """A name for the package that depends on its content alone."""
        return f"urn:pellucid:{hashlib.sha256(self.manifest.to_bytes()).hexdigest()}"

    def add(self, path: str, body: bytes) -> None:
        """Note a file that was written."""
        self.files[path] = (hashlib.sha256(body).hexdigest(), len(body))

    def entry(self, step: str) -> Entry:
        return next(entry for entry in self.manifest.trace if entry.step == step)

    def releases(self) -> Iterator[tuple[Entry, Mapping[str, Any]]]:
        """Each release with its guarantee."""
        for entry in self.manifest.trace:
            if entry.guarantee is not None:
                yield entry, entry.guarantee

    @functools.cached_property
    def origins(self) -> Mapping[str, tuple[str, Entry]]:
        """The artifact's name and the entry that gave it, by the path of each open file."""
        return {leaf.path: (name, entry) for name, entry, leaf in reversed(list(self.leaves()))}

    def leaves(self, kind: str | None = None) -> Iterator[tuple[str, Entry, Value]]:
        """Each open file: the artifact's name, the entry that gave it, and where it is."""
        for entry in self.manifest.trace:
            for name, value in entry.outputs.items():
                for leaf in value.leaves:
                    if kind is None or leaf.kind == kind:
                        yield name, entry, leaf

    def metrics(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Each open set of numbers that is not a guarantee, by artifact."""
        for name, _, leaf in self.leaves("metrics"):
            if not name.endswith("_guarantee"):
                yield name, json.loads((self.folder / leaf.path).read_text())

    def licence_of(self, entry: Entry) -> str:
        """The licence of what a step gives: an open source's own, else that of the pipeline's data."""
        return str(self.manifest.licences[entry.step]["licence"]) if entry.kind == "source" else self.about.data_licence


def media(path: str) -> str:
    """The media type of a file by its ending."""
    return MEDIA.get(Path(path).suffix, "application/octet-stream")


def spdx(licence: str) -> list[str]:
    """The addresses of the licences that an expression names."""
    words = [word for word in licence.replace("(", " ").replace(")", " ").split() if word not in ("AND", "OR", "WITH")]
    return [f"https://spdx.org/licenses/{word}" for word in words if not word.startswith("LicenseRef-")] or [
        "https://spdx.org/licenses/"
    ]


def checked(about: Mapping[str, Any] | None, licences: Mapping[str, Mapping[str, Any]], pipeline: str) -> Mapping[str, Any]:
    """Refuse a pipeline that says nothing of itself, or takes open data of no stated licence. Raises PackageError."""
    if about is None:
        raise PackageError(
            "the pipeline does not say what it is, who made it and under which licences",
            where=pipeline,
            fix='Give it about=pl.About(title=..., description=..., creators=("Doe, Jane",), licence=..., data_licence="CC-BY-4.0")',
        )
    for source, known in licences.items():
        if not known["licence"]:
            raise PackageError(
                f'the open source "{source}" has no licence',
                where=pipeline,
                why="what is passed on without one may not be used by anybody",
                fix=f'Say which: {source} = pl.source(..., licence="CC-BY-4.0", credit="...")',
            )
    return about
