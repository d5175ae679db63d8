"""How a page of the dashboard answers: HTML for people, JSON or CSV of the same for programs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from pellucid.errors import UsageError
from pellucid.pipeline.record import Record
from pellucid.service.access import actor_of, form_token
from pellucid.service.page_templates import templates, wants_page, without_place


def answer(
    request: Request, template: str, told: Mapping[str, Any], *, table: Sequence[Mapping[str, Any]] | None = None, **shown: Any
) -> Response:
    """`told` as JSON, `table` as CSV where it is asked for, else the page `template` with both and what else is `shown`."""
    wanted = request.query_params.get("format", "")
    if wanted == "csv" and table is not None:
        name = template.rpartition("/")[2].partition(".")[0]
        return Response(
            _csv(table),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
        )
    if wanted == "json" or (wanted != "html" and not wants_page(request)):
        return JSONResponse(_plain(told))
    actor = actor_of(request)
    values = {
        **told,
        **shown,
        "actor": actor,
        "token": form_token(request),
        "link": _linker(request),
        "here": request.url.path.strip("/").partition("/")[0],
    }
    return HTMLResponse(
        templates().get_template(f"dashboard/{template}").render(query="", personal=False, feedback="", duel="", **values)
    )


def _linker(request: Request) -> Any:
    """Makes the address of this page with some of its query changed; what is None or "" is left out."""

    def link(**changed: Any) -> str:
        asked: dict[str, list[Any]] = {}
        for name, value in request.query_params.multi_items():
            asked.setdefault(name, []).append(value)
        for name, value in changed.items():
            asked[name] = list(value) if isinstance(value, list | tuple) else [value]
        pairs = [(name, value) for name, values in asked.items() for value in values if value not in (None, "")]
        return f"{request.url.path}?{urlencode(pairs)}" if pairs else request.url.path

    return link


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with every column that one of them has. Text that a spreadsheet would take for a formula gets an apostrophe in front."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    held = io.StringIO()
    writer = csv.writer(held)
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([[_cell(row.get(name)) for name in columns] for row in rows])
    return held.getvalue()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return "" if value is None else value
    text = str(value)
    with suppress(ValueError):
        float(text)
        return text
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _plain(value: Any) -> Any:
    """What JSON has a word for; a number that it has none for is None."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def when(moment: float | None) -> str:
    """A moment to the second in UTC; nothing for none."""
    return "" if moment is None else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}"


def took(seconds: float | None) -> str:
    """A duration in three digits or so."""
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


@contextmanager
def opened(home: Path) -> Iterator[Record]:
    """The record of a state folder, closed afterwards."""
    record = Record(home)
    try:
        yield record
    finally:
        record.close()


def found_or_missing(look: Any) -> Any:
    """What is looked for; an answer of 404 where it is not there."""
    try:
        return look()
    except UsageError as error:
        raise HTTPException(404, without_place(error)) from None
