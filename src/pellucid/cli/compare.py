"""`pellucid compare`: two runs side by side."""

from __future__ import annotations

import argparse
from typing import Any

from pellucid.cli import options, state_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "a", nargs="?", default="last~1", metavar="A", help="a run, the start of its name, last or last~1 (default)"
    )
    parser.add_argument("b", nargs="?", default="last", metavar="B", help="another run (default: last)")
    parser.add_argument("--private", action="store_true", help="also metrics that are not open: for the data's steward")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Settings and metrics side by side, and the first step where digests part."""
    from pellucid.pipeline.keys import compare_runs

    record, sides = state_folder.find_run(arguments, arguments.a, arguments.b)
    state_folder.say(record.home, *sides)
    found = compare_runs(record, sides, private=arguments.private)
    if arguments.json:
        options.print_json(found)
        return 0
    settings, metrics, parted = found["settings"], found["metrics"], found["first_difference"]
    print(f"A is {_told(sides[0])}\nB is {_told(sides[1])}")
    header = ["", "A", "B"]
    differing = [[name, *map(options.number, values)] for name, values in settings.items() if values[0] != values[1]]
    print(options.table(differing, ["setting", *header[1:]]) if differing else "settings: the same")
    shown = {
        name: values
        for name, values in metrics.items()
        if values[0] != values[1] or not name.partition(".")[0].endswith("_guarantee")
    }
    if shown:
        print(options.table([[name, *map(options.number, values)] for name, values in shown.items()], ["metric", *header[1:]]))
    print(f"the first step where they part: {parted['step']} ({parted['why']})" if parted else "every step gave the same")
    return 0


def _told(run: dict[str, Any]) -> str:
    return f"{run['run']}  {run['pipeline']}  {run['status']}"
