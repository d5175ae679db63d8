"""What each step's key is, and so whether it must run: branches of a fan-out, parts of keys, digests of input files."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.pipeline.declaration import (
    Bound,
    GateRequest,
    ModelReference,
    Output,
    Pipeline,
    Protection,
    Source,
    Step,
    StoredModel,
    budgets,
    plain,
    source_code,
)
from pellucid.pipeline.keys import Closure, LoadingEffects, closure_of, effects_of, environment, key_part, value_digest
from pellucid.pipeline.keys import cache_key as keys
from pellucid.pipeline.record import Artifact, Record, file_digest

_NO_CLOSURE = Closure({}, (), ())


@dataclass(frozen=True)
class Branch:
    """One call to make: its name within the step ("" for a step that is not fanned out), its key, and what goes in.

    `public` stands for a name that may not be shown: a partition is named by a value of the data. `stored` is the result, where it is in
    the store before the run: a model of the registry.
    """

    name: str
    key: str
    parts: Mapping[str, str]
    inputs: Mapping[str, Artifact]
    element: tuple[str, int] | None = None
    public: str = ""
    stored: Artifact | None = None
    message: str = ""

    @property
    def shown(self) -> str:
        return self.public or self.name

    def of(self, step: str) -> str:
        """The name the branch goes by: its step's, and which branch of it."""
        return f"{step}[{self.shown}]" if self.name else step


def reasons(record: Record, pipeline: str, step: str, branch: Branch, *, forced: bool) -> tuple[str, ...]:
    """Why a branch must run: it was asked for (`forced`), or which parts of its key are new, against the last time it appeared."""
    if forced:
        return ("asked for",)
    for _, last in record.history(branch.of(step), 1, pipeline):
        same = "it failed the last time" if last.action == "failed" else "its stored result is gone"
        return tuple(keys.changed(last.parts, branch.parts)) or (same,)
    return ("new",)


def seed_of(seed: int, step: str) -> int:
    """A step's own seed, from the run's public seed and the step's name: 63 bits of SHA-256."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{step}".encode()).digest()[:8]) >> 1


class Plan:
    """Keys for one run of one pipeline: everything that stays the same over the run is computed once."""

    def __init__(self, pipeline: Pipeline, record: Record, lock: Path, *, seed: int, hash_seed: str) -> None:
        self.pipeline, self.record, self.seed, self.hash_seed = pipeline, record, seed, hash_seed
        self.environment, self.lock = key_part(lock), lock
        self.say: Callable[[str], None] = lambda _: None  # told once what a run should say of its environment
        self._said: set[str] = set()
        self._unlocked: dict[frozenset[str], dict[str, str]] = {}
        source_code.note_loaded()
        self._closures: dict[tuple[int, ...], Closure] = {}
        self.budgets = budgets.budgets(pipeline.steps)
        self.files: dict[str, str] = {}  # the digest of each source's file, by the source's name
        self._models: dict[str, StoredModel] = {}

    @functools.cached_property
    def effects(self) -> LoadingEffects:
        """What loading the pipeline's files counts for in every step's key."""
        return effects_of(self.pipeline)

    def look_up_models(self, nodes: Container[str]) -> None:
        """Settle which models of the registry these nodes are: what is promoted while the run is under way is for the next one."""
        for name, bound in self.pipeline.steps.items():
            if name in nodes and isinstance(bound.node, Source) and bound.node.model is not None:
                self._models[name] = bound.node.model.look_up(self.record.home, f'source "{name}"')

    def unlocked(self, libraries: frozenset[str]) -> dict[str, str]:
        """Of some libraries those that the lock does not speak for, with what they are."""
        if libraries not in self._unlocked:
            found = environment.unlocked(self.lock, libraries)
            for name, (version, _) in found.items():
                if name not in self._said:
                    self._said.add(name)
                    self.say(
                        f"{name} {version} is in no lock, and counts by its version and files; to publish, name it in {self._own_lock}"
                    )
            self._unlocked[libraries] = {f"library {name}": f"{version} {digest}" for name, (version, digest) in found.items()}
        return self._unlocked[libraries]

    @property
    def _own_lock(self) -> str:
        shipped = self.lock == environment.shipped_lock()
        return "a requirements.lock beside the pipeline file" if shipped else self.lock.name

    def closure(self, bound: Bound) -> Closure:
        """The import closure of a step; a source, a release and a protection have none (their code is pellucid's)."""
        if isinstance(bound.node, Source) or bound.node.gate is not None or bound.node.protection is not None:
            return _NO_CLOSURE
        fn: Callable[..., Any] = bound.node.fn
        settings = [value for value in bound.settings.values() if _has_class(value)]
        at = (id(fn), *map(id, settings))
        if at not in self._closures:
            self._closures[at] = closure_of(fn, f'step "{bound.name}"', settings, self.effects)
        return self._closures[at]

    def branches(self, bound: Bound, artifacts: Mapping[str, Artifact]) -> list[Branch]:
        """The calls a step stands for, now that its inputs are known."""
        if isinstance(bound.node, Source):
            return [self._source(bound, bound.node)]
        inputs = {edge.parameter: artifacts[edge.output] for edge in bound.edges}
        settings = {name: plain(value, f'step "{bound.name}", setting {name}') for name, value in bound.settings.items()}
        if bound.node.gate is not None:
            return [self._release(bound, inputs, settings)]
        if bound.node.protection is not None:
            return [self._protection(bound, bound.node.protection, inputs)]
        over = bound.node.over
        if over is None:
            return [self._branch(bound, "", inputs, settings)]
        parameter = over if isinstance(over, str) else next(iter(over))
        if parameter in settings:
            return [
                self._branch(bound, f"{parameter}={value}", inputs, {**settings, parameter: value}, (parameter, at))
                for at, value in enumerate(settings[parameter])
            ]
        items = inputs[parameter].items or ()
        found = [self._branch(bound, name, {**inputs, parameter: item}, settings) for name, item in items]
        if bound.outspoken:
            return found
        return [dataclasses.replace(branch, public=f"part {number}") for number, branch in enumerate(found, 1)]

    def partition(self, bound: Bound, artifacts: Mapping[str, Artifact]) -> Branch:
        """The cut that comes before a fan-out over the partitions of a table."""
        assert isinstance(bound.node, Step)
        edge = next(edge for edge in bound.edges if edge.parameter == bound.node.over)
        digest = artifacts[edge.output].digest
        shape = f"partition by {bound.node.by}"
        parts = keys.parts(
            inputs={edge.parameter: digest}, settings={}, code={}, environment=self.environment, determinism={}, shape=shape
        )
        return Branch("partitions", keys.key_of(parts), parts, {edge.parameter: artifacts[edge.output]})

    def request(self, bound: Bound, artifacts: Mapping[str, Artifact], path: Path | None = None) -> GateRequest:
        """What a release's gate is told."""
        (edge,) = bound.edges
        label = self.pipeline.steps[edge.node].label
        digest = artifacts[edge.output].digest
        data = budgets.data_of(self.pipeline.steps, artifacts, self.files)
        return GateRequest(
            self.record.home, bound.name, self.pipeline.name, label, digest, bound.settings, self.budgets, path, data
        )

    def _branch(
        self,
        bound: Bound,
        name: str,
        inputs: Mapping[str, Artifact],
        settings: Mapping[str, Any],
        element: tuple[str, int] | None = None,
    ) -> Branch:
        node = bound.node
        assert isinstance(node, Step)
        closure = self.closure(bound)
        parts = keys.parts(
            inputs={parameter: artifact.digest for parameter, artifact in inputs.items()},
            settings=settings,
            exact={n: value_digest(_value(bound, n, element)) for n in settings},
            code=closure.parts,
            environment=self.environment | self.unlocked(closure.libraries),
            determinism={"seed": seed_of(self.seed, bound.name), "threads": node.threads, "hash seed": self.hash_seed},
            shape=_shape(node.outputs, node.per_unit, str(bound.label.unit) if node.per_unit else None, node.over is not None),
        )
        return Branch(name, keys.key_of(parts), parts, inputs, element)

    def _source(self, bound: Bound, node: Source) -> Branch:
        where = f'source "{bound.name}"'
        if node.model is not None:
            return self._stored_model(bound, node.model)
        self.files[bound.name] = file_digest(node.path, self.record, where, may_be_empty=node.format == "file")
        parts = keys.parts(
            inputs={"file": self.files[bound.name]},
            settings=plain(dict(node.options), where) | {"format": node.format, "suffix": "".join(node.path.suffixes)},
            code={},
            environment=self.environment,
            determinism={},
            shape=f"source with unit {bound.label.unit}",
        )
        return Branch("", keys.key_of(parts), parts, {})

    def _stored_model(self, bound: Bound, reference: ModelReference) -> Branch:
        found = self._models.get(bound.name) or reference.look_up(self.record.home, f'source "{bound.name}"')
        self.files[bound.name] = found.artifact.digest
        parts = keys.parts(
            inputs={"model": found.artifact.digest},
            settings={"model": found.name, "version": found.version},
            code={}, environment={}, determinism={}, shape="model of the registry",
        )  # fmt: skip
        return Branch("", keys.key_of(parts), parts, {}, stored=found.artifact, message=f"{found.name}@{found.version}")

    def _protection(self, bound: Bound, protection: Protection, inputs: Mapping[str, Artifact]) -> Branch:
        parts = keys.parts(
            inputs={parameter: artifact.digest for parameter, artifact in inputs.items()},
            settings={"transforms": protection.parameters()},
            code={},
            environment=self.environment,
            determinism={"key": protection.commitment()},
            shape=f"protect with unit {bound.label.unit}",
        )
        return Branch("", keys.key_of(parts), parts, inputs)

    def _release(self, bound: Bound, inputs: Mapping[str, Artifact], settings: Mapping[str, Any]) -> Branch:
        assert isinstance(bound.node, Step)
        assert bound.node.gate is not None
        (edge,) = bound.edges
        identity = bound.node.gate.check(self.request(bound, {edge.output: inputs[edge.parameter]}))
        parts = keys.parts(
            inputs={parameter: artifact.digest for parameter, artifact in inputs.items()},
            settings=settings,
            code={},
            environment={},
            determinism={},
            shape="release",
        )
        return Branch("", identity, parts, inputs)


def _value(bound: Bound, name: str, element: tuple[str, int] | None) -> Any:
    """A setting as the call is given it."""
    value = bound.settings[name]
    return value[element[1]] if element is not None and element[0] == name else value


def _has_class(setting: Any) -> bool:
    """Whether a setting brings code along: an instance of a class that is not one of Python's own."""
    if isinstance(setting, list | tuple | set | frozenset):
        return any(_has_class(item) for item in setting)
    if isinstance(setting, dict):
        return any(_has_class(item) for item in setting.values())
    return type(setting).__module__ not in ("builtins", "numpy", "pathlib")


@functools.lru_cache(maxsize=4096)
def _shape(outputs: tuple[Output, ...], per_unit: bool, unit: str | None, fanned: bool) -> str:
    return json.dumps([[(output.name, output.kind, output.many) for output in outputs], per_unit, unit, fanned])
