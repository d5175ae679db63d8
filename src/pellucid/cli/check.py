"""`pellucid check`: is a package whole, signed, and what its descriptions say?"""

from __future__ import annotations

import argparse
from pathlib import Path

from pellucid.cli import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="a published package: a folder or a zip")
    parser.add_argument(
        "--key", type=Path, metavar="PEM", help="the publisher's public key: fail unless the package is signed with it"
    )
    parser.add_argument(
        "--origin", action="append", default=[], type=Path, metavar="PACKAGE", help="a package it builds on, to check too"
    )


def call(arguments: argparse.Namespace) -> int:
    """Check without network, running nothing of it; exit 1 where another pellucid's descriptions cannot be confirmed."""
    from pellucid.packages import check

    found = check(arguments.package, key=arguments.key, origins=arguments.origin)
    if arguments.json:
        options.print_json(found.to_json())
    else:
        print(options.wrapped(str(found)))
    return found.exit_code
