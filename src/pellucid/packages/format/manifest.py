"""The manifest: what a package says of itself. One dataclass each for the package, a step of the trace, and a value.

Written by `publish` from open facts alone; read by `reproduce` as the word of a stranger.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pellucid.packages.format import guarantee_schema, manifest_schema, naming_rules
from pellucid.packages.format.json_text import read_json, refuse, take

FORMAT = "pellucid package 1"
FILE = "manifest.json"
RERUN, GIVEN, PRIVATE = "re-run", "given", "private"
OTHER_KERNEL = 1e-6  # declared in every package: how far floating-point results may differ under another linear algebra kernel
NOT_YOURS = "not re-runnable by you: it works on data that are not open"
_SHA256 = re.compile("[0-9a-f]{64}")
_DIGEST = re.compile("[a-z]+:[0-9a-f]{64}")
_BUILT_IN = ("source", "release")  # what nobody re-runs: it is given


@dataclass(frozen=True)
class Value:
    """An artifact in a package: canonical digest, and the file that holds it; or the elements of a collection, by label."""

    kind: str
    digest: str
    path: str = ""
    sha256: str = ""
    size: int = 0
    items: tuple[tuple[str, Value], ...] | None = None

    @property
    def leaves(self) -> tuple[Value, ...]:
        return (self,) if self.items is None else tuple(leaf for _, item in self.items for leaf in item.leaves)

    def to_json(self) -> dict[str, Any]:
        if self.items is not None:
            items = [{"name": name, **item.to_json()} for name, item in self.items]
            return {"kind": self.kind, "digest": self.digest, "items": items}
        return {"kind": self.kind, "digest": self.digest, "path": self.path, "sha256": self.sha256, "size": self.size}

    @staticmethod
    def from_json(data: Mapping[str, Any], where: str, depth: int = 0) -> Value:
        from pellucid.store import KINDS

        kind, digest = take(data, "kind", str, where), take(data, "digest", str, where)
        if kind not in KINDS:
            refuse(where, f"there is no kind of artifact named {kind!r:.40}", "the package may be of a newer pellucid")
        if not _DIGEST.fullmatch(digest):
            refuse(where, "its digest is not one")
        if "items" in data:
            if depth > 4:
                refuse(where, "its collection is nested too deep")
            items = []
            for item in take(data, "items", list, where):
                if not isinstance(item, dict):
                    refuse(where, "an element of it is not an object")
                items.append((take(item, "name", str, where), Value.from_json(item, where, depth + 1)))
            return Value(kind, digest, items=tuple(items))
        path, sha256 = take(data, "path", str, where), take(data, "sha256", str, where)
        if not naming_rules.is_artifact_path(path) or not path.endswith(KINDS[kind].suffix):
            refuse(where, f"its path {path!r:.80} is not that of a {kind} in artifacts/")
        if not _SHA256.fullmatch(sha256):
            refuse(where, "its sha256 is not one")
        size = take(data, "size", int, where)
        if size < 0:
            refuse(where, "its size is less than nothing")
        return Value(kind, digest, path, sha256, size)


@dataclass(frozen=True)
class Entry:
    """A step in the trace. `role` is re-run (by anyone, from its inputs here), given (an open source, a release) or private.

    Of a private one nothing is known but its name, kind and label. `inputs` maps parameters to (artifact, canonical digest).
    """

    step: str
    kind: str
    label: str
    role: str
    inputs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    outputs: Mapping[str, Value] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    tolerance: float | None = None
    guarantee: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        known: dict[str, Any] = {"step": self.step, "kind": self.kind, "label": self.label, "role": self.role}
        if self.role == PRIVATE:
            return known | {"note": NOT_YOURS}
        known["outputs"] = {name: value.to_json() for name, value in self.outputs.items()}
        if self.role == RERUN:
            known["inputs"] = {p: {"artifact": name, "digest": digest} for p, (name, digest) in self.inputs.items()}
            known |= {"settings": dict(self.settings), "code": dict(self.code), "tolerance": self.tolerance}
        if self.guarantee is not None:
            known["guarantee"] = dict(self.guarantee)
        return known

    @staticmethod
    def from_json(data: Any, where: str) -> Entry:
        if not isinstance(data, dict):
            refuse(where, "a step of its trace is not an object")
        step = take(data, "step", str, where)
        where = f"{where}, step {step!r:.60}"
        if not naming_rules.is_step(step):
            refuse(where, "its name cannot be one")
        kind, label, role = (take(data, name, str, where) for name in ("kind", "label", "role"))
        if not naming_rules.is_text(kind, 60) or not naming_rules.is_text(label, 60):
            refuse(where, "its kind or label is not a short text")
        if role not in (RERUN, GIVEN, PRIVATE) or (role == PRIVATE) != (label != "open"):
            refuse(where, f"its role {role!r:.20} and label {label!r:.20} do not go together")
        if role != PRIVATE and (role == GIVEN) != (kind in _BUILT_IN):
            refuse(where, f"its role is {role!r:.20}", "sources and releases are given, and everything else is re-run")
        if role == PRIVATE:
            return Entry(step, kind, label, role)
        outputs = {}
        for name, value in take(data, "outputs", dict, where).items():
            if not naming_rules.is_step(name):
                refuse(where, f"the name of its output {name!r:.60} cannot be one")
            outputs[name] = Value.from_json(value if isinstance(value, dict) else {}, where)
        guarantee = guarantee_schema.checked(data.get("guarantee"), where) if kind == "release" else None
        if guarantee is None and data.get("guarantee") is not None:
            refuse(where, "it has a guarantee and is no release")
        if role == GIVEN:
            return Entry(step, kind, label, role, outputs=outputs, guarantee=guarantee)
        inputs: dict[str, tuple[str, str]] = {}
        for parameter, given in take(data, "inputs", dict, where).items():
            if not isinstance(given, dict) or not naming_rules.is_step(parameter):
                refuse(where, f"its input {parameter!r:.40} is not one")
            inputs[parameter] = (take(given, "artifact", str, where), take(given, "digest", str, where))
        settings, code = take(data, "settings", dict, where), take(data, "code", dict, where)
        if not all(
            naming_rules.is_text(part, 1000) and isinstance(text, str) and _SHA256.fullmatch(text) for part, text in code.items()
        ):
            refuse(where, "its code is not named by digests")
        if not all(map(naming_rules.is_step, settings)):
            refuse(where, "a setting of it cannot be one")
        return Entry(step, kind, label, role, inputs, outputs, settings, code, _tolerance(data.get("tolerance"), where))


def _tolerance(value: object, where: str) -> float | None:
    """How far two runs may differ, relative: by less than all of it."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:  # also NaN and the infinities
        refuse(where, "its tolerance is not a number from 0 to less than 1")
    return value


@dataclass(frozen=True)
class Manifest:
    """A package: which run of which pipeline, its graph, its trace in running order, the environment it ran in.

    `file` is the pipeline file's path in the package; `settings` what was set for the run besides what the file says;
    `withheld` the artifacts that are not open, by name; `digests` the recipe of the canonical digests; `date` the day of the run;
    `other_kernel` how far floating-point results may differ, relative to the largest value of their column or array, where the linear
    algebra kernel is another than the one on record (a step's own tolerance holds anywhere); `about`
    what the pipeline says of itself (declaration/about.py); `licences` those of its open sources, by name.
    """

    pipeline: str
    file: str
    run: str
    seed: int
    settings: Mapping[str, str]
    graph: tuple[Mapping[str, Any], ...]
    trace: tuple[Entry, ...]
    environment: Mapping[str, Any]
    withheld: tuple[str, ...]
    digests: str
    date: str
    other_kernel: float
    about: Mapping[str, Any]
    licences: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            **{one.name: getattr(self, one.name) for one in fields(self)},
            "about": dict(self.about),
            "licences": {name: dict(known) for name, known in self.licences.items()},
            "graph": [dict(node) for node in self.graph],
            "trace": [entry.to_json() for entry in self.trace],
        }

    def to_bytes(self) -> bytes:
        return (json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()

    @functools.cached_property
    def open(self) -> dict[str, Value]:
        """The open artifacts by name, in the order of the trace."""
        return {name: value for entry in self.trace for name, value in entry.outputs.items()}

    def entries(self, role: str) -> Iterator[Entry]:
        return (entry for entry in self.trace if entry.role == role)


def read(package: Path) -> Manifest:
    """The manifest of a package. Raises PackageError for one that is not whole."""
    data = read_json(package / FILE, FILE)
    if take(data, "format", str, FILE) != FORMAT:
        refuse(FILE, f"its format is {data['format']!r:.60}, this pellucid reads {FORMAT!r}")
    settings = take(data, "settings", dict, FILE)
    if not all(naming_rules.is_text(path) and isinstance(value, str) for path, value in settings.items()):
        refuse(FILE, "its settings are not text")
    file = take(data, "file", str, FILE)
    if not file.startswith("code/") or not file.endswith(".py") or naming_rules.unfit(file):
        refuse(FILE, f"its pipeline file {file!r:.80} is not one in code/")
    pipeline, run, date = (take(data, name, str, FILE) for name in ("pipeline", "run", "date"))
    for name, holds in (
        ("pipeline", naming_rules.is_pipeline(pipeline)),
        ("run", naming_rules.is_run(run)),
        ("date", naming_rules.is_date(date)),
    ):
        if not holds:
            refuse(FILE, f"its {name} {data[name]!r:.60} is not one")
    trace = tuple(Entry.from_json(entry, FILE) for entry in take(data, "trace", list, FILE))
    names = [entry.step for entry in trace]
    outputs = [name for entry in trace for name in entry.outputs]
    if len(set(names)) < len(names) or len(set(outputs)) < len(outputs):
        refuse(FILE, "its trace names a step or an artifact twice")
    for entry in trace:
        for name, _ in entry.inputs.values():
            if name not in outputs:
                refuse(f"{FILE}, step {entry.step!r:.60}", f"its input {name!r:.60} is not in the package")
    return Manifest(
        pipeline=pipeline,
        file=file,
        run=run,
        seed=take(data, "seed", int, FILE),
        settings=settings,
        graph=manifest_schema.graph(take(data, "graph", list, FILE), FILE),
        trace=trace,
        environment=manifest_schema.environment(take(data, "environment", dict, FILE), FILE),
        withheld=manifest_schema.names(take(data, "withheld", list, FILE), FILE),
        digests=take(data, "digests", str, FILE),
        date=date,
        other_kernel=_other_kernel(take(data, "other_kernel", float, FILE)),
        about=manifest_schema.about(take(data, "about", dict, FILE), FILE),
        licences=manifest_schema.licences(take(data, "licences", dict, FILE), FILE),
    )


def _other_kernel(value: float) -> float:
    if not 0 <= value <= OTHER_KERNEL:
        refuse(FILE, f"its other_kernel is not a number from 0 to {OTHER_KERNEL:g}", "no package declares more")
    return value
