"""`pellucid graph`: a pipeline's graph, in the terminal or as SVG."""

from __future__ import annotations

import argparse
from pathlib import Path

from pellucid.cli import options
from pellucid.store import writing


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a pipeline file")
    parser.add_argument("--svg", type=Path, metavar="OUT", help="write an SVG instead")


def call(arguments: argparse.Namespace) -> int:
    """Draw the graph."""
    from pellucid.pipeline.declaration import graph_drawing

    nodes = graph_drawing.nodes_of(options.load(arguments.file).steps)
    if arguments.svg:
        with writing(arguments.svg):
            arguments.svg.write_text(graph_drawing.svg(nodes))
    if arguments.json:
        options.print_json({"nodes": [vars(node) for node in nodes], "svg": str(arguments.svg) if arguments.svg else None})
    elif arguments.svg:
        print(f"wrote {arguments.svg}")
    else:
        print(graph_drawing.text(nodes))
    return 0
