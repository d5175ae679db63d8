"""`pellucid reproduce`: re-run a package and give a verdict."""

from __future__ import annotations

import argparse
from pathlib import Path

from pellucid.cli import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("package", type=Path, metavar="DIR", help="a published package")
    parser.add_argument("--workspace", type=Path, help="a folder for the environment and the re-run, kept afterwards")
    parser.add_argument("--offline", action="store_true", help="build the environment from the local cache only")


def call(arguments: argparse.Namespace) -> int:
    """Re-run and compare; exit 0 bit-identical or within tolerance, 1 different, 2 could not run."""
    from pellucid.errors import PellucidError
    from pellucid.packages import reproduce

    try:
        verdict = reproduce(arguments.package, workspace=arguments.workspace, offline=arguments.offline)
    except PellucidError as error:
        told = {"verdict": "could not run", "first_difference": None}
        return options.fail(error, as_json=arguments.json, told=told)
    if arguments.json:
        options.print_json(verdict.to_json())
    else:
        print(verdict)
    return int(verdict.exit_code)
