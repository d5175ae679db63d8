"""`pellucid evaluate`: how well a ranking answers judged queries, with intervals and paired tests."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pellucid.cli import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--run", type=Path, required=True, metavar="RUN", help="a TREC run: query Q0 document rank score tag")
    said = "judgements: TREC (query iteration document grade), or Cranfield's or CISI's own file"
    parser.add_argument("--qrels", type=Path, required=True, metavar="QRELS", help=said)
    parser.add_argument(
        "--baseline", type=Path, action="append", default=[], metavar="RUN", help="a run to compare with; may be given again"
    )
    parser.add_argument("--format", choices=("trec", "cranfield", "cisi"), help="of the judgements (default: told from the file)")
    said = "the grade of Cranfield's unexplained code -1, 0 to 4 (default: 1); the other reading is shown beside it"
    parser.add_argument("--minus-one", type=options.whole(0), default=1, metavar="GRADE", help=said)
    said = "write the whole as a page with plots, which needs no script and loads nothing"
    parser.add_argument("--html", type=Path, metavar="FILE", help=said)
    parser.add_argument("--per-query", action="store_true", help="also each query's figures")


def call(arguments: argparse.Namespace) -> int:
    """Measure, compare, print."""
    from pellucid.errors import UsageError
    from pellucid.evaluation import MEASURES, evaluate, format_of, minus_ones, read_judgements, read_run, unjudged_documents

    if arguments.html is not None and arguments.html.exists():
        raise UsageError("it is there already", where=str(arguments.html), fix="Remove it, or name another file")
    run = read_run(arguments.run)
    baselines = {str(path): read_run(path) for path in arguments.baseline}
    if len(baselines) != len(arguments.baseline):
        raise UsageError("a baseline is named twice", where="evaluate")
    kind = arguments.format or format_of(arguments.qrels)
    judged = read_judgements(arguments.qrels, kind, arguments.minus_one)
    found = evaluate(run, judged, baselines)
    other = None
    if kind == "cranfield" and (unexplained := minus_ones(arguments.qrels)):
        grade = 0 if arguments.minus_one else 1
        other = (unexplained, grade, evaluate(run, read_judgements(arguments.qrels, kind, grade)))
    if arguments.html is not None:
        _write_page(arguments, found, unjudged_documents(run, judged), _notes(other, arguments.minus_one))
    if arguments.json:
        told = {"run": str(arguments.run), "qrels": str(arguments.qrels), "format": kind, **found.to_json()}
        told["unjudged_documents"] = {
            query: documents for query, documents in unjudged_documents(run, judged).items() if documents
        }
        if other is not None:
            told["code_minus_one"] = {
                "judgements": other[0], "grade": arguments.minus_one, "other_grade": other[1], "other_means": dict(other[2].means)
            }  # fmt: skip
        options.print_json(told)
        return 0
    said = f"{arguments.run.name} on {arguments.qrels.name} ({kind}): means over {found.queries} queries, with 95 % intervals"
    print(options.wrapped(said))
    rows = [[name, f"{found.means[name]:.4f}", _interval(found.intervals[name])] for name in MEASURES]
    head = ["measure", "mean", "95 %"]
    if other is not None:
        rows = [[*row, f"{other[2].means[row[0]]:.4f}"] for row in rows]
        head.append(f"with -1 as {other[1]}")
    print(options.table(rows, head, right=[1, 3]))
    if other is not None:
        print(options.wrapped(f"{other[0]} judgements have the unexplained code -1: taken as grade {arguments.minus_one}"))
    _say_left_out(found)
    if found.comparisons:
        print("against the baselines: two-sided paired randomisation, p adjusted by Holm over this table")
        rows = [
            [one.baseline, one.measure, f"{one.difference:+.4f}", _interval((one.low, one.high)), _p(one.p), _p(one.adjusted)]
            for one in found.comparisons
        ]
        print(options.table(rows, ["baseline", "measure", "difference", "95 %", "p", "p (Holm)"], right=[2, 4, 5]))
    if arguments.per_query:
        rows = [[query, *(f"{found.per_query[name][query]:.4f}" for name in MEASURES)] for query in found.per_query[MEASURES[0]]]
        print(options.table(rows, ["query", *MEASURES], right=list(range(1, len(MEASURES) + 1))))
    if arguments.html is not None:
        print(f"the page: {arguments.html}")
    return 0


def _notes(other: Any, grade: int) -> tuple[str, ...]:
    """What the page says of judgements with the unexplained code."""
    from pellucid.evaluation import MEASURES

    if other is None:
        return ()
    means = ", ".join(f"{name} {other[2].means[name]:.4f}" for name in MEASURES)
    return (
        f"{other[0]} judgements have the unexplained code -1: taken as grade {grade}. As grade {other[1]} the means are {means}.",
    )


def _write_page(arguments: argparse.Namespace, found: Any, unjudged: dict[str, list[str]], notes: tuple[str, ...]) -> None:
    from pellucid.errors import PellucidError
    from pellucid.evaluation import html_report

    page = html_report(found, unjudged, run=str(arguments.run), judgements=str(arguments.qrels), notes=notes)
    draft = arguments.html.with_name(f".{arguments.html.name}.draft")
    try:
        draft.write_text(page, encoding="utf-8", errors="replace")
        draft.replace(arguments.html)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise PellucidError(
            "the page cannot be written", where=str(arguments.html), why=str(error), fix="Name another file"
        ) from error


def _say_left_out(found: Any) -> None:
    for queries, said in ((found.left_out, "the run leaves out, which count 0"), (found.unjudged, "have no relevant document")):
        if queries:
            shown = ", ".join(queries[:5]) + (", …" if len(queries) > 5 else "")
            print(options.wrapped(f"queries that {said}: {len(queries)} ({shown})"))


def _interval(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.4f} to {ends[1]:.4f}"


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "<.0001"
