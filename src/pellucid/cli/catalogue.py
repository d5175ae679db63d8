"""`pellucid catalogue`: a static site of packages, and a small serve for it."""

from __future__ import annotations

import argparse
from pathlib import Path

from pellucid.cli import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "packages", nargs="+", metavar="PACKAGE", help="published packages: folders or zips; or: serve SITE, to serve a catalogue"
    )
    parser.add_argument("--out", type=Path, metavar="SITE", help="the folder to write: a new one, or an earlier catalogue")
    parser.add_argument("--receipts", type=Path, metavar="DIR", help="a folder of receipts (*.json)")
    parser.add_argument(
        "--trust", type=Path, action="append", default=[], metavar="PEM", help="mark receipts of this public key as trusted"
    )
    parser.add_argument(
        "--url", default="", metavar="BASE", help="the address the site will have: for RSS, sitemap, absolute links"
    )
    parser.add_argument("--title", default="Open packages", help="the title of the site (default: %(default)s)")
    parser.add_argument("--publisher", default="", help="who publishes the catalogue (default: its title)")
    parser.add_argument(
        "--date",
        default="",
        metavar="DAY",
        help="the OAI date of new and changed entries (default: the newest date in the catalogue)",
    )
    parser.add_argument("--keep-going", action="store_true", help="leave out packages that are not whole, and name them")
    parser.add_argument("--host", default="127.0.0.1", help="for serve: the address to answer at (default: %(default)s)")
    parser.add_argument(
        "--port", type=options.whole(0), default=8000, help="for serve: the port (default: %(default)s; 0: a free one)"
    )
    parser.add_argument("--email", default="", help="for serve: whom harvesters may write to")


def call(arguments: argparse.Namespace) -> int:
    """Build, or serve."""
    from pellucid.errors import UsageError

    if arguments.packages[0] == "serve":
        return _serve(arguments)
    from pellucid.packages import catalogue

    if arguments.out is None:
        raise UsageError("it does not say where to", where="catalogue", fix="Name the folder of the site: --out SITE")
    done = catalogue.build(
        [Path(package) for package in arguments.packages],
        arguments.out,
        receipts=arguments.receipts,
        trust=arguments.trust,
        url=arguments.url,
        title=arguments.title,
        publisher=arguments.publisher,
        day=arguments.date,
        keep_going=arguments.keep_going,
    )
    if arguments.json:
        options.print_json(done.to_json())
        return 0
    counts = f"packages {done.packages}, data sets {done.datasets}, models {done.models}, receipts {done.receipts}"
    print(options.wrapped(f"{arguments.out}: {counts}"))
    for one in done.refused:
        print(options.wrapped(f"left out: {one.path}: {one.name}" + (f": {one.why}" if one.why else "")))
    for note in done.notes:
        print(options.wrapped(f"note: {note}"))
    said = f"open {arguments.out / 'index.html'}, put it on any file serve, or"
    print(options.then(said, "pellucid", "catalogue", "serve", arguments.out))
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from pellucid.errors import UsageError
    from pellucid.packages.catalogue import NOBODY, serve

    if len(arguments.packages) != 2:
        raise UsageError("serve takes one folder", where="catalogue", fix="pellucid catalogue serve SITE")

    def started(address: str) -> None:
        if arguments.json:
            options.print_json({"address": address, "oai": f"{address}oai"})
        else:
            print(f"{address} (OAI-PMH: {address}oai); stop with Ctrl-C")
        import sys

        sys.stdout.flush()

    email = arguments.email or NOBODY
    try:
        serve(Path(arguments.packages[1]), host=arguments.host, port=arguments.port, email=email, started=started)
    except KeyboardInterrupt:
        return 0
    return 0
