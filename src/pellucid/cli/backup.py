"""`pellucid backup`: the state folder as one file, taken while others work with it."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from pellucid.cli import options, state_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the backup to write, a tar file; it must not be there yet")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Write the backup and say what is in it."""
    from pellucid.maintenance import write_backup

    made = write_backup(state_folder.home_of(arguments), arguments.file.absolute())
    if arguments.json:
        options.print_json({"file": str(arguments.file), **asdict(made)})
        return 0
    print(
        f"{arguments.file}: {made.runs} runs, {made.objects} files ({options.size(made.bytes)}), {made.events} events of the accounts"
    )
    print("It is as private as the state folder, and holds no key: keep the steward's key apart.")
    return 0
