"""Routes of the reports on the ranking and of the duel: what a browser needs, the reports, and the scripts that make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anyio import to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from pellucid.privacy import local
from pellucid.service import click_reports, duels
from pellucid.service.followed_models import FollowedModels, Served

BODY = {"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}


def add(app: FastAPI, home: Path, followed: FollowedModels) -> None:
    """Add the routes to the application."""

    @app.get("/assets/local/{name}", include_in_schema=False)
    def local_client(name: str) -> Response:
        if name not in ("client.js", "directions.json"):
            raise HTTPException(404, "there is no such file")
        return FileResponse(Path(local.__file__).with_name(name), headers={"Cache-Control": "no-cache"})

    @app.get("/feedback", summary="What a browser needs to say, deniably, which results were opened")
    def feedback_told() -> dict[str, Any]:
        """The collection that is open for the served ranking, and the week; 404 where the ranking does not learn from clicks."""
        return click_reports.told(_learning(followed))

    @app.post("/feedback", summary="Take reports", openapi_extra=BODY)
    async def feedback(request: Request) -> dict[str, Any]:
        """A batch of randomised reports (see docs/local.md). Bad ones are refused by reason and counted; the good ones are taken."""
        served = _learning(followed)
        return await to_thread.run_sync(click_reports.take, home, served, await _batch(request))

    @app.get("/duel", summary="What a browser needs to say, deniably, which of two rankings its reader opens more of")
    def duel_told() -> dict[str, Any]:
        """The open duel's collection and period; 404 where none is open."""
        return _open_duel(followed).told()

    @app.post("/duel", summary="Take bits", openapi_extra=BODY)
    async def duel_bits(request: Request) -> dict[str, Any]:
        """A batch of randomised bits (see docs/local.md), one a reader, until there are as many as the gate needs."""
        work = _open_duel(followed)
        return await to_thread.run_sync(duels.take, home, work, await _batch(request))


async def _batch(request: Request) -> bytes:
    held = b""
    async for part in request.stream():
        held += part
        if len(held) > click_reports.LARGEST:
            raise HTTPException(413, f"a batch has at most {click_reports.LARGEST:,} bytes")
    return held


def _open_duel(followed: FollowedModels) -> duels.DuelAtWork:
    if followed.duel is None:
        raise HTTPException(404, "no duel is open")
    return followed.duel


def _learning(followed: FollowedModels) -> Served:
    """The served ranking, if it learns from clicks."""
    served = followed.current.get("rank")
    if served is None or not served.learns:
        raise HTTPException(404, "the ranking that is served does not learn from clicks")
    return served
