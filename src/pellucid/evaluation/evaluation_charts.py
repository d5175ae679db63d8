"""Charts of an evaluation as SVG in a page: drawn here, without scripts. Colours come from the page's classes (`c0`, `better`, `worse`)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, LEFT, RIGHT, ROW = 640, 130, 24, 22
MOST_BARS = 300  # queries that get a bar of their own, with its name when pointed at
Row = tuple[str, str, float, float, float]  # name, class, low, middle, high


def visible(text: str) -> str:
    """A name as a page can show it: control characters, marks of direction and halves of pairs become a sign of replacement."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "\ufffd" for one in text)


def intervals(title: str, rows: Sequence[Row], low: float, high: float) -> str:
    """A dot with its interval for each row, on one axis from `low` to `high`, with a line at 0 where that is inside."""
    height = 30 + ROW * len(rows)
    span = high - low or 1.0

    def x(value: float) -> float:
        return LEFT + (min(max(value, low), high) - low) / span * (WIDTH - LEFT - RIGHT)

    parts = []
    for at in range(5):
        value = low + span * at / 4
        parts.append(f'<line class="grid" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="6" y2="{height - 24}"/>')
        parts.append(_text(x(value), height - 8, f"{value:+.3f}" if low < 0 else f"{value:.2f}", "middle"))
    if low < 0 < high:
        parts.append(f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="6" y2="{height - 24}"/>')
    for at, (name, kind, least, middle, most) in enumerate(rows):
        y = 18 + ROW * at
        said = escape(f"{visible(name)}: {middle:.4f}, {least:.4f} to {most:.4f}")
        line = f'<line x1="{x(least):.1f}" x2="{x(most):.1f}" y1="{y}" y2="{y}"/><circle cx="{x(middle):.1f}" cy="{y}" r="4.5"/>'
        parts += [f'<g class="{kind}"><title>{said}</title>{line}</g>', _text(LEFT - 8, y + 4, _short(name), "end")]
    return _svg(title, height, parts)


def differences(title: str, values: Sequence[tuple[str, float]]) -> str:
    """Each query's difference, largest first: a bar a query, or one outline where there are more than `MOST_BARS`."""
    ordered = sorted(values, key=lambda one: (-one[1], one[0]))
    reach = max((abs(value) for _, value in ordered), default=0.0) or 1.0
    height, left = 220, 56
    step = (WIDTH - left - RIGHT) / max(1, len(ordered))
    zero, half = 100.0, 90.0
    parts = []
    for value in (reach, reach / 2, 0.0, -reach / 2, -reach):
        y = zero - value / reach * half
        parts.append(f'<line class="{"grid" if value else "zero"}" x1="{left}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(left - 6, y + 4, f"{value:+.2f}", "end"))
    if len(ordered) <= MOST_BARS:
        for at, (name, value) in enumerate(ordered):
            tall = abs(value) / reach * half
            top = zero - tall if value > 0 else zero
            box = f'x="{left + at * step:.2f}" y="{top:.2f}" width="{max(step * 0.8, 0.6):.2f}" height="{tall:.2f}"'
            said = f"<title>{escape(f'{visible(name)}: {value:+.4f}')}</title>"
            parts.append(f'<rect class="{"better" if value > 0 else "worse"}" {box}>{said}</rect>' if value else "")
    else:
        points = " ".join(
            f"{left + (at + 0.5) * step:.2f},{zero - value / reach * half:.2f}" for at, (_, value) in enumerate(ordered)
        )
        parts.append(f'<polygon class="outline" points="{left},{zero} {points} {WIDTH - RIGHT},{zero}"/>')
    parts.append(_text((left + WIDTH) / 2, height - 8, f"{len(ordered)} queries, by falling difference", "middle"))
    return _svg(title, height, parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(visible(text))}</text>'


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"…{name[-19:]}"


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    said = escape(visible(title))
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{said}">{"".join(parts)}</svg>'
