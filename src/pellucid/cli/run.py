"""`pellucid run`: run a pipeline file."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from pellucid.cli import options, state_folder
from pellucid.cli.sweep import sweep
from pellucid.cli.tag import tags_of
from pellucid.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a Python file that defines a pl.Pipeline")
    parser.add_argument("--set", action="append", default=[], metavar="STEP.SETTING=VALUE", help="give a setting another value")
    said = (
        "one run for each of these values, and for each combination where it is given again; what fails does not stop the others"
    )
    parser.add_argument("--sweep", action="append", default=[], metavar="STEP.SETTING=VALUE,VALUE", help=said)
    parser.add_argument("--only", action="append", default=[], metavar="STEP", help="only this step or output, and what it needs")
    parser.add_argument(
        "--from", action="append", default=[], dest="again", metavar="STEP", help="this step and all after it, again"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="the run's public seed (default: the pipeline's)")
    parser.add_argument("--jobs", type=options.whole(1), default=cores(), metavar="N", help="steps at once (default: one a core)")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and why; run nothing")
    parser.add_argument(
        "--twice", action="store_true", help="run each step twice, apart, and name those that are not deterministic"
    )
    parser.add_argument("--private", action="store_true", help="show metrics that are not open: for the data's steward")
    parser.add_argument("--name", default="", metavar="NAME", help="a name for this run, by which other commands find it")
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="a tag of this run")
    parser.add_argument("--note", default="", metavar="TEXT", help="a note on this run")
    parser.add_argument("--live", action="store_true", help="print what open steps print, as it comes, on stderr")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    state_folder.add_home(parser, "beside FILE")


def cores() -> int:
    """How many cores this process may use: a container or `taskset` may leave it fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parse_settings(pairs: list[str]) -> dict[str, str]:
    """The `--set` options as a mapping. Raises UsageError for one without "="."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or "." not in name:
            raise UsageError(
                "this is not STEP.SETTING=VALUE", where=f"--set {pair}", fix="Such as: --set model.regularization=100"
            )
        found[name] = value
    return found


def call(arguments: argparse.Namespace) -> int:
    """Run, or plan, or check determinism."""
    from pellucid.pipeline.record import RunTags

    settings = parse_settings(arguments.set)
    tags = RunTags(arguments.name, tags_of(arguments.tag), arguments.note)
    pipeline = options.load(arguments.file)
    if arguments.sweep:
        if arguments.dry_run or arguments.twice:
            raise UsageError("a sweep runs", where="--sweep", fix="Leave out --dry-run and --twice")
        return sweep(arguments, pipeline, settings, tags)
    if arguments.dry_run:
        return _dry_run(pipeline, settings, arguments)
    if arguments.twice:
        return _twice(pipeline, settings, arguments)
    from pellucid.cli.progress import progress
    from pellucid.pipeline.running import run

    shown = None if arguments.quiet else progress(live=arguments.live)
    try:
        done = run(
            pipeline,
            settings=settings,
            home=arguments.home,
            seed=arguments.seed,
            only=arguments.only,
            again=arguments.again,
            jobs=arguments.jobs,
            confined=True,
            check=False,
            progress=shown,
            git_status=True,
            tags=tags if tags != RunTags() else None,
        )
    finally:
        if shown is not None:
            shown.close()
    if arguments.json:
        options.print_json(done.to_json(private=arguments.private))
    else:
        _print(done, arguments.private)
    for report in done.steps.values():
        if report.action == "failed":
            print(f"pellucid: {_failed(done, report, pipeline.steps[report.step].outspoken)}", file=sys.stderr)
    return 0 if done.status == "done" else 1


def _print(done: Any, private: bool) -> None:
    from pellucid.pipeline.record import metrics_of
    from pellucid.store import Objects

    objects = Objects(done.home)
    for report in done.steps.values():
        for name, artifact in report.outputs.items():
            if artifact.kind != "metrics" or artifact.items is not None or name.endswith("_guarantee"):
                continue
            if report.label.is_open or private:
                values = metrics_of(objects, {name: artifact})
                print(options.metrics(f"{name} ({report.label})", values))
            else:
                print(f"{name}: private, for its steward only (--private); to publish it, release it")
    ran = sum(report.action == "ran" for report in done.steps.values())
    reused = sum(report.action == "reused" for report in done.steps.values())
    print(f"run {done.id}: {done.status} in {options.seconds(done.seconds)}, {ran} ran, {reused} reused")


def _failed(done: Any, report: Any, outspoken: bool) -> str:
    """What failed, and the command that shows the rest."""
    said = report.message.removeprefix(f'step "{report.step}": ')
    private = "" if outspoken else " --private"
    log = shlex.quote(report.failed[0] if report.failed else report.step)
    show = f"pellucid show {done.id} --log {log}{private}{state_folder.home_words(done.home)}"
    said = " ".join(said.split())
    return f'step "{report.step}" failed: {said}{"" if said.endswith("?") else "."} Its log and traceback: {show}'


def _dry_run(pipeline: Any, settings: dict[str, str], arguments: argparse.Namespace) -> int:
    from pellucid.pipeline.running import foresee

    lines = foresee(
        pipeline, settings=settings, home=arguments.home, seed=arguments.seed, only=arguments.only, again=arguments.again
    )
    if arguments.json:
        options.print_json({"steps": {line.step: {"action": line.action, "why": list(line.why)} for line in lines}})
    else:
        print(options.table([[line.step, line.action, "; ".join(line.why)] for line in lines], ["step", "would", "why"]))
    return 1 if any(line.action == "fail" for line in lines) else 0


def _twice(pipeline: Any, settings: dict[str, str], arguments: argparse.Namespace) -> int:
    from pellucid.pipeline.running import twice

    found = twice(pipeline, settings=settings, home=arguments.home, seed=arguments.seed, only=arguments.only, jobs=arguments.jobs)
    if arguments.json:
        options.print_json(found.to_json())
    else:
        for name, detail in found.steps.items():
            print(f"{'✗' if detail else '✓'} {name:<22} {detail or 'the same both times'}")
        bad = [name for name, detail in found.steps.items() if detail]
        print(f"{len(bad)} of {len(found.steps)} steps are not deterministic" if bad else "every step is deterministic")
    return 1 if any(found.steps.values()) else 0
