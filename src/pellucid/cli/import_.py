"""`pellucid import`: an open artifact of a package as a source of a new pipeline."""

from __future__ import annotations

import argparse
from pathlib import Path

from pellucid.cli import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="a published package: a folder or a zip")
    parser.add_argument("artifact", metavar="ARTIFACT", help="which of its open artifacts")
    parser.add_argument("--to", type=Path, default=Path(), metavar="FOLDER", help="where to put it (default: here)")
    parser.add_argument(
        "--key", type=Path, metavar="PEM", help="the publisher's public key: fail unless the package is signed with it"
    )


def call(arguments: argparse.Namespace) -> int:
    """Check the package, copy the artifact and its origin, and print the line that makes it a source."""
    from pellucid.packages import take

    made = take(arguments.package, arguments.artifact, arguments.to, key=arguments.key)
    if arguments.json:
        options.print_json({"path": str(made.path), "origin": str(made.origin), "line": made.line})
        return 0
    print(options.wrapped(f"{made.path}, with where it comes from in {made.origin}; in a pipeline file there:"))
    head, _, given = made.line.partition("(")
    print(made.line if len(made.line) <= options.width() else f"{head}(\n    {given[:-1]}\n)")
    return 0
