"""Search results as files: CSV (RFC 4180), JSON as the API gives it, and RIS for reference managers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from pellucid.search import DATES, Answer

LINKS = ("url", "link", "href")
LICENCES = ("licence", "license", "rights")
SOURCES = ("source", "journal", "publisher", "site")
AUTHORS = ("author", "authors", "creator")


def as_json(answer: Answer, took: float) -> dict[str, Any]:
    """The API's answer; `took` in seconds."""
    told: dict[str, Any] = {
        "query": answer.query,
        "total": answer.total,
        "took_ms": round(took * 1000, 3),
        "results": [
            {
                "id": hit.id, "title": hit.title, "score": hit.score, "snippet": hit.snippet.text,
                "highlights": [list(mark) for mark in hit.snippet.marks], "why": dict(hit.why),
                **({"columns": dict(hit.columns)} if hit.columns else {}),
            }
            for hit in answer.hits
        ],
    }  # fmt: skip
    if answer.facets:
        told["facets"] = {
            name: [{"value": value, "count": count} for value, count in found] for name, found in answer.facets.items()
        }
    if answer.notes:
        told["notes"] = list(answer.notes)
    if answer.did_you_mean:
        told["did_you_mean"] = answer.did_you_mean
    return told


def as_csv(answer: Answer) -> str:
    """One row a result: rank, id, title, score, snippet and the index's own columns."""
    names = sorted({name for hit in answer.hits for name in hit.columns})
    held = io.StringIO()
    writer = csv.writer(held)
    writer.writerow(["rank", "id", "title", "score", "snippet", *names])
    for rank, hit in enumerate(answer.hits, 1):
        row = [hit.id, hit.title, hit.snippet.text, *(hit.columns.get(name, "") for name in names)]
        shown = [_no_formula(cell) for cell in row]
        writer.writerow([rank, shown[0], shown[1], hit.score, *shown[2:]])
    return held.getvalue()


def as_ris(answer: Answer) -> str:
    """One RIS record a result."""
    return "".join(ris_record({"id": hit.id, "title": hit.title, **hit.columns}) for hit in answer.hits)


def ris_record(document: Mapping[str, str]) -> str:
    """One document as a RIS record."""
    lines = ["TY  - GEN", f"ID  - {document['id']}", f"TI  - {document.get('title') or document['id']}"]
    for tag, names in (("AU", AUTHORS), ("DA", DATES), ("JO", SOURCES), ("UR", LINKS), ("C1", LICENCES)):
        lines += [f"{tag}  - {document[name]}" for name in names if document.get(name)][:1]
    return "\r\n".join([*lines, "ER  - ", "", ""])


def _no_formula(cell: str) -> str:
    """A cell that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV injection)."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
