"""The API: the contract, what is refused, what is kept, and swaps under way."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import urllib.parse
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array
from served_shop import Serving, asking, end, start

from pellucid.errors import LabelError, UsageError
from pellucid.models import recommend, scores
from pellucid.registry import Deployments, guarantees_behind, newest_open
from pellucid.service import browser_model

HOSTILE = [
    "(" * 20_000, "x" * 60_000, "%00", "\x01\x02", "\u202e\u2066", "a" * 900 + "!", "(a+)+$", '"' * 900, "é" * 999, "😀" * 200,
    "../../etc/passwd",
]  # fmt: skip


def test_search_answers_the_contract(serving: Serving):
    told = serving.ask("/search?q=windows&k=3").json
    assert set(told) >= {"query", "total", "took_ms", "results"} and told["query"] == "windows"
    assert 0 < len(told["results"]) <= 3
    first = told["results"][0]
    assert set(first) >= {"id", "title", "score", "snippet", "why"}
    assert "windows" in first["title"].lower()
    assert first["score"] == pytest.approx(sum(first["why"].values()), abs=1e-3)
    assert first["columns"]["url"] == f"https://example.org/{first['id']}"
    again = serving.ask("/search?q=windows&k=3").json
    assert again["results"] == told["results"]


def test_pages_follow_each_other_and_filters_hold(serving: Serving):
    whole = serving.ask("/search?q=area&k=20").json
    parts = [one for page in (1, 2, 3, 4) for one in serving.ask(f"/search?q=area&k=5&page={page}").json["results"]]
    assert [one["id"] for one in parts] == [one["id"] for one in whole["results"]]
    held = serving.ask("/search?q=area&k=100&f.letter=S").json
    assert held["results"] and all(one["title"][0] in "sS" for one in held["results"])
    assert held["total"] == next(one["count"] for one in whole["facets"]["letter"] if one["value"] == "S")
    refused = serving.ask("/search?q=x&f.colour=red")
    assert refused.status == 400 and "there is no filter" in refused.json["error"]


def test_recommendations_are_those_of_the_open_model(serving: Serving, shop: Path):
    deployed = Deployments(shop).current()["recommend"]
    model = Deployments(shop).load(deployed.artifact)
    items = model.arrays["items"].tolist()[:3]
    asked = ",".join(map(str, items))
    told = serving.ask(f"/recommend?items={asked}&k=5").json
    assert [(one["id"], one["score"]) for one in told["results"]] == [
        (str(item), score) for item, score in recommend(model, items, 5)
    ]
    assert told["model"] == {"name": "recommender", "version": deployed.version, "digest": deployed.digest, "package": None}
    assert all(one["title"] != one["id"] for one in told["results"])
    posted = serving.ask("/recommend", body={"items": items, "k": 5}).json
    assert posted == told
    assert serving.ask("/recommend?items=nothing,1").json["unknown"] == ["nothing"]
    assert len(serving.ask("/recommend").json["results"]) == 10


def test_years_and_synonyms(serving: Serving):
    whole = serving.ask("/search?q=area&k=1").json
    counts = {one["value"]: one["count"] for one in whole["facets"]["year"]}
    assert sorted(counts) == [str(year) for year in range(1990, 1999)] and sum(counts.values()) == whole["total"]
    some = serving.ask("/search?q=area&k=100&f.year=1995-1996").json
    assert some["total"] == counts["1995"] + counts["1996"] and {one["columns"]["year"] for one in some["results"]} == {
        "1995",
        "1996",
    }
    assert serving.ask("/search?q=area&year.from=1995&year.to=1996").json["total"] == some["total"]
    assert serving.ask("/search?q=area&year.from=1997").json["total"] == counts["1997"] + counts["1998"]
    for wrong in ("f.year=x", "f.year=-", "year.from=1e5", "year.to=%00", "f.year=99999"):
        assert serving.ask(f"/search?q=area&{wrong}").status == 400, wrong
    assert serving.ask("/search?q=area&f.year=1998-1990").json["total"] == 0
    page = serving.ask("/search?q=area&f.letter=W&f.year=1995", accept="text/html").text
    assert (
        'name="year.from"' in page and '<input type="hidden" name="f.letter" value="W">' in page and 'name="f.year"' not in page
    )
    found = serving.ask("/search?q=operating+system").json
    assert "also asked: windows" in found["notes"] and any("Windows" in one["title"] for one in found["results"])
    assert "notes" not in serving.ask('/search?q="operating+system"+windows').json or all(
        "also asked" not in note for note in serving.ask('/search?q="operating+system"+windows').json["notes"]
    )


def test_rules_of_recommendations(serving: Serving, shop: Path):
    model = Deployments(shop).load(Deployments(shop).current()["recommend"].artifact)
    items = [str(item) for item in model.arrays["items"].tolist()]
    history = ",".join(items[:2])
    whole = [one["id"] for one in serving.ask(f"/recommend?items={history}&k=20").json["results"]]
    left = serving.ask(f"/recommend?items={history}&k=20&without={','.join(whole[:3])},nothing").json
    assert [one["id"] for one in left["results"]][:17] == whole[3:] and left["basis"] == "history"
    some = serving.ask(f"/recommend?items={history}&k=20&only={','.join(whole[5:2:-1])}").json["results"]
    assert [one["id"] for one in some] == whole[3:6]
    assert serving.ask(f"/recommend?items={history}&only=").json["results"] == []
    varied = serving.ask(f"/recommend?items={history}&k=20&diversity=0.6").json["results"]
    wanted = recommend(model, model.arrays["items"].tolist()[:2], 20, diversity=0.6)
    assert [(one["id"], one["score"]) for one in varied] == [(str(item), score) for item, score in wanted]
    assert [one["id"] for one in varied] != whole
    days = {item: date(1990 + item % 9, 12, 31) for item in map(int, items)}
    indexed = [
        date(1990 + int(one.split(",")[0]) % 9, 12, 31) for one in (shop.parent / "areas.csv").read_text().splitlines()[1:]
    ]
    ages = {item: float((max(indexed) - day).days) for item, day in days.items()}
    fresh = serving.ask(f"/recommend?items={history}&k=20&half_life=400").json["results"]
    wanted = recommend(model, model.arrays["items"].tolist()[:2], 20, ages=ages, half_life=400.0)
    assert [(one["id"], one["score"]) for one in fresh] == [(str(item), score) for item, score in wanted]
    assert [one["id"] for one in fresh] != whole
    body = {"items": items[:2], "k": 20, "without": whole[:3], "only": whole, "diversity": 0.2, "half_life": 400}
    posted = serving.ask("/recommend", body=body).json["results"]
    assert {one["id"] for one in posted} == set(whole[3:])
    for cold in ("", "?items=nothing", "?items=nothing,nowhere&diversity=0.5"):
        assert serving.ask(f"/recommend{cold}").json["basis"] == "popularity"
    assert "what most people use" in serving.ask("/recommend?items=nothing", accept="text/html").text
    for wrong in ("diversity=1.1", "diversity=nan", "half_life=0", "half_life=inf", "without=" + "x," * 1001):
        assert serving.ask(f"/recommend?items=1&{wrong}").status in (400, 422), wrong


def test_formats(serving: Serving):
    rows = serving.ask("/search?q=windows&format=csv").text.splitlines()
    assert rows[0].startswith("rank,id,title,score,snippet") and len(rows) > 2
    ris = serving.ask("/search?q=windows&format=ris")
    assert ris.text.count("TY  - GEN") == ris.text.count("ER  - ") > 0
    assert "attachment" in ris.headers["Content-Disposition"]
    assert serving.ask("/search?q=windows&format=xml").status == 400
    one = serving.ask("/search?q=windows&k=1").json["results"][0]["id"]
    assert serving.ask(f"/documents/{one}").json["licence"] == "CC-BY-4.0"
    assert serving.ask("/documents/none").status == 404


@pytest.mark.parametrize("query", HOSTILE)
def test_hostile_queries(serving: Serving, query: str):
    begun = time.perf_counter()
    answer = serving.ask(f"/search?q={urllib.parse.quote(query, errors='surrogatepass')}")
    assert time.perf_counter() - begun < 5  # a bound on hanging, not a measurement
    assert answer.status in (200, 400, 414, 431)
    assert serving.ask(f"/suggest?q={urllib.parse.quote(query[:900], errors='surrogatepass')}").status in (200, 422)
    assert serving.ask("/health").json["status"] == "ok"


def test_hostile_bodies(serving: Serving):
    deep = b'{"items": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    for body in (deep, b"\xff\xfe", b'{"items": ["a"' * 100, b"x" * 2_000_000, b'{"items": {"a": 1}}', b'{"items": [1e999]}'):
        with contextlib.suppress(OSError):  # the server may hang up on a body that it has refused; AssertionError is none
            assert serving.ask("/recommend", body=body).status in (200, 400, 413, 422)
    assert serving.ask("/recommend", body={"items": ["x"] * 5000}).status == 422
    assert serving.ask("/search?q=x&k=0").status == 422 and serving.ask("/search?q=x&k=9999999999999999999999").status == 422
    assert serving.ask("/nothing").status == 404 and serving.ask("/search", method="DELETE").status == 405
    assert serving.ask("/health").json["status"] == "ok"


def test_no_query_and_no_address_is_kept(shop: Path):
    started = start(shop)
    words = ["xylophonesecret", "zzhistoryzz"]
    for _ in range(3):
        started.ask(f"/search?q={words[0]}")
        started.ask("/recommend", body={"items": [words[1]]})
        started.ask(f"/suggest?q={words[0]}")
    shown = started.ask("/metrics").text
    assert 'route="/search",status="200"} 3' in shown
    assert not any(word in shown for word in [*words, "127.0.0.1"])
    started.process.send_signal(15)
    out, errors = started.process.communicate(timeout=20)
    assert started.process.returncode == 0
    assert not any(word in out + errors for word in words)
    for path in shop.rglob("*"):
        if path.is_file():
            assert not any(word.encode() in path.read_bytes() for word in words), path


def test_headers_keep_a_page_to_itself(serving: Serving):
    headers = serving.ask("/", accept="text/html").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "same-origin" and headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Set-Cookie"] is None and headers["Server"] is None


def test_only_what_is_open_is_deployed(shop: Path):
    deployments = Deployments(shop)
    with pytest.raises(LabelError, match='"secret" is private'):
        deployments.deploy("search", "last", "secret")
    with pytest.raises(UsageError, match="model of kind ease"):
        deployments.deploy("search", "last", "recommender")
    with pytest.raises(UsageError, match="is a table"):
        deployments.deploy("recommend", "last", "matrix")
    with pytest.raises(UsageError, match='Did you mean "recommend"'):
        deployments.deploy("recomend", "last", "recommender")
    with pytest.raises(UsageError, match='no output "recomender"'):
        deployments.deploy("recommend", "last", "recomender")
    with pytest.raises(UsageError, match="is no package"):
        deployments.deploy("recommend", "last", "recommender", shop)
    assert newest_open(shop, "recommend") == (newest_open(shop, "search")[0], "recommender")  # by kind, then by name


def test_after_a_restart_the_last_good_one_is_served(shop: Path, tmp_path: Path):
    """The newest deployment is a bad one: what is served is the one before it, and why is said."""
    import shutil

    from pellucid.service.followed_models import FollowedModels

    home = tmp_path / "copy"
    shutil.copytree(shop, home, copy_function=shutil.copy2)
    deployments = Deployments(home)
    run = newest_open(home, "recommend")[0]
    good = deployments.deploy("recommend", run, "popular").version
    bad = deployments.deploy("recommend", run, "void").version
    followed = FollowedModels(home)
    for _ in range(2):
        followed.look()
        assert followed.current["recommend"].deployment.version == good
        assert followed.refused["recommend"][0] == bad and "knows nothing" in followed.refused["recommend"][1]
    better = deployments.deploy("recommend", run, "recommender").version
    followed.look()
    assert followed.current["recommend"].deployment.version == better and "recommend" not in followed.refused


def test_a_model_leads_to_its_guarantees(serving: Serving, shop: Path):
    told = serving.ask("/models/recommend").json
    (one,) = told["guarantees"]
    assert (one["release"], one["epsilon"], one["delta"]) == ("matrix", 1.0, 1e-6)
    assert serving.ask("/models/search").json["guarantees"] == []
    assert {model["alias"] for model in serving.ask("/models").json["models"]} == {"search", "recommend"}
    assert [found.step for found in guarantees_behind(shop, told["run"], "recommender")] == ["matrix"]


def test_the_browsers_model_is_the_open_one(serving: Serving, shop: Path):
    """Every kind that can be scored there: each weight within half a step of a byte, the largest of each row."""
    import pyarrow.csv as csv
    from served_shop import MSWEB

    from pellucid.models import als, item_neighbours, popularity, rp3beta

    visits = csv.read_csv(MSWEB / "visits.csv").slice(0, 3000)
    fitted = [kind.fit(visits, "area_id", "user_id") for kind in (rp3beta,)]
    fitted += [kind.fit_people(visits, "area_id", "user_id") for kind in (item_neighbours, popularity)]
    deployed = Deployments(shop).load(Deployments(shop).current()["recommend"].artifact)
    for model in (deployed, *fitted):
        held = browser_model.packed(model, None, "d")
        length = int.from_bytes(held[:4], "little")
        head = json.loads(held[4 : 4 + length])
        count, row = len(head["items"]), head["row"]
        columns = np.frombuffer(held, "<u4", count * row, 4 + length).reshape(count, row).astype(np.int64)
        weights = np.frombuffer(held, np.int8, count * row, 4 + length + 4 * count * row).reshape(count, row)
        found = np.zeros((count, count))
        np.add.at(found, (np.arange(count)[:, None], columns), weights * np.array(head["scale"])[:, None])
        whole = scores(model, csr_array(np.eye(count))) - scores(model, csr_array((1, count)))
        off = np.abs(found - whole)[np.abs(found) > 0]
        assert off.max(initial=0) <= np.abs(whole).max() / 254 * 1.001 + 1e-6, model.kind
    assert not browser_model.can_be_scored(als.fit(visits, "area_id", "user_id", factors=2, rounds=1))
    assert serving.ask("/models/recommend/browser").status == 200


@pytest.mark.slow
def test_swaps_while_it_answers(shop: Path):
    """Twenty new deployments, good and bad, while four clients ask without a pause: no request fails, and a bad one never serves."""
    started = start(shop)
    deployments, stop, statuses = Deployments(shop), threading.Event(), []
    run = deployments.current()["recommend"].run

    def client(path: str) -> None:
        while not stop.is_set():
            statuses.append(started.ask(path).status)

    paths = ("/search?q=windows", "/recommend?items=18,17", "/search?q=office&format=csv", "/models")
    clients = [threading.Thread(target=client, args=(path,)) for path in paths]
    for one in clients:
        one.start()
    try:
        for turn in range(20):
            alias, output = [("recommend", "popular"), ("search", "index"), ("recommend", "void"), ("recommend", "recommender")][
                turn % 4
            ]
            version = deployments.deploy(alias, run, output).version
            end_at = time.monotonic() + 20
            while time.monotonic() < end_at:
                health = started.ask("/health").json
                seen = health["refused"].get(alias, {"version": 0})["version"] if output == "void" else health["models"][alias]
                if seen == version:
                    break
                time.sleep(0.02)
            assert seen == version, (output, health)
            if output == "void":
                assert "knows nothing" in health["refused"]["recommend"]["why"] and health["models"]["recommend"] < version
    finally:
        stop.set()
        for one in clients:
            one.join()
        code = end(started)
    assert code == 0
    assert len(statuses) > 100 and set(statuses) == {200}


def test_without_a_model_the_other_pages_are_served(tmp_path: Path):
    from pellucid.pipeline.record import Record

    Record(tmp_path / ".pellucid").close()
    serving = start(tmp_path / ".pellucid")
    try:
        assert serving.ask("/search?q=x").status == 503
        assert "Nothing ran yet" in serving.ask("/", accept="text/html").text
        assert serving.ask("/runs").json == {"runs": [], "total": 0, "page": 1, "limit": 100}
        assert serving.ask("/health").json["models"] == {}
    finally:
        assert end(serving) == 0
    assert serving.process.returncode == 0


def test_what_is_deployed_is_not_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    from pellucid.cli.main import parse
    from pellucid.pipeline.running import load, run

    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "keys"))
    (tmp_path / "pages.csv").write_text("id,title\n1,wing\n")
    text = 'import pellucid as pl\n\npages = pl.source("pages.csv", label="open")\nindex = pl.search.index(pages)\n'
    (tmp_path / "pages.py").write_text(text + 'pipeline = pl.Pipeline("pages", [pages, index])\n')
    home = tmp_path / ".pellucid"
    first = run(load(tmp_path / "pages.py"), home=home, jobs=1, confined=True)
    Deployments(home).deploy("search", first.id, "index")
    (tmp_path / "pages.csv").write_text("id,title\n1,shock\n")
    run(load(tmp_path / "pages.py"), home=home, jobs=1, confined=True)
    arguments = parse(["gc", "--keep", "0", "--home", str(home)])
    assert arguments.call(arguments) == 0
    assert "(1)" in capsys.readouterr().out
    current = Deployments(home).current()["search"]
    assert Deployments(home).load(current.artifact).arrays["id"].tolist() == ["1"]
    assert guarantees_behind(home, current.run, current.output) == []


@pytest.mark.slow
def test_the_demonstration_is_served_anywhere(tmp_path: Path):
    """In an empty folder, named or not, with --demo or without, and again from what is there; it leads to its package."""
    import subprocess
    import sys

    environment = {**os.environ, "PELLUCID_KEYS": str(tmp_path / "keys"), "XDG_STATE_HOME": str(tmp_path / "notes")}
    for words in (["--demo"], ["--demo"], ["--home", "new"], ["--demo", "--home", "other"], []):
        command = [sys.executable, "-m", "pellucid", "serve", "--port", "0", *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment)
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            ask = asking(line.split()[0])
            assert ask("/search?q=windows").json["total"] > 0
            told = ask("/recommend?items=17,18&k=3").json
            assert len(told["results"]) == 3
            page = ask(told["model"]["package"], accept="text/html")
            assert page.status == 200 and "sandbox" in page.headers["Content-Security-Policy"] and "epsilon" in page.text
            assert ask("/packages/recommend/manifest.json").status == 200
            assert (
                ask("/packages/recommend/../../keys").status == 404 and ask("/packages/recommend/%2e%2e/visits.csv").status == 404
            )
        finally:
            process.terminate()
            assert process.wait(20) == 0
            process.stdout.close()
    assert (tmp_path / "pellucid-demo" / "package").is_dir() and (tmp_path / "new" / "demo").is_dir()
