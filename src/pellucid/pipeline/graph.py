"""The graph: nodes by name, edges by parameter name, in an order that can be run.

`Pipeline` turns declarations into a checked graph: it finds each node's name, tells edges from settings, and refuses cycles,
twins, unknown names and settings of the wrong type with one line each, before anything runs.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import heapq
import inspect
import sys
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import LabelError, UsageError
from pellucid.pipeline import settings as values
from pellucid.pipeline.step import Node, OutputOf, Source, Step, hints_of, proved_per_unit
from pellucid.store.kinds import kind_of
from pellucid.store.labels import OPEN, Label, join

if TYPE_CHECKING:
    from pellucid.pipeline.run import Run


@dataclass(frozen=True)
class Edge:
    """A parameter fed by one output of a node; `many` when it takes a whole collection."""

    parameter: str
    node: str
    output: str
    kind: str
    many: bool


@dataclass(frozen=True)
class Bound:
    """A node placed in a graph: its name, its edges, its settings with their types, and the label its outputs carry."""

    name: str
    node: Node
    edges: tuple[Edge, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    hints: Mapping[str, Any] = field(default_factory=dict)
    seeded: bool = False
    fanned: bool = False
    label: Label = OPEN
    closed: frozenset[str] = frozenset()  # the parameters whose artifact is not open

    @property
    def outspoken(self) -> bool:
        """Whether what the step prints or raises may be shown to anyone. A release gives open data, but it has seen private ones."""
        return self.label.is_open and not self.closed

    @functools.cached_property
    def outputs(self) -> tuple[tuple[str, str, bool], ...]:
        """(artifact name, kind, whether a collection) for each output; a step's only output bears the step's name."""
        if isinstance(self.node, Source):
            return ((self.name, "file" if self.node.format == "file" else "table", False),)
        prefix = f"{self.name}_" if self.node.gate is not None else ""
        return tuple(
            (f"{prefix}{output.name}" if output.name else self.name, output.kind, output.many or self.fanned)
            for output in self.node.outputs
        )


def _suggest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f'Did you mean "{near[0]}"?' if near else f"There are: {', '.join(sorted(known)) or 'none'}"


class Pipeline:
    """A named graph of sources and steps.

    `Pipeline("areas", [visits, release, model])` names each node after the variable that holds it, unless the node has a name
    of its own. `seed` is the run's public seed. Raises UsageError for a graph that cannot run.
    """

    def __init__(self, name: str, nodes: Sequence[Node], *, seed: int = 0) -> None:
        if not name or not all(c.isalnum() or c in "-_" for c in name):
            raise UsageError(f'"{name}" cannot name a pipeline', fix="Use letters, digits, - and _")
        frame = sys._getframe(1)
        self.name, self.seed = name, seed
        self.file = Path(frame.f_globals["__file__"]).absolute() if "__file__" in frame.f_globals else None
        self._declared = _named(name, nodes, [frame.f_locals, frame.f_globals])
        self.steps: dict[str, Bound] = _bind(name, self._declared, {})

    def with_settings(self, given: Mapping[str, Any]) -> Pipeline:
        """The same pipeline with settings replaced: {"step.setting": value}. Text is read as the setting's type."""
        if not given:
            return self
        changes: dict[str, dict[str, Any]] = {}
        for path, value in given.items():
            step, _, setting = path.partition(".")
            if step not in self.steps or not setting:
                raise UsageError(f'there is no step "{step}"', where=f"--set {path}", fix=_suggest(step, list(self.steps)))
            bound = self.steps[step]
            if setting not in bound.settings:
                known = list(bound.settings)
                raise UsageError(f'step "{step}" has no setting "{setting}"', where=f"--set {path}", fix=_suggest(setting, known))
            hint = bound.hints[setting]
            parsed = values.parse(value, hint, f"--set {path}") if isinstance(value, str) else value
            changes.setdefault(step, {})[setting] = values.check(parsed, hint, f"--set {path}")
        changed = object.__new__(Pipeline)
        changed.name, changed.seed, changed.file, changed._declared = self.name, self.seed, self.file, self._declared
        changed.steps = _bind(self.name, self._declared, changes)
        return changed

    def run(self, **options: Any) -> Run:
        """Run the pipeline in this process; see `pellucid.pipeline.run.run` for the options. Raises StepError on failure."""
        from pellucid.pipeline.run import run

        return run(self, **options)


def _named(pipeline: str, nodes: Sequence[Node], scopes: Sequence[Mapping[str, Any]]) -> dict[str, Node]:
    """Every node by its name: its own, the variable that holds it, its function's, or its file's."""
    held: dict[int, str] = {}
    for scope in scopes:
        for variable, value in scope.items():
            if isinstance(value, Source | Step) and not variable.startswith("_"):
                held.setdefault(id(value), variable)
    named: dict[str, Node] = {}
    for node in nodes:
        if not isinstance(node, Source | Step):
            raise UsageError(
                f"{node!r:.60} is not a source or a step",
                where=f'Pipeline("{pipeline}")',
                fix="Decorate the function with @pl.step",
            )
        name = node.name or held.get(id(node))
        if name is None:
            name = node.path.stem if isinstance(node, Source) else getattr(node.fn, "__name__", None)
        if name is None or (isinstance(node, Step) and node.gate and not (node.name or id(node) in held)):
            raise UsageError("a step has no name", where=f'Pipeline("{pipeline}")', fix='Give it one: name="..."')
        if name in named:
            raise UsageError(f'two steps are named "{name}"', where=f'Pipeline("{pipeline}")', fix='Give one of them name="..."')
        if not name.replace("-", "_").isidentifier():
            raise UsageError(f'"{name}" cannot name a step', where=f'Pipeline("{pipeline}")', fix="Use letters, digits and _")
        named[name] = node
    return named


def _bind(pipeline: str, declared: Mapping[str, Node], changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Bound]:
    """Wire the nodes and put them in an order in which every input comes before its use."""
    provided = _provided(pipeline, declared)
    names = {id(node): name for name, node in declared.items()}
    unsorted = {
        name: Bound(name, node) if isinstance(node, Source) else _wire(name, node, provided, names, changes.get(name, {}))
        for name, node in declared.items()
    }
    ordered: dict[str, Bound] = {}
    for name in _order(pipeline, {name: [edge.node for edge in bound.edges] for name, bound in unsorted.items()}):
        bound = unsorted[name]
        ordered[name] = _labelled(bound, [ordered[edge.node].label for edge in bound.edges])
    _check_kinds(ordered)
    return ordered


def _labelled(bound: Bound, inputs: list[Label]) -> Bound:
    """The bound node with the label its outputs carry: the source's own, open behind a gate, else joined from its inputs."""
    node = bound.node
    if isinstance(node, Source):
        label = node.label
        if not label.is_open:
            label = Label(label.level, label.unit, frozenset([node.account or bound.name]))
    elif node.gate is not None:
        _check_release(bound, inputs)
        label = OPEN
    else:
        label = join(inputs, per_unit=node.per_unit)
        if node.per_unit and label.unit is None:
            raise UsageError(
                "a per-unit step needs exactly one input that is not open, and that input needs a unit",
                where=f'step "{bound.name}"',
                fix="Give its private source unit=..., and make the other inputs open",
            )
        if (
            not node.per_unit
            and bound.fanned
            and node.by is not None
            and node.by == next((i.unit for i in inputs if i.unit), None)
        ):
            raise UsageError("to work person by person use per_unit=True", where=f'step "{bound.name}"')
    closed = frozenset(edge.parameter for edge, given in zip(bound.edges, inputs, strict=True) if not given.is_open)
    return dataclasses.replace(bound, label=label, closed=closed)


def _check_release(bound: Bound, inputs: list[Label]) -> None:
    """A release needs data whose privacy can be bounded: not open already, and with a unit that no step has mixed up."""
    where = f'release "{bound.name}"'
    for edge, label in zip(bound.edges, inputs, strict=True):
        if label.is_open:
            raise UsageError(f'"{edge.output}" is open already', where=where, fix="Use it directly")
        if label.unit is None:
            raise LabelError(
                f'"{edge.output}" has no unit, so no bound per person holds',
                where=where,
                why="its source names no unit, or a step between may mix people (only pl.step(per_unit=True) keeps them apart)",
                fix='Give the source unit="<column>", and release before people are mixed',
            )


def _provided(pipeline: str, declared: Mapping[str, Node]) -> dict[str, tuple[str, str, bool]]:
    """Artifact name -> (node, kind, many), for all artifacts of the pipeline."""
    provided: dict[str, tuple[str, str, bool]] = {}
    for name, node in declared.items():
        bound = Bound(name, node, fanned=isinstance(node, Step) and node.over is not None)
        for artifact, kind, many in bound.outputs:
            if artifact in provided or (artifact != name and artifact in declared):
                other = provided[artifact][0] if artifact in provided else artifact
                raise UsageError(
                    f'two steps give an output named "{artifact}": {other} and {name}', where=f'Pipeline("{pipeline}")'
                )
            provided[artifact] = (name, kind, many)
    return provided


def _wire(
    name: str,
    node: Step,
    provided: Mapping[str, tuple[str, str, bool]],
    names: Mapping[int, str],
    changes: Mapping[str, Any],
) -> Bound:
    """Tell a step's edges from its settings."""
    where = f'step "{name}"'
    hints = hints_of(node.fn)
    try:
        parameters = inspect.signature(node.fn).parameters
    except (TypeError, ValueError) as error:
        raise UsageError("its parameters cannot be read", where=where, why=str(error)) from error
    edges, settings, types = [], {}, {}
    listed = dict(node.over) if isinstance(node.over, Mapping) else {}
    for extra in [*node.inputs, *node.settings, *listed, *([node.over] if isinstance(node.over, str) else [])]:
        if extra not in parameters:
            raise UsageError(f'it has no parameter "{extra}"', where=where, fix=_suggest(extra, list(parameters)))
    for parameter, spec in parameters.items():
        if spec.kind in (spec.VAR_POSITIONAL, spec.VAR_KEYWORD, spec.POSITIONAL_ONLY):
            raise UsageError(f'parameter "{parameter}" cannot be wired by name', where=where, fix="Name every parameter")
        wired = node.inputs.get(parameter, parameter if parameter in provided and parameter != name else None)
        if wired is not None and parameter not in node.settings:
            edges.append(_edge(where, parameter, wired, provided, names, hints.get(parameter), node.over))
            continue
        if parameter in listed or parameter == "seed" or (parameter == "unit" and proved_per_unit(node.fn)):
            continue
        if parameter in node.settings:
            settings[parameter] = node.settings[parameter]
        elif spec.default is not spec.empty:
            settings[parameter] = spec.default
        else:
            raise UsageError(
                f'parameter "{parameter}" is not a source, a step or an output of one, and has no default',
                where=where,
                fix=_suggest(parameter, list(provided)),
            )
        types[parameter] = values.hint_for(hints, parameter, settings[parameter])
        values.check(settings[parameter], types[parameter], f"{where}, setting {parameter}")
    settings.update(changes)
    for parameter, items in listed.items():
        settings[parameter] = list(items)
        types[parameter] = list
    if isinstance(node.over, str) and node.over in settings:
        if not isinstance(settings[node.over], list | tuple):
            raise UsageError(f'over="{node.over}" needs a list of values', where=where)
    return Bound(name, node, tuple(edges), settings, types, "seed" in parameters, node.over is not None)


def _edge(
    where: str,
    parameter: str,
    wired: Any,
    provided: Mapping[str, tuple[str, str, bool]],
    names: Mapping[int, str],
    hint: Any,
    over: Any,
) -> Edge:
    if isinstance(wired, OutputOf):
        wired = wired.output
    elif isinstance(wired, Source | Step):
        if id(wired) not in names:
            raise UsageError(
                f'the input of parameter "{parameter}" is not in the pipeline', where=where, fix="Add it to the list"
            )
        wired = names[id(wired)]
    if wired not in provided:
        raise UsageError(f'there is no input "{wired}"', where=where, fix=_suggest(str(wired), list(provided)))
    node, kind, many = provided[wired]
    return Edge(parameter, node, wired, kind, many and over != parameter)


def _order(pipeline: str, needs: Mapping[str, list[str]]) -> list[str]:
    """Topological order, stable: what was listed first comes first. Raises UsageError that spells out a cycle."""
    waiting = {name: {need for need in found} for name, found in needs.items()}
    users: dict[str, list[str]] = {name: [] for name in needs}
    for name, found in waiting.items():
        for need in found:
            users[need].append(name)
    rank = {name: at for at, name in enumerate(needs)}
    ready = [rank[name] for name, found in waiting.items() if not found]
    heapq.heapify(ready)
    listed, order = list(needs), []
    while ready:
        name = listed[heapq.heappop(ready)]
        order.append(name)
        for user in users[name]:
            waiting[user].discard(name)
            if not waiting[user]:
                heapq.heappush(ready, rank[user])
    if len(order) < len(needs):
        at = next(name for name in needs if waiting[name])
        path: list[str] = []
        while at not in path:
            path.append(at)
            at = min(waiting[at], key=lambda need: rank[need])
        raise UsageError(f"the steps form a cycle: {' <- '.join([*path[path.index(at) :], at])}", where=f'Pipeline("{pipeline}")')
    return order


def _check_kinds(steps: Mapping[str, Bound]) -> None:
    """Refuse an edge whose two ends are annotated with different kinds."""
    for bound in steps.values():
        for edge in bound.edges:
            hint = bound.node.fn if isinstance(bound.node, Source) else hints_of(bound.node.fn).get(edge.parameter)
            wants_many = typing.get_origin(hint) is list
            wanted = kind_of(typing.get_args(hint)[0]) if wants_many else kind_of(hint)
            where = f'step "{bound.name}", parameter {edge.parameter}'
            if wanted is not None and wanted != edge.kind:
                raise UsageError(f'it wants a {wanted}, but "{edge.output}" is a {edge.kind}', where=where)
            if wanted is not None and wants_many != edge.many:
                have, fix = ("a collection", "Annotate it list[...], or fan out with over=") if edge.many else ("one value", "")
                raise UsageError(f'"{edge.output}" is {have}', where=where, fix=fix)
