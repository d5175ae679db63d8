"""Saved views: a page with all its filters under a short name, /views/NAME, each reader's own. No script is needed."""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from pellucid.errors import UsageError
from pellucid.service.access import actor_of, form_of
from pellucid.service.dashboard.answers import answer, when
from pellucid.store import connect, transaction

DDL = """
CREATE TABLE IF NOT EXISTS views (
    user TEXT NOT NULL, name TEXT NOT NULL, address TEXT NOT NULL, made REAL NOT NULL, PRIMARY KEY (user, name)
) STRICT, WITHOUT ROWID;
"""
MOST = 200  # of one reader
LONGEST = 16_000  # characters of an address: 500 runs compared
PAGES = ("runs", "compare", "pipelines", "data", "ledger", "schedules", "registry", "packages", "attacks")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def add(app: FastAPI, home: Path) -> None:
    """Add the routes to the application."""

    def rows(user: str) -> list[sqlite3.Row]:
        db = connect(home, DDL)
        try:
            return db.execute("SELECT name, address, made FROM views WHERE user = ? ORDER BY name", (user,)).fetchall()
        finally:
            db.close()

    @app.get("/views", summary="Your saved views")
    def views(request: Request) -> Any:
        """The pages that you saved, by name."""
        told = [dict(row) for row in rows(actor_of(request).name)]
        return answer(request, "views.html", {"views": told}, table=told, when=when)

    @app.get("/views/{name}", summary="One saved view")
    def one_view(request: Request, name: str) -> Response:
        """Leads to the page as it was saved."""
        found = next((row["address"] for row in rows(actor_of(request).name) if row["name"] == name), None)
        if found is None:
            raise HTTPException(404, f'you saved no view "{name:.80}"')
        return RedirectResponse(found, 303)

    @app.post("/views", include_in_schema=False)
    def save(request: Request) -> Response:
        form, user = form_of(request), actor_of(request).name
        name, address = form.get("name", "").strip(), form.get("address", "")
        db = connect(home, DDL)
        try:
            with transaction(db):
                if form.get("do") == "remove":
                    db.execute("DELETE FROM views WHERE user = ? AND name = ?", (user, name))
                else:
                    _check(name, address)
                    (count,) = db.execute("SELECT count(*) FROM views WHERE user = ? AND name != ?", (user, name)).fetchone()
                    if count >= MOST:
                        raise UsageError(f"you have {MOST} views", fix="Remove one first")
                    db.execute("INSERT OR REPLACE INTO views VALUES (?, ?, ?, ?)", (user, name, address, time.time()))
        finally:
            db.close()
        return RedirectResponse("/views", 303)


def _check(name: str, address: str) -> None:
    """Raise UsageError for what is no name, or leads elsewhere than to a page of ours with its filters."""
    if not _NAME.fullmatch(name):
        raise UsageError(f'"{name:.70}" cannot name a view', fix="Use letters, digits, - _ and . (at most 64)")
    parts = urlsplit(address)
    ours = parts.path.strip("/").partition("/")[0] in PAGES and address.startswith("/") and not address.startswith("//")
    if not ours or parts.netloc or parts.scheme or "\\" in address or not (address.isascii() and address.isprintable()):
        raise UsageError("this is no page that can be saved", fix=f"Save one of {', '.join(PAGES)}")
    if len(address) > LONGEST:
        raise UsageError("its address is too long to be saved", fix="Compare fewer runs")
