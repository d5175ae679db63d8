"""`pellucid serve`: the search service of a state folder."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from pellucid.cli import options, state_folder
from pellucid.errors import StepError, UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    said = "serve the demonstration in ./pellucid-demo; what of it is missing is made first"
    parser.add_argument("--demo", action="store_true", help=said)
    parser.add_argument("--host", default="127.0.0.1", help="the address to answer at (default: %(default)s)")
    parser.add_argument("--port", type=options.whole(0), default=8080, help="the port (default: %(default)s; 0: a free one)")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """See that something is deployed, then serve it until interrupted."""
    from pellucid.service import serve

    if arguments.demo:
        if arguments.home is not None:
            raise UsageError("--demo has its own state folder", where="serve", fix="Leave out --home, or --demo")
        home = _demo(Path("pellucid-demo").absolute())
    else:
        home = state_folder.home_of(arguments)
    _deploy_newest(home, home.parent / "package" if arguments.demo else None)

    def started(address: str) -> None:
        if arguments.json:
            options.print_json({"address": address, "home": str(home)})
        else:
            print(f"{address} serves {state_folder.shown(home)}; stop with Ctrl-C")
        sys.stdout.flush()

    serve(home, host=arguments.host, port=arguments.port, started=started)
    return 0


def _demo(folder: Path) -> Path:
    """The demonstration's state folder, with at least what is served of it."""
    from pellucid.cli.demo import copy_files
    from pellucid.packages.publishing import publish
    from pellucid.pipeline.running import load, run
    from pellucid.registry import newest_open

    home = folder / ".pellucid"
    if (home / "state.db").exists() and all(newest_open(home, alias) for alias in ("search", "recommend")):
        return home
    copy_files(folder)
    print(f"making the demonstration in {os.path.relpath(folder)}", file=sys.stderr)
    done = run(
        load(folder / "areas.py"), home=home, only=["index", "recommender"], jobs=os.cpu_count() or 1, confined=True, check=False
    )
    if done.status != "done":
        failed = next(report for report in done.steps.values() if report.action == "failed")
        raise StepError(f'step "{failed.step}" failed', why=failed.message)
    if not (folder / "package").exists():
        publish(home, done.id, folder / "package")
    return home


def _deploy_newest(home: Path, package: Path | None) -> None:
    """An alias behind which nothing stands yet gets the newest open model that can stand there."""
    from pellucid.registry import ALIASES, Deployments, newest_open

    deployments = Deployments(home)
    current = deployments.current()
    for alias in ALIASES:
        found = None if alias in current else newest_open(home, alias)
        if found is not None:
            named = package if package is not None and (package / "ro-crate-metadata.json").is_file() else None
            current[alias] = deployments.deploy(alias, *found, named)
            print(f"deployed as {alias}: {found[1]} of run {found[0]}", file=sys.stderr)
    if not current:
        fix = "Add a step pl.search.index(documents) to a pipeline and run it, or see the demonstration: pellucid serve --demo"
        raise UsageError("there is no open search index or recommender to serve", where=str(home), fix=fix)
