"""Who may see and do what: every route as every role; sign-in, tokens, forms of other sites, proxies; nothing private but for a steward."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from fastapi.testclient import TestClient
from served_shop import end, start

from pellucid.errors import UsageError
from pellucid.pipeline.record import Record
from pellucid.pipeline.running import load, run
from pellucid.registry import Deployments
from pellucid.schedule import Schedules, Trigger
from pellucid.service import ROLES, Accounts, create_app
from pellucid.service.access import ACCESS
from pellucid.service.access.accounts import WrongPasswordError

LOCAL = "http://127.0.0.1:8080"
PASSWORD = "correct horse battery staple"
PIPELINE = """
import numpy as np
import pellucid as pl
from pellucid.models import popularity

items = pl.source("items.csv", label="open")
visits = pl.source("visits.csv", label="private", unit="person", budget=pl.Budget(epsilon=4.0, delta=1e-5))
counts = pl.release(pl.privacy.histogram("item", public_keys=["a", "b"]), of=visits, epsilon=1.0, delta=1e-6)


@pl.step
def hidden(visits: pl.Table) -> pl.Table:
    print("SECRET-LOG of", visits.arrow().num_rows, "people")
    pl.log("secret", 4242424242, 0)
    return visits.polars().with_columns(x=1).collect()


@pl.step
def size(visits: pl.Table) -> pl.Metrics:
    return {"people": 987_654_321}


@pl.step
def open_rows(counts: pl.Table) -> pl.Table:
    return counts.arrow()


@pl.step
def hidden_model(visits: pl.Table) -> pl.Model:
    return pl.Model("toy", {"x": np.array([visits.arrow().num_rows])}, {})


@pl.step
def open_model(counts: pl.Table) -> pl.Model:
    return pl.Model("toy", {"x": np.array([1.0])}, {})


pipeline = pl.Pipeline("guarded", [items, visits, counts, hidden, size, open_rows, hidden_model, open_model])
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with private and open steps, a deployment, a schedule and a user of each role."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "guarded.py").write_text(PIPELINE)
    (folder / "items.csv").write_text("item\na\nb\n")
    (folder / "visits.csv").write_text("person,item\n" + "".join(f"{one},a\n" for one in range(60_000)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PELLUCID_KEYS", str(folder / "keys"))
        done = run(load(folder / "guarded.py"), home=folder / ".pellucid", confined=True, jobs=2)
    state = folder / ".pellucid"
    Deployments(state).deploy("production", done.id, "open_model")
    Schedules(state).add("nightly", folder / "guarded.py", Trigger("cron", "0 3 * * *"))
    accounts = Accounts(state)
    for role in ROLES[1:]:
        accounts.add(role, role, PASSWORD)
    return state


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[TestClient]:
    """A client as from another machine: its host is no name of this one."""
    with TestClient(create_app(home), base_url="http://service.example", follow_redirects=False) as found:
        yield found


def token_of(home: Path, role: str) -> dict[str, str]:
    return {} if role == "public" else {"Authorization": f"Bearer {Accounts(home).token(role)}"}


def paths_of(home: Path) -> dict[str, str]:
    record = Record(home)
    name = record.find("last")["run"]
    record.close()
    return {
        "/runs/{run}": f"/runs/{name}", "/runs/{run}/outputs/{name}": f"/runs/{name}/outputs/open_rows",
        "/runs/{run}/log/{step}": f"/runs/{name}/log/open_rows", "/runs/{run}/events": f"/runs/{name}/events",
        "/runs/{run}/tags": f"/runs/{name}/tags", "/runs/{run}/again": f"/runs/{name}/again", "/pipelines/{name}": "/pipelines/guarded",
        "/schedules/{name}": "/schedules/nightly", "/models/{alias}": "/models/production", "/documents/{id:path}": "/documents/a",
        "/models/{alias}/predict": "/models/production/predict", "/packages/{alias}/{path:path}": "/packages/production/x",
        "/assets/local/{name}": "/assets/local/client.js",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_on_a_shared_machine_one_may_ask_for_a_sign_in(home: Path):
    started = start(home, "--sign-in")
    try:
        assert started.ask("/runs").status == 401 and started.ask("/health").status == 200
    finally:
        assert end(started) == 0


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_others_are_served_a_new_state_folder_as_it_is_without_the_demonstration(tmp_path: Path):
    started = start(tmp_path / "state", "--host", "0.0.0.0")
    try:
        assert started.ask("/health").json["models"] == {} and started.ask("/runs").status == 401
    finally:
        assert end(started) == 0
    assert not (tmp_path / "state" / "demo").exists()


def test_every_route_is_in_the_table(client: TestClient):
    routes = {(method, route.path) for route in client.app.routes for method in getattr(route, "methods", ()) if method != "HEAD"}  # type: ignore[attr-defined]
    assert routes == set(ACCESS)


@pytest.mark.parametrize("role", ROLES)
def test_every_route_as_every_role(client: TestClient, home: Path, role: str):
    """What a role may not do is refused before anything else; what it may is answered, whatever the answer."""
    paths, headers = paths_of(home), token_of(home, role)
    for (method, path), least in ACCESS.items():
        allowed = ROLES.index(role) >= ROLES.index(least)
        if allowed and method == "POST":
            continue  # what they do has tests of its own
        answer = client.request(method, paths.get(path, path), headers=headers)
        refused = answer.status_code in (401, 403)
        assert refused is not allowed, (role, method, path, answer.status_code, answer.text[:200])
        if not allowed:
            assert answer.status_code == (401 if role == "public" else 403)


def private_words(home: Path) -> list[str]:
    """What nobody but a steward may meet: digests, keys, hashes and exact sizes of what is not open, logs, values."""
    record = Record(home)
    words = {"SECRET-LOG", "987654321", "987,654,321", "4242424242"}
    for step in record.steps(record.find("last")["run"]):
        if step.label != "open":
            words.add(step.key)
            for artifact in step.outputs.values():
                for leaf in artifact.leaves:
                    words |= {leaf.digest, leaf.sha256, str(leaf.size), f"{leaf.size:,}"}
    record.close()
    return sorted(word for word in words if len(word) > 5)  # a shorter number may stand there by chance


class Links(HTMLParser):
    """The addresses that a page leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name in ("href", "src", "action") and value]


def crawl(client: TestClient, headers: dict[str, str]) -> dict[str, str]:
    """Every page and every file that can be reached, as HTML and as JSON."""
    waiting, seen = ["/overview", "/search", "/models", "/openapi.json", "/metrics", "/health"], dict[str, str]()
    while waiting:
        path = waiting.pop()
        if path in seen or "/events" in path:
            continue
        page = client.get(path, headers={**headers, "Accept": "text/html"})
        seen[path] = page.text + str(dict(page.headers))
        if page.headers.get("content-type", "").startswith("text/html"):
            seen[path] += client.get(path, headers=headers).text
            links = Links()
            links.feed(page.text)
            for link in links.found:
                there = urlsplit(urljoin(f"http://service.example{path}", link))
                assert there.netloc == "service.example", link
                waiting.append(there.path + (f"?{there.query}" if there.query else ""))
    return seen


@pytest.mark.parametrize("role", ROLES)
def test_a_crawler_meets_nothing_private(client: TestClient, home: Path, role: str):
    seen = crawl(client, token_of(home, role))
    words = private_words(home)
    if role in ("public", "viewer", "researcher"):
        words.append(str(home.parent))  # where things lie on the machine
    met = {word: path for path, text in seen.items() for word in words if word in text}
    record = Record(home)
    name = record.find("last")["run"]
    record.close()
    asked = [
        "outputs/hidden",
        "outputs/size",
        "outputs/hidden_model",
        "outputs/visits",
        "log/hidden",
        "log/counts",
        "outputs/hidden?download=true",
    ]
    answers = [client.get(f"/runs/{name}/{one}", headers=token_of(home, role)) for one in asked]
    lost = ["/runs/nothing", f"/runs/{name}/outputs/nothing", f"/runs/{name}/log/nothing", "/schedules/nothing", "/pipelines/nothing",
            "/compare?run=nothing", "/ledger?account=nothing&epsilon=1", "/runs?sort=nothing", "/models/nothing"]  # fmt: skip
    refusals = [client.get(one, headers=token_of(home, role)).text for one in lost]
    if role == "researcher":
        refusals.append(client.post("/runs/nothing/tags", data={"note": "x"}, headers=token_of(home, role)).text)
    assert role in ("operator", "steward") or not any(str(home.parent) in text for text in refusals)
    if role == "steward":
        assert len(seen) > 15 and met, "a steward sees them, so the words are right"
        assert all(answer.status_code == 200 for answer in answers)
        return
    assert met == {}
    assert all(answer.status_code in (401, 403) for answer in answers)
    assert not any(word in answer.text for answer in answers for word in words)
    assert len(seen) > 15 or role == "public"


def test_signing_in_and_out(client: TestClient, home: Path):
    page = client.get("/runs?pipeline=guarded", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=%2Fruns%3Fpipeline%3Dguarded")
    form = client.get(page.headers["location"], headers={"Accept": "text/html"}).text
    token = re.search(r'name="token" value="([^"]+)"', form)[1]  # type: ignore[index]
    body = {"name": "viewer", "password": PASSWORD, "token": token, "next": "/runs?pipeline=guarded"}
    signed = client.post("/sign-in", data=body, headers={"Origin": "http://service.example"})
    assert (signed.status_code, signed.headers["location"]) == (303, "/runs?pipeline=guarded")
    cookie = signed.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert client.get("/runs").status_code == 200 and client.get("/runs").json()["total"] >= 1
    assert client.post("/sign-out", data={}).status_code == 403, "no token in the form"
    mine = re.search(r'name="token" value="([^"]+)"', client.get("/runs", headers={"Accept": "text/html"}).text)[1]  # type: ignore[index]
    assert mine != token
    assert client.post("/sign-out", data={"token": mine}).status_code == 303
    client.cookies.set("pellucid_session", signed.cookies["pellucid_session"])
    assert client.get("/runs").status_code == 401, "a session that has ended is over also for who kept its cookie"
    client.cookies.clear()


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil", "/a\nb", ""]
)
def test_signing_in_leads_nowhere_else(home: Path, address: str):
    with TestClient(create_app(home), base_url="http://service.example", follow_redirects=False) as client:
        signed = client.post("/sign-in", data={"name": "viewer", "password": PASSWORD, "next": address})
        assert signed.status_code == 303 and signed.headers["location"] == "/"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_wrong_passwords_slow_down(home: Path):
    accounts = Accounts(home)
    assert [accounts._failed("x") for _ in range(13)] == [0.0] * 5 + [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    accounts = Accounts(home)
    for name in ("viewer", "nobody"):
        waits = []
        for _ in range(100):
            with pytest.raises(WrongPasswordError) as refused:
                accounts.sign_in(name, "wrong")
            waits.append(refused.value.wait)
        assert waits[:5] == [0.0] * 5 and min(waits[5:]) > 0
    wait = 0.0
    while wait < 1:  # one that is about to be over does not show what comes now
        with pytest.raises(WrongPasswordError) as refused:
            accounts.sign_in("viewer", "wrong")
        wait = refused.value.wait
    with pytest.raises(WrongPasswordError):
        accounts.sign_in("viewer", PASSWORD)  # nor the right one, until the wait is over


@pytest.mark.slow
def test_a_hundred_wrong_passwords_over_http(home: Path):
    with TestClient(create_app(home), base_url="http://service.example") as client:
        wrong = [{"name": "operator", "password": secrets.token_hex()} for _ in range(100)]
        codes = [client.post("/sign-in", data=form).status_code for form in wrong]
        assert codes[:5] == [401] * 5 and codes.count(429) > 80 and codes[-1] == 429
        assert client.post("/sign-in", data={"name": "operator", "password": "x"}).headers["Retry-After"].isdecimal()


def test_tokens_act_with_no_more_than_was_given(client: TestClient, home: Path):
    accounts = Accounts(home)
    narrowed = {"Authorization": f"Bearer {accounts.token('steward', 'viewer')}"}
    assert client.get("/runs", headers=narrowed).status_code == 200
    assert client.post("/schedules", headers=narrowed, data={}).status_code == 403
    with pytest.raises(UsageError, match="cannot act as steward"):
        accounts.token("viewer", "steward")
    for wrong in ("", "x", "pellucid_" + "a" * 43, narrowed["Authorization"][7:] + "x"):
        assert client.get("/runs", headers={"Authorization": f"Bearer {wrong}"}).status_code == 401
    kept = json.dumps(
        [dict(row) for row in _rows(home, "SELECT * FROM tokens")] + [dict(row) for row in _rows(home, "SELECT * FROM users")]
    )
    assert narrowed["Authorization"][7:] not in kept and PASSWORD not in kept


def test_what_has_expired_is_over(client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch):
    accounts = Accounts(home)
    accounts.add("short", "viewer", PASSWORD)
    secret, session = accounts.token("short", days=1), accounts.sign_in("short", PASSWORD)
    assert accounts.by_token(secret) and accounts.by_session(session)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * 86_400)
    assert accounts.by_token(secret) is None and accounts.by_session(session) is None
    monkeypatch.undo()
    accounts.remove("short")
    assert accounts.by_token(secret) is None and accounts.by_session(session) is None, "nor what a removed user had"


def _rows(home: Path, query: str) -> list[Any]:
    record = Record(home)
    try:
        return record.db.execute(query).fetchall()
    finally:
        record.close()


def test_this_machine_is_an_operator_and_a_page_of_another_site_is_not(home: Path):
    with TestClient(create_app(home), base_url=LOCAL, follow_redirects=False) as client:
        assert client.get("/runs").status_code == 200
        assert client.get("/runs", headers={"Host": "evil.example"}).status_code == 401, (
            "a name that was made to lead here (DNS rebinding)"
        )
        for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host"):
            assert client.get("/runs", headers={header: "203.0.113.7"}).status_code == 401, "a proxy stands before it"
        form = client.get("/schedules", headers={"Accept": "text/html"}).text
        token = re.search(r'name="token" value="([^"]+)"', form)[1]  # type: ignore[index]
        pause = {"do": "pause", "token": token}
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            assert client.post("/schedules/nightly", data=pause, headers=headers).status_code == 403, headers
        assert client.post("/schedules/nightly", data={"do": "pause"}, headers={"Origin": LOCAL}).status_code == 403, "no token"
        assert Schedules(home).find("nightly").paused is None
        assert client.post("/schedules/nightly", data=pause, headers={"Origin": LOCAL}).status_code == 303
        assert Schedules(home).find("nightly").paused == "by local"
        assert client.post("/schedules/nightly", data={"do": "resume"}).status_code == 303, "a program on this machine"
    with TestClient(create_app(home, loopback=False), base_url=LOCAL) as client:
        assert client.get("/runs").status_code == 401, "bound to the world, no name makes it local"


def test_a_body_of_no_stated_length_is_not_read(client: TestClient):
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    for path in ("/recommend", "/sign-in", "/models/production/predict", "/schedules"):
        assert client.post(path, content=endless()).status_code == 411


def test_no_answer_to_the_public_says_where_things_lie(home: Path, monkeypatch: pytest.MonkeyPatch):
    """Also not when the state folder cannot be used."""
    with TestClient(create_app(home), base_url="http://service.example") as client:
        told = client.get("/sign-in", headers={"Accept": "text/html"})
        assert told.status_code == 200
        home.chmod(0o755)  # others could read it: refused, with its path and what to do, to whom it concerns
        try:
            for path in ("/sign-in", "/models/production", "/health", "/search?q=x"):
                answer = client.get(path, headers={"Accept": "text/html"})
                assert str(home.parent) not in answer.text, path
            refused = client.post("/sign-in", data={"name": "viewer", "password": PASSWORD})
            assert refused.status_code == 503 and str(home.parent) not in refused.text
        finally:
            home.chmod(0o700)


def test_headers(client: TestClient):
    for path in ("/sign-in", "/search", "/runs", "/health"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe-inline" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin"
        assert (
            headers["x-frame-options"] == "DENY"
            and headers["cache-control"] == "no-store"
            and "geolocation=()" in headers["permissions-policy"]
        )
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
        assert "strict-transport-security" not in headers
        assert client.get(f"https://service.example{path}").headers["strict-transport-security"]
        assert "server" not in headers


def test_the_audit_log_is_a_chain(client: TestClient, home: Path):
    audit = client.app.state.audit  # type: ignore[attr-defined]
    for action in ("tagged", "scheduled", "promote"):
        audit.add("ana", action, "something")
    assert audit.broken_at() is None
    last = audit.newest(1)[0]["seq"]
    record = Record(home)
    for change, back in (
        ("UPDATE audit SET actor = 'eve' WHERE seq = ?", "UPDATE audit SET actor = 'ana' WHERE seq = ?"),
        ("UPDATE audit SET subject = 'x' WHERE seq = ?", "UPDATE audit SET subject = 'something' WHERE seq = ?"),
    ):
        record.db.execute(change, (last - 1,))
        assert audit.broken_at() == last - 1
        record.db.execute(back, (last - 1,))
    record.db.execute("DELETE FROM audit WHERE seq = ?", (last - 1,))
    assert audit.broken_at() == last
    record.close()


@pytest.mark.parametrize(
    ("name", "role", "password", "said"),
    [
        ("ana", "viewer", "short", "too short"),
        ("", "viewer", PASSWORD, "cannot name a user"),
        ("local", "viewer", PASSWORD, "cannot name a user"),
        ("a b", "viewer", PASSWORD, "cannot name a user"),
        ("ana", "admin", PASSWORD, "there is no role"),
        ("ana", "public", PASSWORD, "there is no role"),
        ("viewer", "viewer", PASSWORD, "already"),
    ],
)
def test_users_that_cannot_be(home: Path, name: str, role: str, password: str, said: str):
    with pytest.raises(UsageError) as refused:
        Accounts(home).add(name, role, password)
    assert said in str(refused.value)
