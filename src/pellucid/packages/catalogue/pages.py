"""The pages for people: an index that searches without a server, and one page each for a package, a data set, a model.

What strangers wrote is escaped by the template engine; JSON inside of a page has no character that could end its element. A policy in
each page lets the browser run the one script of the index and load nothing from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pellucid.packages.catalogue import templates
from pellucid.packages.catalogue.entries import MODEL, WORDS, Record, Shelf, Site
from pellucid.packages.catalogue.machine_formats import schema_org
from pellucid.packages.standards import spdx

if TYPE_CHECKING:
    from pellucid.packages.receipts import ReceiptCounts


def index(site: Site, shelves: Sequence[Shelf]) -> bytes:
    """The first page: every record, newest first, and the search over them."""
    rows = [(record, shelf) for shelf in shelves for record in shelf.records]
    rows.sort(key=lambda row: row[0].id)
    rows.sort(key=lambda row: (row[0].date, row[0].kind == "package", row[1].package.id), reverse=True)
    found = [{"kind": record.kind, "text": searchable(record)} for record, _ in rows]
    return _page("index", site, 0, rows=rows, index=embedded(found), script=True, total=len(shelves))


def record(site: Site, shelf: Shelf, one: Record) -> bytes:
    """The page of a record."""
    described = None if one.kind == MODEL else embedded(schema_org(site, shelf, one))
    card = blocks(shelf.cards.get(one.id, "")) if one.kind == MODEL else []
    return _page(one.kind, site, 1, one=one, shelf=shelf, described=described, card=card)


def searchable(one: Record) -> str:
    """What the search looks through: compatible forms of letters taken apart, so that accents need not be typed."""
    words = [one.title, WORDS[one.kind], *(p.name for p in one.creators), *one.keywords, *one.licences, one.description]
    text = " ".join([*words, *(name for name, _ in one.columns), one.id, one.date])
    return "".join(c for c in unicodedata.normalize("NFKD", text).lower() if not unicodedata.combining(c))


def embedded(value: Any) -> str:
    """JSON for the inside of a script element: nothing in it can end the element or begin another."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, sort_keys=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def blocks(card: str) -> list[tuple[str, str]]:
    """A card's headings, points and paragraphs as (element, text); any other markup stays text."""
    found = []
    for line in card.splitlines():
        match = re.fullmatch(r"(#{1,3} |- )?(.*)", line)
        if match and match[2].strip():
            element = {"# ": "h2", "## ": "h3", "### ": "h4", "- ": "li"}.get(match[1] or "", "p")
            found.append((element, match[2].replace("`", "").strip()))
    return found


def _page(name: str, site: Site, depth: int, **values: Any) -> bytes:
    from markupsafe import Markup

    style, script = Markup(templates.STYLE), Markup(templates.SCRIPT)
    up = "../" * depth
    known = {
        "site": site,
        "up": up,
        "style": style,
        "script": False,
        "policy": _policy(templates.STYLE, templates.SCRIPT if values.get("script") else ""),
        "program": script,
        "words": WORDS,
        **{key: Markup(text) if key in ("index", "described") and text else text for key, text in values.items()},
    }
    return (str(_environment().get_template(name).render(known)) + "\n").encode()


def _policy(style: str, script: str) -> str:
    parts = [
        "default-src 'none'",
        f"style-src {_allowed(style)}",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join([*parts, f"script-src {_allowed(script)}"] if script else parts)


def _allowed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def again(tally: ReceiptCounts) -> str:
    """How many others came to the same result, in words."""
    others = len(tally.counted) - tally.confirmed - tally.within
    said = (
        f"re-run by {tally.confirmed} others with the same result"
        if tally.confirmed > 1
        else ("re-run by 1 other with the same result" if tally.confirmed else "no receipt of a re-run yet")
    )
    said += f"; {tally.within} within a tolerance of it" if tally.within else ""
    return f"{said}; {others} came to another" if others else said


@lru_cache(maxsize=1)
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.DictLoader(templates.TEMPLATES)
    )
    environment.globals |= {
        "again": again,
        "quoted": quote,
        "spdx": lambda licence: spdx(licence)[0],
        "roles": {"re-run": "anyone can re-run it", "given": "given: an open source or a release", "private": "private"},
    }
    return environment
