"""The privacy-utility curve as an SVG: mean and spread over noise draws at each epsilon, between floor and ceiling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 74, 58


def curve(draws: Mapping[float, Sequence[float]], floor: float, ceiling: float, *, title: str, note: str, measure: str) -> str:
    """`draws` maps epsilon to the measure of each draw; bars show two standard deviations to each side. Epsilon: log scale."""
    points = {epsilon: _mean_and_deviation(values) for epsilon, values in sorted(draws.items())}
    low, high = _limits([floor, ceiling, *(m - 2 * s for m, s in points.values()), *(m + 2 * s for m, s in points.values())])
    first, last = math.log2(min(points)) - 0.35, math.log2(max(points)) + 0.35

    def x(epsilon: float) -> float:
        return _LEFT + (math.log2(epsilon) - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" font-family="sans-serif">',
        f"<title>{escape(title)}: {escape(note)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="26" font-size="16" font-weight="600" fill="#222">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="46" font-size="12" fill="#b3261e">{escape(note)}</text>',
    ]
    for tick in _ticks(low, high):
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#e6e6e6"/>')
        parts.append(_text(_LEFT - 8, y(tick) + 4, f"{tick:.2f}", "end"))
    parts += [_text(x(epsilon), _HEIGHT - _BOTTOM + 18, f"{epsilon:g}", "middle") for epsilon in points]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(_text(middle, _HEIGHT - 14, "epsilon of the release (smaller is more private)", "middle"))
    parts.append(f'<text x="{_LEFT}" y="{_TOP - 10}" font-size="12" fill="#444">{escape(measure)}</text>')
    for value, word, colour in ((ceiling, "without privacy", "#5b3f8c"), (floor, "popularity only", "#8a5a00")):
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{colour}"'
            ' stroke-width="1.6" stroke-dasharray="6 4"/>'
        )
        parts.append(
            f'<text x="{_WIDTH - _RIGHT}" y="{y(value) - 6:.1f}" text-anchor="end" font-size="12" fill="{colour}">'
            f"{escape(word)} {value:.3f}</text>"
        )
    path = " ".join(f"{'M' if at == 0 else 'L'}{x(e):.1f} {y(m):.1f}" for at, (e, (m, _)) in enumerate(points.items()))
    parts.append(f'<path d="{path}" fill="none" stroke="#1e6b32" stroke-width="2.2"/>')
    for epsilon, (mean, deviation) in points.items():
        top, bottom = y(mean + 2 * deviation), y(mean - 2 * deviation)
        parts.append(
            f'<path d="M{x(epsilon):.1f} {top:.1f}V{bottom:.1f}m-5 0h10M{x(epsilon) - 5:.1f} {top:.1f}h10"'
            ' stroke="#1e6b32" fill="none"/>'
        )
        parts.append(f'<circle cx="{x(epsilon):.1f}" cy="{y(mean):.1f}" r="4" fill="#1e6b32"/>')
        parts.append(_text(x(epsilon), bottom + 16, f"{mean:.3f}", "middle"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12" fill="#444">{escape(text)}</text>'


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1))


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.12 * (high - low) or 0.1
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6)
    return [at * step for at in range(math.ceil(low / step), math.floor(high / step) + 1)]
