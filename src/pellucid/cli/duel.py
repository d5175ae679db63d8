"""`pellucid duel`: a challenger against the ranking that is served, decided by one randomised bit a reader."""

from __future__ import annotations

import argparse

from pellucid.cli import options, state_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "action",
        nargs="?",
        default="show",
        choices=("open", "show", "decide", "end"),
        help="open: begin one; show: all of them (the default); decide: look at the reports, once; end: close it without looking",
    )
    parser.add_argument("model", nargs="?", metavar="NAME[@VERSION]", help="open: the challenger, as pellucid models lists it")
    parser.add_argument("--epsilon", type=options.above_zero, default=2.0, help="open: of a reader's bit (default: 2)")
    said = "open: how much above a half a reader's bit is expected to be, were it not randomised (default: 0.05)"
    parser.add_argument("--advantage", type=options.above_zero, default=0.05, metavar="D", help=said)
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    from pellucid.errors import UsageError
    from pellucid.registry import Duels, find_model

    duels = Duels(home := state_folder.home_of(arguments))
    if arguments.action == "show":
        return _show(duels, as_json=arguments.json)
    if arguments.action == "open":
        if arguments.model is None:
            raise UsageError("open needs a model", where="duel", fix="Such as: pellucid duel open ranking")
        done = duels.begin(find_model(home, arguments.model), arguments.advantage, arguments.epsilon)
        said = f"open. {done.people} readers are needed, {done.needed} ones among them pass; only their number is told before"
    else:
        present = duels.open()
        if present is None:
            raise UsageError("no duel is open", where="duel", fix="Begin one: pellucid duel open NAME")
        done = duels.decide(present) if arguments.action == "decide" else duels.end(present, "by hand")
        said = f"{done.state}: {done.said}"
    if arguments.json:
        options.print_json(done.to_json())
        return 0
    print(options.wrapped(f"duel {done.number}, {done.challenger.output} of run {done.challenger.run}: {said}"))
    if done.state == "passed":
        print(options.then("put it there with", "pellucid", "promote", done.challenger.output, "rank"))
    return 0


def _show(duels: object, *, as_json: bool) -> int:
    from pellucid.registry import Duels

    assert isinstance(duels, Duels)
    held = [(one, duels.reports(one)) for one in duels.all()]
    if as_json:
        options.print_json({"duels": [{**one.to_json(), "reports": count} for one, count in held]})
        return 0
    if not held:
        print("no duels")
        return 0
    rows = [
        [str(one.number), one.challenger.output, one.state, f"{count} of {one.people}", f"{one.epsilon:g}", one.said]
        for one, count in held
    ]
    print(options.table(rows, ["duel", "challenger", "state", "reports", "epsilon", ""], right=[0, 4]))
    return 0
