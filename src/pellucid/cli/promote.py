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
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Look whether the rules hold, then deploy."""
    from pellucid.registry import promote

    home = state_folder.home_of(arguments)
    done = promote(home, arguments.model, arguments.alias, approver=arguments.approver, package=arguments.package)
    if arguments.json:
        options.print_json(done.to_json())
        return 0
    for check in done.checks:
        print(f"  {check}")
    print(
        options.wrapped(
            f"{done.alias}: version {done.version}, {done.output} of run {done.run}. A service that runs takes it up by itself"
        )
    )
    return 0
