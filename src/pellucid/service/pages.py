"""The pages: rendered on the server with Jinja2, complete without JavaScript. Everything that is shown as text is escaped."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from pellucid.search import DATES, DEEPEST_PAGE, Answer
from pellucid.service import browser_model, click_reports, result_formats
from pellucid.service.access import actor_of, form_token
from pellucid.service.page_templates import templates, wants_page

if TYPE_CHECKING:
    import jinja2

    from pellucid.service.duels import Taking
    from pellucid.service.followed_models import FollowedModels

FACET_VALUES = 8  # shown at once; the others behind "more"
PACKAGE_HEADERS = {"Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:"}
_PARTS = {
    "words": "its words",
    "meaning": "its meaning",
    "title": "its title",
    "near": "words near each other",
    "neighbours": "documents like it",
    "learned:sum": "judgements: the sum",
    "learned:words": "judgements: its words",
    "learned:meaning": "judgements: its meaning",
    "learned:title": "judgements: its title",
    "learned:near": "judgements: words near each other",
    "learned:neighbours": "judgements: documents like it",
    "learned:plain_words": "judgements: the query as asked",
    "learned:coverage": "judgements: how many of the words",
    "learned:length": "judgements: its length",
}


@dataclass(frozen=True)
class Shown:
    """An answer and what was asked: results a page, page, ranking, filters; the index's facets and number of documents."""

    answer: Answer
    took: float
    k: int
    page: int
    rank: str
    filters: Mapping[str, Sequence[str]]
    facets: Sequence[str]
    count: int
    duel: Taking | None = None
    years: bool = False

    def link(self, path: str = "/search", **changed: Any) -> str:
        """The address of this state with some of it changed; what is as by default is left out."""
        asked = {"q": self.answer.query, "page": self.page, "k": self.k, "rank": self.rank, "format": "", **changed}
        if self.duel is not None and asked["q"] == self.answer.query:
            asked["duel"] = self.duel.mark
        filters = asked.pop("filters", self.filters)
        usual = {"q": "", "page": 1, "k": 10, "rank": "", "format": "", "duel": ""}
        pairs = [(name, value) for name, value in asked.items() if value != usual[name]]
        pairs += [(f"f.{name}", value) for name in sorted(filters) for value in filters[name]]
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def without(self, name: str, value: str) -> str:
        """The address without one filter."""
        left = {one: [held for held in values if (one, held) != (name, value)] for one, values in self.filters.items()}
        return self.link(filters={one: values for one, values in left.items() if values}, page=1)

    def with_(self, name: str, value: str) -> str:
        """The address with one filter more."""
        return self.link(filters={**self.filters, name: [*self.filters.get(name, []), value]}, page=1)

    @property
    def fields(self) -> list[tuple[str, str]]:
        """This state but for its years and its page, as the fields of a form."""
        left = self.link(page=1, filters={name: values for name, values in self.filters.items() if name != "year"})
        return parse_qsl(left.partition("?")[2])

    @property
    def first(self) -> int:
        """The number of the first result on the page."""
        return (self.page - 1) * self.k + 1

    @property
    def pages(self) -> int:
        """How many pages can be turned to."""
        return max(1, -(-min(self.answer.total, DEEPEST_PAGE) // self.k))


def search(request: Request, followed: FollowedModels, shown: Shown) -> Response:
    """The page of results; without a query the beginning of the documents."""
    return _page(request, "search.html", followed, shown=shown, answer=shown.answer)


def document(
    request: Request, followed: FollowedModels, found: Mapping[str, str], related: Sequence[Mapping[str, Any]]
) -> Response:
    """All of one document."""
    return _page(request, "document.html", followed, document=found, related=related)


def recommendations(request: Request, followed: FollowedModels, told: Mapping[str, Any], history: Sequence[str]) -> Response:
    """What is recommended for a history that stands in the address."""
    engine = followed.current["search"].engine if "search" in followed.current else None
    titles = [(item, (engine.title_of(item) if engine else None) or item) for item in history]
    return _page(request, "recommend.html", followed, told=told, history=titles)


def models(request: Request, followed: FollowedModels, told: Sequence[Mapping[str, Any]], refused: Mapping[str, Any]) -> Response:
    """The served models."""
    return _page(request, "models.html", followed, models=told, refused=refused)


def model(request: Request, followed: FollowedModels, told: Mapping[str, Any]) -> Response:
    """One served model, its guarantees and its package."""
    return _page(request, "model.html", followed, model=told)


def about(request: Request, followed: FollowedModels) -> Response:
    """What the service knows and keeps, how to search, the keys."""
    return _page(request, "about.html", followed)


def problem(request: Request, status: int, why: str) -> Response:
    """An error as a page or as JSON."""
    if wants_page(request):
        return HTMLResponse(
            environment()
            .get_template("problem.html")
            .render(
                status=status,
                why=why,
                query="",
                personal=False,
                feedback="",
                duel="",
                actor=actor_of(request),
                token=form_token(request),
                here="",
            ),
            status,
        )
    return JSONResponse({"error": why}, status)


def package_file(package: str, path: str) -> Response:
    """A file of a published package. Its pages are strangers' work: they run nothing and reach nothing."""
    if not package:
        raise HTTPException(404, "this model was deployed without a package")
    folder = Path(package).resolve()
    place = folder / (path or "ro-crate-preview.html")
    resolved = place.resolve()
    if not resolved.is_relative_to(folder) or not resolved.is_file() or place.is_symlink():
        raise HTTPException(404, "the package has no such file")
    media = mimetypes.guess_type(resolved.name)[0] or "application/octet-stream"
    if not media.startswith(("text/", "image/", "application/json")):
        media = "application/octet-stream"
    return FileResponse(resolved, media_type="text/plain" if resolved.suffix == ".md" else media, headers=PACKAGE_HEADERS)


def _page(request: Request, template: str, followed: FollowedModels, **values: Any) -> Response:
    recommender = followed.current.get("recommend")
    personal = recommender is not None and browser_model.can_be_scored(recommender.model)
    query = values["answer"].query if "answer" in values else ""
    ranking = followed.current.get("rank")
    feedback = click_reports.collection_for(ranking).id.hex() if ranking is not None and ranking.learns else ""
    about = {
        "query": query,
        "personal": personal,
        "feedback": feedback,
        "duel": followed.duel.id if followed.duel is not None else "",
        "actor": actor_of(request),
        "token": form_token(request),
        "here": "",
    }
    return HTMLResponse(environment().get_template(template).render(**about, **values))


@cache
def environment() -> jinja2.Environment:
    """The templates, with what the pages of the search use in them."""
    found = templates()
    found.globals |= {
        "parts": _PARTS,
        "document_link": document_link,
        "link_of": _link_of,
        "about_hit": _about_hit,
        "source_of": _source_of,
        "facet_values": FACET_VALUES,
    }
    found.filters |= {"marked": _marked}
    return found


def _marked(text: str, marks: Sequence[tuple[int, int]]) -> Any:
    """Text with the words that matched in `<mark>`, everything else escaped."""
    from markupsafe import Markup, escape

    parts, at = [], 0
    for begin, end in sorted(marks):
        if begin >= at:
            parts += [escape(text[at:begin]), Markup("<mark>"), escape(text[begin:end]), Markup("</mark>")]
            at = end
    return Markup("").join([*parts, escape(text[at:])])


def _link_of(id: str, columns: Mapping[str, str]) -> str:
    """Where a result's title leads: the document's own address where it has one on the web, else its page here."""
    for name in result_formats.LINKS:
        if urlsplit(columns.get(name, "")).scheme in ("http", "https"):
            return columns[name]
    return document_link(id)


def document_link(id: str) -> str:
    """The address of a document's page."""
    return f"/documents/{quote(id, safe='')}"


def _source_of(columns: Mapping[str, str]) -> str:
    """Where a result is from, as the index keeps it."""
    return next((columns[name] for name in result_formats.SOURCES if columns.get(name)), "")


def _about_hit(columns: Mapping[str, str]) -> list[str]:
    """Author, source, date and licence of a result, as far as the index keeps them."""
    kinds = (result_formats.AUTHORS, result_formats.SOURCES, DATES, result_formats.LICENCES)
    return [
        next(columns[name] for name in names if columns.get(name)) for names in kinds if any(columns.get(name) for name in names)
    ]
