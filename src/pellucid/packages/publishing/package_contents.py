"""What goes into a package, file by file: artifacts, code, environment, manifest, card."""

from __future__ import annotations

import functools
import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError

if TYPE_CHECKING:
    from pellucid.packages.format import Entry, Manifest, Value
    from pellucid.packages.publishing.code_dependencies import Survey
    from pellucid.pipeline.record import Artifact, StepRecord
    from pellucid.store import Objects


def is_open(node: Mapping[str, Any], rows: Mapping[str, StepRecord]) -> bool:
    """Whether a node of the recorded graph took part in the run, and is open by the graph and by the step's own record."""
    return node["label"] == "open" and node["step"] in rows and rows[node["step"]].label == "open"


@dataclass(frozen=True)
class Contents:
    """The contents of one package: written to `folder` from a run's record (`about`, `rows` by step) and its survey."""

    folder: Path
    objects: Objects
    about: Mapping[str, Any]
    rows: Mapping[str, StepRecord]
    survey: Survey

    def write(self, lock_text: str, *, with_wheels: bool = False) -> Manifest:
        """Write every file of the package but the list of them. Raises DamagedError, UsageError, PackageError."""
        from pellucid.packages.format import lock_file, wheel
        from pellucid.packages.format import manifest as manifests
        from pellucid.packages.standards import generated_metadata

        for path, (source, sha256) in self.survey.code.items():
            body = Path(source).read_bytes()
            if hashlib.sha256(body).hexdigest() != sha256:
                raise UsageError("it was changed while it was being published", where=source, fix="Publish again")
            self._put(path, body)
        self._put(lock_file.FILE, lock_text.encode())
        self._put(f"environment/{wheel.name()}", wheel.build())
        self._pylock(lock_text, with_wheels)
        manifest = self._manifest(lock_text)
        self._put(manifests.FILE, manifest.to_bytes())
        for place, body in generated_metadata.files(manifest, self.folder):
            self._put(place, body)
        return manifest

    def _pylock(self, lock_text: str, with_wheels: bool) -> None:
        """The lock with its files, and the wheels for this machine where they are wanted."""
        from pellucid.packages.format import pylock

        found, paths = pylock.resolved(lock_text), None
        if with_wheels:
            folder = self.folder / pylock.WHEELS
            folder.mkdir(parents=True)
            paths = {name: f"{pylock.WHEELS}/{pylock.fetched(wheel, folder).name}" for name, wheel in pylock.fitting(found)}
        self._put(pylock.FILE, pylock.text(found, paths).encode())

    def _manifest(self, lock_text: str) -> Manifest:
        from pellucid.packages.format import OTHER_KERNEL, Manifest
        from pellucid.packages.publishing.library_licences import licences
        from pellucid.packages.standards import checked
        from pellucid.pipeline.keys import pellucid_digest
        from pellucid.store import FORMAT

        graph = self.about["graph"]
        public = {node["step"] for node in graph if node["label"] == "open"}
        return Manifest(
            pipeline=self.about["pipeline"],
            file=f"code/{Path(self.about['file']).name}",
            run=self.about["run"],
            seed=self.about["seed"],
            settings={path: value for path, value in self.about["settings"].items() if path.partition(".")[0] in public},
            graph=tuple(graph),
            trace=tuple(self._entry(node) for node in graph if node["step"] in self.rows),
            environment={
                **self.about["environment"],
                "lock": hashlib.sha256(lock_text.encode()).hexdigest(),
                "pellucid_source": pellucid_digest(),
                "libraries": licences(lock_text),
            },
            withheld=tuple(output[0] for node in graph if node["label"] != "open" for output in node["outputs"]),
            digests=FORMAT,
            date=f"{datetime.fromtimestamp(self.about['started'], UTC):%Y-%m-%d}",
            other_kernel=OTHER_KERNEL,
            about=checked(self.survey.about, self.survey.licences, self.about["pipeline"]),
            licences=self.survey.licences,
        )

    @functools.cached_property
    def digests(self) -> Mapping[str, str]:
        """The digest of each artifact of the run, by name."""
        return {name: artifact.digest for row in self.rows.values() for name, artifact in row.outputs.items()}

    def _entry(self, node: Mapping[str, Any]) -> Entry:
        """A step of the trace. What is not open is known by name, kind and label only."""
        from pellucid.packages.format import GIVEN, PRIVATE, RERUN, Entry, naming_rules, refuse_changed
        from pellucid.privacy.accounting import guarantee_of

        step, kind, row = node["step"], node["kind"], self.rows[node["step"]]
        if not is_open(node, self.rows):
            return Entry(step, kind, node["label"], PRIVATE)
        outputs = {
            name: self._value(artifact, f"artifacts/{naming_rules.as_file(name)}") for name, artifact in row.outputs.items()
        }
        if kind == "source":
            known = self.survey.licences.get(step, {}).get("origin")
            if known:
                refuse_changed(step, known, next(iter(row.outputs.values())).digest)
            return Entry(step, kind, "open", GIVEN, outputs=outputs)
        if kind == "release":
            released = next(iter(row.outputs.values())).digest
            guarantee = guarantee_of(self.objects.root, row.key, released, step)
            return Entry(step, kind, "open", GIVEN, outputs=outputs, guarantee=guarantee)
        inputs = {parameter: (name, self.digests[name]) for parameter, name in node["inputs"].items()}
        settings, code = self.survey.settings[step], self.survey.parts[step]
        return Entry(step, kind, "open", RERUN, inputs, outputs, settings, code, node["tolerance"])

    def _value(self, artifact: Artifact, place: str) -> Value:
        """Copy an artifact's verified files into the package; where they are."""
        from pellucid.packages.format import Value

        if artifact.items is not None:
            items = []
            for at, (label, item) in enumerate(artifact.items):
                safe = re.sub(r"[^A-Za-z0-9._=-]+", "_", label)[:60].strip(".") or "_"
                items.append((label, self._value(item, f"{place}/{at:04d}-{safe}")))
            return Value(artifact.kind, artifact.digest, items=tuple(items))
        stored = self.objects.open(artifact.sha256, artifact.suffix)
        path = f"{place}{artifact.suffix}"
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(stored, self.folder / path)
        return Value(artifact.kind, artifact.digest, path, artifact.sha256, artifact.size)

    def _put(self, path: str, body: bytes) -> None:
        if "\\" in path or not path.isprintable():
            raise UsageError(f"{path!r} cannot be a path in a package", fix="Rename the file")
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(body)
