"""`pellucid local`: local differential privacy, from the choice of an oracle to estimates."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.cli import options, state_folder
from pellucid.cli.local_estimates import estimate
from pellucid.errors import DataError, PrivacyError, UsageError

if TYPE_CHECKING:
    from pellucid.privacy.local import Collector


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    actions = ["choose", "declare", "collect", "estimate", "spent"]
    parser.add_argument(
        "action",
        choices=actions,
        help="choose: compare oracles; declare: write a collection's text and open it; collect: take batches of reports;"
        " estimate: frequencies with error bars; spent: what a client has spent",
    )
    parser.add_argument(
        "words", nargs="*", metavar="NAME|FILE", help="declare, estimate: the collection; collect: files; spent: a token"
    )
    parser.add_argument("--domain", type=options.whole(2), metavar="N", help="choose: how many values there are")
    parser.add_argument("--values", type=Path, metavar="FILE", help="declare: the values, one a line")
    parser.add_argument("--epsilon", type=float, help="choose, declare: of one report")
    parser.add_argument(
        "--clients", type=options.whole(1), metavar="N", default=10_000, help="choose: how many will report (10000)"
    )
    parser.add_argument("--oracle", help="declare: which (default: the one of least variance)")
    parser.add_argument("--cap", type=options.whole(1), default=1, help="declare: reports of a client in a period (1)")
    parser.add_argument(
        "--kept", type=options.whole(1), default=1, help="declare, for rappor: different values a client may report (1)"
    )
    parser.add_argument("--period", type=options.whole(0), help="collect, estimate: only this period")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="declare: the text; estimate: a .csv or .parquet, its guarantee beside it"
    )
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    return {"choose": _choose, "declare": _declare, "collect": _collect, "estimate": estimate, "spent": _spent}[arguments.action](
        arguments
    )


def _choose(arguments: argparse.Namespace) -> int:
    from pellucid.privacy.local.oracles import candidates

    if arguments.domain is None or arguments.epsilon is None:
        raise UsageError("choose needs --domain and --epsilon", fix="Such as: pellucid local choose --domain 100 --epsilon 1")
    found = candidates(arguments.domain, arguments.epsilon)
    told = [
        {
            "oracle": one.oracle.name,
            "epsilon": one.oracle.epsilon,
            "variance": one.variance / arguments.clients,
            "error": math.sqrt(one.variance / arguments.clients),
            "bytes": one.bytes,
        }
        for one in found
    ]
    if arguments.json:
        options.print_json({"chosen": told[0]["oracle"], "clients": arguments.clients, "compared": told})
        return 0
    rows = [
        [one["oracle"], repr(one["epsilon"]), f"{one['variance']:.3g}", f"{one['error']:.3g}", str(one["bytes"])] for one in told
    ]
    print(options.table(rows, ["oracle", "exact epsilon", "variance", "error", "bytes"], right=[2, 3, 4]))
    print(
        f"{told[0]['oracle']}: least variance (or within 1 % of it, and smaller) for {arguments.clients} clients, one report each"
    )
    return 0


def _declare(arguments: argparse.Namespace) -> int:
    from pellucid.privacy.local import Collector, declare

    if len(arguments.words) != 1 or arguments.values is None or arguments.epsilon is None or arguments.out is None:
        raise UsageError(
            "declare needs a name, --values, --epsilon and --out",
            fix="Such as: pellucid local declare areas --values areas.txt --epsilon 1 --out areas.json",
        )
    try:
        values = arguments.values.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError("the values are not UTF-8 text", where=str(arguments.values)) from error
    made = declare(
        arguments.words[0],
        values,
        arguments.epsilon,
        oracle_name=arguments.oracle,
        reports_per_period=arguments.cap,
        max_memoized_values=arguments.kept,
    )
    arguments.out.write_text(made.text, encoding="utf-8")
    collector = Collector(_home(arguments))
    try:
        collector.open(made)
    finally:
        collector.close()
    told = {
        "name": made.name,
        "id": made.id.hex(),
        "oracle": made.oracle.name,
        "epsilon": made.oracle.epsilon,
        "values": len(values),
    }
    if arguments.json:
        options.print_json(told)
    else:
        print(
            f"{made.name}: {made.oracle.name} over {len(values)} values, epsilon {made.oracle.epsilon:g} a report; text in {arguments.out}"
        )
    return 0


def _collect(arguments: argparse.Namespace) -> int:
    collector = _collector(arguments)
    try:
        files = [file for word in arguments.words for file in _files(Path(word))]
        if not files:
            raise UsageError("collect needs files of reports, or a folder with some")
        told: dict[str, dict[str, Any]] = {}
        periods = None if arguments.period is None else range(arguments.period, arguments.period + 1)
        for file in files:
            try:
                outcome = collector.ingest(file.read_bytes(), periods)
                told[str(file)] = {"taken": outcome.taken, "refused": outcome.refused}
            except PrivacyError as error:  # no batch at all: said, traced, and the other files are taken
                told[str(file)] = {"taken": 0, "refused": {"malformed": 1}, "error": str(error)}
    finally:
        collector.close()
    refused = sum(sum(one["refused"].values()) for one in told.values())
    if arguments.json:
        options.print_json({"files": told, "taken": sum(one["taken"] for one in told.values()), "refused": refused})
    else:
        for name, one in told.items():
            reasons = ", ".join(f"{count} {reason}" for reason, count in one["refused"].items())
            print(f"{name}: {one['taken']} taken" + (f"; refused: {reasons}" if reasons else ""))
    return 0


def _spent(arguments: argparse.Namespace) -> int:
    collector = _collector(arguments)
    try:
        if len(arguments.words) != 1 or len(arguments.words[0]) != 32:
            raise UsageError("spent needs a client's token: 32 hexadecimal digits")
        try:
            told = collector.spent(bytes.fromhex(arguments.words[0]))
        except ValueError as error:
            raise UsageError("a client's token is 32 hexadecimal digits") from error
    finally:
        collector.close()
    if arguments.json:
        options.print_json(told)
        return 0
    rows = [[part["collection"], str(part["reports"]), f"{part['epsilon']:g}"] for part in told["collections"]]
    print(options.table([*rows, ["all", "", f"{told['epsilon']:g}"]], ["collection", "reports", "epsilon at most"], right=[1, 2]))
    return 0


def _home(arguments: argparse.Namespace) -> Path:
    from pellucid.store import home_for

    return Path(arguments.home).absolute() if arguments.home is not None else home_for(None)


def _collector(arguments: argparse.Namespace) -> Collector:
    from pellucid.privacy.local import Collector

    return Collector(state_folder.home_of(arguments))


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
