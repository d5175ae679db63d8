"""`pellucid show`: one run, step by step."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from pellucid.cli import options, state_folder, tag
from pellucid.errors import LabelError, UsageError, suggest


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "run",
        nargs="?",
        default="last",
        metavar="RUN",
        help="a run, the start of its name, a pipeline (its newest run), last (default) or last~1",
    )
    parser.add_argument("--log", metavar="STEP", help="what a step printed or raised")
    parser.add_argument("--private", action="store_true", help="also what is not open: for the data's steward")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Show a run, or one step's log."""
    from pellucid.pipeline.record import RunTags, curves_of, tags_of_runs

    record, (run,) = state_folder.find_run(arguments, arguments.run, step=arguments.log)
    home, steps = record.home, record.steps(run["run"])
    if arguments.log:
        return _log(record, run, steps, arguments)
    state_folder.say(home, run)
    described = _described(home, steps, arguments.private)
    curves = curves_of(record.db, run["run"], private=arguments.private)
    if arguments.json:
        keep = ("run", "pipeline", "file", "status", "started", "seconds", "seed", "settings", "environment", "git")
        words = vars(tags_of_runs(record.db, [run["run"]]).get(run["run"], RunTags()))
        options.print_json({**{name: run[name] for name in keep}, **words, "steps": described, "curves": curves})
        return 0
    environment = run["environment"]
    print(
        f"{run['run']}  {run['pipeline']}  {run['status']}" + (f" in {options.seconds(run['seconds'])}" if run["seconds"] else "")
    )
    called = tags_of_runs(record.db, [run["run"]]).get(run["run"])
    if called is not None:
        print(options.wrapped(f"  called:  {tag.shown('', called.name, dict(called.tags), called.note).removeprefix(': ')}"))
    print(f"  file:    {run['file'] or 'none: run from Python'}" + (f", commit {run['git'][:20]}" if run["git"] else ""))
    print(f"  lock:    {environment['lock'][:12]} ({environment['lock_file']}), python {environment['python']}")
    print(f"  machine: {environment['cpu'][:60]}")
    print(f"  steps held by {environment.get('confined', 'nothing, for none ran')}")
    if run["settings"]:
        print(f"  --set:   {' '.join(f'{name}={value}' for name, value in run['settings'].items())}")
    rows = []
    for name, step in described.items():
        took = options.seconds(step["seconds"]) if step["action"] != "reused" else ""
        rows.append(
            [name, step["kind"], step["label"], step["action"], took, options.short(step["digest"]) if step["digest"] else ""]
        )
    print(options.table(rows, ["step", "kind", "label", "action", "took", "digest"], right=[4]))
    for name, step in described.items():
        if step.get("metrics") and step["kind"] != "release":
            print(options.metrics(name, step["metrics"]))
        elif step.get("metrics") and name in step["metrics"]:
            print(options.metrics(name, step["metrics"][name]))
        if step.get("message"):
            print(f"{name}: {step['message']}")
    for name, points in curves.items():
        print(
            f"{name}: {len(points)} points, at {points[-1][0]}: {'no number' if points[-1][1] is None else options.number(points[-1][1])}"
        )
    return 0


def _described(home: Any, steps: list[Any], private: bool) -> dict[str, Any]:
    from pellucid.pipeline.record import metrics_of
    from pellucid.store import Objects

    objects, found = Objects(home), {}
    for step in steps:
        quiet = step.label != "open" and not private  # a digest confirms a guess of what is private
        outputs = {name: None if quiet else artifact.digest for name, artifact in step.outputs.items()}
        entry: dict[str, Any] = {
            "kind": step.kind,
            "label": step.label,
            "action": step.action,
            "seconds": round(step.seconds, 4),
            "attempts": step.attempts,
            "key": None if quiet else step.key,
            "digest": next(iter(outputs.values()), None),
            "outputs": outputs,
        }
        if step.message:
            entry["message"] = step.message
        if any(artifact.kind == "metrics" and artifact.items is None for artifact in step.outputs.values()):
            entry["metrics"] = metrics_of(objects, step.outputs) if step.label == "open" or private else None
        found[step.step] = entry
    return found


def _log(record: Any, run: dict[str, Any], steps: list[Any], arguments: argparse.Namespace) -> int:
    step = next((step for step in steps if step.step == arguments.log), None)
    if step is None:
        fix = suggest(arguments.log, [step.step for step in steps])
        raise UsageError(f'there is no step "{arguments.log}" in this run', fix=fix)
    if (step.label != "open" or step.kind == "release") and not arguments.private:
        raise LabelError(
            "the log of a step that has seen private data may hold what they hold",
            where=f'step "{step.step}"',
            fix="If you are the data's steward: add --private",
        )
    state_folder.say(record.home, run)
    made = record.made_by(step) if step.action == "reused" else None
    if made is not None:
        by, step = made
        print(f"its result was reused from run {by}, whose log this is", file=sys.stderr)
    if arguments.json:
        options.print_json({"step": step.step, "label": step.label, "log": step.private})
    else:
        print(step.private or "(it printed nothing)")
    return 0
