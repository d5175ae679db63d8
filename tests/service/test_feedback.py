"""Feedback end to end: a real browser adds up what is opened, sends one report a week, and the service learns from many."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_shop import Serving, end, start

from pellucid.pipeline.running import load, run
from pellucid.privacy.local import Collector
from pellucid.privacy.local.collection import read
from pellucid.privacy.local.report_format import batch, encoded
from pellucid.privacy.noise import Stream
from pellucid.registry import Deployments
from pellucid.service.click_reports import week

BEGINNING = """
import pellucid as pl

areas = pl.source("areas.csv", label="open")
index = pl.search.index(areas, id="area_id", title="title", text="text", columns=["url", "licence"], facets=["letter"])
taste = pl.search.feedback(index, attributes=[("letter", "W")])
pipeline = pl.Pipeline("begin", [areas, index, taste])
"""
LEARNING = """
clicks = pl.source("clicks.csv", label="open")


@pl.step(kind="train")
def ranking(feedback: pl.Model, clicks: pl.Table) -> pl.Model:
    return pl.search.learn_from_clicks(feedback, clicks)


pipeline = pl.Pipeline("learn", [areas, clicks, index, taste, ranking])
"""


@pytest.fixture(scope="module")
def learning(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Path]]:
    """The shop's documents alone, with a ranking that learns."""
    folder = tmp_path_factory.mktemp("learning")
    shutil.copy(shop.parent / "areas.csv", folder)
    (folder / "begin.py").write_text(BEGINNING)
    home = folder / ".pellucid"
    assert run(load(folder / "begin.py"), home=home, jobs=2).status == "done"
    started = start(home)
    yield started, home
    end(started)


def reports(text: str, vectors: Any, period: int) -> list[bytes]:
    made = read(text)
    return [
        encoded(made, bytes(row), client=secrets.token_bytes(16), nonce=secrets.token_bytes(8), period=period)
        for row in made.oracle.perturb(vectors, Stream(secrets.token_bytes(32)))
    ]


def test_reports_are_taken_or_refused_by_name(learning: tuple[Serving, Path]) -> None:
    ask = learning[0].ask
    told = ask("/feedback").json
    size = json.loads(told["collection"])["parameters"]["size"]
    assert told["period"] == week() and told["id"] == read(told["collection"]).id.hex()
    last = told["period"] - 1
    good = reports(told["collection"], np.ones((3, size)), last)
    assert ask("/feedback", body=batch([*good, good[0]])).json == {"taken": 3, "refused": {"replayed": 1}}
    early, late = (reports(told["collection"], np.ones((1, size)), period) for period in (last + 1, last - 2))
    assert ask("/feedback", body=batch([*early, *late])).json == {"taken": 0, "refused": {"another period": 2}}
    other = json.loads(told["collection"])
    other["name"] = "clicks-of-another-model"
    text = json.dumps(other, sort_keys=True, separators=(",", ":"))
    assert ask("/feedback", body=batch(reports(text, np.ones((1, size)), last))).json["refused"] == {"another collection": 1}
    old = bytearray(good[1])
    old[2] = 9
    assert ask("/feedback", body=batch([bytes(old)])).json["refused"] == {"another version": 1}
    for nonsense in (b"", b"hello", b"PB\x01\x00\xff\xff\xff\xff", b"[1,2,3]"):
        answer = ask("/feedback", body=nonsense, method="POST")
        assert answer.status in (200, 400) and ("taken" not in answer.text or answer.json["taken"] == 0)
    assert ask("/feedback", body=bytes(1 << 17)).status == 413


def test_without_a_ranking_that_learns_there_is_nothing_to_send(serving: Serving) -> None:
    assert serving.ask("/feedback").status == 404
    assert serving.ask("/feedback", body=b"PB\x01\x00\x00\x00\x00\x00").status == 404
    assert "feedback.js" not in serving.ask("/search?q=windows", accept="text/html").text


def letters_found(serving: Serving) -> list[str]:
    """The first letters of the titles that some queries find first."""
    asked = ("support", "windows", "support desktop", "server site", "web")
    return [
        hit["title"][:1].upper() for query in asked for hit in serving.ask(f"/search?q={query.replace(' ', '+')}").json["results"]
    ]


def test_many_reports_teach_the_ranking(learning: tuple[Serving, Path], tmp_path: Path) -> None:
    """Readers who like titles with a W: their reports by HTTP, the estimate by the command line, the step by a pipeline, then deployed."""
    serving, home = learning
    told = serving.ask("/feedback").json
    model = Deployments(home).load(Deployments(home).current()["rank"].artifact)
    last = told["period"] - 2
    back = np.linalg.pinv(model.arrays["whitening"])
    ray, taste = back @ model.arrays["weights"], back @ np.array([0.0] * 5 + [1.0])
    direction = ray / np.linalg.norm(ray) + 2 * taste / np.linalg.norm(taste)
    sent = reports(told["collection"], np.tile(direction, (2000, 1)), last)
    for begin in range(0, 2000, 500):
        assert serving.ask("/feedback", body=batch(sent[begin : begin + 500])).json["taken"] == 500
    command = [sys.executable, "-m", "pellucid", "local", "estimate", json.loads(told["collection"])["name"], "--home", str(home)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "--period" in refused.stderr
    shutil.copy(home.parent / "areas.csv", tmp_path)
    command += ["--period", str(last), "--out", str(tmp_path / "clicks.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "2000 reports, directions, epsilon 2" in done.stdout
    guarantee = json.loads((tmp_path / "clicks.guarantee.json").read_text())
    assert guarantee["relation"].startswith("any two vectors") and guarantee["reports"] == 2000
    (tmp_path / "learn.py").write_text(BEGINNING + LEARNING)
    assert run(load(tmp_path / "learn.py"), home=home, jobs=2).status == "done"
    first = letters_found(serving)
    version = Deployments(home).deploy("rank", "last", "ranking").version
    until = time.monotonic() + 20
    while serving.ask("/health").json["models"]["rank"] != version:
        assert time.monotonic() < until, serving.ask("/health").text
        time.sleep(0.1)
    assert letters_found(serving).count("W") > first.count("W")
    assert "letter=W" in serving.ask("/search?q=support").json["results"][0]["why"]
    assert serving.ask("/feedback").json["id"] != told["id"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_browser_reports_a_week_when_it_is_over_and_nothing_else(learning: tuple[Serving, Path], chromium: Any) -> None:
    serving, home = learning
    chromium.get(serving.address + "about")
    chromium.execute_script("localStorage.clear(); sessionStorage.clear();")
    chromium.get(serving.address + "about")
    wait(chromium, "return !document.getElementById('feedback-on').disabled")
    assert "sent nothing" in chromium.find_element("id", "feedback-said").text
    chromium.execute_script("document.getElementById('feedback-on').click()")
    chromium.get(serving.address + "search?q=windows+support")
    time.sleep(0.5)
    chromium.execute_script(
        "document.addEventListener('click', (e) => e.preventDefault()); document.querySelectorAll('a.hit')[2].click();"
    )
    state = json.loads(chromium.execute_script("return localStorage.getItem('pellucid.feedback')"))
    (held,) = state["sums"].values()
    assert any(held) and state["agreed"] == pytest.approx(2.0)
    answer = serving.ask("/feedback").json
    this, before = answer["period"], answer["period"] - 1
    chromium.get_log("performance")
    # a week passes: what was added up is of the week before
    state["on"], state["sums"] = before, {f"{answer['id']}:{before}": held}
    chromium.execute_script("localStorage.setItem('pellucid.feedback', arguments[0])", json.dumps(state))
    chromium.get(serving.address + "about")
    wait(chromium, "return JSON.parse(localStorage.getItem('pellucid.feedback')).sent.length === 1")
    chromium.get(serving.address + "about")  # once more: nothing more is sent
    wait(chromium, "return document.querySelectorAll('#feedback-sent li').length === 1")
    text = chromium.find_element("id", "feedback-panel").text
    assert "taken" in text and "epsilon 2.00 in sum" in text
    posted = [
        one["message"]["params"]["request"]
        for one in (json.loads(entry["message"]) for entry in chromium.get_log("performance"))
        if one["message"]["method"] == "Network.requestWillBeSent" and one["message"]["params"]["request"]["method"] == "POST"
    ]
    assert len(posted) == 1 and posted[0]["url"].endswith("/feedback")
    collector = Collector(home)
    try:
        assert this - 1 in collector.periods(read(answer["collection"]))
    finally:
        collector.close()
    # another model, in the same week: the week was reported about already
    state = json.loads(chromium.execute_script("return localStorage.getItem('pellucid.feedback')"))
    state["sent"][0]["key"] = f"another:{before}"
    chromium.execute_script("localStorage.setItem('pellucid.feedback', arguments[0])", json.dumps(state))
    chromium.get(serving.address + "about")
    wait(chromium, "return document.querySelectorAll('#feedback-sent li').length === 1")
    # the service asks for more than was agreed to: nothing is sent, and the page says so
    state |= {"sent": [], "agreed": 1.0, "on": before}
    chromium.execute_script("localStorage.setItem('pellucid.feedback', arguments[0])", json.dumps(state))
    chromium.get(serving.address + "about")
    wait(chromium, "return document.getElementById('feedback-panel').textContent.includes('more than you agreed to')")
    state = json.loads(chromium.execute_script("return localStorage.getItem('pellucid.feedback')"))
    assert state["sent"] == [] and state["waiting"] == []
    sent = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    assert not [
        one for one in sent if one["method"] == "Network.requestWillBeSent" and one["params"]["request"]["method"] == "POST"
    ]
    chromium.execute_script("localStorage.clear(); sessionStorage.clear();")


def wait(browser: Any, script: str, seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not browser.execute_script(script):
        assert time.monotonic() < until, (script, browser.get_log("browser"))
        time.sleep(0.05)
