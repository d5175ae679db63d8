"""`pellucid steward`: from private data to a release that somebody answers for, step by step."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pellucid.cli import options, state_folder
from pellucid.cli.init import reader_options
from pellucid.errors import UsageError

ACTIONS = {
    "init": "make a folder for a data file or a pipeline file",
    "inventory": "what is in the data and whose it is; confirm roles",
    "assess": "how identifying it is as it stands",
    "protect": "what is to be released, its noise and its cost",
    "attack": "what an adversary gets, of the data and of what would leave",
    "decide": "check the policy, and sign",
    "release": "release it with its card",
}

OPTIONS = {
    **dict.fromkeys(("unit", "item", "format", "option", "epsilon", "as"), ("init",)),
    **dict.fromkeys(("set", "confirm"), ("inventory",)),
    **dict.fromkeys(("people", "items", "per-person"), ("init", "protect")),
    **dict.fromkeys(("by", "note", "although"), ("decide",)),
}
"""The steps that an option is for, where it is not for all."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "action", choices=tuple(ACTIONS), help="; ".join(f"{name}: {purpose}" for name, purpose in ACTIONS.items())
    )
    parser.add_argument(
        "subject",
        nargs="?",
        type=Path,
        metavar="DATA|FOLDER",
        help="init: the data; else the steward's folder (default: steward)",
    )
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="the steward's folder (default: steward); init makes it")
    parser.add_argument(
        "--unit", metavar="COLUMN", help="init: the column that says whose row it is; row, where each is another's"
    )
    parser.add_argument("--item", metavar="COLUMN", help="init: the column with what people chose, or that is to be counted")
    parser.add_argument(
        "--format", metavar="NAME", help="init: the reader, where the file's name does not tell it (csv, jsonlines, parquet, ...)"
    )
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="init: an option of the reader, such as delimiter=;"
    )
    parser.add_argument("--epsilon", type=options.above_zero, metavar="E", help="init: of the proposed release (default: 1)")
    parser.add_argument(
        "--as",
        dest="statistic",
        choices=("gram", "histogram"),
        help="init: count pairs of items, or items (default: by the roles)",
    )
    parser.add_argument("--set", action="append", default=[], metavar="COLUMN=ROLE", help="inventory: correct and confirm a role")
    parser.add_argument("--confirm", action="store_true", help="inventory: confirm all other roles as proposed")
    expected(parser, "init, protect")
    parser.add_argument("--by", default="", metavar="NAME", help="decide: who signs")
    parser.add_argument("--note", default="", metavar="TEXT", help="decide: goes to the ledger and the report")
    parser.add_argument(
        "--although", default="", metavar="REASON", help="decide: sign though checks fail; goes to the report and the card"
    )
    state_folder.add_home(parser, "beside the pipeline file")


def expected(parser: argparse.ArgumentParser, actions: str) -> None:
    """The options that declare what is expected of the data, without looking at them."""
    amount, said = options.above_zero, f"{actions}: about how many"
    parser.add_argument(
        "--people", type=options.whole(1), metavar="N", help=f"{said} people there are, as you know without looking"
    )
    parser.add_argument("--items", type=options.whole(1), metavar="N", help=f"{said} items there are")
    parser.add_argument("--per-person", type=amount, metavar="N", help=f"{said} different items a person has")


def call(arguments: argparse.Namespace) -> int:
    """Do one step, and bring the report up to date."""
    _refuse_foreign(arguments)
    step: Callable[[argparse.Namespace], tuple[Any, list[str], Any]] = globals()[f"_{arguments.action}"]
    folder, lines, told = step(arguments)
    from pellucid.steward import write

    report = write(folder)
    if arguments.json:
        options.print_json({"folder": str(folder.path), "report": str(report), **told})
        return 0
    print("\n".join(lines))
    from pellucid.steward import shown

    print(f"report: {shown(report)}")
    return 0


def _opened(arguments: argparse.Namespace) -> Any:
    from pellucid.steward import DEFAULT, opened

    if arguments.subject is not None and arguments.folder is not None:
        raise UsageError(f"two folders are named: {arguments.subject} and {arguments.folder}", where="steward", fix="Name one")
    return opened(arguments.subject or arguments.folder or DEFAULT, arguments.home)


def _refuse_foreign(arguments: argparse.Namespace) -> None:
    """Refuse an option of another step: whoever gives it takes it to do something."""
    for option, actions in OPTIONS.items():
        name = {"as": "statistic"}.get(option, option.replace("-", "_"))
        if getattr(arguments, name) not in (None, "", [], False) and arguments.action not in actions:
            fix = f"It belongs to {' and '.join(actions)}"
            raise UsageError(f"{arguments.action} has no option --{option}", where="steward", fix=fix)


def _numbers(arguments: argparse.Namespace) -> Any:
    from pellucid.privacy.foresight import ExpectedNumbers

    return ExpectedNumbers(arguments.people, arguments.items, arguments.per_person)


def _init(arguments: argparse.Namespace) -> tuple[Any, list[str], Any]:
    from pellucid.steward import DEFAULT, DataFile, Proposal, begin, inventory_lines, shown

    if arguments.subject is None:
        raise UsageError("init needs a data file", where="steward", fix="Such as: pellucid steward init visits.csv")
    asked = arguments.statistic is not None or arguments.epsilon is not None
    folder, stand, found = begin(
        DataFile(arguments.subject, arguments.format, reader_options(arguments.option)),
        arguments.folder or DEFAULT,
        unit=arguments.unit,
        item=arguments.item,
        proposal=Proposal(arguments.statistic, arguments.epsilon or 1.0) if asked else None,
        numbers=_numbers(arguments),
        home=arguments.home,
    )
    head = [f"{shown(folder.pipeline)}: what is to be released; read it, and change it as you need", ""]
    return folder, head + inventory_lines(stand, found, ()), {"pipeline": str(folder.pipeline), "inventory": found.to_json()}


def _inventory(arguments: argparse.Namespace) -> tuple[Any, list[str], Any]:
    from pellucid.steward import inventory_lines, take

    roles = {}
    for pair in arguments.set:
        column, equals, role = pair.rpartition("=")
        if not equals or not column:
            raise UsageError("this is not COLUMN=ROLE", where=f"--set {pair}", fix="Such as: --set age=quasi-identifier")
        roles[column] = role
    folder = _opened(arguments)
    stand, found, said = take(folder, roles, confirm=arguments.confirm)
    return folder, inventory_lines(stand, found, said), {"inventory": found.to_json(), "said": said}


def _assess(arguments: argparse.Namespace) -> tuple[Any, list[str], Any]:
    from pellucid.steward import assess, assessment_lines

    folder = _opened(arguments)
    evidence = assess(folder)
    return folder, assessment_lines(folder, evidence), {"evidence": evidence}


def _protect(arguments: argparse.Namespace) -> tuple[Any, list[str], Any]:
    from pellucid.steward import protect, protection_lines

    folder = _opened(arguments)
    evidence = protect(folder, _numbers(arguments))
    return folder, protection_lines(folder, evidence), {"evidence": evidence}


def _attack(arguments: argparse.Namespace) -> tuple[Any, list[str], Any]:
    from pellucid.steward import attack, attack_lines

    folder = _opened(arguments)
    evidence = attack(folder)
    return folder, attack_lines(folder, evidence), {"evidence": evidence}


def _decide(arguments: argparse.Namespace) -> tuple[Any, list[str], Any]:
    from pellucid.steward import Refused, check_lines, decide, decision_lines

    folder = _opened(arguments)
    try:
        evidence, found = decide(folder, arguments.by, note=arguments.note, although=arguments.although)
    except Refused as refused:
        if arguments.json:
            raise
        print("\n".join(check_lines(refused.checks)))  # which says why each of them fails
        failing = [one.name for one in refused.checks if not one.passed]
        said = f"{len(failing)} of {len(refused.checks)} checks fail: {', '.join(failing)}"
        raise Refused(said, refused.checks, where=refused.where, fix=refused.fix) from None
    return folder, decision_lines(folder, evidence, found), {"evidence": evidence}


def _release(arguments: argparse.Namespace) -> tuple[Any, list[str], Any]:
    from pellucid.steward import release, release_lines

    folder = _opened(arguments)
    evidence = release(folder)
    return folder, release_lines(folder, evidence), {"evidence": evidence}
