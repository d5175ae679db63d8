"""Wiring: which parameters of a step are edges and which are settings, and whether both ends of an edge agree."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.errors import UsageError, suggest
from pellucid.pipeline.declaration import settings as values
from pellucid.pipeline.declaration.declare_step import hints_of
from pellucid.pipeline.declaration.graph_node import Bound, Edge, artifact_name
from pellucid.pipeline.declaration.nodes import Node, OutputOf, Source, Step
from pellucid.pipeline.declaration.own_code import proved_per_unit
from pellucid.store import kind_of


def provided_by(pipeline: str, declared: Mapping[str, Node]) -> dict[str, tuple[str, str, bool]]:
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


def wire(
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
            raise UsageError(f'it has no parameter "{extra}"', where=where, fix=suggest(extra, list(parameters)))
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
                fix=suggest(parameter, list(provided)),
            )
        types[parameter] = values.hint_for(hints, parameter, settings[parameter])
        values.check(settings[parameter], types[parameter], f"{where}, setting {parameter}")
    for parameter, items in listed.items():
        settings[parameter] = list(items)
        types[parameter] = list
    settings.update(changes)
    _check_over(where, node, edges, settings)
    return Bound(name, node, tuple(edges), settings, types, "seed" in parameters, node.over is not None)


def _check_over(where: str, node: Step, edges: Sequence[Edge], settings: Mapping[str, Any]) -> None:
    """A step is fanned out over one thing: a list of values, a collection, or the partitions of a table."""
    if node.over is None:
        return
    if not isinstance(node.over, str):
        if len(node.over) != 1:
            raise UsageError("over= takes one parameter", where=where, fix="List the combinations as values of one parameter")
    elif node.over in settings:
        if not isinstance(settings[node.over], list | tuple):
            raise UsageError(f'over="{node.over}" needs a list of values', where=where)
    elif edge := next((edge for edge in edges if edge.parameter == node.over), None):
        if node.by is None and not edge.from_many:
            fix = "Give by=<a column> to go over the partitions of a table" if edge.kind == "table" else "Return a list from it"
            raise UsageError(f'"{edge.output}" is one {edge.kind}, not a collection', where=where, fix=fix)
        if node.by is not None and (edge.from_many or edge.kind != "table"):
            raise UsageError(f'by= cuts a table, and "{edge.output}" is not one', where=where)
    if any(output.many for output in node.outputs):
        raise UsageError("it is fanned out and gives a list itself", where=where, fix="Return one value for each branch")


def _edge(
    where: str,
    parameter: str,
    wired: Any,
    provided: Mapping[str, tuple[str, str, bool]],
    names: Mapping[int, str],
    hint: Any,
    over: Any,
) -> Edge:
    if isinstance(wired, OutputOf | Source | Step):
        maker = wired.step if isinstance(wired, OutputOf) else wired
        if id(maker) not in names:
            shown = f' (source "{maker.path.name}")' if isinstance(maker, Source) else ""
            raise UsageError(
                f'the input of parameter "{parameter}"{shown} is not in the pipeline',
                where=where,
                fix="Add it to the list. Where one of that name is there, it was made anew since: make this step anew too, after it"
                " (in a notebook, run its cell again)",
            )
        if isinstance(wired, OutputOf):
            given = next(output for output in wired.step.outputs if output.name == wired.output)
            wired = artifact_name(wired.step, names[id(maker)], given)
        else:
            wired = names[id(maker)]
    if wired not in provided:
        raise UsageError(f'there is no input "{wired}"', where=where, fix=suggest(str(wired), list(provided)))
    node, kind, many = provided[wired]
    return Edge(parameter, node, wired, kind, many and over != parameter, many)


def check_kinds(steps: Mapping[str, Bound]) -> None:
    """Refuse an edge whose two ends are annotated with different kinds."""
    for bound in steps.values():
        hints = hints_of(bound.node.fn) if isinstance(bound.node, Step) else {}
        for edge in bound.edges:
            hint = hints.get(edge.parameter)
            wants_many = typing.get_origin(hint) is list
            wanted = kind_of(typing.get_args(hint)[0]) if wants_many else kind_of(hint)
            where = f'step "{bound.name}", parameter {edge.parameter}'
            if wanted is not None and wanted != edge.kind:
                maker = steps[edge.node].node
                unread = isinstance(maker, Source) and maker.format == "file" and wanted == "table"
                fix = 'The name of its file does not tell the format: say format="csv", or another reader' if unread else ""
                raise UsageError(f'it wants a {wanted}, but "{edge.output}" is a {edge.kind}', where=where, fix=fix)
            if wanted is not None and wants_many != edge.many:
                have, fix = ("a collection", "Annotate it list[...], or fan out with over=") if edge.many else ("one value", "")
                raise UsageError(f'"{edge.output}" is {have}', where=where, fix=fix)
