"""`pellucid receipts`: count the signed re-runs of a package."""

from __future__ import annotations

import argparse
from pathlib import Path

from pellucid.cli import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="a published package: a folder or a zip")
    parser.add_argument("receipts", type=Path, nargs="+", metavar="RECEIPT", help="files written by reproduce --receipt")
    parser.add_argument(
        "--trust", type=Path, action="append", default=[], metavar="PEM", help="a public key you trust (again for more)"
    )
    parser.add_argument("--key", type=Path, metavar="PEM", help="the publisher's public key: whose receipts do not count")


def call(arguments: argparse.Namespace) -> int:
    """Show what counts and what does not; exit 1 when a receipt was refused."""
    from pellucid.packages.receipts import tally
    from pellucid.packages.reproducing import BY_ITS_WORD, FROM_PUBLISHER, IDENTICAL

    found = tally(arguments.package, arguments.receipts, trust=arguments.trust, key=arguments.key)
    if arguments.json:
        options.print_json(found.to_json())
        return int(bool(found.refused))
    if found.counted:
        rows = [
            [r.verdict, f"{r.when[:10]} {r.when[11:16]}", r.key[:16], "yes" if known else "no", r.path.name]
            for r, known in found.counted
        ]
        print(options.wrapped(options.table(rows, ["verdict", "when (UTC)", "key", "trusted", "receipt"])))
    for counted, _ in found.counted:
        if counted.runner.startswith(BY_ITS_WORD):
            print(options.wrapped(f"note: {counted.path.name} is {BY_ITS_WORD}"))
    for refused in found.refused:
        print(options.wrapped(f"refused: {refused.path.name}: {refused.name}: {refused.why}"))
    same = f"{found.confirmed} came to the same result by keys of their own"
    print(options.wrapped(f"{same}, {found.confirmed_by_trusted} of them trusted by you"))
    if found.within:
        print(options.wrapped(f"{found.within} came within a tolerance of it: see the verdicts for how far that is"))
    if others := len(found.counted) - found.confirmed - found.within:
        print(f"{others} did not: see the verdicts")
    for counted, _ in found.counted:
        if counted.wheels == FROM_PUBLISHER and counted.verdict == IDENTICAL:
            print(options.wrapped(f"note: {counted.path.name} was made with wheels from the publisher"))
    if not found.publisher:
        note = "note: the package is not signed, so a receipt of its publisher may be among them: name the publisher's key with --key"
        print(options.wrapped(note))
    return int(bool(found.refused))
