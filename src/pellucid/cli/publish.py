"""`pellucid publish`: a run's open side as a package."""

from __future__ import annotations

import argparse
from pathlib import Path

from pellucid.cli import options, state_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("run", metavar="RUN", help="a run, the start of its name, a pipeline (its newest run), last or last~1")
    parser.add_argument("destination", type=Path, metavar="DEST", help="a folder (with --zip, a file) that does not exist yet")
    parser.add_argument("--zip", action="store_true", help="write one zip file instead of a folder")
    parser.add_argument("--with-wheels", action="store_true", help="put the wheels for this kind of machine inside")
    parser.add_argument("--sign", type=Path, metavar="KEY", help="sign with this ed25519 private key (PEM)")
    parser.add_argument("--against", action="append", default=[], type=Path, metavar="FILE",
                        help="refuse to publish a text cell of this private file")  # fmt: skip
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Write the package and say what is in it and what was withheld."""
    from pellucid.packages.publishing import publish
    from pellucid.registry import note_publication

    record, (run,) = state_folder.find_run(arguments, arguments.run)
    record.close()
    done = publish(
        record.home,
        run["run"],
        arguments.destination,
        with_wheels=arguments.with_wheels,
        sign=arguments.sign,
        zipped=arguments.zip,
        against=arguments.against,
    )
    note_publication(record.home, arguments.destination, run["run"])
    state_folder.say(record.home, run)
    if arguments.json:
        options.print_json(done.to_json())
        return 0
    made = f"{arguments.destination}: {done.files} files, {options.size(done.size)}"
    print(options.wrapped(f"{made}; open artifacts: {', '.join(done.open)}"))
    if done.withheld:
        print(options.wrapped(f"withheld, because not open: {', '.join(done.withheld)}"))
    shown = f"steps {', '.join(done.steps)}"
    shown += f"; settings {', '.join(done.settings)}" if done.settings else ""
    print(options.wrapped(f"names that its readers see: {shown}; code {', '.join(done.code)}"))
    for note in done.notes:
        print(options.wrapped(f"note: {note}"))
    if not done.rerun:
        print(options.wrapped("no step in it is left to re-run: it holds sources and releases only"))
    print(options.then("anyone can check it", "pellucid", "reproduce" if done.rerun else "check", arguments.destination))
    return 0
