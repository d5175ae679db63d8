"""`pellucid why`: which part of a step's key made it run."""

from __future__ import annotations

import argparse

from pellucid.cli import options, state_folder
from pellucid.errors import UsageError, suggest


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("step", metavar="STEP", help="a step's name")
    parser.add_argument(
        "run", nargs="?", default="last", metavar="RUN", help="in which run (default: the last that has the step)"
    )
    parser.add_argument("--private", action="store_true", help="with --json: also the key of a step that is not open")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Compare the step's key in a run with its key in the run before."""
    from pellucid.pipeline.keys import cache_key as keys

    record, (run,) = state_folder.find_run(arguments, arguments.run, step=arguments.step)
    history = record.history(arguments.step, 10_000, run["pipeline"])
    at = next((at for at, (name, _) in enumerate(history) if name == run["run"]), None)
    if at is None:
        names = [step.step for step in record.steps(run["run"])]
        where = f"run {run['run']} of {run['pipeline']}, in {state_folder.shown(record.home)}"
        raise UsageError(f'it has no step "{arguments.step}"', where=where, fix=suggest(arguments.step, names))
    state_folder.say(record.home, run)
    this, before = history[at][1], history[at + 1] if at + 1 < len(history) else None
    if this.action == "reused":
        lines = ["nothing it depends on has changed: its result was taken from the store"]
    elif before is None:
        lines = ["it ran for the first time"]
    else:
        lines = keys.changed(before[1].parts, this.parts) or ["its key is the same: its result was gone, or it was asked for"]
    if arguments.json:
        parts = dict(this.parts) if this.label == "open" or arguments.private else None
        against = before[0] if before else None
        options.print_json(
            {"step": this.step, "run": run["run"], "action": this.action, "why": lines, "against": against, "key": parts}
        )
        return 0
    since = f", against {before[0]}" if before and this.action != "reused" else ""
    print(
        f"{this.step} was {this.action} in {run['run']}{since}:"
        if this.action == "reused"
        else f"{this.step} {this.action} in {run['run']}{since}:"
    )
    for line in lines:
        print(f"  {line}")
    return 0
