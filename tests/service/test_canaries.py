"""Canaries and promotions under load: who asks meets no error, a bad model leaves by itself, a good one comes to stay."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from served_shop import Serving, end, start

from pellucid.errors import LabelError, UsageError
from pellucid.maintenance import restore, write_backup
from pellucid.pipeline.running import load, run
from pellucid.registry import Canaries, Canary, Deployments, promote
from pellucid.service.canary_watch import ENOUGH, CanaryWatch

PIPELINE = """
import numpy as np
import pellucid as pl

rows = pl.source("rows.csv", label="open")


def popular(order, items=np.arange(1, 21)):
    return pl.Model("popularity", {"items": items, "popularity": order(items).astype(float)}, {})


@pl.step
def good(rows: pl.Table, shift: int = 0) -> pl.Model:
    return popular(lambda items: items + shift)


@pl.step
def other(rows: pl.Table) -> pl.Model:
    return popular(lambda items: -items)


@pl.step
def broken(rows: pl.Table) -> pl.Model:  # answers the questions of its trial, and has nothing to say to who has both items
    return popular(lambda items: items, np.array([3, 4]))


pipeline = pl.Pipeline("popular", [rows, good, other, broken])
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("popular")
    (folder / "popular.py").write_text(PIPELINE)
    (folder / "rows.csv").write_text("a\n1\n")
    run(load(folder / "popular.py"), home=folder / ".pellucid", confined=True)
    promote(folder / ".pellucid", "good", "recommend")
    return folder / ".pellucid"


@pytest.fixture(scope="module")
def serving(home: Path) -> Iterator[Serving]:
    started = start(home)
    yield started
    assert end(started) == 0


class Asking:
    """Clients that ask without pause over connections that stay open; what they were told."""

    def __init__(self, serving: Serving, clients: int = 4) -> None:
        self.statuses: Counter[int] = Counter()
        self.models: Counter[tuple[int, str, bool]] = Counter()
        self._host, self._stop, self._lock = urlsplit(serving.address).netloc, threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=30)
        body, headers = json.dumps({"items": [3, 4], "k": 3}), {"Content-Type": "application/json"}
        while not self._stop.is_set():
            connection.request("POST", "/recommend", body, headers)
            answer = connection.getresponse()
            told = json.loads(answer.read())
            with self._lock:
                self.statuses[answer.status] += 1
                if answer.status == 200:
                    model = told["model"]
                    self.models[model["version"], model["digest"], model.get("canary", False)] += 1
        connection.close()

    @property
    def total(self) -> int:
        return sum(self.statuses.values())

    def __enter__(self) -> Asking:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for one in self._threads:
            one.join()


def until(holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_thousand_requests_during_twenty_changes(serving: Serving, home: Path):
    deployments = Deployments(home)
    with Asking(serving) as asking:
        for at in range(20):
            if at % 4 == 3:
                version = deployments.rollback("recommend").version
            else:
                version = promote(home, ("other", "good")[at % 2], "recommend").version  # type: ignore[union-attr]
            until(lambda version=version: serving.ask("/health").json["models"]["recommend"] == version)
            until(lambda at=at: asking.total >= 500 * (at + 1), 120)
    assert asking.total >= 10_000 and set(asking.statuses) == {200}
    promoted = {(one.version, one.digest) for one in deployments.history()}
    assert {(version, digest) for version, digest, _ in asking.models} <= promoted, "no answer of what was never promoted"
    assert len(asking.models) > 10


def test_answers_are_counted_by_version_and_day(home: Path, tmp_path: Path):
    write_backup(home, tmp_path / "state.tar")  # a folder of its own: another service writes what it counted when it likes
    restore(tmp_path / "state.tar", tmp_path / ".pellucid")
    home = tmp_path / ".pellucid"
    started = start(home)
    present = Deployments(home).current()["recommend"].digest
    before = {one["digest"]: one for one in started.ask("/registry").json["answers"]}.get(
        present, {"asked": 0, "empty": 0, "failed": 0}
    )
    for at in range(7):
        assert started.ask("/recommend", body={"items": [at % 3 + 1], "k": 3}).status == 200
    assert started.ask("/recommend", body={"items": list(range(1, 21))}).json["results"] == []
    assert end(started) == 0
    again = start(home)
    after = next(one for one in again.ask("/registry").json["answers"] if one["digest"] == present)
    assert end(again) == 0
    assert {name: after[name] - before[name] for name in ("asked", "empty", "failed")} == {"asked": 8, "empty": 1, "failed": 0}
    assert set(after) == {"day", "alias", "digest", "asked", "empty", "failed"}


@pytest.mark.slow
def test_a_good_canary_answers_its_share_and_comes_to_stay(serving: Serving, home: Path):
    promote(home, "good", "recommend")
    present = Deployments(home).current()["recommend"]
    until(lambda: serving.ask("/health").json["models"]["recommend"] == present.version)
    with Asking(serving, 2) as asking:
        canary = promote(home, "other", "recommend", share=0.25, seconds=3, approver="ana")
        assert isinstance(canary, Canary)
        with pytest.raises(UsageError, match="a canary of recommend is open"):
            promote(home, "other", "recommend", share=0.5)
        until(lambda: any(is_canary for _, _, is_canary in asking.models))
        until(lambda: "recommend" not in Canaries(home).open())
    ended = Canaries(home).all()[0]
    assert ended.state == "promoted" and "as a canary" in ended.said
    now = Deployments(home).current()["recommend"]
    assert now.digest == canary.deployment.digest and now.approver == "ana" and now.version > present.version
    assert set(asking.statuses) == {200}
    during = {
        is_canary: count for (version, _, is_canary), count in asking.models.items() if is_canary or version == present.version
    }
    assert during[True] >= ENOUGH


def test_a_bad_canary_leaves_by_itself(serving: Serving, home: Path):
    promote(home, "good", "recommend")
    present = Deployments(home).current()["recommend"]
    until(lambda: serving.ask("/health").json["models"]["recommend"] == present.version)
    with Asking(serving, 2) as asking:
        promote(home, "broken", "recommend", share=0.5, seconds=600)
        ended = until(lambda: next((one for one in Canaries(home).all()[:1] if one.state != "open"), None))
    assert ended.state == "rolled back" and "answers were empty" in ended.said
    assert Deployments(home).current()["recommend"] == present
    assert set(asking.statuses) == {200}
    heard = sum(count for (_, _, is_canary), count in asking.models.items() if is_canary)
    assert ENOUGH <= heard < asking.total / 2


@pytest.mark.slow
def test_a_shadow_is_asked_and_never_heard(serving: Serving, home: Path):
    with Asking(serving, 2) as asking:
        promote(home, "other", "recommend", share=0.0, seconds=2)
        until(lambda: "recommend" not in Canaries(home).open())
    ended = Canaries(home).all()[0]
    assert ended.state == "ended" and "beside the present model: 0 failed, 0 empty" in ended.said
    assert int(ended.said.split()[1]) >= ENOUGH
    assert not any(is_canary for _, _, is_canary in asking.models)


def test_a_canary_whose_package_is_gone_by_its_end(home: Path, tmp_path: Path):
    """It answered well, and then its package went: what stands there stays, and it is said why."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "ro-crate-metadata.json").write_text("{}")
    canary = promote(home, "other", "recommend", share=0.5, seconds=600, package=package)
    assert isinstance(canary, Canary)
    before = Deployments(home).current()["recommend"]
    (package / "ro-crate-metadata.json").unlink()
    assert Canaries(home).end(canary, "promoted", "stood 99 questions as a canary")
    ended = Canaries(home).all()[0]
    assert ended.state == "rolled back" and "it is no package" in ended.said
    assert Deployments(home).current()["recommend"] == before
    assert not Canaries(home).end(canary, "promoted", "again")


def test_a_canary_answers_strangers_and_so_must_be_as_open_as_what_stands_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mixed.py").write_text("""
import numpy as np
import pellucid as pl

rows = pl.source("rows.csv", label="open")
people = pl.source("people.csv", label="private", unit="person")


def popular():
    return pl.Model("popularity", {"items": np.arange(1, 5), "popularity": np.arange(4.0)}, {})


@pl.step
def secret(people: pl.Table) -> pl.Model:
    return popular()


@pl.step
def good(rows: pl.Table) -> pl.Model:
    return popular()


pipeline = pl.Pipeline("mixed", [people, secret, rows, good])
""")
    (tmp_path / "rows.csv").write_text("a\n1\n")
    (tmp_path / "people.csv").write_text("person\n1\n")
    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "keys"))
    state = tmp_path / ".pellucid"
    done = run(load(tmp_path / "mixed.py"), home=state)
    Deployments(state).deploy("recommend", done.id, "good")
    with pytest.raises(LabelError, match="is private"):
        promote(state, "secret", "recommend", share=0.0)
    assert Canaries(state).all() == []


@pytest.mark.parametrize(("share", "seconds"), [(1.0, 10), (-0.1, 10), (0.5, 0), (0.5, 1e9)])
def test_what_is_no_canary(home: Path, share: float, seconds: float):
    with pytest.raises(UsageError):
        promote(home, "good", "recommend", share=share, seconds=seconds)
    with pytest.raises(UsageError, match="nothing stands behind spare"):
        promote(home, "good", "spare", share=0.5)


class Watching:
    """A watch over two models that do as told, with a window that ends when told."""

    def __init__(self, share: float = 0.5) -> None:
        deployment = type("D", (), {"alias": "x"})()
        self.watch = CanaryWatch(Canary(1, deployment, share, ends=100.0, state="open", said=""), "canary")

    def ask(
        self,
        count: int,
        of_canary: Callable[[], tuple[Any, bool]],
        of_present: Callable[[], tuple[Any, bool]] = lambda: (1, False),
    ) -> None:
        for _ in range(count):
            self.watch.ask("present", lambda model: of_canary() if model == "canary" else of_present())


def fails() -> tuple[Any, bool]:
    raise ValueError("no")


def test_a_question_that_nobody_can_answer_counts_for_neither():
    watching = Watching()
    for _ in range(200):
        with pytest.raises(ValueError, match="no"):
            watching.ask(1, fails, fails)
    assert (watching.watch.mine.asked, watching.watch.mine.failed) == (0, 0)


def test_verdicts():
    silent = Watching()
    silent.ask(200, lambda: (1, True))
    assert silent.watch.verdict(0.0)[0] == "rolled back" and "empty" in silent.watch.verdict(0.0)[1]  # type: ignore[index]
    as_silent = Watching()
    as_silent.ask(200, lambda: (1, True), lambda: (1, True))
    assert as_silent.watch.verdict(0.0) is None and as_silent.watch.verdict(100.0)[0] == "promoted"  # type: ignore[index]
    failing = Watching()
    failing.ask(200, fails)
    assert failing.watch.verdict(0.0)[0] == "rolled back"  # type: ignore[index]
    slow = Watching(0.75)
    slow.ask(60, lambda: (time.sleep(0.06), False))
    assert "ms an answer" in slow.watch.verdict(0.0)[1]  # type: ignore[index]
    few = Watching()
    few.ask(3, lambda: (1, False))
    assert few.watch.verdict(100.0) is None, "another service may have asked it more"
    assert few.watch.verdict(121.0)[0] == "rolled back"  # type: ignore[index]
