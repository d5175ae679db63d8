"""Parse the command line, run the command, turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import re
import sqlite3
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from pellucid import __version__
from pellucid.cli import options
from pellucid.errors import PellucidError, StoreError, UsageError, suggest

# command -> (file in this folder, what it is for)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "private visits in, a verified open model out, on real data"),
    "init": ("init", "write a pipeline file for a data file, to begin with"),
    "run": ("run", "run a pipeline file; what has not changed is not run again"),
    "runs": ("runs", "list the runs"),
    "tag": ("tag", "give a run a name, tags or a note"),
    "show": ("show", "what each step of a run did; --log for what it printed"),
    "get": ("get", "one output of a run, as a file or on stdout"),
    "compare": ("compare", "two runs side by side, and the first step where they part"),
    "why": ("why", "why a step ran, or why it would not"),
    "graph": ("graph", "draw a pipeline in the terminal, or as SVG"),
    "steward": ("steward", "from private data to a release somebody answers for, step by step"),
    "ledger": ("ledger", "privacy accounts: what is spent and what is left"),
    "local": ("local", "local differential privacy: choose, declare, collect, estimate"),
    "publish": ("publish", "write a run's open side as a package anyone can re-run"),
    "check": ("check", "look whether a package is whole and signed, without running it"),
    "reproduce": ("reproduce", "re-run a package in a clean environment and give a verdict"),
    "receipts": ("receipts", "count the signed re-runs of a package"),
    "catalogue": ("catalogue", "build a site of packages, or serve one with OAI-PMH"),
    "upload": ("upload", "put a package as a draft into Zenodo, InvenioRDM or CKAN"),
    "import": ("import_", "take an open artifact of a package as a source, with where it comes from"),
    "adopt": ("adopt", "make a plain script or notebook a pipeline and a package"),
    "evaluate": ("evaluate", "how well a ranking answers judged queries, with intervals and paired tests"),
    "search": ("search", "rank the documents of a collection for queries"),
    "serve": ("serve", "the service: search and recommendations, and a dashboard of runs, data, accounts and schedules"),
    "models": ("models", "the models that runs made, by name and version, and where each stands"),
    "promote": ("promote", "put a version of a model behind an alias, if the alias's rules hold"),
    "duel": ("duel", "a challenger against the served ranking, decided by one randomised bit a reader"),
    "deploy": ("deploy", "put an open model of a run behind an alias of the service"),
    "rollback": ("rollback", "put back what stood behind an alias before"),
    "user": ("user", "who may sign in to the service, and with which role"),
    "schedule": ("schedule", "run pipelines and re-verify packages by themselves: by the clock, on new data, after another"),
    "export": ("export", "send a run's open side to an MLflow server"),
    "backup": ("backup", "the state folder as one file, taken while others work with it"),
    "restore": ("restore", "a new state folder from a backup"),
    "doctor": ("doctor", "whether this installation is in order, and how to mend it"),
    "gc": ("gc", "remove stored files that no kept run needs"),
}


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, as all of Pellucid does."""

    def error(self, message: str) -> NoReturn:
        page, fix = f"See: {self.prog} --help", ""
        if message.endswith("expected one argument"):  # a word with a hyphen in front is an option to the parser
            option = message.removeprefix("argument ").partition(":")[0].rpartition("/")[2]
            fix = f"A value that begins with a hyphen is written {option}=VALUE. "
        choice = re.fullmatch(r"(.*?invalid choice: '(.*)') \(choose from (.*)\)", message, re.DOTALL)
        if choice:
            message, fix, page = choice[1], suggest(choice[2], re.findall(r"'([^']*)'", choice[3]), quoted=False), ""
        raise UsageError(message, where=self.prog.removeprefix("pellucid").strip(), fix=fix + page)


def parser_for(command: str | None) -> argparse.ArgumentParser:
    """The parser with the given command's own options; the others only by name, so that their files need not be loaded."""
    parser = Parser(
        prog="pellucid",
        description="Private usage data in, verified open models out.",
        epilog="Start with: pellucid demo. Each command has --help.",
        formatter_class=options.Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pellucid {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    for name, (file, purpose) in COMMANDS.items():
        said = purpose[0].upper() + purpose[1:] + "."
        sub = commands.add_parser(name, help=purpose, description=said, formatter_class=options.Formatter, allow_abbrev=False)
        if name == command:
            module = import_module(f"pellucid.cli.{file}")
            module.configure(sub)
            sub.add_argument("--json", action="store_true", help="print one JSON object")
            sub.set_defaults(call=module.call, known=[*sub._option_string_actions])
    return parser


PASSES_ON = ("adopt",)  # what comes after -- is for the script that the command runs


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The parsed command line. Raises UsageError with the nearest word that would have been right."""
    named = next((word for word in words if not word.startswith("-")), None)
    if named is not None and named not in COMMANDS:
        raise UsageError(f'there is no command "{named}"', fix=suggest(named, COMMANDS, "See: pellucid --help", quoted=False))
    words, rest = list(words), []
    if named in PASSES_ON and "--" in words:
        words, rest = words[: words.index("--")], words[words.index("--") + 1 :]
    arguments, unknown = parser_for(named).parse_known_args(words)
    arguments.passed_on = rest
    if unknown:
        if unknown[0].startswith("-"):
            fix = suggest(unknown[0].partition("=")[0], arguments.known, f"See: pellucid {named} --help", quoted=False)
            raise UsageError(f"there is no option {unknown[0]}", where=named or "", fix=fix)
        raise UsageError(f'"{unknown[0]}" is one word too many', where=named or "", fix=f"See: pellucid {named} --help")
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Entry of the command: never returns, exits with the command's code."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that knows no "✓" is no reason to fail
    code = 0
    try:
        try:
            if not words:
                parser_for(None).print_help(sys.stderr)
                code = 2
            else:
                arguments = parse(words)
                code = int(arguments.call(arguments))
        except PellucidError as error:
            code = options.fail(error, as_json=as_json)
        except BrokenPipeError:
            raise
        except (sqlite3.Error, OSError) as error:  # whatever a room did not foresee: a disk, a folder, a file
            code = options.fail(_refused(error), as_json=as_json)
        except SystemExit as done:  # --help and --version
            code = int(done.code or 0)
        except KeyboardInterrupt:
            print("pellucid: interrupted; finished steps are kept, run again to go on", file=sys.stderr)
            if as_json:
                options.print_json({"status": "interrupted"})
            code = 130
        sys.stdout.flush()
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _refused(error: sqlite3.Error | OSError) -> StoreError:
    """An error of the system as one of ours, with the file it is about."""
    if isinstance(error, sqlite3.Error):
        why, fix = str(error), "Check that the disk is not full and the state folder is writable, then run again"
        return StoreError("the state file cannot be used", why=why, fix=f"{fix}: finished steps are kept")
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    return StoreError(
        error.strerror or type(error).__name__, where=name, fix="Nothing finished is lost: put it right and run again"
    )
