"""`pellucid export`: a run's open side to an MLflow server."""

from __future__ import annotations

import argparse
import os

from pellucid.cli import options, state_folder
from pellucid.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "run",
        nargs="?",
        default="last",
        metavar="RUN",
        help="a run, the start of its name, a pipeline (its newest run), last (default) or last~1",
    )
    parser.add_argument("--mlflow", metavar="URI", help="the server (default: MLFLOW_TRACKING_URI)")
    parser.add_argument("--no-artifacts", action="store_true", help="settings and metrics only")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Mirror, and say where it went."""
    uri = arguments.mlflow or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        raise UsageError("no MLflow server is named", fix="Give --mlflow URI, or set MLFLOW_TRACKING_URI")
    from pellucid.tracking.mlflow import mirror

    record, (run,) = state_folder.find_run(arguments, arguments.run)
    record.close()
    done = mirror(record.home, run["run"], uri, artifacts=not arguments.no_artifacts)
    state_folder.say(record.home, run)
    if arguments.json:
        options.print_json(done.to_json())
        return 0
    if done.fresh:
        sent = f"{done.metrics} metrics, {len(done.artifacts)} artifacts"
        print(f"{uri}: run {done.mlflow_run} in experiment {done.experiment}; {sent}")
    else:
        print(f"{uri}: it is there already, as run {done.mlflow_run} in experiment {done.experiment}")
    if done.withheld:
        print(f"withheld, because not open: {', '.join(done.withheld)}")
    return 0
