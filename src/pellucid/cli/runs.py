"""`pellucid runs`: list the runs. A run's name begins with the date and time it was started (UTC)."""

from __future__ import annotations

import argparse

from pellucid.cli import options, state_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--limit", type=options.whole(1), default=20, metavar="N", help="how many, newest first (default 20)")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """List runs, newest first."""
    from pellucid.pipeline.record import Record

    record = Record(state_folder.home_of(arguments))
    runs = record.runs(arguments.limit)
    if arguments.json:
        keep = ("run", "pipeline", "status", "started", "seconds", "seed", "settings", "git")
        options.print_json({"runs": [{name: run[name] for name in keep} for run in runs]})
        return 0
    if not runs:
        print("no runs yet: pellucid run FILE")
        return 0
    rows = [
        [
            run["run"],
            run["pipeline"],
            run["status"],
            options.seconds(run["seconds"]) if run["seconds"] is not None else "",
            " ".join(f"{name}={value}" for name, value in run["settings"].items()),
        ]
        for run in runs
    ]
    print(options.table(rows, ["run", "pipeline", "status", "took", "settings"], right=[3]))
    return 0
