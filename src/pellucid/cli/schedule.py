"""`pellucid schedule`: pipelines and re-verifications that run by themselves."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.cli import options, state_folder

if TYPE_CHECKING:
    from pellucid.schedule import Schedule, Schedules, Trigger

ACTIONS = ("list", "add", "pause", "resume", "remove", "history", "run-due")
SHOWN_NEXT = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    said = (
        "list (default); add FILE, a pipeline file to run or a package to reproduce; pause, resume or remove NAME; history NAME: what it"
        " fired; run-due: do what is due, once (pellucid serve does it all the time)"
    )
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list", help=said)
    parser.add_argument("subject", nargs="?", metavar="FILE|NAME", help="for add a file or package, else a schedule")
    parser.add_argument("--cron", metavar="EXPR", help='for add: five fields, such as "30 2 * * *"')
    parser.add_argument("--every", metavar="TIME", help="for add: an interval, such as 30m, 6h or 1d")
    parser.add_argument("--changed", metavar="FILE", help="for add: when this data file holds something else")
    parser.add_argument("--after", metavar="PIPELINE", help="for add: after each finished run of this pipeline")
    parser.add_argument(
        "--zone", metavar="ZONE", default="UTC", help="for --cron: its time zone, such as Europe/Berlin (default: UTC)"
    )
    parser.add_argument("--name", metavar="NAME", help="for add: its name (default: the file's)")
    parser.add_argument(
        "--missed", metavar="POLICY", default="latest",
        help="for add: of the moments missed while no scheduler ran, run the latest (default), all, or skip them",
    )  # fmt: skip
    parser.add_argument(
        "--retries", type=options.whole(0), default=0, metavar="N", help="for add: try a failed run again, after pauses"
    )
    parser.add_argument("--set", action="append", default=[], metavar="STEP.SETTING=VALUE", help="for add: a setting of its runs")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Do one of the actions."""
    from pellucid.errors import UsageError
    from pellucid.schedule import Schedules

    action, name = arguments.action, arguments.subject
    if action in ("list", "run-due"):
        if name is not None:
            raise UsageError(f"{action} takes no name", where="schedule")
        schedules = Schedules(state_folder.home_of(arguments))
        return _list(schedules, arguments) if action == "list" else _run_due(schedules, arguments)
    if name is None:
        raise UsageError(
            f"{action} needs a {'file' if action == 'add' else 'schedule'}", where="schedule", fix="See: pellucid schedule --help"
        )
    if action == "add":
        return _add(arguments)
    schedules = Schedules(state_folder.home_of(arguments))
    if action == "history":
        return _history(schedules, name, arguments)
    if action == "remove":
        schedules.remove(name)
        _tell(arguments, {"removed": name}, f"{name} is removed; the runs it made stay")
        return 0
    schedule = schedules.pause(name) if action == "pause" else schedules.resume(name)
    _tell(arguments, schedule.to_json(), f"{name}: {_state(schedule)}")
    return 0


def _add(arguments: argparse.Namespace) -> int:
    from pellucid.cli.run import parse_settings
    from pellucid.errors import UsageError
    from pellucid.schedule import Schedules
    from pellucid.store import home_for

    trigger, target = _trigger(arguments), Path(arguments.subject).absolute()
    if target.suffix == ".py" and target.is_file():
        pipeline = options.load(target).with_settings(parse_settings(arguments.set))  # refused now, not at night
        home = Path(arguments.home).absolute() if arguments.home is not None else home_for(target)
        if trigger.kind == "after":
            _refuse_circle(Schedules(home), pipeline.name, trigger.text)
    elif target.is_dir() or target.suffix == ".zip":
        if not (target / "ro-crate-metadata.json").is_file() and target.suffix != ".zip":
            raise UsageError(
                "it is neither a pipeline file nor a package", where=str(target), fix="Name a .py file, or what publish wrote"
            )
        if arguments.set:
            raise UsageError("a package is re-run as it is", where="--set", fix="Leave it out")
        home = state_folder.home_of(arguments)
    else:
        raise UsageError(
            "it is neither a pipeline file nor a package", where=str(target), fix="Name a .py file, or what publish wrote"
        )
    name = arguments.name or target.stem
    schedule = Schedules(home).add(
        name, target, trigger, settings=arguments.set, missed=arguments.missed, retries=arguments.retries
    )  # fmt: skip
    does = "runs" if target.suffix == ".py" else "reproduces"
    told = f"{name} {does} {state_folder.shown(target)} {trigger.in_words()}: {_state(schedule)}"
    _tell(arguments, schedule.to_json(), told)
    if not arguments.json:
        print(
            options.wrapped(
                "pellucid serve does what is due while it runs; without it, let cron or systemd call: pellucid schedule run-due"
            )
        )
    return 0


def _refuse_circle(schedules: Schedules, pipeline: str, after: str) -> None:
    """Refuse a pipeline that would run after itself, also by way of others: it would never stop."""
    from pellucid.errors import PellucidError, UsageError

    follows: dict[str, list[str]] = {}  # pipeline -> those that run after it
    for one in schedules.all():
        if one.trigger.kind == "after" and one.target.suffix == ".py":
            with contextlib.suppress(PellucidError):  # a file that cannot be loaded does not run either
                follows.setdefault(one.trigger.text, []).append(options.load(one.target).name)
    seen, waiting = set[str](), [pipeline]
    while waiting:
        name = waiting.pop()
        if name == after:
            raise UsageError(
                f"{pipeline} would run after itself, without end", where=f"--after {after}", fix="Let it run by the clock"
            )
        if name not in seen:
            seen.add(name)
            waiting += follows.get(name, [])


def _trigger(arguments: argparse.Namespace) -> Trigger:
    from pellucid.errors import UsageError
    from pellucid.schedule import TRIGGERS, Trigger

    given = [kind for kind in TRIGGERS if getattr(arguments, kind) is not None]
    if len(given) != 1:
        said = "says nothing of when" if not given else f"has {len(given)} triggers"
        raise UsageError(f"the schedule {said}", fix="Give one of --cron, --every, --changed and --after")
    text = getattr(arguments, given[0])
    return Trigger(given[0], str(Path(text).absolute()) if given[0] == "changed" else text, arguments.zone)


def _list(schedules: Schedules, arguments: argparse.Namespace) -> int:
    found = schedules.all()
    last = {one.name: next(iter(schedules.firings(one.name, 1)), None) for one in found}
    if arguments.json:
        told = [{**one.to_json(), "last": firing.to_json() if (firing := last[one.name]) else None} for one in found]
        options.print_json({"schedules": told})
        return 0
    if not found:
        print("nothing is scheduled: pellucid schedule add FILE --cron EXPR")
        return 0
    for one in found:
        firing = last[one.name]
        print(f"{one.name}: {one.trigger.in_words()}, {state_folder.shown(one.target)}")
        print(f"  {_state(one)}")
        if firing is not None:
            print(options.wrapped(f"  last: {firing.occasion} {firing.state}{_tail(firing)}"))
    return 0


def _history(schedules: Schedules, name: str, arguments: argparse.Namespace) -> int:
    schedules.find(name)
    firings = schedules.firings(name, 50)
    if arguments.json:
        options.print_json({"firings": [one.to_json() for one in firings]})
        return 0
    rows = [[one.occasion, one.state, str(one.attempts), one.run, one.said[:60]] for one in firings]
    print(options.table(rows, ["occasion (UTC)", "state", "tries", "run", "said"]) if rows else f"{name} has not fired yet")
    return 0


def _run_due(schedules: Schedules, arguments: argparse.Namespace) -> int:
    from pellucid.schedule import run_due

    ended = run_due(schedules.home)
    if arguments.json:
        options.print_json({"firings": [one.to_json() for one in ended]})
    else:
        for one in ended:
            print(options.wrapped(f"{one.schedule}: {one.occasion} {one.state}{_tail(one)}"))
        if not ended:
            print("nothing is due")
    return int(any(one.state == "failed" for one in ended))


def _state(schedule: Schedule) -> str:
    from pellucid.schedule import shown

    if schedule.paused is not None:
        return f"paused: {schedule.paused}"
    zone = schedule.trigger.zone
    moments = schedule.next(SHOWN_NEXT)
    return f"next {', '.join(shown(one, zone) for one in moments)}{' UTC' if zone == 'UTC' else ''}" if moments else "waiting"


def _tail(firing: Any) -> str:
    return "".join([f", run {firing.run}" if firing.run else "", f": {firing.said}" if firing.said else ""])


def _tell(arguments: argparse.Namespace, told: dict[str, Any], line: str) -> None:
    if arguments.json:
        options.print_json(told)
    else:
        print(options.wrapped(line))
