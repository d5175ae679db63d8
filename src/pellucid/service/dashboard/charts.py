"""Charts as SVG, drawn on the server: complete without JavaScript, in the colours of the page, with their numbers beside them as a table.

Colours come from classes (`c0` to `c7`, see assets/dashboard.css), so that they follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 260, 64, 34, 12
COLOURS = 8
MOST_POINTS = 200  # of one curve that are drawn
Series = tuple[str, Sequence[tuple[float, float]]]


def number(value: float | None) -> str:
    """Four digits or so; nothing for no number."""
    return "" if value is None else f"{value:.4g}"


def thinned(points: Sequence[tuple[int, float | None]]) -> list[tuple[float, float]]:
    """At most `MOST_POINTS` of a curve: of each stretch its least and its greatest value, so that no peak is lost."""
    there = [(float(step), value) for step, value in points if value is not None]
    if len(there) <= MOST_POINTS:
        return there
    size, found = math.ceil(len(there) / (MOST_POINTS // 2)), []
    for start in range(0, len(there), size):
        stretch = there[start : start + size]
        found += sorted({min(stretch, key=lambda one: one[1]), max(stretch, key=lambda one: one[1])})
    return found


def lines(title: str, x: str, series: Sequence[Series], *, from_zero: bool = False) -> str:
    """Curves over one axis, each with its name when pointed at; "" where there is nothing to draw."""
    every = [point for _, points in series for point in points]
    if not every:
        return ""
    scale = _Scale([point[0] for point in every], [point[1] for point in every] + [0.0] * from_zero)
    parts = [_axes(title, x, "", scale)]
    for at, (name, points) in enumerate(series):
        path = " ".join(f"{scale.x(a):.1f},{scale.y(b):.1f}" for a, b in points)
        shape = f'<polyline points="{path}" fill="none"/>' if len(points) > 1 else _dot(scale, *points[0]) if points else ""
        parts.append(f'<g class="c{at % COLOURS} line"><title>{escape(name)}</title>{shape}</g>')
    return _svg(title, parts)


def scatter(title: str, x: str, y: str, points: Sequence[tuple[str, float, float]]) -> str:
    """A dot for each run, with its name when pointed at."""
    if not points:
        return ""
    scale = _Scale([point[1] for point in points], [point[2] for point in points])
    dots = [
        f'<g class="c0"><title>{escape(f"{name}: {number(a)}, {number(b)}")}</title>{_dot(scale, a, b)}</g>'
        for name, a, b in points
    ]
    return _svg(title, [_axes(title, x, y, scale), *dots])


def parallel(title: str, axes: Sequence[str], rows: Sequence[tuple[str, Sequence[float | None]]]) -> str:
    """A line for each run over one upright axis for each setting or metric, each from its least to its greatest value."""
    if len(axes) < 2 or not rows:
        return ""
    bounds = []
    for at in range(len(axes)):
        held = [value for _, values in rows if (value := values[at]) is not None]
        bounds.append((min(held, default=0.0), max(held, default=1.0)))
    step = (WIDTH - 2 * LEFT) / (len(axes) - 1)
    top, bottom = TOP + 18, HEIGHT - BOTTOM
    parts = []
    for at, (name, values) in enumerate(rows):
        places = []
        for axis, value in enumerate(values):
            if value is not None:
                low, high = bounds[axis]
                share = (value - low) / (high - low) if high > low else 0.5
                places.append(f"{LEFT + axis * step:.1f},{bottom - share * (bottom - top):.1f}")
        parts.append(
            f'<g class="c{at % COLOURS} line"><title>{escape(name)}</title><polyline points="{" ".join(places)}" fill="none"/></g>'
        )
    for at, name in enumerate(axes):
        x, (low, high) = LEFT + at * step, bounds[at]
        parts.append(f'<path class="axis" d="M{x:.1f} {top}V{bottom}"/>')
        for y, text in ((TOP + 2, name.rpartition(".")[2][:14]), (TOP + 14, number(high)), (bottom + 12, number(low))):
            parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{escape(text)}</text>')
    return _svg(title, parts)


def bars(title: str, rows: Sequence[tuple[str, float, float, str]]) -> str:
    """A bar for each step from when it began to when it ended, in seconds; the fourth is its class (done, failed)."""
    longest = max((end for _, _, end, _ in rows), default=0.0)
    if not longest:
        return ""
    height = 18 * len(rows) + 8
    parts = []
    for at, (name, begin, end, kind) in enumerate(rows):
        x, width = 180 + begin / longest * (WIDTH - 260), max(2.0, (end - begin) / longest * (WIDTH - 260))
        y = 4 + 18 * at
        parts.append(f'<text x="172" y="{y + 12}" text-anchor="end">{escape(name[:26])}</text>')
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="13" rx="2"/>')
        parts.append(f'<text x="{x + width + 5:.1f}" y="{y + 12}">{number(end - begin)} s</text>')
    return _svg(title, parts, height)


class _Scale:
    """From values to places in the picture."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self.left, self.right = _spread(min(xs), max(xs))
        self.low, self.high = _spread(min(ys), max(ys))

    def x(self, value: float) -> float:
        return LEFT + (value - self.left) / (self.right - self.left) * (WIDTH - LEFT - 12)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - BOTTOM - TOP)


def _spread(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _dot(scale: _Scale, a: float, b: float) -> str:
    return f'<circle cx="{scale.x(a):.1f}" cy="{scale.y(b):.1f}" r="3.5"/>'


def _axes(title: str, x: str, y: str, scale: _Scale) -> str:
    floor, right = HEIGHT - BOTTOM, WIDTH - 12
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{floor}H{right}" fill="none"/>']
    parts += [
        f'<text x="{LEFT - 6}" y="{scale.y(value) + 4:.1f}" text-anchor="end">{number(value)}</text>'
        for value in (scale.low, (scale.low + scale.high) / 2, scale.high)
    ]
    parts += [
        f'<text x="{scale.x(value):.1f}" y="{floor + 14}" text-anchor="{anchor}">{number(value)}</text>'
        for value, anchor in ((scale.left, "start"), (scale.right, "end"))
    ]
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x)}</text>')
    if y:
        parts.append(f'<text x="{LEFT + 6}" y="{TOP + 10}">{escape(y)}</text>')
    return "".join(parts)


def _svg(title: str, parts: Sequence[str], height: int = HEIGHT) -> str:
    box = f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}"'
    return f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" {box}>{"".join(parts)}</svg>'
