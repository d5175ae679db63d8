"""`pellucid upload`: a package as a draft in a repository."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pellucid.cli import options

SERVICES = ("zenodo", "invenio", "ckan")


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "service", choices=SERVICES, help="zenodo, invenio (InvenioRDM) or ckan; none was tried against the real service"
    )
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="a published package: a folder or a zip")
    parser.add_argument("--url", required=True, help="the address of the repository: https://sandbox.zenodo.org")
    parser.add_argument("--token-env", required=True, metavar="NAME", help="the environment variable that holds your token")
    parser.add_argument("--publish", action="store_true", help="publish it there: this cannot be taken back")
    parser.add_argument("--draft", default="", metavar="ID", help="go on with this draft")
    parser.add_argument("--organization", default="", metavar="NAME", help="for ckan: whose the data set is")


def call(arguments: argparse.Namespace) -> int:
    """Check, upload, and say where it is."""
    from pellucid.errors import UsageError
    from pellucid.packages.upload import upload

    token = os.environ.get(arguments.token_env, "")
    if not token:
        raise UsageError(f"there is no {arguments.token_env!r:.60}", where="--token-env", fix="Put your token into that variable")
    done = upload(
        arguments.service,
        arguments.package,
        url=arguments.url,
        token=token.strip(),
        publish=arguments.publish,
        draft=arguments.draft,
        organization=arguments.organization,
    )
    if arguments.json:
        options.print_json(done.to_json())
        return 0
    sent = "sent" if done.sent else "was there already"
    print(options.wrapped(f"{done.file}: {options.size(done.size)}, {sent}, sha256:{done.sha256}"))
    print(options.wrapped(f"{'published' if done.published else 'a draft, not published'}: {done.id} {done.page}".rstrip()))
    for note in done.notes:
        print(options.wrapped(f"note: {note}"))
    return 0
