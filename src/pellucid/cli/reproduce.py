"""`pellucid reproduce`: re-run a package and give a verdict."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pellucid.cli import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("package", type=Path, metavar="DIR", help="a published package")
    parser.add_argument("--workspace", type=Path, help="a folder for the environment and the re-run, kept afterwards")
    parser.add_argument("--offline", action="store_true", help="build the environment from the local cache only")


def call(arguments: argparse.Namespace) -> int:
    """Re-run and compare; exit 0 bit-identical or within tolerance, 1 different, 2 could not run."""
    from pellucid.errors import PackageError
    from pellucid.packages import reproduce

    try:
        verdict = reproduce(arguments.package, workspace=arguments.workspace, offline=arguments.offline)
    except PackageError as error:
        if arguments.json:
            detail = {"type": type(error).__name__, "message": str(error)}
            options.print_json({"verdict": "could not run", "first_difference": None, "error": detail})
            return error.exit_code
        raise
    if arguments.json:
        options.print_json(verdict.to_json())
    else:
        print(text(verdict))
    return int(verdict.exit_code)


def text(verdict: Any) -> str:
    """The verdict for a person."""
    shown = verdict.to_json()
    lines = [f"verdict: {shown['verdict']}"]
    if shown["first_difference"]:
        parted = shown["first_difference"]
        lines.append(f"  first difference: step {parted['step']}, output {parted['output']}: {parted['detail']}")
    return "\n".join(lines)
