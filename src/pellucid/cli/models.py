"""`pellucid models`: the models that runs made, and where each stands."""

from __future__ import annotations

import argparse
from pathlib import Path

from pellucid.cli import options, state_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    said = "one model: all its versions; export NAME[@VERSION]: write one as a folder, with --mlflow"
    parser.add_argument("words", metavar="NAME", nargs="*", help=said)
    parser.add_argument("--mlflow", type=Path, metavar="FOLDER", help="with export: a new folder that `mlflow models serve` runs")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """List the newest version of each model, or the versions of one."""
    from pellucid.errors import UsageError
    from pellucid.registry import Deployments, find_model, model_versions

    words = arguments.words
    if words[:1] == ["export"] or arguments.mlflow is not None:
        return _export(arguments)
    if len(words) > 1:
        raise UsageError(f'"{words[1]}" is one word too many', where="models", fix="See: pellucid models --help")
    named = words[0] if words else None
    home = state_folder.home_of(arguments)
    versions = model_versions(home)
    if named is not None:
        name = find_model(home, named).name
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
    for one in versions if named is not None else newest.values():
        there = [] if named is None else [*stands.get((one.name, one.version), [])]
        if named is None:  # of any version, with its number
            there = [f"{alias} ({number})" for (name, number), held in stands.items() if name == one.name for alias in held]
        rows.append([one.name, str(one.version), one.kind(home), one.label, one.run, ", ".join(there)])
    print(options.table(rows, ["model", "version", "kind", "label", "run", "stands as"], right=[1]))
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from pellucid.errors import UsageError
    from pellucid.tracking.mlflow_model import export

    if arguments.words[:1] != ["export"] or len(arguments.words) != 2 or arguments.mlflow is None:
        raise UsageError(
            "an export needs a model and a folder", fix="Such as: pellucid models export recommender --mlflow FOLDER"
        )
    home = state_folder.home_of(arguments)
    done = export(home, arguments.words[1], arguments.mlflow)
    if arguments.json:
        options.print_json({**done.to_json(), "folder": str(arguments.mlflow)})
        return 0
    print(f"{arguments.mlflow}: {done.name} version {done.version}")
    print(options.then("serve it with", "mlflow", "models", "serve", "-m", arguments.mlflow, "--env-manager", "local"))
    return 0
