"""The models that are being served: each alias is followed to its newest deployment, without a restart and without a failed request.

A new deployment is taken up when it loads and stands the trial: it answers its own canary queries no worse and not much slower than what is
served now. Otherwise the last good one stays, and why is said on the health and model pages.
"""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from starlette.exceptions import HTTPException

from pellucid.errors import DataError, PellucidError
from pellucid.models import estimators, recommend
from pellucid.registry import ALIASES, Canaries, Deployment, Deployments, Duels
from pellucid.search import Engine, checked_ranking
from pellucid.service.answer_counts import AnswerCounts
from pellucid.service.canary_watch import CanaryWatch
from pellucid.service.duels import DuelAtWork
from pellucid.store import Model

T = TypeVar("T")
SECONDS = 0.5  # between two looks at the deployments
CANARIES = 20  # titles or items asked
WORSE = 0.2  # share of the canaries by which a new model may answer fewer
SLOWER, SLACK = 3.0, 0.05  # times the served model's median, and seconds


@dataclass(frozen=True)
class Served:
    """One model at work. `answered`: the share of its canaries that it answers; `seconds`: the median of one."""

    deployment: Deployment
    model: Model
    engine: Engine | None
    answered: float
    seconds: float
    estimator: Any = None  # of scikit-learn or LightGBM, ready to predict

    @property
    def learns(self) -> bool:
        """Whether it is a ranking that learns from clicks."""
        return self.model.kind == "feedback-ranking"


class FollowedModels:
    """The served models of one state folder. Reading is free of locks: `current` is replaced, never changed."""

    def __init__(self, home: Path) -> None:
        self.deployments = Deployments(home)
        self.current: Mapping[str, Served] = {}
        self.refused: Mapping[str, tuple[int, str]] = {}
        self.trouble = ""
        self.canaries: Mapping[str, CanaryWatch] = {}
        self.duel: DuelAtWork | None = None
        self.counts = AnswerCounts(home)
        self._registry, self._duels = Canaries(home), Duels(home)
        self._stop = threading.Event()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._follow, name="follow-deployments", daemon=True)

    def start(self) -> None:
        """Take up what is deployed now, then keep looking."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """Stop looking, and write what was counted."""
        self._stop.set()
        with suppress(PellucidError, sqlite3.Error, OSError):
            self.counts.write(now=True)

    def look(self) -> None:
        """Take up new deployments, once."""
        with self._turn:
            try:
                history = self.deployments.history()
                self.trouble = ""
            except (PellucidError, sqlite3.Error, OSError) as error:
                self.trouble = str(error)
                return
            for alias in sorted(
                {one.alias for one in history}, key=lambda one: (one != "search", one)
            ):  # a ranking needs its index
                self._look_at(alias, [one for one in history if one.alias == alias])
            try:
                self._look_at_canaries()
                self._look_at_duel()
            except (PellucidError, sqlite3.Error, OSError) as error:
                self.trouble = str(error)

    def ask(self, alias: str, question: Callable[[Served], tuple[T, bool]], missing: int = 503) -> T:
        """What the model behind an alias answers, or its canary for its share; `question` gives the answer with whether it is empty.

        Raises HTTPException of status `missing` where nothing is served.
        """
        present, watch = need(self, alias, missing), self.canaries.get(alias)

        def counted(served: Served) -> tuple[T, bool]:
            try:
                answer, empty = question(served)
            except (HTTPException, PellucidError):
                raise  # what was asked was wrong
            except Exception:
                self.counts.add(alias, served.deployment.digest, "failed")
                raise
            self.counts.add(alias, served.deployment.digest, "empty" if empty else "")
            return answer, empty

        return watch.ask(present, counted) if watch is not None else counted(present)[0]

    def _look_at_canaries(self) -> None:
        """Take up new canaries, end those whose verdict is plain, drop those that somebody ended."""
        there = self._registry.open()
        kept = {
            alias: watch
            for alias, watch in self.canaries.items()
            if alias in there and there[alias].number == watch.canary.number
        }
        for alias, watch in self.canaries.items():
            if alias not in kept:
                watch.stop()
        for alias, canary in there.items():
            if alias not in kept:
                found = self._tried(canary.deployment, None)
                if isinstance(found, str):
                    self._registry.end(canary, "rolled back", found)
                else:
                    kept[alias] = CanaryWatch(canary, found)
        for alias, watch in list(kept.items()):
            verdict = watch.verdict(time.time())
            if verdict is not None and self._registry.end(watch.canary, *verdict):
                watch.stop()
                del kept[alias]
        self.canaries = kept

    def _look_at_duel(self) -> None:
        """Take up the open duel, while its champion stands there and its challenger loads."""
        duel, served = self._duels.open(), self.current.get("rank")
        if duel is None or duel.champion != (served.deployment.digest if served else ""):
            self.duel = None
        elif self.duel is None or self.duel.duel.number != duel.number:
            found = self._tried(duel.challenger, None)
            self.duel = None if isinstance(found, str) else DuelAtWork(duel, found.model)

    def _look_at(self, alias: str, versions: list[Deployment]) -> None:
        """Take up the newest of these versions, or say why not; where nothing is served yet, the last good one before it."""
        served, newest = self.current.get(alias), versions[-1]
        if newest.version <= max(self.refused.get(alias, (0, ""))[0], served.deployment.version if served else 0):
            return
        found = self._tried(newest, served)
        if isinstance(found, str):
            self.refused = {**self.refused, alias: (newest.version, found)}
            earlier = (self._tried(one, None) for one in reversed(versions[:-1])) if served is None else ()
            found = next((one for one in earlier if isinstance(one, Served)), found)
        else:
            self.refused = {name: why for name, why in self.refused.items() if name != alias}
        if isinstance(found, Served):
            self.current = {**self.current, alias: found}

    def _follow(self) -> None:
        while not self._stop.wait(SECONDS):
            self.look()
            with suppress(PellucidError, sqlite3.Error, OSError):  # kept in memory until it can be written
                self.counts.write()

    def _tried(self, deployment: Deployment, served: Served | None) -> Served | str:
        """The deployment made ready, or why it is refused beside what is served."""
        try:
            found = tried(deployment, self.deployments.load(deployment.artifact))
            searched = self.current.get("search")
            if found.learns and searched is not None and searched.engine is not None:
                searched.engine.by_clicks(found.model)  # refused where it is for other documents
            if served is not None:
                _no_worse(found, served)
        except PellucidError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - whatever a damaged model does, the last good one stays
            return f"{type(error).__name__}: {error}"
        return found


def tried(deployment: Deployment, model: Model) -> Served:
    """The model made ready and asked its canaries. Raises DataError for one that answers none."""
    if model.kind in ALIASES["rank"]:
        return Served(deployment, checked_ranking(model), None, 1.0, 0.0)
    if model.kind in estimators.KINDS:
        return Served(deployment, model, None, 1.0, 0.0, estimators.restore(model))
    if model.kind not in (*ALIASES["search"], *ALIASES["recommend"]):
        return Served(deployment, model, None, 1.0, 0.0)  # nothing asks it anything here: it is shown and handed out
    engine = Engine(model) if model.kind in ALIASES["search"] else None
    answered, times = 0, []
    names = model.arrays["id"] if engine is not None else model.arrays["items"]
    if not len(names):
        raise DataError("the model knows nothing", fix="Deploy one that does")
    places = sorted({place * len(names) // CANARIES for place in range(CANARIES)})
    for place in places:
        name = names[place].item()
        begun = time.perf_counter()
        answered += _found_by_title(engine, name) if engine is not None else _recommends(model, name)
        times.append(time.perf_counter() - begun)
    if not answered:
        raise DataError("it answers none of its canary queries")
    return Served(deployment, model, engine, answered / len(places), statistics.median(times))


def _found_by_title(engine: Engine, name: str) -> bool:
    """Whether a document is among the first ten for its own title."""
    title = " ".join((engine.title_of(name) or "").split()[:20])
    return any(hit.id == name for hit in engine.search(title[:500], 10).hits)


def _recommends(model: Model, name: Any) -> bool:
    found = recommend(model, [name], 5)
    return bool(found) or len(model.arrays["items"]) == 1


def _no_worse(found: Served, served: Served) -> None:
    if found.answered < served.answered - WORSE:
        raise DataError(
            "it is worse on its canary queries",
            why=f"it answers {found.answered:.0%} of them, the served one {served.answered:.0%}",
        )
    if found.seconds > SLOWER * served.seconds + SLACK:
        why = f"{found.seconds * 1000:.0f} ms a query, the served one {served.seconds * 1000:.0f} ms"
        raise DataError("it is slower on its canary queries", why=why)


def need(followed: FollowedModels, alias: str, missing: int = 503) -> Served:
    """What is served as an alias; an answer of status `missing` where nothing is."""
    served = followed.current.get(alias)
    if served is None:
        why = followed.refused.get(alias, (0, ""))[1]
        said = f'no model is served as "{alias:.40}"'
        raise HTTPException(missing, f"{said}: {why}" if why else said)
    return served


def told_of(served: Served) -> dict[str, Any]:
    """What is served, for everybody."""
    alias = served.deployment.alias
    told = served.deployment.to_json()
    if served.deployment.package and served.deployment.version:  # not of a canary: the address is that of what stands there
        told["package"] = f"/packages/{alias}/"
    return {**told, "kind": served.model.kind, "canaries_answered": served.answered}


def refused_of(followed: FollowedModels) -> dict[str, dict[str, Any]]:
    """The newest deployment of each alias that was refused, and why."""
    return {alias: {"version": version, "why": why} for alias, (version, why) in followed.refused.items()}
