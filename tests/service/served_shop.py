"""A real service: a state folder with a deployed index and recommender, served by `pellucid serve` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import pellucid
from pellucid.pipeline.running import load, run

MSWEB = Path(pellucid.__file__).parent / "cli" / "msweb"

PIPELINE = """
import pellucid as pl
from pellucid.models import ease, popularity

areas = pl.source("areas.csv", label="open")
visits = pl.source("visits.csv", label="private", unit="user_id", budget=pl.Budget(epsilon=2.0, delta=1e-5))
matrix = pl.release(pl.privacy.gram(item="area_id", max_contributions=5), of=visits, epsilon=1.0, delta=1e-6)
index = pl.search.index(areas, id="area_id", title="title", text="text", columns=["url", "licence", "year", "source"], facets=["letter"],
    years="year", synonyms=[("spreadsheet", "excel"), ("operating system", "windows")])
secret = pl.search.index(visits, id="area_id", title="user_id", name="secret")


@pl.step(kind="train")
def recommender(matrix: pl.Table, matrix_guarantee: pl.Metrics) -> pl.Model:
    return ease.fit(matrix, noise=matrix_guarantee["sigma"])


@pl.step(kind="train")
def popular(matrix: pl.Table) -> pl.Model:
    return popularity.fit(matrix)


@pl.step
def void() -> pl.Model:
    import numpy
    return pl.Model("ease", {"items": numpy.array([], dtype=int)}, {})


pipeline = pl.Pipeline("shop", [areas, visits, matrix, index, secret, recommender, popular, void])
"""


class Answer(NamedTuple):
    """What the service said."""

    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


Ask = Callable[..., Answer]


def asking(address: str) -> Ask:
    """A client of the service at an address."""

    def ask(path: str, *, body: Any = None, accept: str = "application/json", method: str | None = None) -> Answer:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Accept": accept, "Content-Type": "application/json"}
        request = urllib.request.Request(address.rstrip("/") + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, answer.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read().decode(errors="replace"))

    return ask


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a run of `PIPELINE` on the real visits."""
    folder = tmp_path_factory.mktemp("shop")
    lines = (MSWEB / "areas.csv").read_text().splitlines()
    rows = ["area_id,title,text,url,licence,year,source,letter"]
    for line in lines[1:]:
        number, _, title = line.partition(",")
        title = title.strip('"').replace('"', "")
        kept = (
            f'"https://example.org/{number}",CC-BY-4.0,{1990 + int(number) % 9},team {int(number) % 4},{title[:1].upper() or "?"}'
        )
        rows.append(f'{number},"{title}","An area of the site: {title} & more",{kept}')
    (folder / "areas.csv").write_text("\n".join(rows) + "\n")
    visits = (MSWEB / "visits.csv").read_text().splitlines()
    (folder / "visits.csv").write_text("\n".join(visits[:20_000]) + "\n")
    (folder / "shop.py").write_text(PIPELINE)
    old = os.environ.get("PELLUCID_KEYS")
    os.environ["PELLUCID_KEYS"] = str(folder / "keys")
    try:
        done = run(load(folder / "shop.py"), home=folder / ".pellucid", jobs=2, confined=True)
    finally:
        os.environ.pop("PELLUCID_KEYS") if old is None else os.environ.__setitem__("PELLUCID_KEYS", old)
    assert done.status == "done"
    return folder / ".pellucid"


class Serving(NamedTuple):
    """A service at work."""

    process: subprocess.Popen[str]
    address: str
    ask: Ask


def start(home: Path, *words: str) -> Serving:
    """`pellucid serve` on a free port, once it answers."""
    command = [sys.executable, "-m", "pellucid", "serve", "--home", str(home), "--port", "0", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home.parent)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("http://"):
        process.kill()
        raise AssertionError(line + process.communicate()[1])
    address = line.split()[0]
    return Serving(process, address, asking(address))


def end(serving: Serving) -> int:
    """SIGTERM, as a service manager sends it; the exit code."""
    serving.process.send_signal(signal.SIGTERM)
    code = serving.process.wait(20)
    for pipe in (serving.process.stdout, serving.process.stderr):
        if pipe is not None:
            pipe.close()
    return code


@pytest.fixture(scope="module")
def serving(shop: Path) -> Iterator[Serving]:
    """The service of the shop, shared by the tests of a file."""
    started = start(shop)
    yield started
    end(started)
