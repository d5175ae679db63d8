"""`pellucid search`: rank the documents of a collection for a file of queries, or write their index for other engines."""

from __future__ import annotations

import argparse
from pathlib import Path

from pellucid.cli import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    said = "rank: write a TREC run with the default ranking, which uses no labels; export: write the index as CIFF, for other engines"
    parser.add_argument("action", choices=("rank", "export"), help=said)
    parser.add_argument(
        "--documents",
        type=Path,
        required=True,
        metavar="FILE",
        help="documents with an id, a title and a text, or a folder of pages",
    )
    parser.add_argument("--queries", type=Path, metavar="FILE", help="rank: queries with an id and a text")
    said = "of both files (default: told from each file)"
    parser.add_argument("--format", choices=("smart", "trec", "jsonl", "csv", "parquet", "pages", "warc"), help=said)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the run or the index to write")
    parser.add_argument(
        "--method", choices=("label-free", "bm25f"), default="label-free", help="the ranking (default: %(default)s)"
    )
    parser.add_argument("--language", default="english", help="of the documents (default: %(default)s)")
    parser.add_argument(
        "--depth", type=options.whole(1), default=1000, metavar="K", help="documents a query (default: %(default)s)"
    )


def call(arguments: argparse.Namespace) -> int:
    """Rank or export, write, say what was left out."""
    from pellucid.errors import UsageError

    if arguments.action == "export":
        return _export(arguments)
    if arguments.queries is None:
        raise UsageError("rank needs --queries", where="search", fix="Name a file of queries")
    from pellucid.search import rank_file

    done = rank_file(
        arguments.documents, arguments.queries, arguments.out, format=arguments.format, language=arguments.language,
        method=arguments.method, depth=arguments.depth,
    )  # fmt: skip
    if arguments.json:
        told = {
            "documents": done.documents,
            "queries": done.queries,
            "left_out": done.left_out,
            "unanswered": list(done.unanswered),
        }
        options.print_json({"run": str(arguments.out), "method": arguments.method, **told})
        return 0
    print(f"{arguments.out}: {done.queries} queries over {done.documents} documents, ranking {arguments.method}")
    for kind, count in done.left_out.items():
        print(f"documents left out: {count} {kind}")
    if done.unanswered:
        shown = ", ".join(done.unanswered[:5]) + (", …" if len(done.unanswered) > 5 else "")
        print(options.wrapped(f"queries without a word that any document has: {len(done.unanswered)} ({shown})"))
    print(options.then("measure it with", "pellucid", "evaluate", "--run", arguments.out, "--qrels", "QRELS"))
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from threadpoolctl import threadpool_limits

    from pellucid.search import build, read_documents, write_ciff

    held = read_documents(arguments.documents, arguments.format)
    with threadpool_limits(1):
        index = build(held, language=arguments.language)
    write_ciff(index, arguments.out)
    told = {"documents": held.table.num_rows, "terms": len(index.arrays["terms"]), "left_out": held.left_out}
    if arguments.json:
        options.print_json({"index": str(arguments.out), **told})
        return 0
    print(f"{arguments.out}: {told['documents']} documents, {told['terms']} terms, as CIFF")
    for kind, count in held.left_out.items():
        print(f"documents left out: {count} {kind}")
    return 0
