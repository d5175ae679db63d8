"""What the runner hands to an engine, and what comes back. Both have a JSON form, because a worker is another process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.errors import DamagedError, StoreError, UsageError
from pellucid.pipeline.record import MOST_POINTS, Artifact, Point, Record, point
from pellucid.store import Objects, Unit

_REMEMBERED_ABOVE = 16 << 20  # bytes; smaller files are read every time: it costs less than trusting a time stamp
_RACY_SECONDS = 2.0  # what changed more recently could change again within a tick of the file system's clock


@dataclass(frozen=True)
class Input:
    """An artifact as a step's parameter: where its verified files are."""

    kind: str
    paths: tuple[str, ...]
    many: bool = False


class PlanAgain(Exception):
    """A stored file turned out damaged; it is out of the way and its result forgotten, so plan again."""


class InputFiles:
    """The stored files of artifacts, as inputs. `makers`: file -> key of the result that names it. `say` is told what was mended."""

    def __init__(self, objects: Objects, record: Record, say: Callable[[str], None]) -> None:
        self.objects, self.record, self.say = objects, record, say
        self.makers: dict[str, str] = {}
        self.healed: dict[str, int] = {}

    def made_by(self, artifacts: Iterable[Artifact], key: str) -> None:
        """Note which result names the files of these artifacts."""
        for artifact in artifacts:
            for leaf in artifact.leaves:
                self.makers[leaf.sha256] = key

    def reused(self, key: str) -> list[Artifact] | None:
        """The outputs on record under a key, their files verified. Where one is gone or damaged: None, and the result is forgotten."""
        found = self.record.result(key)
        for leaf in [leaf for artifact in found or () for leaf in artifact.leaves]:
            try:
                verify(leaf, self.objects, self.record)
            except StoreError as error:
                if isinstance(error, DamagedError):
                    self.objects.quarantine(leaf.sha256, leaf.suffix)
                    self.say(str(error))
                self.record.forget(key)
                return None
        self.made_by(found or (), key)
        return found

    def input(self, artifact: Artifact) -> Input:
        """The verified files of an artifact. A damaged one is moved aside and its result forgotten: it will be made again."""
        paths = []
        for leaf in artifact.leaves:
            try:
                paths.append(str(self.objects.open(leaf.sha256, leaf.suffix)))
            except StoreError as error:  # damaged, or gone since we looked
                if leaf.sha256 not in self.makers:  # given from outside: nothing here can make it again
                    raise
                self.healed[leaf.sha256] = self.healed.get(leaf.sha256, 0) + 1
                if self.healed[leaf.sha256] > 2:  # it does not stay whole: this disk cannot be trusted
                    raise
                if isinstance(error, DamagedError):
                    self.objects.quarantine(leaf.sha256, leaf.suffix)
                self.record.forget(self.makers[leaf.sha256])
                self.say(str(error))
                raise PlanAgain from error
        return Input(artifact.kind, tuple(paths), artifact.items is not None)


def verify(leaf: Artifact, objects: Objects, record: Record) -> None:
    """Whether a stored file holds the bytes that its name says. Raises DamagedError for others, StoreError where there is none.

    A large one that was whole is read again only when its size, times or place on the disk changed. What a step takes in, and what is
    shown or published, is read each time.
    """
    path = objects.path(leaf.sha256, leaf.suffix)
    large = leaf.size > _REMEMBERED_ABOVE and path.is_file()
    identity = _identity(path) if large else ""
    if large and record.file_digest(str(path), identity) == leaf.sha256:
        return
    objects.open(leaf.sha256, leaf.suffix)
    if large and path.stat().st_ctime < time.time() - _RACY_SECONDS and _identity(path) == identity:
        record.note_file(str(path), identity, leaf.sha256)


def _identity(path: Path) -> str:
    found = path.stat()
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


@dataclass(frozen=True)
class Task:
    """One call of one step. `name` is the step's, `shown` says which branch of a fan-out it is.

    `inputs` by parameter; `element` is (parameter, index) into a listed setting; `partition` is the column to cut the one input by
    instead of calling the step. `secret` is the key of a release's noise stream, or of a protection:
    the whole task goes to its one worker by a descriptor, and through no process that
    is forked from again.
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
class Leaf:
    """One file of an output, in the scratch folder: its label in a collection, its plain name, and the digest that the worker computed
    (taken only where nothing but Pellucid's own code ran)."""

    label: str
    file: str
    digest: str


@dataclass(frozen=True)
class Made:
    """One output as a worker names it: one file, or those of a collection."""

    leaves: tuple[Leaf, ...]
    many: bool = False


@dataclass(frozen=True)
class Failure:
    """Why a call failed: the exception's type, its text (it may be private), the traceback, and what kind of failure it was.

    `public` is a line without data as the worker sees it; who may see it is decided by acceptance.public_line. `reason` is a key of
    acceptance.SENTENCES, `path` the file of an undeclared read. `by_runner` marks what the main process says itself. `retry` is False where
    trying again is of no use.
    """

    type: str
    text: str
    trace: str
    public: str
    retry: bool = True
    reason: str = "error"
    path: str = ""
    by_runner: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a task. From a worker everything in it is that worker's word."""

    made: tuple[Made, ...] = ()
    failure: Failure | None = None
    log: str = ""
    seconds: float = 0.0
    imported: tuple[str, ...] = ()
    confined: str = ""
    points: tuple[Point, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What a worker sends: not its log, its time or how it was held, which the main process knows by itself."""
        made = [[one.many, [[leaf.label, leaf.file, leaf.digest] for leaf in one.leaves]] for one in self.made]
        failure = None
        if self.failure is not None:
            failure = {name: value for name, value in vars(self.failure).items() if name != "by_runner"}
        return {"made": made, "failure": failure, "imported": list(self.imported), "points": list(self.points)}

    @staticmethod
    def from_json(data: Any) -> Outcome:
        """The outcome that a worker sent, each part of its kind. Raises ValueError for anything else."""
        try:
            made = tuple(
                Made(tuple(Leaf(_text(label), _text(file), _text(digest)) for label, file, digest in leaves), _truth(many))
                for many, leaves in data["made"]
            )
            failure = None
            if data["failure"] is not None:
                told = data["failure"]
                texts: dict[str, Any] = {
                    name: _text(told[name]) for name in ("type", "text", "trace", "public", "reason", "path")
                }
                failure = Failure(retry=_truth(told["retry"]), **texts)
            imported = tuple(map(_text, data["imported"]))
            points = tuple(point(metric, value, step) for metric, step, value in data["points"])
        except (KeyError, TypeError, UsageError) as error:
            raise ValueError("not an outcome") from error
        if len(points) > MOST_POINTS:
            raise ValueError("not an outcome")
        return Outcome(made, failure, imported=imported, points=points)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value
