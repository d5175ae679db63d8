"""`pellucid adopt`: a plain script or notebook as a pipeline, run and published in one command."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pellucid.cli import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("script", type=Path, metavar="SCRIPT", help="a .py or .ipynb file; what it reads must be open")
    parser.add_argument("destination", type=Path, metavar="DIR", help="a folder that does not exist yet, for the pipeline")
    parser.add_argument("--licence", required=True, help="of the code: an SPDX expression, such as MIT")
    parser.add_argument("--data-licence", required=True, help="of what it makes: such as CC-BY-4.0")
    parser.add_argument("--source-licence", help="of the data it reads (default: --data-licence)")
    parser.add_argument("--creator", action="append", required=True, metavar="NAME", help='"Family, Given", or an organisation')
    parser.add_argument("--title", help="(default: the script's name)")
    parser.add_argument("--description", help="(default: the title)")
    parser.add_argument(
        "--data", action="append", default=[], type=Path, metavar="FILE", help="a file it reads unseen (native code)"
    )
    parser.add_argument(
        "--arg", action="append", default=[], metavar="WORD", help="an argument for the script; one with a hyphen: --arg=--n"
    )
    parser.add_argument("--tolerance", type=float, metavar="SHARE", help="how far numbers may differ in a re-run (relative)")
    parser.add_argument("--package", type=Path, metavar="DEST", help="also run and publish it as this package")


def call(arguments: argparse.Namespace) -> int:
    """Write the pipeline; with --package run and publish it too."""
    from pellucid.packages import publish
    from pellucid.packages.adopt import adopt
    from pellucid.pipeline.about import About

    title = arguments.title or arguments.script.absolute().name or str(arguments.script)
    about = About(title, arguments.description or title, tuple(arguments.creator), arguments.licence, arguments.data_licence)
    made = adopt(
        arguments.script,
        arguments.destination,
        about=about,
        data=arguments.data,
        arguments=arguments.arg,
        source_licence=arguments.source_licence,
        tolerance=arguments.tolerance,
    )
    told = {"pipeline": str(made.pipeline), "files": made.files, "outputs": made.outputs}
    if arguments.package is not None:
        from pellucid.pipeline.run import run

        home = made.pipeline.parent / ".pellucid"
        done = run(options.load(made.pipeline), home=home, confined=True, jobs=len(os.sched_getaffinity(0)))
        told["package"] = publish(home, done.id, arguments.package).to_json()
    if arguments.json:
        options.print_json(told)
        return 0
    here = os.path.relpath(made.pipeline)
    print(options.wrapped(f"{here}: takes {', '.join(made.files)}; gives {', '.join(made.outputs)}"))
    if arguments.package is not None:
        print(options.then(f"published as {arguments.package}; anyone can re-run it", "pellucid", "reproduce", arguments.package))
    else:
        print(options.then("run it", "pellucid", "run", here))
    return 0
