"""The templates of all pages, and whether a caller wants a page. Everything that is shown as text is escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request

from pellucid.errors import PellucidError, StoreError

if TYPE_CHECKING:
    import jinja2


@cache
def templates() -> jinja2.Environment:
    """The templates, which raise for a name that was not given."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip


def without_place(error: PellucidError) -> str:
    """What an error says to somebody who does not look after this machine: not where on it; of the state file no more than what."""
    if isinstance(error, StoreError):
        return error.what
    return str(PellucidError(error.what, why=error.why, fix=error.fix))


def wants_page(request: Request) -> bool:
    """Whether the caller would rather read HTML than JSON."""
    return "text/html" in request.headers.get("accept", "")
