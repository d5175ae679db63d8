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
    record, sides = state_folder.find_run(arguments, arguments.a, arguments.b)
    home = record.home
    state_folder.say(home, *sides)
    steps = [{step.step: step for step in record.steps(side["run"])} for side in sides]
    settings = _side_by_side([_settings(found) for found in steps])
    metrics = _side_by_side([_metrics(home, found, arguments.private) for found in steps])
    parted = _first_parting(sides[0]["graph"], steps)
    if arguments.json:
        names = [side["run"] for side in sides]
        options.print_json({"runs": names, "settings": settings, "metrics": metrics, "first_difference": parted})
        return 0
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


def _side_by_side(sides: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [side.get(name, "-") for side in sides] for name in sorted({name for side in sides for name in side})}


def _settings(steps: dict[str, Any]) -> dict[str, str]:
    prefix = "setting "
    return {
        f"{name}.{part.removeprefix(prefix)}": value
        for name, step in steps.items()
        for part, value in step.parts.items()
        if part.startswith(prefix)
    }


def _metrics(home: Any, steps: dict[str, Any], private: bool) -> dict[str, Any]:
    from pellucid.pipeline.record import metrics_of
    from pellucid.store import Objects

    objects, found = Objects(home), {}
    for step in steps.values():
        for name, artifact in step.outputs.items():
            if artifact.kind == "metrics" and artifact.items is None and (step.label == "open" or private):
                found.update({f"{name}.{key}": value for key, value in metrics_of(objects, {name: artifact}).items()})
    return found


def _first_parting(graph: list[dict[str, Any]], steps: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first step, in running order, that both runs have and whose outputs differ, with what of its key differs."""
    from pellucid.pipeline.keys import cache_key as keys

    for node in graph:
        pair = [found.get(node["step"]) for found in steps]
        if pair[0] is None or pair[1] is None:
            continue
        digests = [{name: artifact.digest for name, artifact in step.outputs.items()} for step in pair if step]
        if digests[0] != digests[1]:
            why = keys.changed(pair[0].parts, pair[1].parts)
            return {"step": node["step"], "why": "; ".join(why) or "the same key gave another result: it is not deterministic"}
    return None
