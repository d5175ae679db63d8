"""Signing in with a provider: a real one in this process, whose requests are looked at, and one that lies."""

from __future__ import annotations

import base64
import hashlib
import re
import socketserver
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import httpx2
import pytest
from fastapi.testclient import TestClient

from pellucid.errors import UsageError
from pellucid.pipeline.record import Record
from pellucid.service import Accounts, create_app
from pellucid.service.access.single_sign_on import CONFIG_FILE, provider_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the provider, which runs in a thread here


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class Threaded(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Provider:
    """oidc-provider-mock behind a gate that demands PKCE, as OAuth 2.1 does; `alter` changes what the token endpoint answers."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import oidc_provider_mock as mock

            claims = {"email": "ana@example.org", "email_verified": True, "name": "Ana"}
            users = [mock.User(sub="ana", claims=claims), mock.User(sub="eve", claims={"email": "eve@example.org", "email_verified": True}),
                     mock.User(sub="odd", claims={"email": "ana@example.org", "email_verified": False})]  # fmt: skip
            self.app = mock.app(user_claims=users, require_nonce=True)
        self.challenges: list[str] = []
        self.verifiers: list[str] = []
        self.alter: Any = None
        self.server = make_server("127.0.0.1", 0, self, Threaded, Quiet)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        import io

        query = parse_qs(environ.get("QUERY_STRING", ""))
        if environ["PATH_INFO"].endswith("authorize") and environ["REQUEST_METHOD"] == "POST":
            assert query["code_challenge_method"] == ["S256"] and query["response_type"] == ["code"]
            self.challenges += query["code_challenge"]
        if environ["PATH_INFO"].endswith("token"):
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            verifier = parse_qs(body.decode())["code_verifier"][0]
            self.verifiers.append(verifier)
            made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
            if made not in self.challenges:
                start("400 Bad Request", [("Content-Type", "application/json")])
                return [b'{"error": "invalid_grant"}']
            environ["wsgi.input"] = io.BytesIO(body)
            if self.alter is not None:
                held: list[Any] = []
                told = b"".join(self.app(environ, lambda status, headers, *_: held.append((status, headers))))
                start(held[0][0], [(name, value) for name, value in held[0][1] if name.lower() != "content-length"])
                return [self.alter(told)]
        return self.app(environ, start)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    found = Provider()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def home(tmp_path: Path, provider: Provider) -> Path:
    provider.alter = None
    Record(tmp_path / ".pellucid").close()
    configure(tmp_path / ".pellucid", provider.address)
    return tmp_path / ".pellucid"


def configure(home: Path, issuer: str, role: str = "steward") -> None:
    text = f'issuer = "{issuer}"\nclient_id = "pellucid"\nclient_secret = "s"\n[roles]\n"ana@example.org" = "{role}"\n'
    (home / CONFIG_FILE).write_text(text)


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with TestClient(create_app(home), base_url="http://service.example", follow_redirects=False) as found:
        yield found


def at_provider(address: str, who: str = "ana") -> str:
    """What a person does there; the address that their browser is sent back to."""
    answer = httpx2.post(address, data={"sub": who}, timeout=20)
    assert answer.status_code == 302, answer.text[:500]
    return answer.headers["location"]


def signed_in(client: TestClient, who: str = "ana", **changed: str) -> Any:
    begun = client.get("/sign-in/provider?next=/runs")
    assert begun.status_code == 303
    back = urlsplit(at_provider(begun.headers["location"], who))
    assert f"{back.scheme}://{back.netloc}{back.path}" == "http://service.example/sign-in/back"
    asked = {name: values[0] for name, values in parse_qs(back.query).items()} | changed
    return client.get(f"/sign-in/back?{urlencode(asked)}", headers={"Accept": "text/html"})


def test_the_whole_way(client: TestClient, home: Path, provider: Provider):
    assert "/sign-in/provider" in client.get("/sign-in", headers={"Accept": "text/html"}).text
    page = signed_in(client)
    assert page.status_code == 200 and 'content="0; url=/runs"' in page.text
    assert re.search(r"pellucid_session=[^;]+;.*SameSite=strict", page.headers["set-cookie"])
    assert client.get("/runs").status_code == 200
    assert [(one.name, one.role) for one in Accounts(home).all()] == [("ana@example.org", "steward")]
    assert provider.challenges and provider.verifiers and not set(provider.challenges) & set(provider.verifiers)
    kept = b"".join(file.read_bytes() for file in home.glob("pellucid.db*"))
    assert b"Ana" not in kept, "of what the provider says the one claim is kept"


def test_a_role_is_the_list_s_also_when_it_changes(client: TestClient, home: Path, provider: Provider):
    signed_in(client)
    configure(home, provider.address, "viewer")
    signed_in(client)
    assert [one.role for one in Accounts(home).all()] == ["viewer"]


@pytest.mark.parametrize(("who", "said"), [("eve", "not in the list"), ("odd", "no verified email")])
def test_who_is_not_let_in(client: TestClient, home: Path, who: str, said: str):
    page = signed_in(client, who)
    assert page.status_code == 400 and said in page.text and Accounts(home).all() == []


def test_what_was_not_begun_here_or_by_this_browser(client: TestClient, home: Path):
    assert signed_in(client, state="made-up").status_code == 400
    begun = client.get("/sign-in/provider")
    back = urlsplit(at_provider(begun.headers["location"]))
    client.cookies.clear()  # another browser, to which somebody sends their own link
    assert client.get(f"/sign-in/back?{back.query}").status_code == 400
    assert client.get("/sign-in/back").status_code == 400
    begun = client.get("/sign-in/provider")
    back = urlsplit(at_provider(begun.headers["location"]))
    assert client.get(f"/sign-in/back?{back.query}").status_code == 200
    assert client.get(f"/sign-in/back?{back.query}").status_code == 400, "once"
    assert client.get("/sign-in/provider?next=https://evil.example").status_code == 303


def forged(**changed: Any) -> Any:
    """An answer of the token endpoint whose ID token has other claims, and a key of its own."""
    import json

    from joserfc import jwt
    from joserfc.jwk import RSAKey

    key = RSAKey.generate_key(2048, {"kid": "evil"})

    def alter(told: bytes) -> bytes:
        answer = json.loads(told)
        body = answer["id_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | changed
        answer["id_token"] = jwt.encode({"alg": "RS256", "kid": "evil"}, claims, key)
        return json.dumps(answer).encode()

    return alter


def unsigned(told: bytes) -> bytes:
    import json

    answer = json.loads(told)
    body = answer["id_token"].split(".")[1]
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return json.dumps({**answer, "id_token": f"{head}.{body}."}).encode()


@pytest.mark.parametrize(
    "alter", [forged(), unsigned, lambda _: b"{}", lambda _: b"nonsense", lambda _: b'{"error": "invalid_grant"}']
)
def test_what_the_provider_did_not_sign(client: TestClient, home: Path, provider: Provider, alter: Any):
    provider.alter = alter
    assert signed_in(client).status_code == 400 and Accounts(home).all() == []


@pytest.mark.quick(4)
@pytest.mark.parametrize("claim", ["iss", "aud", "nonce", "exp", "iat", "azp", "aud2", "missing"])
def test_claims_of_a_token_that_is_signed_and_not_for_us(claim: str):
    from joserfc import jwt
    from joserfc.jwk import KeySet, RSAKey

    from pellucid.service.access.single_sign_on import Provider as Known
    from pellucid.service.access.single_sign_on import RefusedError, _checked

    key = RSAKey.generate_key(2048, {"kid": "one"})
    keys, now = KeySet([key]).as_dict(private=False), int(time.time())
    known = Known("https://issuer.example", "pellucid", {"ana": "viewer"})
    claims: dict[str, Any] = {
        "iss": "https://issuer.example",
        "aud": "pellucid",
        "nonce": "n",
        "exp": now + 60,
        "iat": now,
        "sub": "x",
    }

    def checked(told: dict[str, Any]) -> dict[str, Any]:
        return _checked(jwt.encode({"alg": "RS256", "kid": "one"}, told, key), keys, known, "https://issuer.example", "n")

    assert checked(claims)["sub"] == "x"
    wrong = {"iss": "https://evil.example", "aud": "other", "nonce": "m", "exp": now - 1000, "iat": now + 5000, "azp": "other"}
    if claim == "missing":
        for name in ("iss", "aud", "nonce", "exp", "iat"):
            with pytest.raises(RefusedError):
                checked({one: value for one, value in claims.items() if one != name})
        return
    changed = {**claims, "aud": ["pellucid", "other"]} if claim == "aud2" else {**claims, claim: wrong[claim]}
    with pytest.raises(RefusedError):
        checked(changed)


def test_a_name_with_a_password_is_not_taken_over(client: TestClient, home: Path):
    Accounts(home).add("ana@example.org", "viewer", "correct horse battery staple")
    page = signed_in(client)
    assert page.status_code == 400 and "signs in with a password here" in page.text
    with pytest.raises(UsageError):
        Accounts(home).sign_in("ana@example.org", "!")


def test_nobody_signs_in_with_the_password_of_who_has_none(client: TestClient, home: Path):
    signed_in(client)
    for password in ("!", "", "ana@example.org"):
        with pytest.raises(UsageError):
            Accounts(home).sign_in("ana@example.org", password)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("issuer = ", "cannot be read"),
        ("issuer = 'https://a.example'\n", "does not say client_id"),
        ("issuer = 'http://a.example'\nclient_id = 'x'\n[roles]\na = 'viewer'\n", "is not https"),
        ("issuer = 'https://a.example'\nclient_id = 'x'\n[roles]\na = 'root'\n", 'cannot be "root"'),
        ("isuer = 'https://a.example'\n", 'Did you mean "issuer"?'),
        ("issuer = 3\n", "issuer cannot be 3"),
    ],
)
def test_a_provider_that_cannot_be_used(home: Path, text: str, said: str):
    (home / CONFIG_FILE).write_text(text)
    with pytest.raises(UsageError) as refused:
        provider_of(home)
    assert said in str(refused.value)


def test_a_broken_list_shuts_nobody_out_and_says_no_path(client: TestClient, home: Path):
    Accounts(home).add("ben", "viewer", "correct horse battery staple")
    begun = client.get("/sign-in/provider")
    (home / CONFIG_FILE).write_text("issuer = ")
    assert client.get("/sign-in", headers={"Accept": "text/html"}).status_code == 200
    signed = client.post("/sign-in", data={"name": "ben", "password": "correct horse battery staple"})
    assert signed.status_code == 303
    back = urlsplit(at_provider(begun.headers["location"]))
    for path in ("/sign-in/provider", f"/sign-in/back?{back.query}"):
        answer = client.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 400 and str(home.parent) not in answer.text


def test_a_provider_that_does_not_answer(client: TestClient, home: Path):
    configure(home, "http://127.0.0.1:9")
    refused = client.get("/sign-in/provider")
    assert refused.status_code == 400 and "cannot be reached" in refused.json()["error"]
