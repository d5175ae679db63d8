"""Routes of runs: lists, one run with what it prints, its outputs, several side by side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import FastAPI, Query, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, PlainTextResponse, StreamingResponse

from pellucid.pipeline.record import Record, RunQuery, list_runs, metric_names, path_of, pipelines, read_live
from pellucid.service.access import actor_of
from pellucid.service.dashboard import charts, run_views
from pellucid.service.dashboard.answers import answer, found_or_missing, opened, took, when
from pellucid.store import Objects

LIVE_SECONDS = 0.4  # between two looks at what a run prints
MOST_COLUMNS = 20
FOLLOWED_AT_ONCE = 20  # event streams


def add(app: FastAPI, home: Path) -> None:
    """Add the routes to the application."""
    streams = asyncio.Semaphore(FOLLOWED_AT_ONCE)

    def private(request: Request) -> bool:
        return actor_of(request).may("steward")

    @app.get("/runs", summary="Runs, filtered and sorted")
    def runs(
        request: Request,
        q: Annotated[str, Query(max_length=200, description="words in a run, its name, note or settings")] = "",
        pipeline: str = "",
        status: str = "",
        tag: Annotated[list[str] | None, Query(max_length=20, description="KEY=VALUE")] = None,
        sort: Annotated[
            str, Query(description="started, seconds, pipeline, status, name, or a metric such as quality.ndcg")
        ] = "started",
        order: Annotated[str, Query(pattern="^(up|down)$")] = "down",
        metric: Annotated[list[str] | None, Query(max_length=MOST_COLUMNS, description="metrics to show")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    ) -> Any:
        """One page of runs, and how many there are in all."""
        asked = RunQuery(q, pipeline, status, tuple(tag or ()), (), sort, order == "up", limit, (page - 1) * limit)
        with opened(home) as record:
            columns = metric if metric is not None else run_views.usual_metrics(record, pipeline)
            rows, total = list_runs(record, asked, run_views.with_epsilon(record, columns))
            every, names = [one["pipeline"] for one in pipelines(record)], metric_names(record, pipeline)
        told = {"runs": [{**row.to_json(), "epsilon": row.epsilon} for row in rows], "total": total, "page": page, "limit": limit}
        table = [
            {
                "run": row.run, "name": row.name, "pipeline": row.pipeline, "status": row.status, "started": row.started,
                "seconds": row.seconds, "epsilon": row.epsilon, **{f"set {name}": value for name, value in row.settings.items()},
                **{name: row.metrics.get(name) for name in columns},
            }
            for row in rows
        ]  # fmt: skip
        shown = {
            "columns": columns,
            "asked": asked,
            "pipelines": every,
            "names": names[:2000],
            "when": when,
            "took": took,
            "number": charts.number,
        }
        return answer(request, "runs.html", told, table=table, **shown)

    @app.get("/runs/{run}", summary="One run")
    def one_run(request: Request, run: str) -> Any:
        """Steps, settings, metrics, curves, graph and environment of a run; what is not open only for a steward."""
        with opened(home) as record:
            told = found_or_missing(lambda: run_views.one_run(record, run, private(request)))
        bars, at = [], 0.0
        for step in told["steps"]:
            if step["action"] in ("ran", "failed"):
                bars.append((step["step"], at, at + step["seconds"], step["action"]))
                at += step["seconds"]
        curves = {
            name: charts.lines(name, "step", [(name, charts.thinned(points))])
            for name, points in list(told["curves"].items())[:20]
        }
        shown: dict[str, Any] = {
            "bars": charts.bars("Seconds of each step", bars[:60]),
            "drawing": run_views.drawing(told["graph"]) if len(told["graph"]) <= 60 else "",
        }
        return answer(request, "run.html", told, **shown, charts=curves, when=when, took=took, number=charts.number)

    @app.get("/runs/{run}/events", include_in_schema=False)
    async def events(request: Request, run: str) -> Response:
        if streams.locked():
            raise HTTPException(503, "too many pages follow runs; load this one again later")
        seen = private(request)
        name = await to_thread.run_sync(lambda: _status(home, run)[0])
        return StreamingResponse(
            _events(home, name, seen, streams), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    @app.get("/runs/{run}/outputs/{name}", summary="One output of a run: what it is, and its beginning")
    def output(request: Request, run: str, name: str, download: bool = False) -> Any:
        """A preview with types and counts; `download=true` gives the stored file. What is not open only for a steward."""
        with opened(home) as record:
            found = found_or_missing(lambda: record.find(run))
            step, artifact = found_or_missing(lambda: run_views.find_output(record, found["run"], name))
        if step.label != "open" and not private(request):
            raise HTTPException(403, f'"{name:.80}" is {step.label}: only its steward may see it')
        if download:
            if artifact.items is not None:
                raise HTTPException(400, f'"{name:.80}" has branches: ask for one of them')
            stored = path_of(Objects(home), artifact)
            return FileResponse(stored, media_type="application/octet-stream", filename=f"{name}{artifact.suffix}")
        about = {
            "run": found["run"],
            "pipeline": found["pipeline"],
            "output": name,
            "kind": artifact.kind,
            "label": step.label,
            "step": step.step,
        }
        told = {**about, "digest": artifact.digest, "bytes": artifact.size, "preview": run_views.preview(home, artifact)}
        return answer(
            request, "output.html", told, lineage=run_views.lineage(found["graph"], name.partition("[")[0]), number=charts.number
        )

    @app.get("/runs/{run}/log/{step}", include_in_schema=False)
    def log(request: Request, run: str, step: str) -> Response:
        with opened(home) as record:
            found = found_or_missing(lambda: record.find(run))
            there = next((one for one in record.steps(found["run"]) if one.step == step), None)
            made = record.made_by(there) if there is not None and there.action == "reused" else None
        if there is None:
            raise HTTPException(404, f'run {found["run"]} has no step "{step:.80}"')
        if (there.label != "open" or there.kind == "release") and not private(request):
            raise HTTPException(403, "the log of a step that has seen private data is for their steward")
        return PlainTextResponse((made[1] if made is not None else there).private or "(it printed nothing)\n")

    @app.get("/compare", summary="Runs side by side")
    def compare(
        request: Request,
        run: Annotated[list[str] | None, Query(max_length=run_views.MOST_COMPARED)] = None,
        pipeline: str = "",
        tag: Annotated[list[str] | None, Query(max_length=20, description="KEY=VALUE")] = None,
        last: Annotated[int, Query(ge=1, le=run_views.MOST_COMPARED)] = 50,
        metric: Annotated[list[str] | None, Query(max_length=MOST_COLUMNS)] = None,
        x: str = "",
        y: str = "",
        curve: str = "",
    ) -> Any:
        """The named runs, or the last of a pipeline: settings that differ, metrics, and charts of them."""
        with opened(home) as record:
            named = tuple(dict.fromkeys(found_or_missing(lambda one=one: record.find(one))["run"] for one in run or ()))
            asked = RunQuery(runs=named, pipeline=pipeline, tags=tuple(tag or ()), limit=len(named) or last)
            first, _ = list_runs(record, replace(asked, limit=1))  # the newest says which metrics there are to compare
            pipeline = pipeline or (first[0].pipeline if first and (named or tag) else "")
            columns = metric if metric is not None else run_views.usual_metrics(record, pipeline)
            rows, total = list_runs(record, asked, columns)
            told = {**run_views.compared(record, rows, columns), "total": total, "pipeline": pipeline}
            logged = run_views.curve_names(record, [row.run for row in rows])
            drawn = run_views.comparison_charts(
                record, told, x, y or (columns[0] if columns else ""), curve or (logged[0] if logged else "")
            )
            names = metric_names(record, pipeline)
        table = [
            {"run": one["run"], "name": one["name"], "status": one["status"], **one["settings"], **one["metrics"]}
            for one in told["runs"]
        ]
        shown = {"charts": drawn, "logged": logged, "names": names[:2000], "picked": {"x": x, "y": y, "curve": curve}}
        return answer(request, "compare.html", told, table=table, **shown, when=when, number=charts.number)


def _status(home: Path, wanted: str) -> tuple[str, str]:
    record = Record(home)
    try:
        found = found_or_missing(lambda: record.find(wanted))
    finally:
        record.close()
    return found["run"], found["status"]


async def _events(home: Path, run: str, private: bool, streams: asyncio.Semaphore) -> AsyncIterator[str]:
    """What a run prints, as events; of steps that are not open only that they began, but for a steward. Ends with the run."""
    offset = 0
    async with streams:
        while True:
            _, status = await to_thread.run_sync(_status, home, run)
            lines, offset = await to_thread.run_sync(read_live, home, run, offset)
            for line in lines:
                if not line["open"] and not private:
                    line = {**line, "text": ""}
                yield f"data: {json.dumps(line)}\n\n"
            if status != "running":
                yield f"event: end\ndata: {json.dumps({'status': status})}\n\n"
                return
            await asyncio.sleep(LIVE_SECONDS)
