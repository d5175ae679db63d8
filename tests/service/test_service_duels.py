"""A duel end to end: lists of both rankings, bits of many readers, forged ones refused, one look, a rule of promotion; a browser."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_shop import Serving, end, start

from pellucid.cli.main import parse
from pellucid.errors import UsageError
from pellucid.evaluation import needed_of
from pellucid.pipeline.running import load, run
from pellucid.privacy.local.collection import read
from pellucid.privacy.local.report_format import batch, encoded
from pellucid.privacy.noise import Stream
from pellucid.registry import Deployments, Duels, find_model, promote

PIPELINE = """
import pellucid as pl

areas = pl.source("areas.csv", label="open")
index = pl.search.index(areas, id="area_id", title="title", text="text", columns=["url", "licence"], facets=["letter"])
taste = pl.search.feedback(index)


@pl.step
def other(feedback: pl.Model) -> pl.Model:
    return pl.Model(feedback.kind, {**feedback.arrays, "weights": -feedback.arrays["weights"]}, dict(feedback.settings))


pipeline = pl.Pipeline("two", [areas, index, taste, other])
"""
PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
QUERY = "/search?q=windows+support"


@pytest.fixture(scope="module")
def two(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Path]]:
    """A service with a ranking, and another of the same documents that nobody deployed."""
    folder = tmp_path_factory.mktemp("two")
    shutil.copy(shop.parent / "areas.csv", folder)
    (folder / "two.py").write_text(PIPELINE)
    home = folder / ".pellucid"
    assert run(load(folder / "two.py"), home=home, jobs=2).status == "done"
    started = start(home)
    yield started, home
    end(started)


def opened(serving: Serving, home: Path, advantage: float = 0.1) -> dict[str, Any]:
    """A new duel, once the service takes part in it."""
    if (present := Duels(home).open()) is not None:
        Duels(home).end(present, "for another test")
    made = Duels(home).begin(find_model(home, "other"), advantage, 2.0)
    return until(
        lambda: (told := serving.ask("/duel")).status == 200 and told.json["id"] == made.collection.id.hex() and told.json
    )


def until(what: Any) -> Any:
    limit = time.monotonic() + 20
    while not (found := what()):
        assert time.monotonic() < limit
        time.sleep(0.05)
    return found


def bits(told: dict[str, Any], values: list[str], period: int | None = None, client: bytes | None = None) -> bytes:
    made = read(told["collection"])
    payloads = made.oracle.perturb(made.encode(values), Stream(secrets.token_bytes(32)))
    return batch(
        encoded(
            made,
            bytes(row),
            client=client or secrets.token_bytes(16),
            nonce=secrets.token_bytes(8),
            period=period or told["period"],
        )
        for row in payloads
    )


def test_a_list_is_a_fair_draft_of_both_rankings(two: tuple[Serving, Path]) -> None:
    serving, home = two
    told = opened(serving, home)
    plain = [one["id"] for one in serving.ask(f"{QUERY}&k=20").json["results"]]
    first = []
    for _ in range(60):
        found = serving.ask(f"{QUERY}&k=6&duel={told['id']}").json
        ids, picked = [one["id"] for one in found["results"]], found["duel"]["picked"]
        assert len(set(ids)) == len(ids) == 6 and sorted(picked) == [0, 0, 0, 1, 1, 1]
        ours = [one for one, side in zip(ids, picked, strict=True) if side == 0]
        assert ours == [one for one in plain if one in ours]  # each ranking's picks stand in its own order
        first.append(picked[0])
    assert 12 < sum(first) < 48  # a fair coin of 60 throws, outside of which it falls once in 10 ** 6
    # the pages of one list fit together
    mark = found["duel"]["mark"]
    pages = [serving.ask(f"{QUERY}&k=6&page={page}&duel={mark}").json for page in (1, 2, 3)]
    whole = serving.ask(f"{QUERY}&k=18&duel={mark}").json
    assert [one["id"] for page in pages for one in page["results"]] == [one["id"] for one in whole["results"]]
    assert [one["id"] for one in pages[0]["results"]] == ids
    html = serving.ask(f"{QUERY}&k=6&duel={told['id']}", accept="text/html").text
    assert html.count("data-pick=") == 6 and f'data-duel="{told["id"]}"' in html and "data-statement" not in html


def test_forged_ids_change_nothing(two: tuple[Serving, Path]) -> None:
    serving, home = two
    told = opened(serving, home)
    plain = serving.ask(QUERY).json["results"]
    for forged in (
        "0" * 32,
        "x",
        "%00",
        told["id"] + ".",
        told["id"] + ".zz",
        told["id"].upper() + "g",
        "a" * 60_000,
        "../" * 9,
        "é",
    ):
        answer = serving.ask(f"{QUERY}&duel={forged if forged.isascii() else '%C3%A9'}")
        assert answer.status in (200, 400, 414, 431)
        if answer.status == 200:
            assert answer.json["results"] == plain and "duel" not in answer.json
    for other in ("&rank=bm25f", "&page=100&k=100"):
        assert "duel" not in serving.ask(f"{QUERY}{other}&duel={told['id']}").json
    assert "duel" not in serving.ask(f"/search?q=&duel={told['id']}").json


def test_bits_are_taken_once_a_reader_until_there_are_enough_and_looked_at_once(two: tuple[Serving, Path]) -> None:
    serving, home = two
    told = opened(serving, home)
    people = told["people"]
    me = secrets.token_bytes(16)
    assert serving.ask("/duel", body=bits(told, ["challenger"], client=me)).json == {"taken": 1, "refused": {}}
    assert serving.ask("/duel", body=bits(told, ["challenger"], client=me)).json == {"taken": 0, "refused": {"flooded": 1}}
    assert serving.ask("/duel", body=bits(told, ["champion"], period=told["period"] + 1)).json["refused"] == {"another period": 1}
    old = {**told, "collection": told["collection"].replace(f'"duel-{told["period"]}', '"duel-9')}
    assert serving.ask("/duel", body=bits(old, ["champion"])).json["refused"] == {"another collection": 1}
    good = bits(told, ["champion"])
    forged = good[:-1] + bytes([7])  # a value that is neither
    assert serving.ask("/duel", body=forged).json == {"taken": 0, "refused": {"malformed": 1}}
    for nonsense in (b"", b"hello", b"PB\x01\x00\xff\xff\xff\xff", b"[1,2,3]"):
        answer = serving.ask("/duel", body=nonsense, method="POST")
        assert answer.status in (200, 400) and ("taken" not in answer.text or answer.json["taken"] == 0)
    assert serving.ask("/duel", body=bytes(1 << 17)).status == 413
    duels = Duels(home)
    present = duels.open()
    assert present is not None
    with pytest.raises(UsageError, match=f"has 1 of {people} reports"):
        duels.decide(present)
    for at in range(0, people + 99, 200):
        serving.ask("/duel", body=bits(told, ["challenger"] * 200))
        assert duels.reports(present) <= people, at
    assert duels.reports(present) == people
    assert serving.ask("/duel", body=bits(told, ["champion"] * 5)).json == {"taken": 0, "refused": {"enough were taken": 5}}
    rules = home / "promotion.toml"
    rules.write_text("[rank]\nduel = true\n")
    try:
        with pytest.raises(UsageError, match="passed no duel"):
            promote(home, "other", "rank")
        arguments = parse(["duel", "decide", "--home", str(home), "--json"])
        assert arguments.call(arguments) == 0
        done = duels.all()[0]
        assert done.state == "passed" and f"{needed_of(people)} needed" in done.said
        with pytest.raises(UsageError, match="closed already"):
            duels.decide(present)
        until(lambda: serving.ask("/duel").status == 404)
        assert serving.ask("/duel", body=good).status == 404
        made = promote(home, "other", "rank")
        assert any(one.startswith(f"passed duel {done.number}") for one in made.checks)
        with pytest.raises(UsageError, match="champion itself"):
            duels.begin(find_model(home, "other"), 0.1, 2.0)
    finally:
        rules.unlink()
        Deployments(home).rollback("rank")
    until(lambda: serving.ask("/health").json["models"]["rank"] == Deployments(home).current()["rank"].version)


def test_what_cannot_be_a_duel_is_refused(two: tuple[Serving, Path]) -> None:
    serving, home = two
    told = opened(serving, home)
    assert told
    duels = Duels(home)
    with pytest.raises(UsageError, match="a duel is open"):
        duels.begin(find_model(home, "other"), 0.1, 2.0)
    with pytest.raises(UsageError, match="epsilon"):
        duels.begin(find_model(home, "other"), 0.1, 9.0)
    with pytest.raises(UsageError, match="advantage"):
        duels.begin(find_model(home, "other"), 0.6, 1.0)
    with pytest.raises(UsageError, match="of kind"):
        duels.begin(find_model(home, "index"), 0.1, 1.0)
    # while a duel is open another ranking is put there: the service takes no further part, and there is no verdict
    Deployments(home).deploy("rank", "last", "other")
    try:
        until(lambda: serving.ask("/duel").status == 404)
        present = duels.open()
        assert present is not None
        duels.take(present, bits(told, ["challenger"] * present.people))
        with pytest.raises(UsageError, match="another ranking stands there"):
            duels.decide(present)
    finally:
        Deployments(home).rollback("rank")
    duels.end(present, "by hand")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_gate_keeps_its_size_and_power_with_simulated_readers() -> None:
    """Readers who open at random pass an equal challenger in at most 5 %; who prefer it as declared, with the power of the gate."""
    from pellucid.evaluation import gate
    from pellucid.privacy.local import declare

    oracle = declare("x", ("champion", "challenger"), 2.0, oracle_name="grr").oracle
    made = gate(0.1, oracle.epsilon)
    random = np.random.Generator(np.random.PCG64(11))
    stream = Stream(bytes(32))
    passed = {}
    for moved in (0.0, 0.1):
        won = 0
        for at in range(1000):
            codes = (random.random(made.people) < 0.5 + moved).astype(np.int64)
            reports = oracle.perturb(codes, stream.fork(f"{moved} {at}"))
            won += made.passes(int(oracle.aggregate(reports)[1]))
        passed[moved] = won / 1000
    assert passed[0.0] <= 0.05 + 0.02 and abs(passed[0.1] - made.power) < 0.04


def wait(browser: Any, script: str) -> None:
    limit = time.monotonic() + 20
    while not browser.execute_script(script):
        assert time.monotonic() < limit, (script, browser.get_log("browser"))
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_browser_takes_part_and_sends_one_bit(two: tuple[Serving, Path], chromium: Any, tool: Callable[[str], Path]) -> None:
    serving, home = two
    told = opened(serving, home)
    chromium.execute_cdp_cmd("Network.enable", {})
    chromium.get(serving.address + "about")
    chromium.execute_script("localStorage.clear()")
    chromium.get(serving.address + "about")
    wait(chromium, "return !document.getElementById('duel-on').disabled")
    chromium.execute_script("document.getElementById('duel-on').click()")
    chromium.get(serving.address + "search")
    wait(chromium, "return document.querySelector('input[name=duel]')")
    chromium.execute_script(
        "document.getElementById('q').value = 'windows support'; document.querySelector('form[role=search]').submit()"
    )
    wait(chromium, "return document.querySelectorAll('[data-duel] [data-pick]').length > 5")
    assert f"duel={told['id']}" in chromium.current_url
    wait(chromium, "return document.querySelector('input[name=duel]')")
    chromium.execute_script("""
        document.addEventListener("click", (event) => event.preventDefault());
        for (const item of [...document.querySelectorAll('[data-pick="1"]')].slice(0, 2)) item.querySelector("a.hit").click();
        document.querySelector('[data-pick="0"] a.hit').click();
    """)
    state = json.loads(chromium.execute_script("return localStorage.getItem('pellucid.duel')"))
    ((key, held),) = state["counts"].items()
    assert held == [1, 2] and key.startswith(told["id"])
    # a list in the reader's own order does not count
    chromium.execute_script("""
        const select = document.querySelector(".hits > li:nth-child(4) .place select");
        select.value = "pin";
        select.dispatchEvent(new Event("change"));
    """)
    wait(chromium, "return !document.querySelector('[data-duel]')")
    chromium.execute_script("document.querySelector('a.hit').click()")
    assert json.loads(chromium.execute_script("return localStorage.getItem('pellucid.duel')"))["counts"] == state["counts"]
    # a week passes
    this = int(key.split(":")[1])
    state |= {"on": this - 1, "counts": {f"{told['id']}:{this - 1}": held}}
    chromium.execute_script("localStorage.setItem('pellucid.duel', arguments[0])", json.dumps(state))
    chromium.get_log("performance")
    for _ in range(2):  # once more: nothing more is sent
        chromium.get(serving.address + "about")
        wait(chromium, "return document.querySelectorAll('#duel-sent li').length === 1")
    text = chromium.find_element("id", "duel-panel").text
    assert "taken" in text and "epsilon 2.00 in sum" in text
    sent = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    requests = [one["params"]["request"] for one in sent if one["method"] == "Network.requestWillBeSent"]
    posted = [one for one in requests if one["method"] == "POST"]
    assert len(posted) == 1 and posted[0]["url"].endswith("/duel")
    present = Duels(home).open()
    assert present is not None and Duels(home).reports(present) == 1
    (axe,) = tool("axe").parents[1].rglob("axe_playwright_python/axe.min.js")
    for width in (1280, 360):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        for path in ("about", f"search?q=windows+support&duel={told['id']}"):
            chromium.get(serving.address + path)
            time.sleep(0.3)
            chromium.execute_script(axe.read_text())
            seen = chromium.execute_async_script("const done = arguments[0]; axe.run().then(done)")
            assert [one["id"] for one in seen["violations"] if one["impact"] in ("serious", "critical")] == [], (width, path)
            assert (
                chromium.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
            )
            chromium.save_screenshot(PICTURES / f"search-duel-{path[:5]}-{width}.png")
    # the next duel, in the same week: nothing; and a duel that asks for more than was agreed to: nothing, and it is said
    state = json.loads(chromium.execute_script("return localStorage.getItem('pellucid.duel')"))
    again = opened(serving, home)
    chromium.get(serving.address + "about")
    wait(chromium, "return !document.getElementById('duel-on').disabled")
    time.sleep(0.3)
    state = json.loads(chromium.execute_script("return localStorage.getItem('pellucid.duel')"))
    assert len(state["sent"]) == 1 and state["waiting"] == [] and again["id"] != told["id"]
    chromium.execute_script(
        "localStorage.setItem('pellucid.duel', arguments[0])", json.dumps({**state, "sent": [], "agreed": 1.0})
    )
    chromium.get(serving.address + "about")
    wait(chromium, "return document.getElementById('duel-panel').textContent.includes('more than you agreed to')")
    assert json.loads(chromium.execute_script("return localStorage.getItem('pellucid.duel')"))["sent"] == []
    assert chromium.get_log("browser") == []
    chromium.execute_script("localStorage.clear(); indexedDB.deleteDatabase('pellucid')")
