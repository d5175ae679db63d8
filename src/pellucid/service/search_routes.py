"""Routes of the search and the recommendations. JSON for programs, pages for people, by the Accept header or `format=`."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse

from pellucid.errors import DataError
from pellucid.service import duels, pages, result_formats
from pellucid.service.followed_models import FollowedModels, Served, need
from pellucid.service.page_templates import wants_page
from pellucid.service.recommendations import MOST_ITEMS, History, recommendations, recommended

if TYPE_CHECKING:
    from pellucid.search import Answer, Engine
    from pellucid.store import Model


def add(app: FastAPI, followed: FollowedModels) -> None:
    """Add the routes to the application."""

    @app.get("/", include_in_schema=False)
    def first_page(request: Request) -> Any:
        if "search" not in followed.current:
            return RedirectResponse("/overview", 303)
        return search(request)

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
        duel: Annotated[str, Query(description="the id of the open duel, to take part: both rankings in one list")] = "",
    ) -> Any:
        """The best documents, with what each feature added to their scores. Filters are `f.NAME=VALUE`, as often as needed; of years also
        `year.from` and `year.to`."""
        begun = time.perf_counter()
        filters: dict[str, list[str]] = {}
        for name, value in request.query_params.multi_items():
            if name.startswith("f."):
                filters.setdefault(name[2:], []).append(value)
        first, last = (request.query_params.get(f"year.{end}", "").strip() for end in ("from", "to"))
        if first or last:
            filters.setdefault("year", []).append(f"{first}-{last}")
        ranker = followed.current.get("rank")
        learned = ranker.model if ranker is not None and not rank else None

        work, offset = followed.duel, (page - 1) * k
        seed = work.seed_of(duel) if work is not None and q.strip() and not rank and offset + k <= duels.DEEPEST else None

        def question(served: Served) -> tuple[tuple[Answer, Engine, duels.Taking | None], bool]:
            assert served.engine is not None
            engine, taking = served.engine, None
            if work is not None and seed is not None:
                found, taking = duels.interleaved(
                    work,
                    seed,
                    k,
                    offset,
                    lambda model: _searched(engine, q, offset + k, 0, filters, "label-free", model),
                    learned,
                )
            else:
                found = _searched(engine, q, k, offset, filters, rank or "label-free", learned)
            return (found, engine, taking), not found.hits

        answer, engine, taking = followed.ask("search", question)
        took = time.perf_counter() - begun
        if format == "csv":
            return _file(result_formats.as_csv(answer), "text/csv", "results.csv")
        if format == "ris":
            return _file(result_formats.as_ris(answer), "application/x-research-info-systems", "results.ris")
        if format not in ("", "html", "json"):
            raise HTTPException(400, f'there is no format "{format:.40}": it is json, csv, ris or html')
        if format == "html" or (not format and wants_page(request)):
            shown = pages.Shown(
                answer, took, k, page, rank, filters, list(engine.text.facets), engine.count, taking, bool(engine.text.years)
            )
            return pages.search(request, followed, shown)
        told = result_formats.as_json(answer, took)
        if taking is not None:
            told["duel"] = {"id": taking.id, "mark": taking.mark, "picked": list(taking.picked)}
        return JSONResponse(told)

    @app.get("/suggest", summary="Complete the last word")
    def suggest(q: Annotated[str, Query(max_length=1000)] = "") -> dict[str, Any]:
        """The text with its last word completed, by words that many documents have."""
        engine = need(followed, "search").engine
        assert engine is not None
        return {"query": q, "suggestions": engine.text.completions(q)}

    @app.get("/documents/{id:path}", summary="One document")
    def document(request: Request, id: str, format: str = "") -> Any:
        """All that the index keeps of a document, and what people who use it also use."""
        engine = need(followed, "search").engine
        assert engine is not None
        found = engine.document(id)
        if found is None:
            raise HTTPException(404, f'there is no document "{id:.80}"')
        if format == "ris":
            return _file(result_formats.ris_record(found), "application/x-research-info-systems", "document.ris")
        if wants_page(request):
            recommender = followed.current.get("recommend")
            related = recommended(followed, recommender, History(items=[id], k=5))[0] if recommender is not None else []
            return pages.document(request, followed, found, related)
        return found

    @app.get("/recommend", summary="Recommendations for a history")
    def recommend_for(
        request: Request,
        items: str = "",
        k: Annotated[int, Query(ge=1, le=100)] = 10,
        without: Annotated[str, Query(description="items that are not to be shown")] = "",
        only: Annotated[str | None, Query(description="the items that may be shown; default: all")] = None,
        diversity: Annotated[
            float, Query(ge=0, le=1, description="how much likeness to what stands above counts against an item")
        ] = 0.0,
        half_life: Annotated[
            float | None, Query(gt=0, le=1e6, description="days in which the relevance of a document halves")
        ] = None,
    ) -> Any:
        """What the open model recommends to somebody with these items (divided by commas), and its basis: history or popularity."""
        lists = [_listed(text) for text in (items, without, only or "")]
        if any(len(one) > MOST_ITEMS for one in lists):
            raise HTTPException(400, f"at most {MOST_ITEMS:,} items")
        asked = History(
            items=[*lists[0]],
            k=k,
            without=[*lists[1]],
            only=None if only is None else [*lists[2]],
            diversity=diversity,
            half_life=half_life,
        )
        told = recommendations(followed, asked)
        return pages.recommendations(request, followed, told, asked.history) if wants_page(request) else told

    @app.post("/recommend", summary="Recommendations for a history that is not to stand in an address")
    def recommend_posted(history: History) -> dict[str, Any]:
        """The same as GET, for clients that hold a history. It is not kept."""
        return recommendations(followed, history)


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


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


def _file(text: str, media: str, name: str) -> Response:
    return Response(text, media_type=f"{media}; charset=utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'})
