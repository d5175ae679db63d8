"""The guard before every route: who asks, whether they may, and whether a form was sent by one of our own pages.

On this machine (the service bound to loopback, asked by a loopback name, through no proxy) whoever asks is `local`, an operator. Anywhere
else they are `public` until they sign in or show a token. A page of another site cannot act for somebody who is signed in or local: what
changes something needs the token that our own forms carry, and comes from our own pages.
"""

from __future__ import annotations

import hmac
import math
import secrets
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pellucid.errors import UsageError
from pellucid.service.access.accounts import SESSION_SECONDS, Accounts, WrongPasswordError
from pellucid.service.access.audit_log import AuditLog
from pellucid.service.access.roles import ACCESS, Actor
from pellucid.service.access.single_sign_on import SingleSignOn, provider_of
from pellucid.service.page_templates import templates, wants_page, without_place

COOKIE, PROVIDER_COOKIE = "pellucid_session", "pellucid_provider"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
SAFE = ("GET", "HEAD", "OPTIONS")
NO_FORMS = ("/recommend", "/feedback", "/duel", "/models/{alias}/predict")  # what anybody may post: it changes nothing
MOST_FIELDS = 100


class SignInFirst(Exception):
    """Somebody unknown asks for a page that is not public."""


def add(app: FastAPI, home: Path, *, loopback: bool) -> None:
    """Give the application its guard's state and the routes to sign in and out. `guarded` is its dependency for every route."""
    app.state.accounts, app.state.audit = Accounts(home), AuditLog(home)
    sign_on = SingleSignOn(home)
    app.state.loopback, app.state.form_token = loopback, secrets.token_urlsafe(24)

    @app.exception_handler(SignInFirst)
    async def sign_in_first(request: Request, _: SignInFirst) -> Response:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(asked, safe='')}", 303)

    @app.get("/sign-in", include_in_schema=False)
    def sign_in_page(request: Request) -> Response:
        return _page(request, "", 200)

    @app.post("/sign-in", include_in_schema=False)
    def sign_in(request: Request) -> Response:
        form = form_of(request)
        name = form.get("name", "")[:100]
        try:
            secret = app.state.accounts.sign_in(name, form.get("password", "")[:1000])
        except WrongPasswordError as error:
            app.state.audit.add(name if any(one.name == name for one in app.state.accounts.all()) else "", "wrong password")
            if error.wait:
                return _page(request, str(error), 429, {"Retry-After": f"{math.ceil(error.wait)}"})
            return _page(request, str(error), 401)
        app.state.audit.add(name, "signed in")
        response = RedirectResponse(_inside(form.get("next", "")), 303)
        _set_cookie(request, response, COOKIE, secret, int(SESSION_SECONDS), "strict")
        return response

    @app.get("/sign-in/provider", include_in_schema=False)
    def to_provider(request: Request) -> Response:
        address, browser = sign_on.begin(_back(request), _inside(request.query_params.get("next", "")))
        response = RedirectResponse(address, 303)
        _set_cookie(request, response, PROVIDER_COOKIE, browser, 600, "lax")  # it comes back from another site
        return response

    @app.get("/sign-in/back", include_in_schema=False)
    def from_provider(request: Request) -> Response:
        try:
            name, role, there = sign_on.finish(
                _back(request), dict(request.query_params), request.cookies.get(PROVIDER_COOKIE, "")
            )
            secret = app.state.accounts.sign_in_known(name, role)
        except UsageError as error:
            app.state.audit.add("", "refused by provider")
            return _page(request, without_place(error), 400)
        app.state.audit.add(name, "signed in")
        # no redirect: one that began at another site would not send the cookie along
        response = HTMLResponse(templates().get_template("dashboard/signed-in.html").render(next=there))
        _set_cookie(request, response, COOKIE, secret, int(SESSION_SECONDS), "strict")
        response.delete_cookie(PROVIDER_COOKIE)
        return response

    @app.post("/sign-out", include_in_schema=False)
    def sign_out(request: Request) -> Response:
        if secret := request.cookies.get(COOKIE):
            app.state.accounts.sign_out(secret)
            app.state.audit.add(actor_of(request).name, "signed out")
        response = RedirectResponse("/", 303)
        response.delete_cookie(COOKIE)
        return response


async def guarded(request: Request) -> None:
    """The dependency of every route. Raises HTTPException or SignInFirst where it is not to be answered."""
    least = ACCESS.get((request.method, request.scope["route"].path))
    actor = actor_of(request)
    if least is None:
        raise HTTPException(403, "nobody may ask this")
    if not actor.may(least):
        if actor.name:
            raise HTTPException(403, f"this is for the role {least}; you are {actor.role}")
        if "text/html" in request.headers.get("accept", "") and request.method in SAFE:
            raise SignInFirst
        raise HTTPException(401, f"this is for the role {least}: sign in, or send a token", {"WWW-Authenticate": "Bearer"})
    if request.method not in SAFE and request.scope["route"].path not in NO_FORMS:
        await _from_our_pages(request, actor)


async def _from_our_pages(request: Request, actor: Actor) -> None:
    """Refuse a form that another site sent, and keep the fields of one that is ours."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise HTTPException(403, "this was sent by a page of another site")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "this was sent by a page of another site")
    pairs = parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True)[:MOST_FIELDS]
    request.state.form = dict(pairs)
    by_browser = origin is not None or "sec-fetch-site" in request.headers or COOKIE in request.cookies
    if by_browser and not hmac.compare_digest(request.state.form.get("token", "").encode(), form_token(request).encode()):
        raise HTTPException(403, "this form is too old or not ours: load its page again")


def form_of(request: Request) -> dict[str, str]:
    """The fields of a form that the guard has let through."""
    return getattr(request.state, "form", {})


def form_token(request: Request) -> str:
    """What our forms carry: the session's, or this process's where nobody is signed in."""
    return actor_of(request).session or str(request.app.state.form_token)


def actor_of(request: Request) -> Actor:
    """Who asks."""
    found = getattr(request.state, "actor", None)
    if found is None:
        found = request.state.actor = _actor(request)
    return found


def _actor(request: Request) -> Actor:
    accounts: Accounts = request.app.state.accounts
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return accounts.by_token(token.strip()) or Actor()  # a wrong token is nobody, also here
    if secret := request.cookies.get(COOKIE):
        signed_in = accounts.by_session(secret)
        if signed_in is not None:
            return signed_in
    return Actor("local", "operator") if _local(request) else Actor()


def _local(request: Request) -> bool:
    """Whether it comes from this machine, and not from a page or a proxy that only says so."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    return bool(request.app.state.loopback) and host in LOOPBACK and not any(name in request.headers for name in FORWARDED)


def _set_cookie(
    request: Request, response: Response, name: str, value: str, seconds: int, site: Literal["lax", "strict"]
) -> None:
    response.set_cookie(name, value, max_age=seconds, httponly=True, samesite=site, secure=request.url.scheme == "https")


def _back(request: Request) -> str:
    """Our own address that the provider sends people back to."""
    return str(request.url.replace(path="/sign-in/back", query=""))


def _inside(address: str) -> str:
    """An address on this service: what leads elsewhere is not followed."""
    parts = urlsplit(address)
    fits = (
        address.startswith("/") and not address.startswith("//") and "\\" not in address and not parts.netloc and not parts.scheme
    )
    return address if fits and address.isprintable() else "/"


def _page(request: Request, said: str, status: int, headers: dict[str, str] | None = None) -> Response:
    asked = form_of(request).get("next") or request.query_params.get("next", "")
    if not wants_page(request) and said:
        raise HTTPException(status, said, headers)
    there = bool(request.app.state.accounts.all())
    try:
        provider = provider_of(request.app.state.accounts.home)
    except UsageError:  # whoever follows its link is told; passwords work all the same
        provider = None
    shown = {
        "said": said,
        "provider": urlsplit(provider.issuer).netloc if provider is not None else "",
        "next": _inside(asked),
        "there": there,
        "token": form_token(request),
        "actor": actor_of(request),
        "here": "",
    }
    page = templates().get_template("dashboard/sign-in.html")
    return HTMLResponse(page.render(query="", personal=False, feedback="", duel="", **shown), status, headers)
