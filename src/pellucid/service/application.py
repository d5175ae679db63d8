"""The application: routes, and what each answers. JSON for programs, pages for people, by the Accept header or `format=`."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from anyio import to_thread
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from pellucid import __version__, traces
from pellucid.errors import PellucidError, StoreError
from pellucid.schedule import ScheduleFollower
from pellucid.service import access, dashboard, feedback_routes, model_routes, pages, search_routes
from pellucid.service.followed_models import FollowedModels, refused_of
from pellucid.service.page_templates import without_place
from pellucid.service.request_counters import RequestCounters

LARGEST_BODY = 1 << 20  # bytes
THREADS = 2 * (os.cpu_count() or 2)  # requests worked on at once; more would only take the cores from each other
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # a link to elsewhere does not tell the query; with "no-referrer" our own forms would have no origin
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def create_app(home: Path, *, loopback: bool = True, on_start: Callable[[], None] | None = None) -> FastAPI:
    """The application of a state folder. It follows the folder's deployments and schedules while it runs.

    `loopback` says that only this machine reaches it: whoever asks from here is then an operator without signing in.
    """
    followed, schedules, counters = FollowedModels(home), ScheduleFollower(home), RequestCounters()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        followed.start()
        schedules.start()
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        if on_start is not None:
            on_start()
        yield
        schedules.stop()
        followed.stop()

    app = FastAPI(
        title="Pellucid", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        description="Search and recommendations from open models, each of which leads to the package it comes from.",
        dependencies=[Depends(access.guarded)],
    )  # fmt: skip
    app.state.started = time.time()
    access.add(app, home, loopback=loopback)

    @app.middleware("http")
    async def guarded(request: Request, call_next: Any) -> Response:
        begun = time.perf_counter()
        length = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers and request.url.path not in ("/feedback", "/duel"):  # which counts what comes
            response: Response = JSONResponse({"error": "say how long the body is (Content-Length)"}, 411)
        elif not length.isdecimal() or int(length) > LARGEST_BODY:
            response = JSONResponse({"error": f"the body is larger than {LARGEST_BODY:,} bytes"}, 413)
        else:
            response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.url.scheme == "https":
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        if not request.url.path.startswith(("/assets/", "/models/recommend/browser")):
            response.headers.setdefault(
                "Cache-Control", "no-store"
            )  # a page shows what its reader may see, and nobody after them
        route = request.scope.get("route")
        path, seconds = getattr(route, "path", "other"), time.perf_counter() - begun
        counters.add(path, response.status_code, seconds)
        traces.note_request(path, request.method, response.status_code, seconds)
        return response

    @app.exception_handler(PellucidError)
    async def refused(request: Request, error: PellucidError) -> Response:
        shown = str(error) if access.actor_of(request).may("operator") else without_place(error)
        return pages.problem(request, 503 if isinstance(error, StoreError) else 400, shown)

    @app.exception_handler(sqlite3.Error)
    @app.exception_handler(OSError)
    async def unwritable(request: Request, error: Exception) -> Response:
        said = "the state folder cannot be used (is the disk full?); nothing that was finished is lost"
        print(f"pellucid: {type(error).__name__}: {error}", file=sys.stderr, flush=True)  # for the operator; it holds no request
        return pages.problem(request, 503, said)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        said = [f"{'.'.join(map(str, one['loc'][1:])) or 'the body'}: {one['msg']}" for one in error.errors()[:5]]
        return pages.problem(request, 422, "; ".join(said))  # not what was sent: it may be somebody's history

    @app.exception_handler(HTTPException)
    async def missing(request: Request, error: HTTPException) -> Response:
        response = pages.problem(request, error.status_code, str(error.detail))
        response.headers.update(error.headers or {})
        return response

    feedback_routes.add(app, home, followed)
    app.mount("/assets", StaticFiles(directory=Path(__file__).parent / "assets"), name="assets")
    search_routes.add(app, followed)
    model_routes.add(app, home, followed)
    dashboard.add(app, home, lambda: _served(followed, schedules))

    @app.get("/about", include_in_schema=False)
    def about(request: Request) -> Response:
        return pages.about(request, followed)

    @app.get("/health", summary="Whether the service answers, and with what")
    def health() -> dict[str, Any]:
        """The version served of each alias; what was refused, and why."""
        return {
            "status": "ok",
            "models": {alias: served.deployment.version for alias, served in sorted(followed.current.items())},
            "refused": refused_of(followed),
            **({"trouble": "the state folder cannot be read: an operator sees why at /system"} if followed.trouble else {}),
        }

    @app.get("/metrics", summary="Counters, in the text form of Prometheus")
    def metrics() -> PlainTextResponse:
        """Requests by route and status, and how long they took; nothing about what was asked or by whom."""
        versions = {alias: served.deployment.version for alias, served in followed.current.items()}
        return PlainTextResponse(counters.text(versions), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.state.followed = followed
    return app


def _served(followed: FollowedModels, schedules: ScheduleFollower) -> dict[str, Any]:
    """What the service says of itself on the page of the system."""
    return {
        "models": {alias: one.deployment.version for alias, one in sorted(followed.current.items())},
        "refused": refused_of(followed),
        "schedules_looked_at": schedules.looked,
        "trouble": [said for said in (followed.trouble, schedules.trouble) if said],
    }
