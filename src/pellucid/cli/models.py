"""`pellucid models`: the models that runs made, and where each stands."""

from __future__ import annotations

import argparse

from pellucid.cli import options, state_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="one model: all its versions, with the metrics of their runs")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """List the newest version of each model, or the versions of one."""
    from pellucid.registry import Deployments, find_model, model_versions

    home = state_folder.home_of(arguments)
    versions = model_versions(home)
    if arguments.name is not None:
        name = find_model(home, arguments.name).name
        versions = [one for one in versions if one.name == name]
    current = Deployments(home).current().values()
    stands = {
        (one.name, one.version): sorted(held.alias for held in current if held.digest == one.artifact.digest)
        for one in versions
        if one.label == "open"
    }
    if arguments.json:
        told = [
            {**one.to_json(), "kind": one.kind(home) or None, "aliases": stands.get((one.name, one.version), [])}
            for one in versions
        ]
        options.print_json({"models": told})
        return 0
    if not versions:
        print("no run has made a model yet")
        return 0
    newest = {one.name: one for one in versions}
    rows = []
    for one in versions if arguments.name is not None else newest.values():
        there = [] if arguments.name is None else [*stands.get((one.name, one.version), [])]
        if arguments.name is None:  # of any version, with its number
            there = [f"{alias} ({number})" for (name, number), held in stands.items() if name == one.name for alias in held]
        rows.append([one.name, str(one.version), one.kind(home), one.label, one.run, ", ".join(there)])
    print(options.table(rows, ["model", "version", "kind", "label", "run", "stands as"], right=[1]))
    return 0
