"""What declares the data of a pipeline: `source`, and the units it can name (`UserDay`, `Row`)."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.pipeline.declaration.about import checked_licence
from pellucid.pipeline.declaration.nodes import Source
from pellucid.pipeline.declaration.release_protocol import Budget
from pellucid.store import ADD_REMOVE, REPLACE, Label, Level, Unit, unit_of


def UserDay(column: str, *, time: str, clock: str = "") -> Unit:  # noqa: N802 a unit is declared like a value
    """The unit "one person's rows of one UTC day": for `pl.source(unit=...)`.

    `time` names a column of dates or time stamps (those without a zone count as UTC), or of whole numbers since 1970 in `clock`, "s"
    or "ms". A person who is there on several days is protected on each of them apart, so the loss adds up over their days.
    """
    if clock not in ("", "s", "ms"):
        raise UsageError(
            f"{clock!r} is not a clock", where="UserDay", fix='Use "s" or "ms", or leave it out for dates and time stamps'
        )
    if not all(isinstance(name, str) and name for name in (column, time)) or column == time:
        raise UsageError("a person's column and another one with the time are needed", where="UserDay")
    return Unit(column, time, clock)


def Row() -> Unit:  # noqa: N802 a unit is declared like a value
    """The unit "one row": for `pl.source(unit=...)`, where each row is another person's or is all that is to be protected."""
    return Unit(None)


def _caller_folder(depth: int) -> Path:
    """The folder of the file that called the public function `depth` frames up; the current folder in a console."""
    file = sys._getframe(depth + 1).f_globals.get("__file__")
    return Path(file).absolute().parent if file else Path.cwd()


def source(
    path: str | Path,
    *,
    label: str | None = None,
    unit: str | Unit | None = None,
    relation: str = ADD_REMOVE,
    name: str | None = None,
    format: str | None = None,
    budget: Budget | None = None,
    account: str | None = None,
    licence: str | None = None,
    credit: str = "",
    origin: str | Path | None = None,
    **options: Any,
) -> Source:
    """Declare data that enters a pipeline.

    `path` is relative to the pipeline file. `label` is "private" (about people), "protected" (transformed, no proof) or "open";
    there is no default, because a wrong guess cannot be taken back. `unit` names the column that says whose row it is, or is
    `pl.UserDay(column, time=...)` or `pl.Row()`; a release needs it. `relation` says which data a release must not tell apart: those
    with and without one unit ("add-remove"), or those where one unit is another ("replace": the number of units is no secret).
    `format` is a reader's name ("csv", "parquet", "jsonlines", "mattermost", "smart", "movielens", or "file"
    for bytes kept as they are); by default the file's ending decides. Other options go to the reader. `budget` caps what
    releases of this data may spend together, in the `account` (by default the source's name). `licence` (an SPDX expression) and
    `credit` (whom to name, and where it comes from) go with open data when they are published; `origin` names the file that
    `pellucid import` wrote, when they come from a package. Raises UsageError.
    """
    shown = str(path)
    words = {level.word: level for level in Level}
    if label is None:
        raise UsageError(
            "this source has no label",
            where=f'source("{shown}")',
            fix='Say whether it is about people: label="private" (with unit=...), label="protected" or label="open"',
        )
    if label not in words:
        raise UsageError(f'"{label}" is not a label', where=f'source("{shown}")', fix="Use private, protected or open")
    if words[label] is Level.OPEN and unit:
        raise UsageError(
            "an open source has no unit to protect",
            where=f'source("{shown}")',
            fix="Remove unit=, or label it private",
        )
    if relation not in (ADD_REMOVE, REPLACE):
        raise UsageError(f"{relation!r} is not a relation", where=f'source("{shown}")', fix="Use add-remove or replace")
    if relation == REPLACE and unit is not None:
        unit = replace(unit_of(unit), relation=REPLACE)
    from pellucid.data import detect

    place = Path(_caller_folder(1), Path(path).expanduser())
    kind = format or detect(place) or "file"
    if kind == "file" and options:
        what = f"a file that is kept as bytes has no option {next(iter(options))!r}"
        raise UsageError(what, where=f'source("{shown}")', fix='To read it as a table, say format="csv" or another reader')
    return Source(
        path=place,
        label=Label(words[label], unit),
        name=name,
        format=kind,
        options=options,
        budget=budget or Budget(),
        account=account,
        licence=None if licence is None else checked_licence(licence, f'source("{shown}")'),
        credit=credit,
        origin=None if origin is None else Path(_caller_folder(1), origin),
    )
