"""`pellucid runs`: list the runs. A run's name begins with the date and time it was started (UTC)."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pellucid.cli import options, state_folder
from pellucid.cli.tag import tags_of

if TYPE_CHECKING:
    from pellucid.pipeline.record import ListedRun


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="only those with this tag")
    parser.add_argument("--pipeline", default="", metavar="NAME", help="only those of this pipeline")
    parser.add_argument("--status", default="", metavar="STATUS", help="only those that are done, failed, running or interrupted")
    parser.add_argument(
        "--sort", default="started", metavar="BY", help="started (default), seconds, pipeline, or a metric: quality.ndcg"
    )
    parser.add_argument(
        "--limit", type=options.whole(1), default=20, metavar="N", help="how many, newest or highest first (default 20)"
    )
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """List runs, newest first, or the highest of what they are sorted by."""
    from pellucid.pipeline.record import Record, RunQuery, list_runs

    tags = tuple(f"{key}={value}" for key, value in tags_of(arguments.tag).items())
    about = {"pipeline": arguments.pipeline, "status": arguments.status, "tags": tags, "sort": arguments.sort}
    metrics = [arguments.sort] if "." in arguments.sort else []
    record, left = Record(state_folder.home_of(arguments)), arguments.limit
    runs: list[ListedRun] = []
    while left > 0:
        page, total = list_runs(record, RunQuery(limit=min(left, 500), offset=len(runs), **about), metrics)
        runs, left = runs + page, left - 500
        if len(runs) >= total:
            break
    record.close()
    if arguments.json:
        keep = ("run", "pipeline", "status", "started", "seconds", "seed", "settings", "git", "name", "tags", "note")
        told = [{**{name: getattr(run, name) for name in keep}, **({"metrics": run.metrics} if metrics else {})} for run in runs]
        options.print_json({"runs": told})
        return 0
    if not runs:
        narrowed = arguments.pipeline or arguments.status
        print("no run is like this" if narrowed else "no run has these tags" if tags else "no runs yet: pellucid run FILE")
        return 0
    rows = [
        [
            run.run,
            run.pipeline,
            run.status,
            options.seconds(run.seconds) if run.seconds is not None else "",
            *(options.number(run.metrics.get(metric, "")) for metric in metrics),
            " ".join(
                filter(
                    None,
                    [
                        *(f"{name}={value}" for name, value in run.settings.items()),
                        run.name,
                        *(f"#{k}={v}" for k, v in run.tags.items()),
                    ],
                )
            ),
        ]
        for run in runs
    ]
    print(options.table(rows, ["run", "pipeline", "status", "took", *metrics, "settings, name, tags"], right=[3]))
    return 0
