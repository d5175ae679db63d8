"""`pellucid adopt`: a plain script or notebook as a pipeline, run and published in one command."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from pellucid.cli import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("script", type=Path, metavar="SCRIPT", help="a .py or .ipynb file; what it reads must be open")
    parser.add_argument("destination", type=Path, metavar="DIR", help="a folder that does not exist yet, for the pipeline")
    parser.usage = "pellucid adopt SCRIPT DIR [OPTIONS] [-- WORD ...]"
    parser.add_argument(
        "--root", type=Path, metavar="FOLDER", help="the folder it belongs to and runs in (default: the script's own)"
    )
    parser.add_argument("--licence", required=True, help="of the code: an SPDX expression, such as MIT")
    parser.add_argument("--data-licence", required=True, help="of what it makes: such as CC-BY-4.0")
    parser.add_argument("--source-licence", help="of the data it reads (default: --data-licence)")
    parser.add_argument("--creator", action="append", required=True, metavar="NAME", help='"Family, Given", or an organisation')
    parser.add_argument("--title", help="(default: from its docstring, first heading or README)")
    parser.add_argument("--description", help="(default: from there too)")
    parser.add_argument(
        "--data", action="append", default=[], type=Path, metavar="FILE", help="a file it reads unseen (native code)"
    )
    parser.add_argument(
        "--arg", action="append", default=[], metavar="WORD", help="an argument for the script; one with a hyphen: --arg=--n"
    )
    parser.add_argument("--tolerance", type=float, metavar="SHARE", help="how far numbers may differ in a re-run (relative)")
    parser.add_argument("--although", action="store_true", help="take it also where two runs of it differ")
    parser.add_argument("--package", type=Path, metavar="DEST", help="also run and publish it as this package")


def call(arguments: argparse.Namespace) -> int:
    """Write the pipeline; with --package run and publish it too."""
    from pellucid.packages.adopting import adopt, title_and_description
    from pellucid.packages.publishing import publish
    from pellucid.pipeline.declaration import About

    says, more = title_and_description(arguments.script, arguments.root or arguments.script.parent)
    title = arguments.title or says or arguments.script.absolute().name or str(arguments.script)
    about = About(
        title, arguments.description or more or title, tuple(arguments.creator), arguments.licence, arguments.data_licence
    )
    made = adopt(
        arguments.script,
        arguments.destination,
        about=about,
        data=arguments.data,
        root=arguments.root,
        arguments=[*arguments.arg, *arguments.passed_on],
        although=arguments.although,
        source_licence=arguments.source_licence,
        tolerance=arguments.tolerance,
    )
    told: dict[str, Any] = {
        "pipeline": str(made.pipeline),
        "files": made.files,
        "outputs": made.outputs,
        "values": list(made.values),
    }
    if arguments.package is not None:
        from pellucid.pipeline.running import run

        home = made.pipeline.parent / ".pellucid"
        done = run(options.load(made.pipeline), home=home, confined=True, jobs=len(os.sched_getaffinity(0)))
        told["package"] = publish(home, done.id, arguments.package).to_json()
    if arguments.json:
        options.print_json(told)
        return 0
    here = os.path.relpath(made.pipeline)
    print(options.wrapped(f"{here}: takes {', '.join(made.files)}; gives {', '.join(made.outputs)}"))
    if made.values:
        print(options.wrapped(f"kept as values, because of the tolerance, instead of as files: {', '.join(made.values)}"))
    if arguments.package is not None:
        print(options.then(f"published as {arguments.package}; anyone can re-run it", "pellucid", "reproduce", arguments.package))
    else:
        print(options.then("run it", "pellucid", "run", here))
    return 0
