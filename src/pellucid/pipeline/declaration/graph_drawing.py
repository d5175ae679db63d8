"""A pipeline's graph as text and as SVG. Labels are written out, not only coloured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from pellucid.pipeline.declaration.graph_node import Bound

COLOURS = {"private": ("#fdecea", "#b3261e"), "protected": ("#fff4e0", "#8a5a00"), "open": ("#e8f4ea", "#1e6b32")}
_CHAR, _HEIGHT, _GAP, _LAYER = 9.0, 46, 26, 104


@dataclass(frozen=True)
class Drawn:
    """One node: its name, kind (source, release, step, ...), label, the nodes it takes from, and its named outputs."""

    name: str
    kind: str
    label: str
    needs: tuple[str, ...]
    outputs: tuple[str, ...]


def nodes_of(steps: Mapping[str, Bound]) -> list[Drawn]:
    """A pipeline's nodes (its `steps`) in running order."""
    return [
        Drawn(
            name,
            bound.kind,
            bound.label.level.word,
            tuple(dict.fromkeys(edge.node for edge in bound.edges)),
            tuple(artifact for artifact, _, _ in bound.outputs if artifact != name),
        )
        for name, bound in steps.items()
    ]


def depths(nodes: Sequence[Drawn]) -> dict[str, int]:
    """How many edges lie on the longest path from a source to each node."""
    found: dict[str, int] = {}
    for node in nodes:
        found[node.name] = max((found[need] + 1 for need in node.needs), default=0)
    return found


def text(nodes: Sequence[Drawn]) -> str:
    """One line a node, indented by depth, with what it takes and gives."""
    deep = depths(nodes)
    names = {node.name: "  " * deep[node.name] + node.name for node in nodes}
    width = max((len(shown) for shown in names.values()), default=0)
    lines = []
    for node in nodes:
        takes = f"  <- {', '.join(node.needs)}" if node.needs else ""
        gives = f"  -> {', '.join(node.outputs)}" if node.outputs else ""
        lines.append(f"{names[node.name]:<{width}}  {node.kind:<8} {node.label:<9}{takes}{gives}".rstrip())
    return "\n".join(lines)


@dataclass(frozen=True)
class _Place:
    """A node's box, or a bend of a long edge on a layer it passes: centre and width."""

    x: float
    y: float
    width: float


def _layout(nodes: Sequence[Drawn]) -> tuple[dict[str, _Place], float, float]:
    """Places by node name, and by "from>to@layer" for bends; width and height of the whole.

    Layers go by depth, each ordered by the mean place of what its members take from. An edge that passes a layer takes room
    there, so that it never runs behind a box.
    """
    deep = depths(nodes)
    comes_from: list[dict[str, list[str]]] = [{} for _ in range(max(deep.values(), default=-1) + 1)]
    for node in nodes:
        above = []
        for need in node.needs:
            last = need
            for layer in range(deep[need] + 1, deep[node.name]):
                bend = f"{need}>{node.name}@{layer}"
                comes_from[layer][bend] = [last]
                last = bend
            above.append(last)
        comes_from[deep[node.name]][node.name] = above
    wide = {n.name: max(100.0, _CHAR * max(len(n.name) + 2, 0.78 * len(f"{n.kind} · {n.label}")) + 20) for n in nodes}
    rows = [sum(wide.get(name, 0.0) + _GAP for name in layer) - _GAP for layer in comes_from]
    total = max(rows, default=0.0) + 2 * _GAP
    places: dict[str, _Place] = {}
    for level, members in enumerate(comes_from):
        x = (total - rows[level]) / 2
        middle = {name: sum(places[above].x for above in found) / max(1, len(found)) for name, found in members.items()}
        ordered = sorted(members, key=lambda name: middle[name])
        for name in ordered:
            width = wide.get(name, 0.0)
            places[name] = _Place(x + width / 2, _GAP + level * _LAYER + _HEIGHT / 2, width)
            x += width + _GAP
    return places, total, 2 * _GAP + max(0, len(comes_from) - 1) * _LAYER + _HEIGHT


def _edge(need: str, name: str, places: dict[str, _Place], deep: dict[str, int]) -> str:
    """The path of one edge, through its bends."""
    stops = [places[f"{need}>{name}@{layer}"] for layer in range(deep[need] + 1, deep[name])]
    start, end = places[need], places[name]
    x, y = start.x, start.y + _HEIGHT / 2
    path = f"M{x:.1f} {y:.1f}"
    for at, stop in enumerate([*stops, end]):
        last = at == len(stops)
        top = stop.y - _HEIGHT / 2 - (2 if last else 0)
        bend = (top - y) / 2
        path += f"C{x:.1f} {y + bend:.1f} {stop.x:.1f} {top - bend:.1f} {stop.x:.1f} {top:.1f}"
        x, y = stop.x, top
        if not last:
            y += _HEIGHT
            path += f"V{y:.1f}"
    return f'<path d="{path}" fill="none" stroke="#777" stroke-width="1.4" marker-end="url(#tip)"/>'


def svg(nodes: Sequence[Drawn]) -> str:
    """A layered drawing, top to bottom."""
    places, total, height = _layout(nodes)
    deep = depths(nodes)
    size = f'viewBox="0 0 {total:.0f} {height:.0f}" width="{total:.0f}" height="{height:.0f}"'
    tip = '<path d="M0 0 8 4 0 8z" fill="#777"/>'
    marker = 'id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="sans-serif">',
        f"<title>Pipeline: {escape(', '.join(node.name for node in nodes))}</title>",
        f'<rect width="{total:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f"<defs><marker {marker}>{tip}</marker></defs>",
    ]
    parts += [_edge(need, node.name, places, deep) for node in nodes for need in node.needs]
    for node in nodes:
        place = places[node.name]
        fill, line = COLOURS[node.label]
        left, top = place.x - place.width / 2, place.y - _HEIGHT / 2
        style = f'stroke-width="{2.6 if node.kind == "release" else 1.4}"' + (
            ' stroke-dasharray="5 3"' if node.kind == "source" else ""
        )
        box = f'x="{left:.1f}" y="{top:.1f}" width="{place.width:.1f}" height="{_HEIGHT}" rx="7"'
        parts.append(f'<rect {box} fill="{fill}" stroke="{line}" {style}/>')
        text = f'<text x="{place.x:.1f}" text-anchor="middle"'
        parts.append(f'{text} y="{place.y - 3:.1f}" font-size="14" font-weight="600" fill="#222">{escape(node.name)}</text>')
        kind = f"{escape(node.kind)} · {node.label}"
        parts.append(f'{text} y="{place.y + 14:.1f}" font-size="11.5" fill="{line}">{kind}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
