"""Signing in with an OpenID Connect provider: the authorisation code flow with PKCE (RFC 7636), by authlib.

`sign-in.toml` in the state folder names the provider and who gets which role. What the provider says counts only with its signature, for
us, in time and with the nonce that we sent, and only for people who are in the list. Of what it says of them the one claim is kept.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pellucid.errors import UsageError, suggest
from pellucid.service.access.roles import ROLES

CONFIG_FILE = "sign-in.toml"
FIELDS = {"issuer": str, "client_id": str, "client_secret": str, "claim": str, "roles": dict}
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)  # none that the client's secret could forge
MINUTES = 10.0  # for signing in at the provider
MOST_WAITING = 1000
LEEWAY = 60  # seconds that clocks may differ
SECONDS = 15.0  # to wait for the provider


class RefusedError(UsageError):
    """Somebody whom the provider or the list does not let in."""


@dataclass(frozen=True)
class Provider:
    """`issuer`: its address; `claim`: what people are known by (default: email); `roles`: who has which."""

    issuer: str
    client_id: str
    roles: Mapping[str, str]
    client_secret: str = ""
    claim: str = "email"


@dataclass(frozen=True)
class _Waiting:
    """Somebody who was sent to the provider, by the state that comes back."""

    nonce: str
    verifier: str
    browser: str
    next: str
    until: float


def provider_of(home: Path) -> Provider | None:
    """The provider of a state folder; None where there is none. Raises UsageError for a file that cannot be used."""
    file = home / CONFIG_FILE
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError("it cannot be read", where=str(file), why=str(error), fix="Mend the file") from None
    for name, value in told.items():
        if name not in FIELDS:
            raise UsageError(f'there is no "{name}"', where=str(file), fix=suggest(name, FIELDS))
        if not isinstance(value, FIELDS[name]):
            raise UsageError(f"{name} cannot be {value!r:.40}", where=str(file))
    for name in ("issuer", "client_id", "roles"):
        if not told.get(name):
            raise UsageError(f"it does not say {name}", where=str(file), fix="See docs/dashboard.md")
    for who, role in told["roles"].items():
        if role not in ROLES[1:]:
            raise UsageError(f'{who} cannot be "{role}"', where=str(file), fix=f"Roles are {', '.join(ROLES[1:])}")
    issuer = urlsplit(told["issuer"])
    if issuer.scheme != "https" and issuer.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise UsageError("the issuer is not https", where=str(file), fix="Its answers could be anybody's")
    return Provider(**told)


class SingleSignOn:
    """The people on their way to and from the provider. Safe for several threads."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._waiting: dict[str, _Waiting] = {}
        self._lock = threading.Lock()
        self._metadata: tuple[str, float, dict[str, Any]] | None = None

    def begin(self, back: str, next: str) -> tuple[str, str]:
        """The provider's address to go to, and a secret that the browser keeps until it comes `back`. Raises UsageError."""
        provider, metadata = self._ready()
        waiting = _Waiting(
            secrets.token_urlsafe(32), secrets.token_urlsafe(48), secrets.token_urlsafe(32), next, time.monotonic() + 60 * MINUTES
        )
        with _client(provider, back) as client:
            address, state = client.create_authorization_url(
                metadata["authorization_endpoint"], code_verifier=waiting.verifier, nonce=waiting.nonce
            )
        with self._lock:
            now = time.monotonic()
            self._waiting = {one: held for one, held in self._waiting.items() if held.until > now}
            if len(self._waiting) >= MOST_WAITING:
                raise UsageError("too many people are signing in", fix="Try again in some minutes")
            self._waiting[state] = waiting
        return str(address), waiting.browser

    def finish(self, back: str, asked: Mapping[str, str], browser: str) -> tuple[str, str, str]:
        """Who came back (name and role), and where they were going. `browser` is the secret that `begin` gave. Raises RefusedError."""
        from authlib.common.errors import AuthlibBaseError
        from httpx2 import HTTPError, get

        with self._lock:
            waiting = self._waiting.pop(asked.get("state", ""), None)
        if (
            waiting is None
            or waiting.until < time.monotonic()
            or not hmac.compare_digest(waiting.browser.encode(), browser.encode())
        ):
            raise RefusedError("this sign-in was not begun here, or took too long", fix="Begin again")
        if "code" not in asked:
            raise RefusedError("the provider refused", why=f"{asked.get('error', 'no code')[:100]}", fix="Ask who runs it")
        provider, metadata = self._ready()
        try:
            with _client(provider, back) as client:
                told = client.fetch_token(
                    metadata["token_endpoint"],
                    code=asked["code"],
                    code_verifier=waiting.verifier,
                    grant_type="authorization_code",
                )
            keys = get(metadata["jwks_uri"], timeout=SECONDS).raise_for_status().json()
        except (AuthlibBaseError, HTTPError, ValueError) as error:
            raise RefusedError(
                "the provider did not confirm it", why=f"{type(error).__name__}"[:100], fix="Begin again"
            ) from None
        claims = _checked(str(told.get("id_token", "")), keys, provider, metadata["issuer"], waiting.nonce)
        who = claims.get(provider.claim)
        if not isinstance(who, str) or (provider.claim == "email" and claims.get("email_verified") is not True):
            raise RefusedError(f"the provider says no verified {provider.claim}", fix="Ask who runs it")
        if who not in provider.roles:
            raise RefusedError("you are not in the list of those who may", fix="Ask who looks after this service")
        return who, provider.roles[who], waiting.next

    def _ready(self) -> tuple[Provider, dict[str, Any]]:
        """The provider and its metadata, fetched once an hour."""
        from httpx2 import HTTPError, get

        provider = provider_of(self.home)
        if provider is None:
            raise UsageError("there is no provider to sign in with", fix="Sign in with a password")
        held = self._metadata
        if held is not None and held[0] == provider.issuer and held[1] > time.monotonic():
            return provider, held[2]
        address = f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            metadata = get(address, timeout=SECONDS).raise_for_status().json()
            needed = {name: str(metadata[name]) for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")}
        except (HTTPError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                "the provider cannot be reached", where=address, why=type(error).__name__, fix="Sign in with a password"
            ) from None
        if needed["issuer"].rstrip("/") != provider.issuer.rstrip("/"):
            raise UsageError(
                "the provider says it is another", where=address, why=needed["issuer"][:100], fix=f"Mend issuer in {CONFIG_FILE}"
            )
        self._metadata = (provider.issuer, time.monotonic() + 3600, needed)
        return provider, needed


def _client(provider: Provider, back: str) -> Any:
    from authlib.integrations.httpx_client import OAuth2Client

    return OAuth2Client(
        provider.client_id, provider.client_secret or None, scope="openid email profile", redirect_uri=back, code_challenge_method="S256",
        token_endpoint_auth_method="client_secret_basic" if provider.client_secret else "none", timeout=SECONDS,
    )  # fmt: skip


def _checked(token: str, keys: Any, provider: Provider, issuer: str, nonce: str) -> dict[str, Any]:
    """The claims of an ID token: signed by the provider, for us, in time, and in answer to our question (OpenID Connect Core 3.1.3.7)."""
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    try:
        decoded = jwt.decode(token, KeySet.import_key_set(keys), algorithms=list(ALGORITHMS))
        must = {"iss": issuer, "aud": provider.client_id, "nonce": nonce}
        options: dict[str, Any] = {name: {"essential": True, "value": value} for name, value in must.items()}
        registry = jwt.JWTClaimsRegistry(leeway=LEEWAY, exp={"essential": True}, iat={"essential": True}, **options)
        registry.validate(decoded.claims)
    except (JoseError, ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise RefusedError("what the provider says does not hold", why=type(error).__name__, fix="Begin again") from None
    claims = dict(decoded.claims)
    audience = claims["aud"]
    if (isinstance(audience, list) and len(audience) > 1) or claims.get("azp", provider.client_id) != provider.client_id:
        raise RefusedError("what the provider says is for somebody else", fix="Begin again")
    return claims
