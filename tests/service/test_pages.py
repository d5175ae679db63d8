"""The pages in a real browser: wide and narrow, light and dark, with and without JavaScript; read by axe; and what leaves the browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_shop import Serving

from pellucid.models import recommend
from pellucid.registry import Deployments
from pellucid.service import browser_model
from pellucid.store import Model

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "screenshots"
PAGES = {
    "home": "/",
    "results": "/search?q=windows+suport",
    "filtered": "/search?q=area&f.letter=W&page=2&k=5",
    "nothing": "/search?q=zzqqxx",
    "document": "/documents/18",
    "recommend": "/recommend?items=18,17,nothing",
    "models": "/models",
    "model": "/models/recommend",
    "about": "/about",
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def axe(tool: Callable[[str], Path]) -> str:
    """The source of axe-core, which reads a page as its rules on accessibility say."""
    (found,) = tool("axe").parents[1].rglob("axe_playwright_python/axe.min.js")
    return found.read_text()


def view(browser: Any, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})


@pytest.mark.parametrize("name", PAGES)
def test_a_page_reads_well(serving: Serving, chromium: Any, axe: str, name: str):
    PICTURES.mkdir(parents=True, exist_ok=True)
    for width in (1280, 360):
        for scheme in ("light", "dark"):
            view(chromium, width, scheme)
            chromium.get(serving.address.rstrip("/") + PAGES[name])
            chromium.execute_script(axe)
            told = chromium.execute_async_script("const done = arguments[0]; axe.run().then(done)")
            bad = [(one["id"], one["nodes"][0]["html"]) for one in told["violations"] if one["impact"] in ("serious", "critical")]
            assert bad == [], (width, scheme)
            wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert chromium.execute_script(wide) <= 0, (width, scheme)
            assert chromium.get_log("browser") == []
            chromium.save_screenshot(PICTURES / f"search-{name}-{width}-{scheme}.png")


def arrived(browser: Any, at: Callable[[str], bool]) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 20).until(lambda _: at(browser.current_url))


def test_plain_search_needs_no_script(serving: Serving, chromium: Any):
    view(chromium, 1280, "light")
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chromium.get(serving.address)
        chromium.find_element("id", "q").send_keys("windows")
        chromium.find_element("css selector", "form button").click()
        arrived(chromium, lambda url: "q=windows" in url)
        assert len(chromium.find_elements("css selector", ".hits > li")) > 2
        chromium.find_element("css selector", ".facet a").click()
        arrived(chromium, lambda url: "f.letter=" in url)
        assert chromium.find_elements("css selector", ".chips a")
        chromium.find_element("css selector", ".chips a").click()
        arrived(chromium, lambda url: "f.letter=" not in url)
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_keys_walk_the_page(serving: Serving, chromium: Any):
    from selenium.webdriver import ActionChains, Keys

    view(chromium, 1280, "light")
    chromium.get(serving.address + "search?q=windows")
    focused = "return document.activeElement.id || document.activeElement.className"
    ActionChains(chromium).send_keys("/").perform()
    assert chromium.execute_script(focused) == "q"
    ActionChains(chromium).send_keys(Keys.ARROW_DOWN).perform()
    assert chromium.execute_script(focused) == "hit"
    ActionChains(chromium).send_keys(Keys.ARROW_UP).perform()
    assert chromium.execute_script(focused) == "q"


def waited(browser: Any, script: str) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 20).until(lambda _: browser.execute_script(f"return {script}"))


def kept(browser: Any, store: str, holds: Callable[[list[str]], bool]) -> None:
    """Wait until the browser's own storage holds it: a page that is left too soon writes nothing."""
    from selenium.webdriver.support.ui import WebDriverWait

    script = """
        const [store, done] = arguments;
        indexedDB.open("pellucid").onsuccess = (opened) => {
          const asked = opened.target.result.transaction(store).objectStore(store).getAllKeys();
          asked.onsuccess = () => { opened.target.result.close(); done(asked.result); };
        };
    """
    WebDriverWait(browser, 20).until(lambda _: holds(browser.execute_async_script(script, store)))


def test_suggestions_are_computed_here_and_nothing_is_sent(serving: Serving, shop: Path, chromium: Any):
    """A whole session: on, open documents, see suggestions, dismiss, export, erase. The log of requests holds no history."""
    view(chromium, 1280, "light")
    chromium.execute_cdp_cmd("Network.enable", {})
    chromium.get(serving.address + "about")
    waited(chromium, "!document.getElementById('privacy-panel').hidden")
    chromium.find_element("id", "personal-on").click()
    model = Deployments(shop).load(Deployments(shop).current()["recommend"].artifact)
    items = [str(item) for item in model.arrays["items"].tolist()]
    opened = [items[3], items[10]]
    kept(chromium, "settings", lambda keys: "on" in keys)
    for item in opened:
        chromium.get(f"{serving.address}documents/{item}")
        kept(chromium, "history", lambda keys, item=item: item in keys)
    chromium.get_log("performance")
    chromium.get(serving.address + "search?q=windows")
    waited(chromium, "!document.getElementById('personal').hidden")
    shown = [link.get_attribute("data-id") for link in chromium.find_elements("css selector", "#personal-list a")]
    assert len(shown) == 5 and not set(shown) & set(opened)
    assert "because you opened" in chromium.find_element("id", "personal-list").text
    requests = []
    for entry in chromium.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            requests.append((message["params"]["request"]["method"], message["params"]["request"]["url"]))
    assert requests and {method for method, _ in requests} == {"GET"}
    known = ("search?q=windows", "assets/", "models/recommend/browser")
    assert all(url.removeprefix(serving.address).startswith(known) for _, url in requests), requests
    chromium.find_element("css selector", "#personal-list button").click()
    waited(chromium, "document.querySelectorAll('#personal-list a').length === 4")
    chromium.get(serving.address + "search?q=office")
    waited(chromium, "!document.getElementById('personal').hidden")
    again = [link.get_attribute("data-id") for link in chromium.find_elements("css selector", "#personal-list a")]
    assert shown[0] not in again
    chromium.get(serving.address + "about")
    waited(chromium, "document.getElementById('history-list').children.length === 2")
    chromium.save_screenshot(PICTURES / "search-history-1280-light.png")
    chromium.find_element("id", "history-erase").click()
    waited(chromium, "document.getElementById('history-list').children.length === 0")
    chromium.get(serving.address + "search?q=office")
    assert chromium.find_element("id", "personal").get_attribute("hidden")
    assert chromium.get_log("browser") == []


def shown_ids(browser: Any) -> list[str]:
    return [one.get_attribute("data-id") for one in browser.find_elements("css selector", ".hits > li") if one.is_displayed()]


def put(browser: Any, key: str, place: str) -> None:
    """Choose a place for a result or a source, as a reader does."""
    script = """
        const select = document.querySelector(`.place select[data-key="${arguments[0]}"]`);
        select.closest("details").open = true;
        select.value = arguments[1];
        select.dispatchEvent(new Event("change"));
    """
    browser.execute_script(script, key, place)
    kept(browser, "places", lambda keys: (key in keys) == (place != ""))


def test_my_ranking_is_kept_and_applied_here_and_never_sent(serving: Serving, chromium: Any, axe: str):
    """Pin, raise, lower and block results and a source; the page is in that order, now and when it comes again; export, undo, erase."""
    view(chromium, 360, "light")
    chromium.execute_cdp_cmd("Network.enable", {})
    results = serving.ask("/search?q=windows+support&k=10").json["results"]
    names, sources = [one["id"] for one in results], {one["id"]: one["columns"]["source"] for one in results}
    chromium.get(serving.address + "search?q=windows+support")
    waited(chromium, "document.querySelectorAll('.place').length === 10")
    assert shown_ids(chromium) == names
    chromium.get_log("performance")
    put(chromium, f"document:{names[7]}", "pin")
    waited(chromium, f"document.querySelector('.hits > li').dataset.id === '{names[7]}'")
    assert "pinned by you" in chromium.find_element("css selector", ".hits > li h2").text
    assert "pinned by you" in chromium.find_element("id", "places-said").text
    put(chromium, f"document:{names[9]}", "pin")
    put(chromium, f"document:{names[0]}", "lower")
    put(chromium, f"document:{names[1]}", "block")
    gone = next(one for one in names[2:7] if sources[one] != sources[names[0]])
    put(chromium, f"source:{sources[gone]}", "block")
    put(chromium, f"document:{names[6]}", "raise")  # what is said of a document counts before its source
    chromium.execute_script(axe)
    told = chromium.execute_async_script("const done = arguments[0]; axe.run().then(done)")
    assert [one["id"] for one in told["violations"] if one["impact"] in ("serious", "critical")] == []
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert chromium.execute_script(wide) <= 0
    chromium.save_screenshot(PICTURES / "search-my-ranking-360-light.png")
    scores = {one["id"]: one["score"] for one in results}
    half = (max(scores.values()) - min(scores.values())) / 2
    moved = {names[6]: half, names[0]: -half}
    said = {names[7], names[9], names[6], names[0]}
    left = [one for one in names if one in said or (one != names[1] and sources[one] != sources[gone])]
    rest = sorted((one for one in left if one not in (names[7], names[9])), key=lambda one: -(scores[one] + moved.get(one, 0)))
    wanted = [names[7], names[9], *rest]
    assert shown_ids(chromium) == wanted
    chromium.get(serving.address + "search?q=windows+support")
    waited(chromium, f"document.querySelector('.hits > li').dataset.id === '{names[7]}'")
    assert shown_ids(chromium) == wanted
    chromium.find_element("css selector", "#places-said button").click()
    waited(chromium, "[...document.querySelectorAll('.hits > li')].every((one) => !one.hidden)")
    sent = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    requests = [one["params"]["request"] for one in sent if one["method"] == "Network.requestWillBeSent"]
    known = ("search?q=windows+support", "assets/", "models/recommend/browser")
    assert all(one["method"] == "GET" and one["url"].removeprefix(serving.address).startswith(known) for one in requests), (
        requests
    )
    assert [one for one in requests if "postData" in one] == []
    chromium.get(serving.address + "about")
    waited(chromium, "document.querySelectorAll('#places-list li').length === 6")
    exported = """
        const done = arguments[0], make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { blob.text().then(done); return make(blob); };
        document.getElementById("history-export").click();
    """
    kept_places = json.loads(chromium.execute_async_script(exported))["places"]
    assert {(one["key"], one["place"]) for one in kept_places} >= {
        (f"document:{names[7]}", "pin"),
        (f"source:{sources[gone]}", "block"),
    }
    chromium.find_element("css selector", "#places-list button").click()
    waited(chromium, "document.querySelectorAll('#places-list li').length === 5")
    chromium.find_element("id", "history-erase").click()
    waited(chromium, "document.querySelectorAll('#places-list li').length === 0")
    chromium.get(serving.address + "search?q=windows+support")
    waited(chromium, "document.querySelectorAll('.place').length === 10")
    assert shown_ids(chromium) == names
    assert chromium.get_log("browser") == []


def test_scores_in_the_browser_are_those_of_its_file(serving: Serving, shop: Path, chromium: Any):
    model = Deployments(shop).load(Deployments(shop).current()["recommend"].artifact)
    held = browser_model.packed(model, None, "d")
    length = int.from_bytes(held[:4], "little")
    head = json.loads(held[4 : 4 + length])
    count, row = len(head["items"]), head["row"]
    columns = np.frombuffer(held, "<u4", count * row, 4 + length).reshape(count, row)
    weights = np.frombuffer(held, np.int8, count * row, 4 + length + 4 * count * row).reshape(count, row)
    chromium.get(serving.address)
    random = np.random.Generator(np.random.PCG64(4))
    for _ in range(20):
        history = random.choice(count, int(random.integers(0, 8)), replace=False).tolist()
        sums = np.zeros(count)
        for at in history:
            np.add.at(sums, columns[at].astype(np.int64), weights[at] * head["scale"][at])
        order = sorted((at for at in range(count) if at not in history), key=lambda at: (-sums[at], -head["popularity"][at], at))
        script = """
            const [history, done] = arguments;
            Promise.all([import("/assets/scoring.js"), fetch("/models/recommend/browser").then((one) => one.arrayBuffer())])
              .then(([scoring, held]) => done(scoring.score(scoring.read(held), history, 10).map((one) => [one.id, one.score])));
        """
        found = chromium.execute_async_script(script, [head["items"][at] for at in history])
        assert [one for one, _ in found] == [head["items"][at] for at in order[:10]]
        assert [score for _, score in found] == pytest.approx([sums[at] for at in order[:10]])


def test_varied_suggestions_are_those_of_the_rule(serving: Serving, shop: Path, chromium: Any):
    """The browser's own MMR beside that of Python, on the rounded weights that the browser has."""
    model = Deployments(shop).load(Deployments(shop).current()["recommend"].artifact)
    held = browser_model.packed(model, None, "d")
    length = int.from_bytes(held[:4], "little")
    head = json.loads(held[4 : 4 + length])
    count, row = len(head["items"]), head["row"]
    columns = np.frombuffer(held, "<u4", count * row, 4 + length).reshape(count, row).astype(np.int64)
    rounded = (
        np.frombuffer(held, np.int8, count * row, 4 + length + 4 * count * row).reshape(count, row)
        * np.array(head["scale"])[:, None]
    )
    weights = np.zeros((count, count))
    np.put_along_axis(weights, columns, rounded, axis=1)
    arrays = {"items": np.array(head["items"]), "weights": weights, "popularity": np.array(head["popularity"])}
    twin = Model("ease", arrays, {"tie_break": 0.0})
    chromium.get(serving.address)
    for history in ([], [3], [3, 10], list(range(0, count, 5))):
        names = [head["items"][at] for at in history]
        wanted = [item for item, _ in recommend(twin, names, 15, diversity=0.5)]
        script = """
            const [history, done] = arguments;
            Promise.all([import("/assets/scoring.js"), fetch("/models/recommend/browser").then((one) => one.arrayBuffer())])
              .then(([scoring, held]) => done(scoring.score(scoring.read(held), history, 15, { diversity: 0.5 }).map((one) => one.id)));
        """
        assert chromium.execute_async_script(script, names) == wanted
