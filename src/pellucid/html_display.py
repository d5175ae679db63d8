"""How values show themselves in a notebook: plain HTML, escaped, without script or address, in the colours of the page around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_CELL = "text-align:left;padding:.15em .8em .15em 0;vertical-align:top"
MOST_TEXT = 200  # characters of one cell


def table(head: str, header: Sequence[str], rows: Iterable[Sequence[object]], note: str = "") -> str:
    """A headed table; wide ones scroll sideways on a small screen."""
    top = "".join(f'<th style="{_CELL}">{escape(name)}</th>' for name in header)
    body = "".join("<tr>" + "".join(f'<td style="{_CELL}">{_text(cell)}</td>' for cell in row) + "</tr>" for row in rows)
    below = f"<p>{escape(note)}</p>" if note else ""
    return (
        f'<div style="overflow-x:auto;max-width:100%"><p><b>{escape(head)}</b></p><table style="border-collapse:collapse">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>{below}</div>"
    )


def text(lines: str) -> str:
    """Lines as they are, broken where they are too long."""
    return f'<pre style="white-space:pre-wrap">{escape(lines)}</pre>'


def picture(data: bytes, name: str) -> str:
    """A PNG picture, no wider than the page; "" for anything else, or for one of more than 2 MB."""
    import base64

    if not data.startswith(b"\x89PNG\r\n\x1a\n") or len(data) > 2 << 20:
        return ""
    address = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return f'<p>{escape(name)}</p><img alt="{escape(name)}" style="max-width:100%" src="{address}">'


def _text(cell: object) -> str:
    shown = f"{cell:.6g}" if isinstance(cell, float) else str(cell)
    return escape(shown if len(shown) <= MOST_TEXT else shown[:MOST_TEXT] + "…")
