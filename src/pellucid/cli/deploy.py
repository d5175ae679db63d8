"""`pellucid deploy`: put an open model of a run behind an alias of the service."""

from __future__ import annotations

import argparse
from pathlib import Path

from pellucid.cli import options, state_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "alias", metavar="ALIAS", nargs="?", help="search, rank or recommend; without it, what is deployed is listed"
    )
    parser.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        default="last",
        help="a run, the start of its name, a pipeline (its newest run), last (default) or last~1",
    )
    parser.add_argument(
        "output", metavar="OUTPUT", nargs="?", help="the model; default: the newest open one that can stand there"
    )
    said = "the published package that holds the model, which the service shows"
    parser.add_argument("--package", type=Path, metavar="FOLDER", help=said)
    parser.add_argument("--as-of", metavar="TIME", help="what was deployed then, in UTC: 2026-11-27 or 2026-11-27T18:00")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Deploy, or list."""
    from pellucid.errors import UsageError, suggest
    from pellucid.registry import ALIASES, Deployments, outputs_for

    if arguments.alias is None:
        return _list(arguments)
    if arguments.alias not in ALIASES:
        fix = suggest(arguments.alias, ALIASES, f"Behind {', '.join(ALIASES)}; behind another alias: pellucid promote")
        raise UsageError(f'the service asks for no alias "{arguments.alias:.40}"', fix=fix)
    if arguments.as_of is not None:
        raise UsageError("--as-of lists what was deployed, and deploys nothing", fix="Leave out the alias")
    record, (run,) = state_folder.find_run(arguments, arguments.run)
    home = record.home
    record.close()
    output = arguments.output
    if output is None:
        fitting = outputs_for(home, run["run"], arguments.alias)
        if not fitting:
            fix = "Name another run, or see what it has: pellucid show"
            raise UsageError(f"run {run['run']} has no open model that can stand behind {arguments.alias}", fix=fix)
        output = fitting[0]
    done = Deployments(home).deploy(arguments.alias, run["run"], output, arguments.package)
    state_folder.say(home, run)
    if arguments.json:
        options.print_json(done.to_json())
        return 0
    print(f"{done.alias}: version {done.version}, {done.output} of run {done.run}. A service that runs takes it up by itself")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from pellucid.registry import Deployments

    deployments = Deployments(state_folder.home_of(arguments))
    history = deployments.history() if arguments.as_of is None else [*deployments.as_of(_moment(arguments.as_of)).values()]
    if arguments.json:
        options.print_json({"deployments": [one.to_json() for one in history]})
        return 0
    rows = [
        [str(one.version), one.alias, one.run, one.output, f"{datetime.fromtimestamp(one.since, UTC):%Y-%m-%d %H:%M:%S}"]
        for one in reversed(history)
    ]
    print(options.table(rows, ["version", "alias", "run", "output", "since (UTC)"]) if rows else "nothing is deployed")
    return 0


def _moment(text: str) -> float:
    """A time in UTC as seconds since 1970; a day alone is its end."""
    from datetime import UTC, datetime, timedelta

    from pellucid.errors import UsageError

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f'"{text[:40]}" is no time', fix="Write it as 2026-11-27 or 2026-11-27T18:00 (UTC)") from None
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return (found + timedelta(days=1) if len(text) == 10 else found).timestamp()
