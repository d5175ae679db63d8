"""Routes of the served models: what each is, what it descends from, its package, and what it says to an item or a query."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from pellucid.models import estimators
from pellucid.registry import ALIASES, guarantees_behind
from pellucid.service import browser_model, pages, result_formats
from pellucid.service.followed_models import FollowedModels, Served, need, refused_of, told_of
from pellucid.service.page_templates import wants_page
from pellucid.service.recommendations import MOST_ITEMS, History, recommendations

MOST_ROWS = 10_000


class Question(BaseModel):
    """What POST /models/NAME/predict takes: `items` for a recommender, `query` for an index, `rows` for an estimator, which are numbers or
    words in the order of its features, or by their names."""

    rows: Annotated[list[list[float | str] | dict[str, float | str]] | None, Field(max_length=MOST_ROWS)] = None
    items: Annotated[list[str | int] | None, Field(max_length=MOST_ITEMS)] = None
    query: Annotated[str | None, Field(max_length=1000)] = None
    k: Annotated[int, Field(ge=1, le=100)] = 10


def add(app: FastAPI, home: Path, followed: FollowedModels) -> None:
    """Add the routes to the application."""

    @app.get("/models", summary="The open models that are served")
    def models(request: Request) -> Any:
        """Each alias with its run, digest and version, and what was refused."""
        told = [told_of(one) for _, one in sorted(followed.current.items())]
        refused = refused_of(followed)
        return pages.models(request, followed, told, refused) if wants_page(request) else {"models": told, "refused": refused}

    @app.get("/models/{alias}", summary="One served model")
    def model(request: Request, alias: str) -> Any:
        """The model's settings and size, the releases it descends from with their guarantees, and its package."""
        served = need(followed, alias, 404)
        guarantees = guarantees_behind(home, served.deployment.run, served.deployment.output)
        told = {
            **told_of(served),
            "settings": dict(served.model.settings),
            "arrays": {name: [str(array.dtype), list(array.shape)] for name, array in sorted(served.model.arrays.items())},
            "guarantees": [{"release": one.step, **one.values} for one in guarantees],
        }
        return pages.model(request, followed, told) if wants_page(request) else told

    @app.post("/models/{alias}/predict", summary="Ask a served model")
    def predict(alias: str, asked: Question) -> dict[str, Any]:
        """What the model behind an alias (or of that output's name) says: a recommender to `items`, an index to a `query`."""
        named = alias if alias in followed.current else _alias_of(followed, alias)
        served = need(followed, named, 404)
        if served.model.kind in ALIASES["recommend"]:
            if asked.items is None:
                raise HTTPException(422, "items: this is a recommender, give a history")
            return recommendations(followed, History(items=asked.items, k=asked.k), named)
        return followed.ask(named, lambda one: _answered(one, asked))

    @app.get("/models/recommend/browser", summary="The recommender for scoring in a browser")
    def for_browser(request: Request) -> Response:
        """The recommender, quantised (see docs/search.md), so that a history need not leave the device. Cached by its digest."""
        served = need(followed, "recommend")
        tag = f'"{served.deployment.digest}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        search_model = followed.current.get("search")
        titles = search_model.engine.title_of if search_model and search_model.engine else None
        held = browser_model.packed(served.model, titles, served.deployment.digest)
        return Response(held, media_type="application/octet-stream", headers={"ETag": tag, "Cache-Control": "no-cache"})

    @app.get("/packages/{alias}/{path:path}", include_in_schema=False)
    def package_file(alias: str, path: str) -> Response:
        served = need(followed, alias, 404)
        return pages.package_file(served.deployment.package, path)


def _answered(served: Served, asked: Question) -> tuple[dict[str, Any], bool]:
    """What an index or an estimator says, and whether that is nothing; 409 for a model that is asked nothing."""
    about = served.deployment
    model = {"name": about.output, "version": about.version, "digest": about.digest}
    if served.engine is not None:
        if asked.query is None:
            raise HTTPException(422, "query: this is a search index, give words")
        found = result_formats.as_json(served.engine.search(asked.query, asked.k), 0.0)["results"]
        return {"results": found, "model": model}, not found
    if served.model.kind not in estimators.KINDS:
        fix = f"Fetch it: pellucid get {about.run} {about.output}"
        raise HTTPException(409, f"a model of kind {served.model.kind:.40} is handed out and not asked here. {fix}")
    return {"predictions": _predicted(served, asked.rows), "model": model}, False


def _predicted(served: Served, rows: list[Any] | None) -> list[Any]:
    """What an estimator says to rows; 422 where they do not fit it."""
    if not rows:
        raise HTTPException(422, "rows: this is an estimator, give rows")
    features = served.model.settings.get("features")
    if any(isinstance(row, dict) for row in rows):
        if features is None:
            raise HTTPException(422, "rows: the model has no names for its features, give lists")
        wrong = next((row for row in rows if not isinstance(row, dict) or set(row) != set(features)), None)
        if wrong is not None:
            raise HTTPException(422, f"rows: each has exactly the features {', '.join(features)}"[:500])
        rows = [[row[name] for name in features] for row in rows]
    try:
        return list(estimators.predict(served.model, rows, estimator=served.estimator).tolist())
    except (ValueError, TypeError) as error:
        raise HTTPException(422, f"rows: they do not fit the model: {str(error).splitlines()[0]:.200}") from None


def _alias_of(followed: FollowedModels, output: str) -> str:
    """The first alias behind which a model of that output's name stands; the name itself where there is none."""
    return next((alias for alias, served in sorted(followed.current.items()) if served.deployment.output == output), output)
