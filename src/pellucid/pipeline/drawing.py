"""A pipeline's graph as text and as SVG. Labels are written out, not only coloured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from pellucid.pipeline.graph import Pipeline
from pellucid.pipeline.step import Source

COLOURS = {"private": ("#fdecea", "#b3261e"), "protected": ("#fff4e0", "#8a5a00"), "open": ("#e8f4ea", "#1e6b32")}
_CHAR, _HEIGHT, _GAP, _LAYER = 7.6, 46, 26, 104


@dataclass(frozen=True)
class Drawn:
    """One node: its name, kind (source, release, step, ...), label, the nodes it takes from, and its named outputs."""

    name: str
    kind: str
    label: str
    needs: tuple[str, ...]
    outputs: tuple[str, ...]


def nodes_of(pipeline: Pipeline) -> list[Drawn]:
    """The pipeline's nodes in running order."""
    return [
        Drawn(
            name,
            "source" if isinstance(bound.node, Source) else "release" if bound.node.gate else bound.node.kind,
            bound.label.level.word,
            tuple(dict.fromkeys(edge.node for edge in bound.edges)),
            tuple(artifact for artifact, _, _ in bound.outputs if artifact != name),
        )
        for name, bound in pipeline.steps.items()
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


def svg(nodes: Sequence[Drawn]) -> str:
    """A layered drawing, top to bottom: layers by depth, each ordered by the mean place of what its nodes take from."""
    deep = depths(nodes)
    layers: list[list[Drawn]] = [[] for _ in range(max(deep.values(), default=-1) + 1)]
    for node in nodes:
        layers[deep[node.name]].append(node)
    widths = {node.name: max(96.0, _CHAR * max(len(node.name), len(f"{node.kind} · {node.label}") * 0.86) + 24) for node in nodes}
    rows = [sum(widths[node.name] for node in layer) + _GAP * (len(layer) - 1) for layer in layers]
    total = max(rows, default=0) + 2 * _GAP
    centre: dict[str, tuple[float, float]] = {}
    for level, layer in enumerate(layers):
        layer.sort(key=lambda node: sum(centre[need][0] for need in node.needs) / len(node.needs) if node.needs else 0.0)
        x = (total - rows[level]) / 2
        for node in layer:
            centre[node.name] = (x + widths[node.name] / 2, _GAP + level * _LAYER + _HEIGHT / 2)
            x += widths[node.name] + _GAP
    height = 2 * _GAP + max(0, len(layers) - 1) * _LAYER + _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total:.0f} {height:.0f}" width="{total:.0f}" height="{height:.0f}"'
        ' role="img" font-family="system-ui, sans-serif">',
        f"<title>Pipeline: {escape(', '.join(node.name for node in nodes))}</title>",
        f'<rect width="{total:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#777"/></marker></defs>',
    ]
    for node in nodes:
        x, y = centre[node.name]
        for need in node.needs:
            a, b = centre[need]
            top, bottom = b + _HEIGHT / 2, y - _HEIGHT / 2 - 2
            bend = (bottom - top) / 2
            parts.append(
                f'<path d="M{a:.1f} {top:.1f} C{a:.1f} {top + bend:.1f} {x:.1f} {bottom - bend:.1f} {x:.1f} {bottom:.1f}"'
                ' fill="none" stroke="#777" stroke-width="1.4" marker-end="url(#tip)"/>'
            )
    for node in nodes:
        x, y = centre[node.name]
        fill, line = COLOURS[node.label]
        width = widths[node.name]
        dash = ' stroke-dasharray="5 3"' if node.kind == "source" else ""
        thick = 2.6 if node.kind == "release" else 1.4
        parts.append(
            f'<g><rect x="{x - width / 2:.1f}" y="{y - _HEIGHT / 2:.1f}" width="{width:.1f}" height="{_HEIGHT}" rx="7" fill="{fill}"'
            f' stroke="{line}" stroke-width="{thick}"{dash}/>'
            f'<text x="{x:.1f}" y="{y - 3:.1f}" text-anchor="middle" font-size="14" font-weight="600" fill="#222">{escape(node.name)}</text>'
            f'<text x="{x:.1f}" y="{y + 14:.1f}" text-anchor="middle" font-size="11.5" fill="{line}">{escape(node.kind)} · {node.label}</text></g>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
