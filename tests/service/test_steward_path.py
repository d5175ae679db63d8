"""The steward's path, attacks and saved views in the browser: what each page says, who may see it, and what its forms do."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient
from page_reading import reads_well
from served_shop import end, start

from pellucid.pipeline.running import load, run
from pellucid.service import create_app
from pellucid.service.access import Accounts, AuditLog
from pellucid.service.dashboard.attack_routes import findings_of

PASSWORD = "a-long-enough-password"
ATTACKS = """
import pellucid as pl

visits = pl.source("visits.csv", label="private", unit="visitor_id")
attacked = pl.privacy.attacks.steps.log(visits, unit="visitor_id", item="area", known=2)
audited = pl.privacy.attacks.steps.mechanism(pl.privacy.histogram("area", public_keys=["a"]), epsilon=1.0, delta=1e-6)
pipeline = pl.Pipeline("attacks", [visits, attacked, audited])
"""


def steward(folder: Path, *words: str) -> None:
    command = [sys.executable, "-m", "pellucid", "steward", *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a steward's path as far as the attacks, a pipeline that attacks, and a user of each role."""
    folder = tmp_path_factory.mktemp("path")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PELLUCID_KEYS", str(folder / "keys"))
        patch.setenv("PELLUCID_HOME", str(folder / "state"))
        patch.setenv("XDG_STATE_HOME", str(folder / "notes"))
        draw = random.Random(1)
        rows = [f"p{who},area{area}" for who in range(1200) for area in draw.sample(range(30), 1 + who % 8)]
        (folder / "visits.csv").write_text("\n".join(["visitor_id,area", *rows]) + "\n")
        (folder / "attacks.py").write_text(ATTACKS)
        run(load(folder / "attacks.py"), home=folder / "state", confined=True)
        for words in ("init visits.csv --as histogram", "inventory --confirm", "assess", "protect", "attack"):
            steward(folder, *words.split(), "--home", str(folder / "state"))
        for role in ("viewer", "operator", "steward"):
            Accounts(folder / "state").add(role, role, PASSWORD)
        yield folder


@pytest.fixture
def client(place: Path) -> Iterator[TestClient]:
    with TestClient(create_app(place / "state"), base_url="http://service.example", follow_redirects=False) as found:
        yield found


def signed_in(client: TestClient, place: Path, name: str) -> None:
    client.cookies.set("pellucid_session", Accounts(place / "state").sign_in(name, PASSWORD))


def page(client: TestClient, path: str) -> str:
    found = client.get(path, headers={"Accept": "text/html"})
    assert found.status_code == 200, found.text
    return found.text


def hidden(text: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found
    return found[1].replace("&amp;", "&")


def send(client: TestClient, path: str, origin: str = "http://service.example", **fields: str) -> Any:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin}
    return client.post(path, content=urlencode(fields), headers=headers)


def decisions(place: Path) -> int:
    command = [sys.executable, "-m", "pellucid", "ledger", "--json", "--home", str(place / "state")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.stdout.count('"decide"') if done.returncode == 0 else 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_six_steps_are_shown_signed_and_released_by_a_steward_alone(client: TestClient, place: Path):
    for name in ("viewer", "operator"):
        signed_in(client, place, name)
        assert client.get("/steward").status_code == client.get("/steward/steward").status_code == 403
        assert "/steward" not in page(client, "/overview")
        token = hidden(page(client, "/runs"), "token")
        assert send(client, "/steward/steward", token=token, do="decide", by=name).status_code == 403
    signed_in(client, place, "steward")
    (listed,) = client.get("/steward").json()["paths"]
    assert (listed["name"], listed["done"], listed["next"]) == ("steward", 4, "decide")
    shown = page(client, "/steward/steward")
    told = client.get("/steward/steward").json()
    assert [step["state"] for step in told["steps"]] == ["done"] * 4 + ["to do"] * 2
    for said in ("visitor_id", "linkage", "control", "next: pellucid"):
        assert (said in shown) == (said != "next: pellucid"), said
    token, seen = hidden(shown, "token"), hidden(shown, "seen")
    good = {"token": token, "seen": seen, "do": "decide", "by": "steward", "note": "looked at it", "although": "a test"}
    wrong = {
        "another site": (good, "http://evil.example", 403),
        "no token": ({**good, "token": ""}, "http://service.example", 403),
        "another name": ({**good, "by": "somebody"}, "http://service.example", 400),
        "another page": ({**good, "seen": "0" * 64}, "http://service.example", 409),
        "another step": ({**good, "do": "inventory"}, "http://service.example", 400),
        "not sure": ({**good, "do": "release"}, "http://service.example", 400),
        "not signed": ({**good, "do": "release", "sure": "yes"}, "http://service.example", 400),
    }
    for what, (fields, origin, status) in wrong.items():
        answer = send(client, "/steward/steward", origin, **fields)
        assert answer.status_code == status, (what, answer.status_code, answer.text)
    assert not (place / "steward" / "decide.json").exists()
    assert send(client, "/steward/nobody", **good).status_code == 404
    assert send(client, "/steward/steward", **good).status_code == 303
    held = json.loads((place / "steward" / "decide.json").read_text())
    assert held["by"] == "steward" and held["note"] == "looked at it"
    assert send(client, "/steward/steward", **good).status_code == 409  # the page is older than the signature
    after = page(client, "/steward/steward")
    assert "steward signs for" in after
    done = send(client, "/steward/steward", token=token, seen=hidden(after, "seen"), do="release", sure="yes")
    assert done.status_code == 303, done.text
    assert client.get("/steward").json()["paths"][0]["done"] == 6
    assert [one["action"] for one in AuditLog(place / "state").newest(3)[:2]] == ["release", "signed"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_attacks_found_is_shown_to_those_who_may_see_it(client: TestClient, place: Path):
    signed_in(client, place, "operator")
    told = client.get("/attacks").json()
    assert told["findings"] == [] and [one["step"] for one in told["hidden"]] == ["attacked"]
    assert [(one["step"], one["declared"], one["refuted"]) for one in told["audits"]] == [("audited", 1.0, 0)]
    shown = page(client, "/attacks")
    assert "is for the data&#39;s steward" in shown.replace("'s", "&#39;s")
    signed_in(client, place, "steward")
    told = client.get("/attacks").json()
    mine = [one for one in told["findings"] if one["step"] == "attacked"]
    evidence = [one for one in told["findings"] if one["step"] == "steward attack"]
    assert mine and evidence and all(one["low"] <= one["rate"] <= one["high"] and one["beside"] for one in mine + evidence)
    assert any("control" in one["beside"] for one in mine + evidence)
    assert {one["label"] for one in mine + evidence} == {"private"}
    secret = f"{mine[0]['rate']:.3f}"
    assert secret in page(client, "/attacks")
    assert client.get("/attacks?format=csv").text.startswith("from,step,label,attack,rate,low,high")


def test_findings_whose_names_begin_alike_stay_apart():
    values = {"link": 0.5, "link_low": 0.4, "link_high": 0.6, "link_chance": 0.1}
    values |= {"link_log": 0.7, "link_log_low": 0.6, "link_log_high": 0.8, "link_log_control": 0.2}
    first, second = findings_of(values)
    assert first == {"attack": "link", "rate": 0.5, "low": 0.4, "high": 0.6, "beside": {"chance": 0.1}}
    assert second["beside"] == {"control": 0.2}


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[tuple[TestClient, Path]]:
    """A service without runs, as two viewers see it."""
    place = tmp_path / "plain"
    for name in ("ann", "ben"):
        Accounts(place / "state").add(name, "viewer", PASSWORD)
    with TestClient(create_app(place / "state"), base_url="http://service.example", follow_redirects=False) as found:
        yield found, place


def test_a_view_has_a_name_and_is_its_readers_own(plain: tuple[TestClient, Path]):
    client, place = plain
    assert client.get("/views").status_code == 401
    signed_in(client, place, "ann")
    token = hidden(page(client, "/runs"), "token")
    address = "/runs?pipeline=areas&sort=quality.ndcg&" + "&".join(f"run={at}" for at in range(500))
    assert send(client, "/views", token=token, name="best", address=address).status_code == 303
    assert client.get("/views/best").headers["location"] == address
    shown = page(client, "/views")
    assert 'href="/views/best"' in shown and len("/views/best") < 200
    assert send(client, "/views", token=token, name="best", address="/ledger").status_code == 303  # saved again
    assert [one["address"] for one in client.get("/views").json()["views"]] == ["/ledger"]
    assert send(client, "/views", "http://evil.example", token=token, name="x", address="/runs").status_code == 403
    signed_in(client, place, "ben")
    assert client.get("/views").json()["views"] == [] and client.get("/views/best").status_code == 404
    token = hidden(page(client, "/overview"), "token")
    assert send(client, "/views", token=token, name="best", do="remove").status_code == 303
    signed_in(client, place, "ann")
    assert client.get("/views/best").status_code == 303
    token = hidden(page(client, "/views"), "token")
    assert send(client, "/views", token=token, name="best", do="remove").status_code == 303
    assert client.get("/views").json()["views"] == []


@pytest.mark.parametrize(
    "address",
    [
        "", "runs", "//evil.example/runs", "https://evil.example/runs", "/\\evil.example", "/runs\r\nSet-Cookie: a=b", "/steward/x",
        "/sign-out", "/../runs", "/views/best", "/runs?q=ü", "javascript:alert(1)", "/runs?" + "a" * 20_000,
    ],
)  # fmt: skip
def test_a_view_leads_to_no_other_place(plain: tuple[TestClient, Path], address: str):
    client, place = plain
    signed_in(client, place, "ann")
    token = hidden(page(client, "/overview"), "token")
    answer = send(client, "/views", token=token, name="mine", address=address)
    assert answer.status_code == 400 and client.get("/views").json()["views"] == []
    assert send(client, "/views", token=token, name="../x", address="/runs").status_code == 400


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_pages_read_well_and_the_path_is_walked_without_scripts(place: Path, chromium: Any, axe: str):
    started = start(place / "state", "--sign-in")
    address = started.address.rstrip("/")
    try:
        chromium.get(f"{address}/sign-in?next=/steward/steward")
        chromium.find_element("name", "name").send_keys("steward")
        chromium.find_element("name", "password").send_keys(PASSWORD)
        chromium.find_element("name", "password").submit()
        while "/steward/steward" not in chromium.current_url:
            pass
        for name, path in {"steward": "/steward", "path": "/steward/steward", "findings": "/attacks", "saved": "/views"}.items():
            reads_well(chromium, axe, address + path, name)
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            chromium.get(f"{address}/runs")
            chromium.find_element("css selector", "form[action='/views'] input[name='name']").send_keys("mine")
            chromium.find_element("css selector", "form[action='/views'] button").click()
            assert [one.text for one in chromium.find_elements("css selector", "a[href='/views/mine']")] == ["mine"]
            chromium.get(f"{address}/steward/steward")
            assert len(chromium.find_elements("css selector", "main section")) == 6
            chromium.find_element("css selector", "button[value='assess']").click()
            assert "/steward/steward" in chromium.current_url and "visitor_id" in chromium.page_source
        finally:
            chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    finally:
        end(started)
