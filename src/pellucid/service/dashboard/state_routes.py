"""Routes of pipelines, data, accounts, schedules, models, packages and the system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from starlette.exceptions import HTTPException

from pellucid.pipeline.record import RunQuery, list_runs, pipelines
from pellucid.registry import Canaries, Deployments, model_versions, rules_of
from pellucid.schedule import Schedules
from pellucid.service.access import actor_of
from pellucid.service.answer_counts import counted_answers
from pellucid.service.dashboard import charts, run_views, state_views
from pellucid.service.dashboard.answers import answer, found_or_missing, opened, took, when


def add(app: FastAPI, home: Path, served: Callable[[], Mapping[str, Any]]) -> None:
    """Add the routes to the application. `served` says what the service knows of itself."""

    @app.get("/overview", include_in_schema=False)
    def overview(request: Request) -> Response:
        return answer(request, "overview.html", state_views.overview_told(home), when=when)

    @app.get("/pipelines", summary="Pipelines that ran here")
    def all_pipelines(request: Request) -> Any:
        """Each with its newest run."""
        with opened(home) as record:
            told = [_without_path(request, one, "file") for one in pipelines(record)]
        return answer(request, "pipelines.html", {"pipelines": told}, table=told, when=when)

    @app.get("/pipelines/{name}", summary="One pipeline")
    def one_pipeline(request: Request, name: str) -> Any:
        """Its graph, as of its newest run, and its last runs."""
        with opened(home) as record:
            there = next((one for one in pipelines(record) if one["pipeline"] == name), None)
            if there is None:
                raise HTTPException(404, f'no pipeline "{name:.80}" ran here')
            graph = record.find(there["run"])["graph"]
            rows, total = list_runs(record, RunQuery(pipeline=name, limit=20), run_views.usual_metrics(record, name))
        nodes = [{key: node[key] for key in ("step", "kind", "label", "inputs", "outputs")} for node in graph]
        told = {**_without_path(request, there, "file"), "graph": nodes, "runs": [row.to_json() for row in rows], "total": total}
        return answer(
            request, "pipeline.html", told, drawing=run_views.drawing(nodes), when=when, took=took, number=charts.number
        )

    @app.get("/data", summary="Sources and releases")
    def data(request: Request) -> Any:
        """The sources and releases of each pipeline's newest run."""
        with opened(home) as record:
            told = state_views.data_told(record, actor_of(request).may("steward"))
        return answer(request, "data.html", told, table=told["sources"], number=charts.number)

    @app.get("/ledger", summary="Privacy accounts")
    def ledger(
        request: Request,
        account: str = "",
        epsilon: Annotated[float, Query()] = 0.0,
        delta: Annotated[float, Query()] = 0.0,
        times: Annotated[int, Query()] = 1,
    ) -> Any:
        """What each account has spent and has left; with `account` and `epsilon` also what would be left after more. Nothing is spent."""
        told = state_views.ledger_told(home)
        if account:
            told["what_if"] = state_views.what_if(told, account, epsilon, delta, times)
        asked = {"account": account, "epsilon": epsilon or 0.5, "delta": delta, "times": times}
        return answer(
            request,
            "ledger.html",
            told,
            table=told["spends"],
            asked=asked,
            chart=state_views.burn_down(told),
            when=when,
            number=charts.number,
        )

    @app.get("/schedules", summary="What runs by itself")
    def schedules(request: Request) -> Any:
        """Each schedule with its next moments and what it last fired."""
        told = state_views.schedules_told(home)
        with opened(home) as record:
            files = sorted({one["file"] for one in pipelines(record) if one["file"]})
        packages = [one["path"] for one in state_views.packages_told(home)["packages"] if one["there"]]
        told["schedules"] = [_without_path(request, one, "target") for one in told["schedules"]]
        return answer(request, "schedules.html", told, table=told["schedules"], files=files, packages=packages)

    @app.get("/schedules/{name}", summary="One schedule and what it fired")
    def one_schedule(request: Request, name: str) -> Any:
        """Its last hundred firings, newest first."""
        held = Schedules(home)
        found = found_or_missing(lambda: held.find(name))
        told = {
            **_without_path(request, found.to_json(), "target"),
            "firings": [one.to_json() for one in held.firings(name, 100)],
        }
        return answer(request, "schedule.html", told, table=told["firings"])

    @app.get("/registry", summary="Models that runs made, and what stood where")
    def registry(request: Request) -> Any:
        """Every version of every model, the deployments from the first on, and what each alias asks for."""
        history = [one.to_json() for one in Deployments(home).history()]
        stands = {one["alias"]: one["digest"] for one in history}  # the newest of each
        told: dict[str, Any] = {
            "models": [
                {**one.to_json(), "kind": one.kind(home), "aliases": sorted(alias for alias, held in stands.items() if held == digest)}
                for one in model_versions(home)
                for digest in [one.to_json()["digest"]]
            ],
            "deployments": history[::-1],
            "answers": counted_answers(home),
            "canaries": [one.to_json() for one in Canaries(home).all()[:50]],
            "rules": {alias: vars(rules) | {"metrics": [vars(one) for one in rules.metrics]} for alias, rules in rules_of(home).items()},
        }  # fmt: skip
        return answer(request, "registry.html", told, table=told["models"], when=when)

    @app.get("/packages", summary="Published packages")
    def packages(request: Request) -> Any:
        """The packages that were published from here or stand behind an alias."""
        told = {"packages": [_without_path(request, one, "path") for one in state_views.packages_told(home)["packages"]]}
        return answer(request, "packages.html", told, table=told["packages"], when=when)

    @app.get("/system", summary="How the service is")
    def system(request: Request) -> Any:
        """Version, disk, what is at work, and who did what."""
        told = state_views.system_told(home, app.state.started, served())
        if actor_of(request).may("operator"):
            told["audit"] = {"newest": app.state.audit.newest(50), "broken_at": app.state.audit.broken_at()}
        elif told["trouble"]:
            told["trouble"] = ["something is wrong: an operator sees what"]  # it may say where things lie
        return answer(request, "system.html", told, when=when, took=took)


def _without_path(request: Request, told: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The same with the file's name alone instead of where it lies on this machine, but for an operator, who looks after it."""
    if actor_of(request).may("operator") or not told[name]:
        return dict(told)
    return {**told, name: Path(told[name]).name}
