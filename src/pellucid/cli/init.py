"""`pellucid init`: a pipeline file for a data file, which runs as it is and is there to be changed."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from pellucid.cli import options
from pellucid.errors import UsageError

TAKEN = ("about", "columns", "json", "numbers", "pipeline", "pl", "polars")  # names that the file uses itself

PIPELINE = '''\
"""A pipeline over {file}. Read it, change it, and run it:

    pellucid run {script}
"""

import polars

import pellucid as pl

{source} = pl.source({path}, label="open"{more})


@pl.step
def columns({source}: pl.Table) -> pl.Table:
    """Each column: its type, how many values are missing, and how many different ones there are."""
    frame = {source}.polars().collect()
    return polars.DataFrame(
        {{
            "column": frame.columns,
            "type": [str(kind) for kind in frame.dtypes],
            "missing": [frame[name].null_count() for name in frame.columns],
            "different": [frame[name].n_unique() for name in frame.columns],
        }}
    )


@pl.step
def numbers({source}: pl.Table, digits: int = 6) -> pl.Metrics:
    """How many rows there are, and the mean of each column of numbers. `digits` is a setting: --set numbers.digits=3."""
    means = {source}.polars().select(polars.selectors.numeric().mean()).collect().to_dicts()
    found = means[0] if means else {{}}  # no row where no column is of numbers
    return {{"rows": {source}.num_rows, **{{f"mean_{{name}}": round(value, digits) for name, value in found.items() if value is not None}}}}


# What readers of a package see (pellucid publish). Say who you are, and check the licences.
about = pl.About(
    title={title},
    description="Columns and means of {file}.",
    creators=("Doe, Jane",),
    licence="MIT",
    data_licence={licence},
)

pipeline = pl.Pipeline("{name}", [{source}, columns, numbers], about=about)
'''


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("data", type=Path, metavar="DATA", help="a data file")
    parser.add_argument(
        "--label", choices=("open", "private"), help="whether it is about people: open data have no person to protect"
    )
    parser.add_argument("--licence", metavar="SPDX", help="under which the data are published, such as CC-BY-4.0")
    parser.add_argument(
        "--format", metavar="NAME", help="the reader, where the file's name does not tell it (csv, jsonlines, ...)"
    )
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option of the reader, such as delimiter=;"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to write (default: named like the data, here)")


def call(arguments: argparse.Namespace) -> int:
    """Write the file, and say what to do with it."""
    if arguments.label is None:
        raise UsageError(
            "say whether the data are about people",
            where="init",
            why="a wrong guess cannot be taken back",
            fix=f"If they are not: --label open. If they are: {_steward(arguments.data)}",
        )
    if arguments.label == "private":
        said = "data about people go the steward's way, which leads to a release"
        raise UsageError(said, where="init", fix=_steward(arguments.data))
    read = reader_options(arguments.option)
    from pellucid.steward import variable_name

    suspects = _suspects(arguments.data, arguments.format, read)
    name = variable_name(arguments.data.stem, "rows")
    out = arguments.out or Path(
        f"{name}_pipeline.py" if name in {*sys.stdlib_module_names, "pellucid", "polars"} else f"{name}.py"
    )
    text = _text(arguments, out, name, read)
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError("it is there already", where=str(out), fix="Name another file with --out") from error
    if arguments.json:
        options.print_json({"file": str(out), "looks_like_people": suspects})
        return 0
    print(f"{out}: a pipeline over {arguments.data}")
    if suspects:
        said = f"! {', '.join(suspects)}: this looks like data about people. If it is: remove {out}, and"
        print(options.wrapped(f"{said} {_steward(arguments.data)}"))
    print(options.then("next", "pellucid", "run", out))
    return 0


def _steward(data: Path) -> str:
    """The command that begins the steward's way."""
    return f"pellucid steward init {shlex.quote(str(data))}"


def reader_options(pairs: list[str]) -> dict[str, Any]:
    """The `--option` words: JSON where they are JSON (a list, a number, true), text otherwise. Raises UsageError for one without "="."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError("this is not NAME=VALUE", where=f"--option {pair}", fix="Such as: --option 'delimiter=;'")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = {"\\t": "\t"}.get(value, value)
    return found


def _suspects(data: Path, format: str | None, read: dict[str, Any]) -> list[str]:
    """The columns that seem to say who a row is about."""
    from pellucid.data import open_table
    from pellucid.privacy.assess import inventory

    found = inventory(open_table(data, format=format, options=read), source=data.name)
    return [name for name, held in found.columns.items() if held.role in ("unit", "identifier")]


def _text(arguments: argparse.Namespace, out: Path, name: str, read: dict[str, Any]) -> str:
    from pellucid.pipeline.declaration import checked_licence
    from pellucid.steward import as_literal

    licence = None if arguments.licence is None else checked_licence(arguments.licence, "--licence")
    given = {"format": arguments.format, "licence": licence, **read}
    more = "".join(f", {key}={as_literal(value)}" for key, value in given.items() if value is not None)
    source = f"{name}_rows" if name in TAKEN else name
    return PIPELINE.format(
        file=arguments.data.name,
        script=out.name,
        source=source,
        path=as_literal(os.path.relpath(arguments.data, out.absolute().parent).replace(os.sep, "/")),
        more=more,
        title=as_literal(f"A look at {arguments.data.name}"),
        licence=as_literal(licence or "CC-BY-4.0"),
        name=source.replace("_", "-"),
    )
