"""`pellucid gc`: remove stored files that nothing kept needs."""

from __future__ import annotations

import argparse

from pellucid.cli import options, state_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--keep",
        type=options.whole(0),
        default=10,
        metavar="RUNS",
        help="keep what the latest RUNS of each pipeline use (default 10)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would go; remove nothing")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Collect around releases, never through them."""
    from pellucid.pipeline.record import collect
    from pellucid.registry import Canaries, Deployments

    home = state_folder.home_of(arguments)
    deployed = {one.run for one in Deployments(home).history()} | {one.deployment.run for one in Canaries(home).open().values()}
    gone = collect(home, keep=arguments.keep, dry_run=arguments.dry_run, kept_runs=deployed)
    if arguments.json:
        options.print_json(gone.to_json())
    else:
        verb = "would remove" if arguments.dry_run else "removed"
        print(f"{verb} {gone.files} files ({options.size(gone.bytes)}) and {gone.runs} runs; kept {gone.kept} files")
        print(f"never removed: released data sets ({gone.releases} kept), deployed runs ({len(deployed)})")
    return 0
