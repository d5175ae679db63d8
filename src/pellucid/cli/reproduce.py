"""`pellucid reproduce`: re-run a package and give a verdict."""

from __future__ import annotations

import argparse
from pathlib import Path

from pellucid.cli import options, state_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("package", metavar="PACKAGE", help="a published package: a folder, a zip, or the address of a zip")
    parser.add_argument(
        "--key", type=Path, metavar="PEM", help="the publisher's public key: fail unless the package is signed with it"
    )
    parser.add_argument("--step", action="append", default=[], metavar="STEP", help="re-run only this step (again for more)")
    parser.add_argument("--keep-going", action="store_true", help="when a step fails, re-run the others all the same")
    parser.add_argument("--sandbox", action="store_true", help="run nothing unless network and files can be cut off")
    amount = options.above_zero
    parser.add_argument("--timeout", type=amount, metavar="SECONDS", help="the longest a re-run may take (default: an hour)")
    parser.add_argument("--memory", type=amount, metavar="GIB", help="the most memory it may use (default: 3/4 of the machine's)")
    parser.add_argument("--disk", type=amount, metavar="GIB", help="the most it may write (default: half of what is free)")
    parser.add_argument("--explain", action="store_true", help="test whether differences of the environment explain a mismatch")
    parser.add_argument(
        "--receipt", type=Path, metavar="OUT", help="write the verdict as a signed receipt (a new file; needs --sign)"
    )
    parser.add_argument("--sign", type=Path, metavar="KEY", help="your ed25519 private key (PEM), for the receipt")
    parser.add_argument("--as-steward", action="store_true", help="re-run the private side too: needs its data, state and key")
    parser.add_argument(
        "--steward-keys", type=Path, metavar="FOLDER", help="where the key is (default: PELLUCID_KEYS, or the usual place)"
    )
    state_folder.add_home(parser)
    parser.add_argument("--workspace", type=Path, help="a folder for the environment and the re-run, kept afterwards")
    parser.add_argument("--offline", action="store_true", help="build the environment from the local cache only")


def call(arguments: argparse.Namespace) -> int:
    """Re-run and compare; exit 0 bit-identical or within tolerance, 1 different, 2 could not run."""
    from pellucid.errors import PellucidError, UsageError
    from pellucid.packages.receipts import receipt
    from pellucid.packages.reproducing import Steward, reproduce

    if (arguments.receipt is None) != (arguments.sign is None):
        raise UsageError("a receipt needs both --receipt OUT and --sign KEY", where="reproduce", fix="Give both, or neither")
    if arguments.receipt is not None:  # before minutes are spent on a re-run
        receipt.refuse_unwritable(arguments.receipt, arguments.sign)
        if arguments.step:
            raise UsageError("a receipt is of a whole re-run", where="--step", fix="Leave out --step, or --receipt")
        if arguments.as_steward:
            raise UsageError(receipt.OPEN_ONLY, where="--as-steward", fix="Leave out --as-steward, or --receipt")
    try:
        verdict = reproduce(
            arguments.package,
            key=arguments.key,
            workspace=arguments.workspace,
            offline=arguments.offline,
            steps=arguments.step,
            keep_going=arguments.keep_going,
            sandbox=arguments.sandbox,
            explain=arguments.explain,
            timeout=arguments.timeout,
            memory=arguments.memory,
            disk=arguments.disk,
            as_steward=Steward(state_folder.home_of(arguments), arguments.steward_keys) if arguments.as_steward else None,
        )
    except PellucidError as error:
        told = {"verdict": "could not run", "first_difference": None}
        return options.fail(error, as_json=arguments.json, told=told)
    if arguments.receipt is not None:
        receipt.issue(verdict, arguments.receipt, key=arguments.sign)
    if arguments.json:
        options.print_json(verdict.to_json())
    else:
        print(options.wrapped(str(verdict)))
        if arguments.receipt is not None:
            said = f"  receipt: {arguments.receipt}, signed; anyone can count it"
            print(options.then(said, "pellucid", "receipts", "PACKAGE", arguments.receipt))
    return int(verdict.exit_code)
