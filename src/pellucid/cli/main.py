"""Parse the command line, run the command, turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from pellucid import __version__
from pellucid.cli import options
from pellucid.errors import PellucidError

# command -> (file in this folder, what it is for)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "private visits in, a verified open model out, on real data"),
    "run": ("run", "run a pipeline file; what has not changed is not run again"),
    "runs": ("runs", "list the runs"),
    "show": ("show", "what each step of a run did; --log for what it printed"),
    "compare": ("compare", "two runs side by side, and the first step where they part"),
    "why": ("why", "why a step ran, or why it would not"),
    "graph": ("graph", "draw a pipeline in the terminal, or as SVG"),
    "ledger": ("ledger", "privacy accounts: what is spent and what is left"),
    "publish": ("publish", "write a run's open side as a package anyone can re-run"),
    "reproduce": ("reproduce", "re-run a package in a clean environment and give a verdict"),
    "export": ("export", "send a run's open side to an MLflow server"),
    "gc": ("gc", "remove stored files that no kept run needs"),
}


def parser_for(command: str | None) -> argparse.ArgumentParser:
    """The parser with the given command's own options; the others only by name, so that their files need not be loaded."""
    parser = argparse.ArgumentParser(
        prog="pellucid",
        description="Private usage data in, verified open models out.",
        epilog="Start with: pellucid demo. Each command has --help.",
        formatter_class=options.Formatter,
    )
    parser.add_argument("--version", action="version", version=f"pellucid {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    for name, (file, purpose) in COMMANDS.items():
        sub = commands.add_parser(
            name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".", formatter_class=options.Formatter
        )
        if name == command:
            module = import_module(f"pellucid.cli.{file}")
            module.configure(sub)
            sub.add_argument("--json", action="store_true", help="print one JSON object")
            sub.set_defaults(call=module.call)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Entry of the command: never returns, exits with the command's code."""
    words = list(sys.argv[1:] if argv is None else argv)
    named = next((word for word in words if not word.startswith("-")), None)
    arguments = parser_for(named).parse_args(words)
    try:
        code = int(arguments.call(arguments))
        sys.stdout.flush()
    except PellucidError as error:
        code = options.fail(error, as_json=arguments.json)
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        print("pellucid: interrupted; finished steps are kept, run again to go on", file=sys.stderr)
        code = 130
    sys.exit(code)
