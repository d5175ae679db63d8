"""The evaluation as a page: all figures in it, nothing loaded, names of strangers harmless, read by axe at both widths."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pellucid.cli.main import parse
from pellucid.errors import PellucidError, UsageError
from pellucid.evaluation import evaluate, html_report, read_judgements, read_run, unjudged_documents
from pellucid.evaluation.evaluation_charts import MOST_BARS, differences

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "screenshots"
HOSTILE = "<script>alert(1)</script>\"'&\u202e\x00\x1b[31m\ud800"


class Tags(HTMLParser):
    """What a page is made of; every tag that is opened is closed."""

    VOID = ("meta", "link", "line", "circle", "polygon", "br")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> list[tuple[str, dict[str, str | None]]]:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags.seen


def judged(queries: int) -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, dict[str, int]]]:
    """A run, a baseline that has the relevant document later on most queries, and judgements."""
    documents = [f"d{n}" for n in range(12)]
    run = {f"q{n}": documents[n % 3 :] + documents[: n % 3] for n in range(queries)}
    other = {f"q{n}": [*run[f"q{n}"][n % 5 :], *run[f"q{n}"][: n % 5]] for n in range(queries)}
    return (
        run,
        other,
        {f"q{n}": {run[f"q{n}"][n % 4]: 3, run[f"q{n}"][2 * (n % 2) + 1]: 1, run[f"q{n}"][7]: 0} for n in range(queries)},
    )


def files(folder: Path, queries: int = 12) -> list[str]:
    run, other, judgements = judged(queries)
    for name, held in (("ours.run", run), ("theirs.run", other)):
        lines = [f"{query} Q0 {one} {rank} {100 - rank} x" for query, found in held.items() for rank, one in enumerate(found, 1)]
        (folder / name).write_text("\n".join(lines) + "\n")
    lines = [f"{query} 0 {one} {grade}" for query, grades in judgements.items() for one, grade in grades.items()]
    (folder / "qrels").write_text("\n".join(lines) + "\n")
    return ["evaluate", "--run", "ours.run", "--qrels", "qrels", "--baseline", "theirs.run", "--html", "report.html"]


def call(words: list[str]) -> int:
    arguments = parse(words)
    return int(arguments.call(arguments))


def test_the_page_holds_every_figure_of_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call([*files(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    page = (tmp_path / "report.html").read_text()
    seen = read(page)
    for name, one in told["measures"].items():
        assert f'{name}</th><td class="number">{one["mean"]:.4f}</td>' in page
        assert "{:.4f} to {:.4f}".format(*one["interval_95"]) in page
    for one in told["comparisons"]:
        assert f"{one['difference']:+.4f}" in page
        assert (f"{one['p_holm']:.4f}" if one["p_holm"] >= 0.0001 else "&lt; .0001") in page
    theirs, judgements = (tmp_path / "theirs.run"), read_judgements(tmp_path / "qrels")
    other = evaluate(read_run(theirs), judgements).per_query["nDCG@10"]
    differing = sum(told["per_query"]["nDCG@10"][query] != other[query] for query in other)
    assert sum(tag == "rect" for tag, _ in seen) == differing > 5  # a bar a query
    assert sum(tag == "svg" for tag, _ in seen) == 3
    assert f"{sum(map(len, told['unjudged_documents'].values()))} of the documents among the first ten" in page
    assert told["unjudged_documents"]["q0"] == [f"d{n}" for n in (2, 3, 4, 5, 6, 8, 9)]


def test_the_page_needs_nothing_and_runs_nothing():
    run, other, judgements = judged(4)
    named = {f"{HOSTILE}{query}": found for query, found in run.items()}
    wild = {query: [f"{HOSTILE}{one}" for one in found] for query, found in named.items()}
    grades = {query: {f"{HOSTILE}{one}": grade for one, grade in judgements[query[len(HOSTILE) :]].items()} for query in named}
    theirs = {f"{HOSTILE}{query}": [f"{HOSTILE}{one}" for one in found] for query, found in other.items()}
    found = evaluate(wild, grades, {HOSTILE: theirs})
    page = html_report(found, unjudged_documents(wild, grades), run=HOSTILE, judgements=HOSTILE, notes=(HOSTILE,))
    seen = read(page)
    assert "script" not in {tag for tag, _ in seen} and "default-src &#39;none&#39;" not in page and "default-src 'none'" in page
    assert {name for _, given in seen for name in given} & {"src", "onload", "onerror", "srcset", "action"} == set()
    assert all(value == "data:," for _, given in seen for name, value in given.items() if name == "href")
    assert all(one.isprintable() or one == "\n" for one in page)
    assert not re.search(r"https?://|@import|url\(", page)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_many_queries_become_an_outline_and_the_page_stays_small():
    run, other, judgements = judged(3000)
    found = evaluate(run, judgements, {"theirs": other})
    page = html_report(found, unjudged_documents(run, judgements), run="ours", judgements="qrels")
    assert len(page) < 400_000 and "polygon" in page and "The 200 queries of 3000" in page
    assert differences("x", [(f"q{n}", 0.0) for n in range(MOST_BARS)]).count("<rect") == 0


def test_without_baseline_and_with_all_judged():
    run, _, judgements = judged(3)
    full = {query: {**dict.fromkeys(found, 0), **judgements[query]} for query, found in run.items()}
    page = html_report(evaluate(run, full), unjudged_documents(run, full), run="ours", judgements="qrels")
    assert "Every document among the first ten" in page and "Against" not in page
    read(page)


def test_a_page_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = files(tmp_path)
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        call(words)
    assert (tmp_path / "report.html").read_text() == "mine"
    with pytest.raises(PellucidError, match="cannot be written"):
        call([*words[:-1], "nowhere/report.html"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours.run", "qrels", "report.html", "theirs.run"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_page_reads_well(tmp_path, monkeypatch, chromium: Any, tool: Callable[[str], Path]):
    (found,) = tool("axe").parents[1].rglob("axe_playwright_python/axe.min.js")
    axe = found.read_text()
    monkeypatch.chdir(tmp_path)
    assert call(files(tmp_path, 80)) == 0
    PICTURES.mkdir(parents=True, exist_ok=True)
    for width in (1280, 360):
        for scheme in ("light", "dark"):
            metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
            chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            chromium.execute_cdp_cmd(
                "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            )
            chromium.get((tmp_path / "report.html").as_uri())
            chromium.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            chromium.execute_script(axe)
            told = chromium.execute_async_script("const done = arguments[0]; axe.run().then(done)")
            bad = [(one["id"], one["nodes"][0]["html"]) for one in told["violations"] if one["impact"] in ("serious", "critical")]
            assert bad == [], (width, scheme)
            wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert chromium.execute_script(wide) <= 0, (width, scheme)
            assert chromium.get_log("browser") == []
            chromium.save_screenshot(PICTURES / f"evaluation-{width}-{scheme}.png")
            chromium.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = false; })")
            chromium.execute_script("window.scrollTo(0, 700)")
            chromium.save_screenshot(PICTURES / f"evaluation-plots-{width}-{scheme}.png")
