"""The manifest: what a package says of itself. One dataclass each for the package, a step of the trace, and a value.

Written by `publish` from open facts alone; read by `reproduce` as the word of a stranger.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.packages.untrusted import read_json, refuse, take

FORMAT = "pellucid package 1"
FILE = "manifest.json"
RERUN, GIVEN, PRIVATE = "re-run", "given", "private"
OTHER_KERNEL = 1e-6  # declared in every package: how far floating-point results may differ under another linear algebra kernel
NOT_YOURS = "not re-runnable by you: it works on data that are not open"
_SHA256 = re.compile("[0-9a-f]{64}")
_DIGEST = re.compile("[a-z]+:[0-9a-f]{64}")
_NAME = re.compile(r"[^\x00-\x1f/\\]{1,200}")


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
        from pellucid.store.kinds import KINDS

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
        if not path.startswith("artifacts/") or not path.endswith(KINDS[kind].suffix):
            refuse(where, f"its path {path!r:.80} is not that of a {kind} in artifacts/")
        if not _SHA256.fullmatch(sha256):
            refuse(where, "its sha256 is not one")
        return Value(kind, digest, path, sha256, take(data, "size", int, where))


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
        if not _NAME.fullmatch(step):
            refuse(where, "its name cannot be one")
        kind, label, role = (take(data, name, str, where) for name in ("kind", "label", "role"))
        if role == PRIVATE:
            return Entry(step, kind, label, role)
        if role not in (RERUN, GIVEN) or label != "open":
            refuse(where, f"its role {role!r:.20} and label {label!r:.20} do not go together")
        outputs = {
            name: Value.from_json(take(take(data, "outputs", dict, where), name, dict, where), where)
            for name in take(data, "outputs", dict, where)
        }
        inputs: dict[str, tuple[str, str]] = {}
        tolerance = None
        if role == RERUN:
            for parameter, given in take(data, "inputs", dict, where).items():
                if not isinstance(given, dict):
                    refuse(where, f"its input {parameter!r:.40} is not an object")
                inputs[parameter] = (take(given, "artifact", str, where), take(given, "digest", str, where))
            tolerance = data.get("tolerance")
            if tolerance is not None and (isinstance(tolerance, bool) or not isinstance(tolerance, int | float)):
                refuse(where, "its tolerance is not a number")
        guarantee = data.get("guarantee")
        if guarantee is not None:
            _refuse_unclear(guarantee, where)
        return Entry(step, kind, label, role, inputs, outputs, tolerance=tolerance, guarantee=guarantee)


@dataclass(frozen=True)
class Manifest:
    """A package: which run of which pipeline, its graph, its trace in running order, the environment it ran in.

    `file` is the pipeline file's path in the package; `settings` what was set for the run besides what the file says;
    `withheld` the artifacts that are not open, by name; `digests` the recipe of the canonical digests; `date` the day of the run;
    `other_kernel` how far floating-point results may differ, relative to the largest value of their column or array, where the linear
    algebra kernel is another than the one on record (a step's own tolerance holds anywhere); `about`
    what the pipeline says of itself (pipeline/about.py); `licences` those of its open sources, by name.
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
            **vars(self),
            "about": dict(self.about),
            "licences": {name: dict(known) for name, known in self.licences.items()},
            "graph": [dict(node) for node in self.graph],
            "trace": [entry.to_json() for entry in self.trace],
        }

    def to_bytes(self) -> bytes:
        return (json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()

    @property
    def open(self) -> dict[str, Value]:
        """The open artifacts by name, in the order of the trace."""
        return {name: value for entry in self.trace for name, value in entry.outputs.items()}

    def entries(self, role: str) -> Iterator[Entry]:
        return (entry for entry in self.trace if entry.role == role)


def read(package: Path) -> Manifest:
    """The manifest of a package, as far as this version needs it. Raises PackageError for one that is not whole."""
    data = read_json(package / FILE, FILE)
    if take(data, "format", str, FILE) != FORMAT:
        refuse(FILE, f"its format is {data['format']!r:.60}, this pellucid reads {FORMAT!r}")
    settings = take(data, "settings", dict, FILE)
    if not all(isinstance(value, str) for value in settings.values()):
        refuse(FILE, "its settings are not text")
    file = take(data, "file", str, FILE)
    if not file.startswith("code/") or not file.endswith(".py"):
        refuse(FILE, f"its pipeline file {file!r:.80} is not one in code/")
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
        pipeline=take(data, "pipeline", str, FILE),
        file=file,
        run=take(data, "run", str, FILE),
        seed=take(data, "seed", int, FILE),
        settings=settings,
        graph=tuple(node for node in take(data, "graph", list, FILE) if isinstance(node, dict)),
        trace=trace,
        environment=take(data, "environment", dict, FILE),
        withheld=tuple(str(name) for name in take(data, "withheld", list, FILE)),
        digests=take(data, "digests", str, FILE),
        date=take(data, "date", str, FILE),
        other_kernel=_share(take(data, "other_kernel", float, FILE)),
        about=take(data, "about", dict, FILE),
        licences=_licences(take(data, "licences", dict, FILE)),
    )


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        refuse(FILE, "its other_kernel is not a number from 0 to 1")
    return value


def _refuse_unclear(guarantee: Any, where: str) -> None:
    """A guarantee says epsilon, delta, the mechanism with unit and relation, who paid, the ledger's event and the key's commitment."""
    if not isinstance(guarantee, dict):
        refuse(where, "its guarantee is not an object")
    for name, kind in (("mechanism", dict), ("accounts", list), ("ledger", dict), ("key_commitment", str)):
        take(guarantee, name, kind, f"{where}, guarantee")
    for name in ("epsilon", "delta"):
        value = guarantee.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
            refuse(where, f"its guarantee has no {name}")
    for name in ("unit", "relation"):
        take(guarantee["mechanism"], name, str, f"{where}, guarantee")


def _licences(data: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    from pellucid.packages import origin

    for source, known in data.items():
        if not isinstance(known, dict) or not isinstance(known.get("licence"), str):
            refuse(FILE, f"the source {source!r:.60} has no licence")
        if known.get("origin") is not None:
            origin.checked(take(known, "origin", dict, FILE), f"{FILE}, source {source!r:.60}")
    return data
