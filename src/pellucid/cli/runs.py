"""`pellucid runs`: list the runs. A run's name begins with the date and time it was started (UTC)."""

from __future__ import annotations

import argparse
from typing import Any

from pellucid.cli import options, state_folder
from pellucid.cli.tag import tags_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="only those with this tag")
    parser.add_argument("--limit", type=options.whole(1), default=20, metavar="N", help="how many, newest first (default 20)")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """List runs, newest first."""
    from pellucid.pipeline.record import Record, RunTags, tags_of_runs

    record = Record(state_folder.home_of(arguments))
    runs, tags = record.runs(10_000 if arguments.tag else arguments.limit), tags_of(arguments.tag)
    called = tags_of_runs(record.db, [run["run"] for run in runs])
    runs = [run for run in runs if tags.items() <= called.get(run["run"], RunTags()).tags.items()][: arguments.limit]
    if arguments.json:
        keep = ("run", "pipeline", "status", "started", "seconds", "seed", "settings", "git")
        options.print_json(
            {"runs": [{**{name: run[name] for name in keep}, **vars(called.get(run["run"], RunTags()))} for run in runs]}
        )
        return 0
    if not runs:
        print("no run has these tags" if tags else "no runs yet: pellucid run FILE")
        return 0
    rows = [
        [
            run["run"],
            run["pipeline"],
            run["status"],
            options.seconds(run["seconds"]) if run["seconds"] is not None else "",
            " ".join([*(f"{name}={value}" for name, value in run["settings"].items()), *_called(called.get(run["run"]))]),
        ]
        for run in runs
    ]
    print(options.table(rows, ["run", "pipeline", "status", "took", "settings, name, tags"], right=[3]))
    return 0


def _called(tags: Any) -> list[str]:
    return [] if tags is None else [*filter(None, [tags.name]), *(f"#{key}={value}" for key, value in tags.tags.items())]
