"""The dashboard over a real state folder: what its pages say, as HTML, JSON and CSV; what its forms do; and how it looks in a browser."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_reading import reads_well, view
from served_shop import Serving, asking, end, start

from pellucid.errors import PellucidError
from pellucid.maintenance import restore, write_backup
from pellucid.packages.publishing import publish
from pellucid.pipeline.record import Record, RunTags, write_tags
from pellucid.pipeline.running import load, run
from pellucid.privacy import Ledger
from pellucid.registry import RULES_FILE, Deployments, note_publication, promote
from pellucid.schedule import Schedules, Trigger
from pellucid.service.answer_counts import AnswerCounts
from pellucid.service.dashboard import charts, state_views

PIPELINE = """
import time
import numpy as np
import pyarrow as pa
import pellucid as pl

rows = pl.source("rows.csv", label="open", licence="CC0-1.0")
people = pl.source("people.csv", label="private", unit="person", budget=pl.Budget(epsilon=3.0, delta=1e-5))
counts = pl.release(pl.privacy.histogram("item", public_keys=["a", "b"]), of=people, epsilon=0.5, delta=1e-6)


@pl.step(kind="train")
def net(rows: pl.Table, counts: pl.Table, rate: float = 0.1, width: int = 8, slow: float = 0.0) -> pl.Model:
    for epoch in range(12):
        pl.log("loss", float(np.exp(-rate * epoch)), epoch)
        if slow:
            print("epoch", epoch, flush=True)
            time.sleep(slow)
    if rate > 5:
        raise ValueError("it diverged")
    return pl.Model("toy", {"weight": np.array([rate, width])}, {"rate": rate})


@pl.step(kind="evaluate")
def quality(net: pl.Model) -> pl.Metrics:
    return {"ndcg": 0.5 + float(net["weight"][0]) / 10, "recall": 0.3 + float(net["weight"][1]) / 100}


@pl.step
def table(net: pl.Model) -> pl.Table:
    return pa.table({"item": [f"<b>item {at}</b>" for at in range(120)], "score": np.linspace(0, 1, 120)})


about = pl.About(title="Net", description="A toy.", creators=("Doe, Jane",), licence="CC0-1.0", data_licence="CC0-1.0")
pipeline = pl.Pipeline("net", [rows, people, counts, net, quality, table], about=about)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nine runs that differ, one of which failed; a published package, a deployment and two schedules."""
    folder = tmp_path_factory.mktemp("net")
    (folder / "net.py").write_text(PIPELINE)
    (folder / "rows.csv").write_text("a,b\n1,2\n3,4\n")
    (folder / "people.csv").write_text("person,item\n" + "".join(f"{one},a\n" for one in range(200)))
    state = folder / ".pellucid"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PELLUCID_KEYS", str(folder / "keys"))
        for rate in (9.0, 0.1, 0.3, 0.9):
            for width in (4, 8) if rate < 5 else (8,):
                settings = {"net.rate": rate, "net.width": width}
                done = run(load(folder / "net.py"), home=state, settings=settings, confined=True, check=False)
        run(load(folder / "net.py"), home=state, confined=True)
        publish(state, done.id, folder / "package")
        note_publication(state, folder / "package", done.id)
        Deployments(state).deploy("production", done.id, "net", folder / "package")
        Schedules(state).add("nightly", folder / "net.py", Trigger("cron", "30 2 * * *", "Europe/Berlin"))
        Schedules(state).add("verify", folder / "package", Trigger("every", "1d"))
        yield state


@pytest.fixture(scope="module")
def serving(home: Path) -> Iterator[Serving]:
    started = start(home)
    yield started
    assert end(started) == 0


def names(home: Path, status: str = "done") -> list[str]:
    record = Record(home)
    found = [one["run"] for one in record.runs(100) if one["status"] == status]
    record.close()
    return found


def test_runs_are_filtered_sorted_and_counted(serving: Serving):
    told = serving.ask("/runs").json
    assert told["total"] == len(told["runs"]) == 8 and all(one["epsilon"] == 0.5 for one in told["runs"])
    best = serving.ask("/runs?sort=quality.ndcg&metric=quality.ndcg&limit=2").json
    assert best["total"] == 8 and [one["metrics"]["quality.ndcg"] for one in best["runs"]] == [0.59, 0.59]
    worst = serving.ask("/runs?sort=quality.ndcg&order=up&metric=quality.ndcg").json["runs"]
    values = [one["metrics"].get("quality.ndcg") for one in worst]
    assert values[:-1] == sorted(values[:-1]) and values[-1] is None, "what has no value comes last both ways"
    assert serving.ask("/runs?status=failed").json["total"] == 1
    assert serving.ask("/runs?q=net.width%22%3A%20%224").json["total"] == 0
    assert serving.ask("/runs?limit=3&page=3").json["runs"][1]["status"] == "failed"
    assert serving.ask("/runs?sort=nothing").status == 400 and serving.ask("/runs?status=odd").status == 400
    assert serving.ask("/runs?limit=0").status == 422 and serving.ask("/runs?limit=501").status == 422


def test_tables_are_given_as_csv_with_every_digit(serving: Serving):
    answer = serving.ask("/runs?format=csv&metric=quality.recall", accept="text/html")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert (
        len(rows) == 8
        and {row["quality.recall"] for row in rows} == {"", repr(0.3 + 4 / 100), "0.38"}
        and "attachment" in answer.headers["Content-Disposition"]
    )
    for page in (
        "/pipelines",
        "/data",
        "/ledger",
        "/schedules",
        "/schedules/nightly",
        "/registry",
        "/packages",
        "/compare?pipeline=net",
    ):
        assert serving.ask(page + ("&" if "?" in page else "?") + "format=csv").status == 200, page


def test_a_cell_that_a_spreadsheet_would_run_is_text():
    from pellucid.service.dashboard.answers import _csv

    assert _csv([{"a": "=1+1", "b": -2.5, "c": "+x", "d": None}]).splitlines()[1] == "'=1+1,-2.5,'+x,"


def test_a_run_has_all_that_its_page_shows(serving: Serving, home: Path):
    name = names(home)[0]
    told = serving.ask(f"/runs/{name}").json
    assert (
        told["metrics"]["quality.ndcg"] == 0.51
        and told["settings"]["net.rate"] == "0.1"
        and len(told["curves"]["net.loss"]) == 12
    )
    steps = {one["step"]: one for one in told["steps"]}
    assert (
        steps["people"]["outputs"]["people"] == {"kind": "table", "digest": None, "bytes": None, "branches": None}
        and steps["people"]["key"] is None
    )
    page = serving.ask(f"/runs/{name}", accept="text/html").text
    assert "<svg" in page and "withheld" in page and "pellucid run net.py --seed" in page
    failed = serving.ask(f"/runs/{names(home, 'failed')[0]}", accept="text/html").text
    assert "it diverged" in failed and "/log/net" in failed
    assert "ValueError: it diverged" in serving.ask(f"/runs/{names(home, 'failed')[0]}/log/net").text
    assert serving.ask("/runs/nothing").status == 404 and serving.ask("/runs/2026").status == 404


def test_outputs_are_looked_at_and_fetched(serving: Serving, home: Path):
    name = names(home)[0]
    table = serving.ask(f"/runs/{name}/outputs/table").json
    assert table["preview"]["total"] == 120 and len(table["preview"]["rows"]) == 50
    assert table["preview"]["columns"] == [{"name": "item", "type": "string"}, {"name": "score", "type": "double"}]
    assert "&lt;b&gt;item 0" in serving.ask(f"/runs/{name}/outputs/table", accept="text/html").text, (
        "text of the data is no markup"
    )
    assert serving.ask(f"/runs/{name}/outputs/quality").json["preview"]["numbers"]["ndcg"] == 0.51
    assert serving.ask(f"/runs/{name}/outputs/net").json["preview"]["model"] == "toy"
    lineage = serving.ask(f"/runs/{name}/outputs/net", accept="text/html").text
    assert "rows, people, counts" in lineage and "quality, table" in lineage
    fetched = serving.ask(f"/runs/{name}/outputs/quality?download=true")
    assert json.loads(fetched.text)["ndcg"] == 0.51 and "attachment" in fetched.headers["Content-Disposition"]
    assert (
        serving.ask(f"/runs/{name}/outputs/people").status == 403 and serving.ask(f"/runs/{name}/outputs/nothing").status == 404
    )


def test_runs_are_compared(serving: Serving, home: Path):
    told = serving.ask("/compare?pipeline=net&last=500").json
    assert len(told["runs"]) == 8 and told["settings"] == ["net.rate", "net.width"] and "quality.ndcg" in told["metrics"]
    two = names(home)[:2]
    page = serving.ask(f"/compare?run={two[0]}&run={two[1]}&x=net.rate&y=quality.ndcg", accept="text/html").text
    assert page.count('<svg class="chart"') == 3
    record = Record(home)
    write_tags(record.db, two[0], RunTags(tags={"sweep": "x"}))
    record.close()
    tagged = serving.ask("/compare?tag=sweep%3Dx").json
    assert (
        [one["run"] for one in tagged["runs"]] == [two[0]] and tagged["pipeline"] == "net" and "quality.ndcg" in tagged["metrics"]
    )
    assert serving.ask("/compare?run=nothing").status == 404
    assert serving.ask("/compare", accept="text/html").status == 200


def test_accounts_and_what_if(serving: Serving, home: Path):
    told = serving.ask("/ledger?account=people&epsilon=0.5&times=5").json
    assert told["accounts"][0]["left_epsilon"] == 2.5 and told["what_if"] == {
        "account": "people", "fits": True, "left_epsilon": 0.0, "left_delta": 9e-6, "most_times": 5,
        "runs_out": told["what_if"]["runs_out"],
    }  # fmt: skip
    assert serving.ask("/ledger?account=people&epsilon=0.5&times=6").json["what_if"]["fits"] is False
    assert serving.ask("/ledger?account=people&epsilon=0.1&delta=1e-6&times=9").json["what_if"]["fits"] is True
    assert serving.ask("/ledger?account=people&epsilon=0.1&delta=1e-6&times=10").json["what_if"]["fits"] is False
    for wrong in (
        "account=nobody&epsilon=1",
        "account=people&epsilon=0",
        "account=people&epsilon=nan",
        "account=people&epsilon=1&delta=1",
        "account=people&epsilon=1&times=0",
    ):
        assert serving.ask(f"/ledger?{wrong}").status == 400, wrong
    assert Ledger(home).accounts()[0]["left_epsilon"] == 2.5, "a question spends nothing"


def test_what_if_agrees_with_the_account_itself(tmp_path: Path):
    """By the account's own exact sums, at the edge and on both sides of it."""
    ledger = Ledger(tmp_path / ".pellucid")
    ledger.open_account("a", "person", 1.0, 1e-6)
    for times, epsilon in ((10, 0.1), (11, 0.1), (3, 1 / 3), (7, 1 / 7), (1000, 0.001), (1001, 0.001)):
        from pellucid.privacy.accounting import Amounts, cap, fits

        total = cap(epsilon, 0.0)[0] * times
        exact = fits("basic", ledger.account("a").limit, Amounts(epsilon=total))
        told = state_views.what_if(state_views.ledger_told(tmp_path / ".pellucid"), "a", epsilon, 0.0, times)
        assert told["fits"] == exact, (times, epsilon)


def test_pipelines_data_schedules_models_packages_system(serving: Serving, home: Path):
    (pipeline,) = serving.ask("/pipelines").json["pipelines"]
    assert (pipeline["pipeline"], pipeline["runs"], pipeline["failed"]) == ("net", 8, 1)
    assert len(serving.ask("/pipelines/net").json["graph"]) == 6 and serving.ask("/pipelines/other").status == 404
    data = serving.ask("/data").json
    assert {one["name"]: one["digest"] is None for one in data["sources"]} == {"people": True, "rows": False}
    assert [(one["name"], one["epsilon"], one["delta"]) for one in data["releases"]] == [("counts", 0.5, 1e-6)]
    schedules = serving.ask("/schedules").json["schedules"]
    assert [one["name"] for one in schedules] == ["nightly", "verify"] and len(schedules[0]["next"]) == 3
    registry = serving.ask("/registry").json
    assert len(registry["models"]) == 6 and [one["aliases"] for one in registry["models"] if one["aliases"]] == [["production"]]
    (package,) = serving.ask("/packages").json["packages"]
    assert package["there"] and package["aliases"] == ["production"]
    system = serving.ask("/system").json
    assert system["runs"] >= 8 and system["models"]["production"] and str(home) not in json.dumps(system)


def test_the_first_page_leads_to_everything(serving: Serving):
    page = serving.ask("/", accept="text/html").text
    for there in ("runs", "pipelines", "data", "models", "ledger", "schedules", "registry", "packages", "system"):
        assert f'href="/{there}"' in page
        assert serving.ask(f"/{there}", accept="text/html").status == 200


def test_a_model_that_answers_nothing_says_where_to_fetch_it(serving: Serving):
    asked = serving.ask("/models/production/predict", body={"items": [1]})
    assert asked.status == 409 and "pellucid get" in asked.json["error"]
    assert serving.ask("/models/nothing/predict", body={"items": [1]}).status == 404
    assert serving.ask("/models/net/predict", body={"items": "x"}).status == 422


def posted(serving: Serving, path: str, **fields: str) -> int:
    from urllib.parse import urlencode

    return serving.ask(path, body=urlencode(fields).encode()).status


def test_forms_act_and_leave_a_trace(serving: Serving, home: Path):
    name = names(home)[-1]
    assert posted(serving, f"/runs/{name}/tags", name="first", tags="kind=toy odd", note="a note") == 200
    assert serving.ask("/runs?q=first").json["runs"][0]["tags"] == {"kind": "toy"}
    assert posted(serving, f"/runs/{name}/tags", name="not a name") == 400
    assert posted(serving, "/registry", do="promote", model="net@1", alias="candidate") == 200
    assert posted(serving, "/registry", do="promote", model="net@2", alias="candidate") == 200
    assert posted(serving, "/registry", do="rollback", alias="candidate") == 200
    assert posted(serving, "/registry", do="promote", model="net@99", alias="candidate") == 400
    assert posted(serving, "/registry", do="promote", model="net", alias="candidate", package="/etc") == 400
    assert Deployments(home).current()["candidate"].approver == "local"
    target = str(home.parent / "net.py")
    assert posted(serving, "/schedules", target=target, kind="every", expression="6h", name="often") == 200
    assert posted(serving, "/schedules", target=target, kind="cron", expression="nonsense", name="odd") == 400
    assert posted(serving, "/schedules", target="/etc/passwd", kind="every", expression="6h", name="evil") == 400
    assert posted(serving, "/schedules/often", do="pause") == 200 and posted(serving, "/schedules/often", do="remove") == 200
    assert posted(serving, "/schedules/often", do="remove") == 400
    actions = [one["action"] for one in serving.ask("/system").json["audit"]["newest"]]
    assert (
        actions[:4] == ["removed schedule", "paused schedule", "scheduled", "rollback"]
        and serving.ask("/system").json["audit"]["broken_at"] is None
    )


def test_a_run_is_started_and_followed_from_the_page(serving: Serving, home: Path):
    name, before = names(home)[0], len(names(home))
    assert posted(serving, f"/runs/{name}/again", set="counts.epsilon=2") == 403, "what is released is the steward's"
    refused = serving.ask(f"/runs/{name}/again", body=b"set=net.nothing%3D1")
    assert refused.status == 400 and "it did not begin" in refused.json["error"] and "nothing" in refused.json["error"]
    assert posted(serving, f"/runs/{name}/again", set="net.slow=0.2\nnet.rate=0.2") == 200
    deadline = time.monotonic() + 30
    while not (running := names(home, "running")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    lines: list[tuple[float, str]] = []

    def follow() -> None:
        import urllib.request

        with urllib.request.urlopen(f"{serving.address}runs/{running[0]}/events", timeout=30) as stream:
            lines.extend((time.monotonic(), line.decode()) for line in stream)

    follower = threading.Thread(target=follow)
    follower.start()
    follower.join(30)
    said = [json.loads(line[6:]) for _, line in lines if line.startswith("data: ")]
    text = "".join(one.get("text", "") for one in said if one.get("step") == "net")
    assert [word for word in text.split() if word.isdigit()][:1] == ["0"] and said[-1] == {"status": "done"}
    assert len({round(at, 1) for at, line in lines if "epoch" in line}) > 2, "as it came, not at the end"
    assert len(names(home)) == before + 1


PAGES = {
    "overview": "/overview", "runs": "/runs", "failed": "/runs?status=failed", "run": "/runs/{run}", "output": "/runs/{run}/outputs/table",
    "model": "/runs/{run}/outputs/net", "compare": "/compare?pipeline=net&x=net.rate",
    "pipelines": "/pipelines", "pipeline": "/pipelines/net",
    "data": "/data", "ledger": "/ledger?account=people&epsilon=0.5", "schedules": "/schedules", "schedule": "/schedules/nightly",
    "registry": "/registry", "packages": "/packages", "system": "/system", "sign-in": "/sign-in", "missing": "/runs/nothing",
    "attacks": "/attacks", "views": "/views",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_reads_well(serving: Serving, home: Path, chromium: Any, axe: str, name: str):
    path = PAGES[name].replace("{run}", names(home)[-1])
    reads_well(chromium, axe, serving.address.rstrip("/") + path, name)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_keys_phones_and_no_scripts(serving: Serving, chromium: Any):
    from selenium.webdriver import ActionChains, Keys

    view(chromium, 1280, "light")
    chromium.get(serving.address + "runs")
    focused = "return document.activeElement.closest('.runs tbody th') !== null"
    ActionChains(chromium).send_keys(Keys.TAB, Keys.ENTER, Keys.TAB).perform()
    assert chromium.execute_script("const a = document.activeElement; return a.matches('.runs a')"), "three keys to the table"
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert chromium.execute_script(outline) != "none"
    ActionChains(chromium).send_keys("j", "x", "j", "x").perform()
    assert chromium.execute_script(focused)
    assert len(chromium.find_elements("css selector", ".runs input:checked")) == 2
    ActionChains(chromium).send_keys("c").perform()
    deadline = time.monotonic() + 20
    while "/compare?run=" not in chromium.current_url:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    view(chromium, 360, "light")
    chromium.get(serving.address + "runs")
    tops = chromium.execute_script(
        "return [...document.querySelectorAll('.runs tbody tr')].map((row) => row.getBoundingClientRect().bottom)"
    )
    assert sum(bottom <= 740 for bottom in tops) >= 3, "three runs on a phone's first screen"
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chromium.get(serving.address + "runs")
        chromium.find_element("css selector", "thead")
        chromium.get(serving.address + "runs?sort=quality.ndcg&metric=quality.ndcg")
        rows = chromium.find_elements("css selector", ".runs tbody tr")
        assert len(rows) == serving.ask("/runs").json["total"], "the sorted page shows every run, without scripts too"
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_first_use_with_the_mouse_alone(serving: Serving, home: Path, chromium: Any):
    """Two runs compared, a model promoted, the accounts seen, a re-verification scheduled; each by what the page offers."""
    from selenium.webdriver.support.ui import Select, WebDriverWait

    def click(found: Any, to: str) -> None:
        found.click()
        WebDriverWait(chromium, 20).until(lambda driver: to in driver.current_url)

    view(chromium, 1280, "light")
    chromium.get(serving.address)
    click(chromium.find_element("link text", "Runs"), "/runs")
    for box in chromium.find_elements("css selector", ".runs input[name=run]")[:2]:
        box.click()
    click(chromium.find_element("css selector", "#runs button"), "/compare?run=")
    assert len(chromium.find_elements("css selector", ".runs tbody tr")) == 2
    before = len(Deployments(home).history())
    click(chromium.find_element("link text", "Registry"), "/registry")
    field = chromium.find_element("css selector", "input[name=alias]")
    field.clear()
    field.send_keys("by-mouse")
    chromium.find_element("css selector", "button[value=promote]").click()
    WebDriverWait(chromium, 20).until(lambda _: len(Deployments(home).history()) == before + 1)
    assert Deployments(home).current()["by-mouse"].approver == "local"
    click(chromium.find_element("link text", "Ledger"), "/ledger")
    click(chromium.find_element("css selector", ".fields button"), "epsilon=0.5")
    assert "It fits" in chromium.find_element("css selector", "[role=status]").text
    click(chromium.find_element("link text", "Schedules"), "/schedules")
    Select(chromium.find_element("name", "target")).select_by_visible_text("verify package again")
    chromium.find_element("name", "name").send_keys("by-mouse")
    chromium.find_element("css selector", "form.fields button").click()
    WebDriverWait(chromium, 20).until(lambda _: any(one.name == "by-mouse" for one in Schedules(home).all()))
    remove = next(
        one
        for one in chromium.find_elements("css selector", "button[value=remove]")
        if "by-mouse" in one.get_attribute("textContent")
    )
    remove.click()
    WebDriverWait(chromium, 20).until(lambda _: all(one.name != "by-mouse" for one in Schedules(home).all()))
    assert chromium.get_log("browser") == []


def test_a_thinned_curve_keeps_its_peaks():
    points = [(at, 0.0) for at in range(10_000)]
    points[5003] = (5003, 9.0)
    points[77] = (77, -9.0)
    thin = charts.thinned(points)
    assert len(thin) <= charts.MOST_POINTS and (5003.0, 9.0) in thin and (77.0, -9.0) in thin
    assert thin == sorted(thin)


@pytest.mark.slow
def test_pages_with_all_that_can_stand_on_them(home: Path, tmp_path: Path):
    """A refusal of the accounts, a paused and a failed schedule, a canary, rules, answers, a damaged file."""
    state = tmp_path / "state"
    write_backup(home, tmp_path / "all.tar")
    restore(tmp_path / "all.tar", state)
    with pytest.raises(PellucidError):
        run(load(home.parent / "net.py"), home=state, settings={"counts.epsilon": 9.0}, confined=True)
    record = Record(state)
    record.db.execute("INSERT INTO firings VALUES ('verify', 'change 1', 1, 1.0, 'failed', 3, 0.0, '', 'it broke', 2.0)")
    record.db.execute(
        "INSERT INTO firings VALUES ('nightly', '2026-01-01T01:30:00Z', 1, 1.0, 'missed', 0, 0.0, '', 'nobody', 2.0)"
    )
    metrics = next(step for step in record.steps(names(state)[0]) if step.step == "quality").outputs["quality"]
    record.close()
    damaged = state / "objects" / metrics.sha256[:2] / f"{metrics.sha256}{metrics.suffix}"
    damaged.chmod(0o600)
    damaged.write_text("{")
    Schedules(state).pause("nightly", "by hand")
    promote(state, "net@1", "production", share=0.1)
    rules = '[production]\napprovers = ["ana"]\npackage = true\nverdict = "bit-identical"\nepsilon_at_most = 1.0\n'
    (state / RULES_FILE).write_text(rules + '[[production.metrics]]\nname = "quality.ndcg"\nat_least = 0.1\nnot_worse_by = 0.1\n')
    counts = AnswerCounts(state)
    counts.add("production", "model:0", "failed")
    counts.write(now=True)
    served = start(state)
    try:
        run_name = names(state)[0]
        for name, path in PAGES.items():
            for accept in ("text/html", "application/json"):
                answer = served.ask(path.replace("{run}", run_name), accept=accept)
                expected = (404,) if name == "missing" else (200, 303)
                assert answer.status in expected, (name, accept, answer.text[:300])
        for path, said in (
            ("/ledger", "this release asks for"), ("/schedules", "paused: by hand"), ("/schedules/verify", "it broke"),
            ("/registry", "10 %"), ("/registry", "not worse than now by 0.1"), ("/registry", "Answers"),
            (f"/runs/{run_name}/outputs/quality", "damaged"),
        ):  # fmt: skip
            assert said in served.ask(path, accept="text/html").text, (path, said)
    finally:
        assert end(served) == 0


def test_two_services_on_one_port_and_one_state(serving: Serving, home: Path):
    port = serving.address.rstrip("/").rpartition(":")[2]
    words = [sys.executable, "-m", "pellucid", "serve", "--home", str(home), "--port"]
    taken = subprocess.run([*words, port], capture_output=True, text=True, timeout=30, check=False)
    assert taken.returncode == 2 and "cannot be served there" in taken.stderr
    other = start(home)  # on one state both serve, and each schedule fires once
    try:
        assert other.ask("/runs").json["total"] == serving.ask("/runs").json["total"]
    finally:
        assert end(other) == 0


@pytest.mark.slow
def test_a_full_disk_while_serving(tmp_path: Path):
    """The process may write no file beyond some bytes, as on a disk that is full: pages are still read, forms say why not, it goes on."""
    import resource
    import subprocess

    (tmp_path / "net.py").write_text(
        PIPELINE.replace("[rows, people, counts, net", "[rows, net").replace(", counts: pl.Table", "")
    )
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    home = tmp_path / ".pellucid"
    done = run(load(tmp_path / "net.py"), home=home)
    before = (home / "pellucid.db").stat().st_size
    command = [sys.executable, "-m", "pellucid", "serve", "--home", str(home), "--port", "0"]
    out = tmp_path / "out.txt"
    with out.open("wb") as held:
        limit = before + 16_384
        process = subprocess.Popen(
            command,
            stdout=held,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
    try:
        import re

        while not (found := re.search(r"http://\S+", out.read_text())):
            assert process.poll() is None, out.read_text()
        served = Serving(process, found[0], asking(found[0]))  # type: ignore[arg-type]
        statuses = []
        for at in range(400):  # each note takes room, until there is none
            statuses.append(posted(served, f"/runs/{done.id}/tags", note=f"{at} " + "x" * 9000))
            if statuses[-1] == 503:
                break
        assert statuses[0] == 200 and statuses[-1] == 503
        told = served.ask(f"/runs/{done.id}/tags", body=b"note=y")
        assert told.status in (200, 503)
        assert served.ask(f"/runs/{done.id}").status == 200 and served.ask("/health").json["status"] == "ok"
    finally:
        process.terminate()
        assert process.wait(20) in (0, -15)
    again = start(home)
    try:
        assert again.ask(f"/runs/{done.id}").json["note"].endswith("x")
    finally:
        assert end(again) == 0
