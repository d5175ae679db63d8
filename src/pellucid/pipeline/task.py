"""What the runner hands to an engine, and what comes back. Both have a JSON form, because a worker is another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pellucid.pipeline.artifact import Artifact
from pellucid.store.labels import Unit


@dataclass(frozen=True)
class Input:
    """An artifact as a step's parameter: where its verified files are."""

    kind: str
    paths: tuple[str, ...]
    many: bool = False


@dataclass(frozen=True)
class Task:
    """One call of one step. `name` is the step's, `shown` says which branch of a fan-out it is.

    `inputs` by parameter; `element` is (parameter, index) into a listed setting; `partition` is the column to cut the one input by
    instead of calling the step. `secret` is the key of a release's noise stream, or of a protection:
    it goes to the worker through a pipe, and nowhere else.
    """

    name: str
    shown: str
    inputs: Mapping[str, Input]
    scratch: str
    seed: int
    element: tuple[str, int] | None = None
    partition: str | None = None
    unit: str | Unit | None = None
    threads: int = 1
    timeout: float | None = None
    read: tuple[str, ...] = ()
    secret: bytes | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        data = dict(vars(self))
        data["inputs"] = {name: [i.kind, list(i.paths), i.many] for name, i in self.inputs.items()}
        data["unit"] = self.unit.to_json() if isinstance(self.unit, Unit) else self.unit
        data["secret"] = self.secret.hex() if self.secret is not None else None
        return data

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Task:
        inputs = {name: Input(kind, tuple(paths), many) for name, (kind, paths, many) in data["inputs"].items()}
        return Task(**{
            **data,
            "inputs": inputs,
            "unit": Unit.from_json(data["unit"]),
            "element": tuple(data["element"]) if data["element"] else None,
            "read": tuple(data["read"]),
            "secret": bytes.fromhex(data["secret"]) if data["secret"] is not None else None,
        })  # fmt: skip


@dataclass(frozen=True)
class Made:
    """One output as it lies in the scratch folder: its artifact, and the files by SHA-256 that are to be adopted."""

    name: str
    artifact: Artifact
    files: Mapping[str, str]


@dataclass(frozen=True)
class Failure:
    """Why a call failed: the exception's type, its text (it may be private), the traceback, and what we can say ourselves.

    `public` is a line that names no data and may be shown to anyone; `retry` is False where trying again is of no use.
    """

    type: str
    text: str
    trace: str
    public: str
    retry: bool = True


@dataclass(frozen=True)
class Outcome:
    """What came of a task."""

    made: tuple[Made, ...] = ()
    failure: Failure | None = None
    log: str = ""
    seconds: float = 0.0
    imported: Mapping[str, str] = field(default_factory=dict)
    confined: str = ""

    def to_json(self) -> dict[str, Any]:
        data = dict(vars(self))
        data["made"] = [[made.name, made.artifact.to_json(), dict(made.files)] for made in self.made]
        data["failure"] = vars(self.failure) if self.failure else None
        return data

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Outcome:
        made = tuple(Made(name, Artifact.from_json(artifact), files) for name, artifact, files in data["made"])
        failure = Failure(**data["failure"]) if data["failure"] else None
        return Outcome(**{**data, "made": made, "failure": failure})
