"""`pellucid serve`: the service of a state folder: search, dashboard, schedules."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from pellucid.cli import options, state_folder
from pellucid.errors import StepError
from pellucid.store import STATE_FILE, connect


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    said = "serve the demonstration, in ./pellucid-demo or the named state folder; a new state folder gets it too, unless others are served"
    parser.add_argument("--demo", action="store_true", help=said)
    parser.add_argument("--host", default="127.0.0.1", help="the address to answer at (default: %(default)s)")
    parser.add_argument("--port", type=options.whole(0), default=8080, help="the port (default: %(default)s; 0: a free one)")
    parser.add_argument("--sign-in", action="store_true", help="ask for a sign-in on this machine too: other people use it")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Deploy what nothing stands in for yet, then serve until interrupted."""
    from pellucid.service import LOOPBACK, Accounts, serve

    folder: Path | None = None
    named = arguments.home or os.environ.get("PELLUCID_HOME")
    new = not arguments.demo and state_folder.is_new(arguments)
    if new and named and arguments.host not in LOOPBACK:
        home = Path(named).absolute()
        connect(home, "").close()  # others are served: an empty state folder, as it is
    elif new or arguments.demo:
        folder = Path(named).absolute() / "demo" if named else Path("pellucid-demo").absolute()
        home = _demo(folder, folder.parent if named else folder / ".pellucid")
    else:
        home = state_folder.home_of(arguments)
    if arguments.host not in LOOPBACK or arguments.sign_in:
        print(f"whoever reaches {arguments.host} can search; all else asks for a sign-in", file=sys.stderr)
        if not Accounts(home).all():
            print("there is no user yet: pellucid user add NAME --role steward", file=sys.stderr)
    _deploy_newest(home, folder / "package" if folder is not None else None)

    def started(address: str) -> None:
        if arguments.json:
            options.print_json({"address": address, "home": str(home)})
        else:
            print(f"{address} serves {state_folder.shown(home)}; stop with Ctrl-C")
        sys.stdout.flush()

    serve(home, host=arguments.host, port=arguments.port, sign_in=arguments.sign_in, started=started)
    return 0


def _demo(folder: Path, home: Path) -> Path:
    """The state folder `home` with at least what is served of the demonstration, whose files are in `folder`."""
    from pellucid.cli.demo import copy_files
    from pellucid.packages.publishing import publish
    from pellucid.pipeline.running import load, run
    from pellucid.registry import newest_open

    if (home / STATE_FILE).exists() and all(newest_open(home, alias) for alias in ("search", "recommend")):
        return home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)  # before anything in it: it is for its owner alone
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
        said = "nothing to search yet, only the pages of runs, data and accounts; pl.search.index(documents) in a pipeline makes an index"
        print(said, file=sys.stderr)
