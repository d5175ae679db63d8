"""`pellucid local estimate`: frequencies, or a mean direction, with error bars and what is promised of them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.cli import options, state_folder
from pellucid.errors import UsageError

if TYPE_CHECKING:
    from pellucid.privacy.local import Collection, Collector, MeanDirection
    from pellucid.privacy.local.oracles import Estimate


def estimate(arguments: argparse.Namespace) -> int:
    """Estimate the named collection and print or write what was found."""
    from pellucid.privacy.local import Collector, Directions
    from pellucid.privacy.local.oracles import consistent

    collector = Collector(state_folder.home_of(arguments))
    try:
        collection = _named(collector, arguments.words)
        if isinstance(collection.oracle, Directions):
            return _estimate_direction(arguments, collector, collection)
        found = collector.estimate(collection, arguments.period)
        guarantee = _guarantee(collector, collection, found, arguments.period)
    finally:
        collector.close()
    fair = consistent(found.frequencies)
    rows = [
        {"value": value, "frequency": float(f), "error": float(e), "consistent": float(c)}
        for value, f, e, c in zip(collection.values, found.frequencies, found.errors, fair, strict=True)
    ]
    if arguments.out is not None:
        _write(arguments.out, rows, guarantee)
    if arguments.json:
        options.print_json({"estimates": rows, "guarantee": guarantee})
        return 0
    top = sorted(rows, key=lambda row: (-float(str(row["frequency"])), str(row["value"])))[:20]
    shown = [[str(row["value"]), *(f"{row[word]:.4f}" for word in ("frequency", "error", "consistent"))] for row in top]
    print(options.table(shown, ["value", "frequency", "error", "consistent"], right=[1, 2, 3]))
    print(
        f"{found.reports} reports, {guarantee['mechanism']}, epsilon {guarantee['epsilon']:g}; {len(top)} largest of {len(rows)}"
    )
    return 0


def _estimate_direction(arguments: argparse.Namespace, collector: Collector, collection: Collection) -> int:
    """The mean direction of one period: a row a coordinate."""
    if arguments.period is None:
        held = ", ".join(map(str, collector.periods(collection)[-10:])) or "none yet"
        raise UsageError("directions are estimated for one period", fix=f"Name it with --period; there is {held}")
    found = collector.mean_direction(collection, arguments.period)
    guarantee = _guarantee(collector, collection, found, arguments.period)
    guarantee["relation"] = "any two vectors, the empty one among them"
    guarantee["errors"] = "standard errors; the table of directions bends the mean by less than 2 % of its length"
    rows = [
        {"coordinate": name, "mean": float(mean), "error": found.error}
        for name, mean in zip(collection.values, found.mean, strict=True)
    ]
    if arguments.out is not None:
        _write(arguments.out, rows, guarantee)
    if arguments.json:
        options.print_json({"estimates": rows, "guarantee": guarantee})
        return 0
    shown = [[str(row["coordinate"]), f"{row['mean']:+.4f}", f"{row['error']:.4f}"] for row in rows]
    print(options.table(shown, ["coordinate", "mean", "error"], right=[1, 2]))
    print(f"{found.reports} reports, {guarantee['mechanism']}, epsilon {guarantee['epsilon']:g}, period {arguments.period}")
    return 0


def _named(collector: Collector, words: list[str]) -> Collection:
    known = collector.collections()
    names = ", ".join(sorted({one.name for one in known})) or "none"
    if len(words) != 1:
        raise UsageError("estimate needs the name or the id of a collection", fix=f"There is: {names}")
    found = [one for one in known if words[0] in (one.name, one.id.hex())]
    if not found:
        raise UsageError(f"there is no collection {words[0]!r}", fix=f"There is: {names}")
    if len(found) > 1:
        raise UsageError(
            f"there is more than one collection {words[0]!r}", fix=f"Name its id: {', '.join(one.id.hex() for one in found)}"
        )
    return found[0]


def _guarantee(
    collector: Collector, collection: Collection, found: Estimate | MeanDirection, period: int | None
) -> dict[str, Any]:
    """What is promised of the estimates, for whoever uses them."""
    return {
        "mechanism": collection.oracle.name,
        "model": "local differential privacy: randomised on each client",
        "unit": "one report of one client",
        "relation": "any two values of the domain",
        "epsilon": collection.oracle.epsilon,
        "delta": 0,
        "reports_per_client_and_period": collection.reports_per_period,
        "epsilon_per_client_and_period": collection.spent(collection.reports_per_period),
        "collection": collection.id.hex(),
        "parameters": collection.oracle.parameters(),
        "reports": found.reports,
        "period": period,
        "reports_sha256": collector.digest(collection, period),
        "errors": "standard errors of unbiased estimates; `consistent` is norm-sub and biased upwards for rare values",
        "not_covered": [
            "that a client reported at all, when, and from which address",
            "clients that lie or make up tokens: they can move an estimate",
            "several reports of one client together: their epsilons add up (RAPPOR: once for each value it keeps)",
        ],
    }


def _write(path: Path, rows: list[dict[str, Any]], guarantee: dict[str, Any]) -> None:
    import pyarrow as pa

    table = pa.table({name: [row[name] for row in rows] for name in rows[0]})
    if path.suffix == ".csv":
        from pyarrow import csv

        csv.write_csv(table, path)
    elif path.suffix == ".parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, path)
    else:
        raise UsageError("estimates are written as .csv or .parquet", where=str(path))
    beside = path.with_name(f"{path.stem}.guarantee.json")
    beside.write_text(json.dumps(guarantee, indent=2, sort_keys=True) + "\n", encoding="utf-8")
