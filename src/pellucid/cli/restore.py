"""`pellucid restore`: a new state folder from a backup."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from pellucid.cli import options
from pellucid.store import home_for


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a file that pellucid backup wrote")
    parser.add_argument(
        "--home",
        type=Path,
        metavar="FOLDER",
        help="the folder to make (default: PELLUCID_HOME, or .pellucid here); not one that is there",
    )


def call(arguments: argparse.Namespace) -> int:
    """Restore, and say up to when the accounts go."""
    from pellucid.errors import UsageError
    from pellucid.maintenance import restore

    if not arguments.file.is_file():
        raise UsageError("there is no such file", where=str(arguments.file))
    home = Path(arguments.home).absolute() if arguments.home is not None else home_for(None)
    found = restore(arguments.file, home)
    if arguments.json:
        options.print_json({"home": str(home), **asdict(found)})
        return 0
    print(f"{home}: {found.runs} runs, {found.objects} files, as of {found.created}; the chain of the accounts is whole")
    if found.events:
        print("What was spent after that is not in these accounts: release from here only if the old folder is gone for good.")
    return 0
