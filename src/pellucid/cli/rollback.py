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
    from pellucid.registry import Canaries, Deployments

    home = state_folder.home_of(arguments)
    canary = Canaries(home).open().get(arguments.alias)
    if canary is not None:
        Canaries(home).end(canary, "ended", f"by {arguments.approver or 'hand'}")
        if arguments.json:
            options.print_json({**canary.to_json(), "state": "ended"})
        else:
            print(f"{arguments.alias}: the canary is ended; what stood there stays")
        return 0
    done = Deployments(home).rollback(arguments.alias, arguments.approver)
    if arguments.json:
        options.print_json(done.to_json())
        return 0
    print(
        f"{done.alias}: version {done.version}, again {done.output} of run {done.run}. A service that runs takes it up by itself"
    )
    return 0
