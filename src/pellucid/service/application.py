"""The application: routes, and what each answers. JSON for programs, pages for people, by the Accept header or `format=`."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from anyio import to_thread
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from threadpoolctl import threadpool_limits

from pellucid import __version__
from pellucid.errors import DataError, PellucidError
from pellucid.models import recommend
from pellucid.registry import guarantees_behind
from pellucid.service import browser_model, feedback_routes, pages, result_formats
from pellucid.service.followed_models import FollowedModels, Served
from pellucid.service.request_counters import RequestCounters

if TYPE_CHECKING:
    from pellucid.search import Answer, Engine
    from pellucid.store import Model

LARGEST_BODY = 1 << 20  # bytes
THREADS = 2 * (os.cpu_count() or 2)  # requests worked on at once; more would only take the cores from each other
MOST_ITEMS = 1000  # of a history that is sent
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # a link followed from a page of results does not tell the query
    "Cross-Origin-Opener-Policy": "same-origin",
}


class History(BaseModel):
    """What POST /recommend takes."""

    items: Annotated[list[str | int], Field(max_length=MOST_ITEMS)] = []
    k: Annotated[int, Field(ge=1, le=100)] = 10


def create_app(home: Path, *, on_start: Callable[[], None] | None = None) -> FastAPI:
    """The application of a state folder. It follows the folder's deployments while it runs."""
    followed, counters = FollowedModels(home), RequestCounters()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        followed.start()
        threadpool_limits(1)  # threads for sums as small as a request's would only wait, and sum in another order
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        sys.setswitchinterval(0.001)  # a request that waits for its turn waits a thousandth of a second, not five
        gc.freeze()  # what was loaded stays: it need not be looked through while requests wait
        if on_start is not None:
            on_start()
        yield
        followed.stop()

    app = FastAPI(
        title="Pellucid", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        description="Search and recommendations from open models, each of which leads to the package it comes from.",
    )  # fmt: skip

    @app.middleware("http")
    async def guarded(request: Request, call_next: Any) -> Response:
        begun = time.perf_counter()
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            response: Response = JSONResponse({"error": f"the body is larger than {LARGEST_BODY:,} bytes"}, 413)
        else:
            response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        route = request.scope.get("route")
        counters.add(getattr(route, "path", "other"), response.status_code, time.perf_counter() - begun)
        return response

    @app.exception_handler(PellucidError)
    async def refused(request: Request, error: PellucidError) -> Response:
        return pages.problem(request, 400, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        said = [f"{'.'.join(map(str, one['loc'][1:])) or 'the body'}: {one['msg']}" for one in error.errors()[:5]]
        return pages.problem(request, 422, "; ".join(said))  # not what was sent: it may be somebody's history

    @app.exception_handler(HTTPException)
    async def missing(request: Request, error: HTTPException) -> Response:
        return pages.problem(request, error.status_code, str(error.detail))

    feedback_routes.add(app, home, followed)
    app.mount("/assets", StaticFiles(directory=Path(__file__).parent / "assets"), name="assets")

    @app.get("/", include_in_schema=False)
    @app.get("/search", summary="Search the documents")
    def search(
        request: Request,
        q: Annotated[str, Query(description="words, phrases in quotes, -word, AND, OR, title:word")] = "",
        k: Annotated[int, Query(ge=1, le=100, description="results")] = 10,
        page: Annotated[int, Query(ge=1, le=100, description="which k of them")] = 1,
        rank: Annotated[
            str, Query(description="label-free; bm25f: words alone; default: the deployed ranker, else label-free")
        ] = "",
        format: Annotated[str, Query(description="json, csv, ris or html; default: by the Accept header")] = "",
    ) -> Any:
        """The best documents, with what each feature added to their scores. Filters are given as `f.NAME=VALUE`, as often as needed."""
        begun = time.perf_counter()
        engine = _need(followed, "search").engine
        assert engine is not None
        filters: dict[str, list[str]] = {}
        for name, value in request.query_params.multi_items():
            if name.startswith("f."):
                filters.setdefault(name[2:], []).append(value)
        ranker = followed.current.get("rank")
        learned = ranker.model if ranker is not None and not rank else None
        answer = _searched(engine, q, k, (page - 1) * k, filters, rank or "label-free", learned)
        took = time.perf_counter() - begun
        if format == "csv":
            return _file(result_formats.as_csv(answer), "text/csv", "results.csv")
        if format == "ris":
            return _file(result_formats.as_ris(answer), "application/x-research-info-systems", "results.ris")
        if format not in ("", "html", "json"):
            raise HTTPException(400, f'there is no format "{format:.40}": it is json, csv, ris or html')
        if format == "html" or (not format and pages.wants_page(request)):
            shown = pages.Shown(answer, took, k, page, rank, filters, list(engine.text.facets), engine.count)
            return pages.search(request, followed, shown)
        return JSONResponse(result_formats.as_json(answer, took))

    @app.get("/suggest", summary="Complete the last word")
    def suggest(q: Annotated[str, Query(max_length=1000)] = "") -> dict[str, Any]:
        """The text with its last word completed, by words that many documents have."""
        engine = _need(followed, "search").engine
        assert engine is not None
        return {"query": q, "suggestions": engine.text.completions(q)}

    @app.get("/documents/{id:path}", summary="One document")
    def document(request: Request, id: str, format: str = "") -> Any:
        """All that the index keeps of a document, and what people who use it also use."""
        engine = _need(followed, "search").engine
        assert engine is not None
        found = engine.document(id)
        if found is None:
            raise HTTPException(404, f'there is no document "{id:.80}"')
        if format == "ris":
            return _file(result_formats.ris_record(found), "application/x-research-info-systems", "document.ris")
        if pages.wants_page(request):
            return pages.document(request, followed, found, _recommended(followed, [id], 5)[0])
        return found

    @app.get("/recommend", summary="Recommendations for a history")
    def recommend_for(request: Request, items: str = "", k: Annotated[int, Query(ge=1, le=100)] = 10) -> Any:
        """What the open model recommends to somebody with these items (divided by commas)."""
        history = [item.strip() for item in items.split(",") if item.strip()]
        if len(history) > MOST_ITEMS:
            raise HTTPException(400, f"at most {MOST_ITEMS:,} items")
        told = _recommendations(followed, history, k)
        return pages.recommendations(request, followed, told, history) if pages.wants_page(request) else told

    @app.post("/recommend", summary="Recommendations for a history that is not to stand in an address")
    def recommend_posted(history: History) -> dict[str, Any]:
        """The same as GET, for clients that hold a history. It is not kept."""
        return _recommendations(followed, [str(item) for item in history.items], history.k)

    @app.get("/models", summary="The open models that are served")
    def models(request: Request) -> Any:
        """Each alias with its run, digest and version, and what was refused."""
        told = [_told(followed, alias) for alias in sorted(followed.current)]
        refused = _refused(followed)
        return (
            pages.models(request, followed, told, refused) if pages.wants_page(request) else {"models": told, "refused": refused}
        )

    @app.get("/models/{alias}", summary="One served model")
    def model(request: Request, alias: str) -> Any:
        """The model's settings and size, the releases it descends from with their guarantees, and its package."""
        served = _need(followed, alias, 404)
        guarantees = guarantees_behind(home, served.deployment.run, served.deployment.output)
        told = {
            **_told(followed, alias),
            "settings": dict(served.model.settings),
            "arrays": {name: [str(array.dtype), list(array.shape)] for name, array in sorted(served.model.arrays.items())},
            "guarantees": [{"release": one.step, **one.values} for one in guarantees],
        }
        return pages.model(request, followed, told) if pages.wants_page(request) else told

    @app.get("/models/recommend/browser", summary="The recommender for scoring in a browser")
    def for_browser(request: Request) -> Response:
        """The recommender, quantised (see docs/search.md), so that a history need not leave the device. Cached by its digest."""
        served = _need(followed, "recommend")
        tag = f'"{served.deployment.digest}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        search_model = followed.current.get("search")
        titles = search_model.engine.title_of if search_model and search_model.engine else None
        held = browser_model.packed(served.model, titles, served.deployment.digest)
        return Response(held, media_type="application/octet-stream", headers={"ETag": tag, "Cache-Control": "no-cache"})

    @app.get("/packages/{alias}/{path:path}", include_in_schema=False)
    def package_file(alias: str, path: str) -> Response:
        served = _need(followed, alias, 404)
        return pages.package_file(served.deployment.package, path)

    @app.get("/about", include_in_schema=False)
    def about(request: Request) -> Response:
        return pages.about(request, followed)

    @app.get("/health", summary="Whether the service answers, and with what")
    def health() -> dict[str, Any]:
        """The version served of each alias; what was refused, and why."""
        return {
            "status": "ok",
            "models": {alias: served.deployment.version for alias, served in sorted(followed.current.items())},
            "refused": _refused(followed),
            **({"trouble": followed.trouble} if followed.trouble else {}),
        }

    @app.get("/metrics", summary="Counters, in the text form of Prometheus")
    def metrics() -> PlainTextResponse:
        """Requests by route and status, and how long they took; nothing about what was asked or by whom."""
        versions = {alias: served.deployment.version for alias, served in followed.current.items()}
        return PlainTextResponse(counters.text(versions), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.state.followed = followed
    return app


def _need(followed: FollowedModels, alias: str, missing: int = 503) -> Served:
    """What is served as an alias; an answer of status `missing` where nothing is."""
    served = followed.current.get(alias)
    if served is None:
        why = followed.refused.get(alias, (0, ""))[1]
        said = f'no model is served as "{alias:.40}"'
        raise HTTPException(missing, f"{said}: {why}" if why else said)
    return served


def _searched(
    engine: Engine, q: str, k: int, offset: int, filters: dict[str, list[str]], rank: str, learned: Model | None
) -> Answer:
    """The engine's answer; by the label-free ranking, and saying so, where the learned one is for documents that are gone."""
    if learned is not None and learned.kind == "feedback-ranking":
        try:
            engine.by_clicks(learned)
        except DataError:
            found = engine.search(q, k, offset, filters, rank)
            return replace(found, notes=(*found.notes, "the deployed ranking is for other documents: this is the label-free one"))
    return engine.search(q, k, offset, filters, rank, learned)


def _refused(followed: FollowedModels) -> dict[str, dict[str, Any]]:
    return {alias: {"version": version, "why": why} for alias, (version, why) in followed.refused.items()}


def _told(followed: FollowedModels, alias: str) -> dict[str, Any]:
    served = followed.current[alias]
    told = served.deployment.to_json()
    if served.deployment.package:
        told["package"] = f"/packages/{alias}/"
    return {**told, "kind": served.model.kind, "canaries_answered": served.answered}


def _recommended(followed: FollowedModels, history: list[str], k: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The results, and the items that the model does not know."""
    served = followed.current.get("recommend")
    if served is None:
        return [], history
    known = {str(item): item for item in served.model.arrays["items"].tolist()}
    search_model = followed.current.get("search")
    engine = search_model.engine if search_model else None
    results = []
    for item, score in recommend(served.model, [known[item] for item in history if item in known], k):
        title = engine.title_of(str(item)) if engine else None
        results.append({"id": str(item), "title": title or str(item), "score": score})
    return results, [item for item in history if item not in known]


def _recommendations(followed: FollowedModels, history: list[str], k: int) -> dict[str, Any]:
    deployment = _need(followed, "recommend").deployment
    results, unknown = _recommended(followed, history, k)
    told = _told(followed, "recommend")
    model = {"name": deployment.output, "version": deployment.version, "digest": deployment.digest, "package": told["package"]}
    return {"results": results, "model": model, **({"unknown": unknown} if unknown else {})}


def _file(text: str, media: str, name: str) -> Response:
    return Response(text, media_type=f"{media}; charset=utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'})
