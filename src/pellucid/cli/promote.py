"""`pellucid promote`: a version of a model behind an alias, if the alias's rules hold."""

from __future__ import annotations

import argparse
from pathlib import Path

from pellucid.cli import options, state_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "model", metavar="NAME[@VERSION]", help="a model as pellucid models lists it; without a version the newest"
    )
    parser.add_argument(
        "alias", metavar="ALIAS", help="such as production, or one that the search service asks for: search, rank, recommend"
    )
    parser.add_argument("--approver", default="", metavar="NAME", help="who answers for it; rules may ask for one")
    parser.add_argument(
        "--package", type=Path, metavar="FOLDER", help="the published package that holds the model; rules may ask for it"
    )
    parser.add_argument(
        "--share",
        type=_share,
        metavar="X",
        help="answer only this share of what is asked, as a canary: 0.1; 0: asked beside, answers thrown away",
    )
    parser.add_argument(
        "--minutes", type=options.above_zero, default=10.0, metavar="N", help="with --share: for how long (default: 10)"
    )
    state_folder.add_home(parser)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is not a share from 0 to below 1')
    return value


def call(arguments: argparse.Namespace) -> int:
    """Look whether the rules hold, then deploy."""
    from pellucid.registry import Canary, promote

    home = state_folder.home_of(arguments)
    done = promote(
        home, arguments.model, arguments.alias, approver=arguments.approver, package=arguments.package,
        share=arguments.share, seconds=60 * arguments.minutes,
    )  # fmt: skip
    if arguments.json:
        options.print_json(done.to_json())
        return 0
    if isinstance(done, Canary):
        print(options.wrapped(
            f"{arguments.alias}: a canary for {arguments.minutes:g} minutes and {done.share:.0%} of what is asked. A service that runs"
            " watches it: it is promoted at the end, or rolled back where it fails, is slower or has less to say"
        ))  # fmt: skip
        return 0
    for check in done.checks:
        print(f"  {check}")
    print(
        options.wrapped(
            f"{done.alias}: version {done.version}, {done.output} of run {done.run}. A service that runs takes it up by itself"
        )
    )
    return 0
