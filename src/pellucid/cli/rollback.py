"""`pellucid rollback`: put back what stood behind an alias before."""

from __future__ import annotations

import argparse

from pellucid.cli import options, state_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("alias", metavar="ALIAS", help="search, rank, recommend, or another that was promoted to")
    parser.add_argument("--approver", default="", metavar="NAME", help="who answers for it")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Deploy the one before again; the list of deployments only grows."""
    from pellucid.registry import Deployments

    done = Deployments(state_folder.home_of(arguments)).rollback(arguments.alias, arguments.approver)
    if arguments.json:
        options.print_json(done.to_json())
        return 0
    print(
        f"{done.alias}: version {done.version}, again {done.output} of run {done.run}. A service that runs takes it up by itself"
    )
    return 0
