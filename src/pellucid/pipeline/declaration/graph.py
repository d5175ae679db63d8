"""The graph: nodes by name, edges by parameter name, in an order that can be run.

`Pipeline` turns declarations into a checked graph: it finds each node's name, tells edges from settings, and refuses cycles,
twins, unknown names and settings of the wrong type with one line each, before anything runs.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import LabelError, UsageError, suggest
from pellucid.pipeline.declaration import budgets, graph_drawing, source_code
from pellucid.pipeline.declaration import settings as values
from pellucid.pipeline.declaration.about import About
from pellucid.pipeline.declaration.graph_node import Bound
from pellucid.pipeline.declaration.loading import BEING_LOADED, Loading
from pellucid.pipeline.declaration.nodes import Node, Source, Step
from pellucid.pipeline.declaration.own_code import is_own
from pellucid.pipeline.declaration.topological_order import order
from pellucid.pipeline.declaration.wiring import check_kinds, provided_by, wire
from pellucid.pipeline.record import was_read
from pellucid.store import OPEN, Label, join, protected, unit_of

if TYPE_CHECKING:
    from pellucid.pipeline.record import Run

__all__ = ["Bound", "Pipeline"]


class Pipeline:
    """A named graph of sources and steps.

    `Pipeline("areas", [visits, release, model])` names each node after the variable that holds it, unless the node has a name
    of its own. `seed` is the run's public seed. `about` is what people should know of it; a pipeline that is to be published
    needs it. Raises UsageError for a graph that cannot run.
    """

    def __init__(self, name: str, nodes: Sequence[Node], *, seed: int = 0, about: About | None = None) -> None:
        if not name or not all(c.isalnum() or c in "-_" for c in name):
            raise UsageError(f'"{name}" cannot name a pipeline', fix="Use letters, digits, - and _")
        frame = sys._getframe(1)
        if about is not None and not isinstance(about, About):
            raise UsageError("about= takes a pl.About", where=f'Pipeline("{name}")')
        self.name, self.seed, self.about = name, seed, about
        self.file = Path(frame.f_globals["__file__"]).absolute() if "__file__" in frame.f_globals else None
        self.loading: Loading | None = None  # what its file did while it was loaded; None where nobody watched
        self._declared = _named(name, nodes, [frame.f_locals, frame.f_globals])
        self.steps: dict[str, Bound] = _bind(name, self._declared, {})
        source_code.note_loaded()

    def __repr__(self) -> str:
        return f"Pipeline {self.name}\n{graph_drawing.text(graph_drawing.nodes_of(self.steps))}"

    def _repr_html_(self) -> str:
        drawing = graph_drawing.svg(graph_drawing.nodes_of(self.steps)).replace(
            "<svg ", '<svg style="max-width:100%;height:auto" ', 1
        )
        return f'<div style="overflow-x:auto">{drawing}</div>'

    def with_settings(self, given: Mapping[str, Any]) -> Pipeline:
        """The same pipeline with settings replaced: {"step.setting": value}. Text is read as the setting's type."""
        if not given:
            return self
        changes: dict[str, dict[str, Any]] = {}
        for path, value in given.items():
            step, _, setting = path.partition(".")
            if step not in self.steps or not setting:
                raise UsageError(f'there is no step "{step}"', where=f"--set {path}", fix=suggest(step, list(self.steps)))
            bound = self.steps[step]
            if setting not in bound.settings:
                known = list(bound.settings)
                raise UsageError(f'step "{step}" has no setting "{setting}"', where=f"--set {path}", fix=suggest(setting, known))
            hint = bound.hints[setting]
            parsed = values.parse(value, hint, f"--set {path}") if isinstance(value, str) else value
            changes.setdefault(step, {})[setting] = values.check(parsed, hint, f"--set {path}")
        changed = object.__new__(Pipeline)
        changed.name, changed.seed, changed.file, changed._declared = self.name, self.seed, self.file, self._declared
        changed.about, changed.loading = self.about, self.loading
        changed.steps = _bind(self.name, self._declared, changes)
        return changed

    def run(self, **options: Any) -> Run:
        """Run the pipeline; see `pellucid.pipeline.running.run` for the options. Raises StepError on failure.

        Where all is open, the steps run in this process, unless it has read a result that is not open. Where anything is not, each
        step runs in a confined worker, in a process that loads the pipeline's file as `pellucid run` does; a pipeline without a file
        is then refused: see `pellucid.pipeline.own_process.run`. In a notebook every pipeline runs so: see
        `pellucid.pipeline.notebook.run`.
        """
        if BEING_LOADED.get():
            raise UsageError(
                "a pipeline is run while a pipeline file loads",
                where=BEING_LOADED.get(),
                why="whoever loads the file would run it, the workers of its own run too",
                fix='Put the call at the end of the file, under: if __name__ == "__main__":',
            )
        if self.file is None and "IPython" in sys.modules:
            from pellucid.pipeline import notebook

            if notebook.kernel() is not None:
                return notebook.run(self, **options)
        if self.loading is None and "engine" not in options and (options.get("confined") or not self.is_open or was_read()):
            from pellucid.pipeline import own_process

            return own_process.run(self, **options)
        from pellucid.pipeline.running import run

        return run(self, **options)

    @property
    def is_open(self) -> bool:
        """Whether everything in the graph is open."""
        return all(bound.label.is_open for bound in self.steps.values())


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
    provided = provided_by(pipeline, declared)
    names = {id(node): name for name, node in declared.items()}
    unsorted = {
        name: Bound(name, node) if isinstance(node, Source) else wire(name, node, provided, names, changes.get(name, {}))
        for name, node in declared.items()
    }
    ordered: dict[str, Bound] = {}
    for name in order(pipeline, {name: [edge.node for edge in bound.edges] for name, bound in unsorted.items()}):
        bound = unsorted[name]
        ordered[name] = _labelled(bound, [ordered[edge.node].label for edge in bound.edges])
    check_kinds(ordered)
    budgets.budgets(ordered)
    _refuse_one_file_twice(ordered)
    return ordered


def _refuse_one_file_twice(steps: Mapping[str, Bound]) -> None:
    """One file is not open and private at once, by whatever path or link. (Copies are found when the sources are read.)"""
    closed: dict[object, str] = {}
    sources = [(name, bound.node) for name, bound in steps.items() if isinstance(bound.node, Source) and bound.node.model is None]
    for name, node in sources:
        if not node.label.is_open:
            closed.update(dict.fromkeys(_same_file(node.path), name))
    for name, node in sources:
        other = next((closed[one] for one in _same_file(node.path) if one in closed), None) if node.label.is_open else None
        if other is not None:
            raise LabelError(
                f'the open source "{name}" reads the file of "{other}", which is not open',
                where=str(node.path),
                why="what is private would leave as it is",
                fix="Label it private too, and release what may be known of it (pl.release)",
            )


def _same_file(path: Path) -> list[object]:
    """What tells a file: its real path, and its device and inode where it is there."""
    real = os.path.realpath(path)
    try:
        found = os.stat(real)
    except OSError:
        return [real]
    return [real, (found.st_dev, found.st_ino)]


def _labelled(bound: Bound, inputs: list[Label]) -> Bound:
    """The bound node with the label its outputs carry: the source's own, open behind a gate, protected by a protection, else joined
    from its inputs."""
    node = bound.node
    if isinstance(node, Source):
        label = node.label
        if node.model is not None and not (label.is_open and is_own("model reference", node.model)):
            raise LabelError(
                "only pellucid's registry gives a model", where=f'source "{bound.name}"', fix="Use pl.registry_model"
            )
        if not label.is_open:
            label = Label(label.level, label.unit, frozenset([node.account or bound.name]))
    elif node.gate is not None:
        _check_release(bound, node, inputs)
        label = OPEN
    elif node.protection is not None:
        label = _protected(bound, node, inputs)
    else:
        label = join(inputs, per_unit=node.per_unit)
        if node.per_unit and label.unit is None:
            raise UsageError(
                "a per-unit step needs exactly one input that is not open, and that input needs a unit",
                where=f'step "{bound.name}"',
                fix="Give its private source unit=..., and make the other inputs open",
            )
        if node.per_unit and label.unit is not None and not unit_of(label.unit).is_person:
            raise UsageError(
                f"a per-unit step needs a person as its unit, not {label.unit}",
                where=f'step "{bound.name}"',
                fix='Declare unit="<column>" on its source, or release without this step',
            )
        if (
            not node.per_unit
            and bound.fanned
            and node.by is not None
            and node.by == next((unit_of(i.unit).column for i in inputs if i.unit), None)
        ):
            raise UsageError("to work person by person use per_unit=True", where=f'step "{bound.name}"')
    closed = frozenset(edge.parameter for edge, given in zip(bound.edges, inputs, strict=True) if not given.is_open)
    return dataclasses.replace(bound, label=label, closed=closed)


def _protected(bound: Bound, node: Step, inputs: list[Label]) -> Label:
    """Protected, with the accounts of its input, and with its unit where rows still belong to one person. Never open."""
    where = f'step "{bound.name}"'
    if not is_own("protection", node.protection):
        raise LabelError("only pellucid's own transforms make a table protected", where=where, fix="Use pl.protect")
    (edge,), (given,) = bound.edges, inputs
    if given.is_open:
        raise UsageError(f'"{edge.output}" is open: there is nothing to protect', where=where, fix="Use it directly")
    assert node.protection is not None
    # what keeps a person's rows apart may still mix their days, so only a person survives it
    column = unit_of(given.unit).column if given.unit is not None and unit_of(given.unit).is_person else None
    return protected(given, keeps_unit=column is not None and node.protection.keeps(column))


def _check_release(bound: Bound, node: Step, inputs: list[Label]) -> None:
    """A release needs data whose privacy can be bounded: not open already, and with a unit that no step has mixed up."""
    where = f'release "{bound.name}"'
    if not is_own("gate", node.gate):
        raise LabelError("only Pellucid's own release makes a result open", where=where, fix="Use pl.release")
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
