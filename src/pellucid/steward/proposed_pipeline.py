"""The pipeline file that the guided path proposes: from the data's columns and their roles, for a person to read and change."""

from __future__ import annotations

import hashlib
import json
import keyword
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError, UsageError
from pellucid.privacy.assess import Inventory

if TYPE_CHECKING:
    import pyarrow as pa

EPSILON = 1.0
ROW = "row"  # the unit of data in which each row is another person's: the column that numbers them
TAKEN = ("about", "pipeline", "pl")  # names that the file uses itself
TRIES = 2  # how often the release fits into the account's cap: the first try need not be the last

PIPELINE = '''\
"""Releases of {file}, for its steward to read and change. Nothing leaves before somebody has signed for it:

pellucid steward inventory, assess, protect, attack, decide, release
"""

import pellucid as pl

# Private: rows about people. `unit` says whose row it is, and so to whom the guarantee is given. `budget` caps what all
# releases may ever cost these people together; there is room for a second try. With sign_off none of them runs before somebody has decided.
{source} = pl.source(
    {path},
    label="private",
    unit={unit},
    budget=pl.Budget(epsilon={cap}, delta=1e-5, sign_off=True),{options}
)

# What is to leave: {what}
# A person moves at most `max_contributions` of them; what more they have is left out. A smaller epsilon promises more, and adds more noise.
{release} = pl.release(
    {mechanism},
    of={source},
    epsilon={epsilon},
    delta=1e-6,
)

# What readers of a package see (pellucid publish). Say who you are, and check the licences.
about = pl.About(
    title={title},
    description={description},
    creators=("The steward of these data",),
    licence="Apache-2.0",
    data_licence="CC-BY-4.0",
)

pipeline = pl.Pipeline("{name}", [{source}, {release}], about=about)
'''

_WHAT = {
    "gram": "how many people have each two of {column} together, with noise.",
    "histogram": "how many people have each {column}, with noise.",
}


@dataclass(frozen=True)
class DataFile:
    """The steward's data: a file, and how it is read where that cannot be told from its name."""

    path: Path
    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def rows(self, columns: Sequence[str] = ()) -> pa.RecordBatchReader:
        """The rows, or some columns of them, as a stream."""
        from pellucid.data import open_table

        more = {"columns": list(columns)} if columns and ROW not in columns else {}
        return open_table(self.path, format=self.format, options={**self.options, **more})

    def column(self, name: str) -> pa.ChunkedArray:
        """One column."""
        return self.rows([name]).read_all().column(name)


@dataclass(frozen=True)
class Proposal:
    """What is asked for beside the roles: the statistic ("gram" or "histogram"; None goes by the roles), and the epsilon."""

    statistic: str | None = None
    epsilon: float = EPSILON

    def pipeline(self, data: DataFile, folder: Path, found: Inventory, item: str | None = None) -> str:
        """The text of the pipeline file. `item` is the column to count, where several have that role.

        Raises PrivacyError where nothing says whose a row is, UsageError where there is no column to count.
        """
        people = unit_of(found, str(data.path))
        column, kind = _statistic(data, found, people, item, self.statistic)
        source = variable_name(data.path.stem, "rows", TAKEN)
        release = variable_name(column, "counts", TAKEN) + ("_pairs" if kind == "gram" else "_counts")
        what = _WHAT[kind].format(column=column)
        options = {**({"format": data.format} if data.format else {}), **data.options}
        return PIPELINE.format(
            file=data.path.name,
            source=source,
            release=release,
            name=source.replace("_", "-"),
            path=_quoted(os.path.relpath(data.path, folder).replace(os.sep, "/")),
            unit=_quoted(people),
            options="".join(f"\n    {name}={as_literal(value)}," for name, value in options.items()),
            cap=_plain(TRIES * self.epsilon),
            epsilon=_plain(self.epsilon),
            what=what,
            title=_quoted(f"Counts from {data.path.name}"),
            description=_quoted(what[0].upper() + what[1:]),
            mechanism=f"pl.privacy.gram(item={_quoted(column)}, max_contributions=5)"
            if kind == "gram"
            else f"pl.privacy.histogram(key={_quoted(column)}, max_contributions={1 if _single(data, people) else 5})",
        )


def digest_of(text: str) -> str:
    """What tells whether somebody has changed the proposed file since."""
    return hashlib.sha256(text.encode()).hexdigest()


def unit_of(found: Inventory, where: str) -> str:
    """The one column that says whose row it is. Raises PrivacyError where there is none, or more than one."""
    units = [name for name, held in found.columns.items() if held.role == "unit"]
    if len(units) == 1:
        return units[0]
    listed = ", ".join(units or found.columns)
    said = "several columns may say whose row it is" if units else "no column says whose row it is"
    raise PrivacyError(
        said,
        where=where,
        why="a guarantee is given to somebody: the unit",
        fix=f"Name one with --unit ({listed}); where each row is another person's: --unit {ROW}",
    )


def _statistic(data: DataFile, found: Inventory, unit: str, item: str | None, statistic: str | None) -> tuple[str, str]:
    """What to count by default, and how: pairs of items of a log, else the first column that says something about people."""
    by_role: dict[str, list[str]] = {}
    for name, held in found.columns.items():
        by_role.setdefault(held.role, []).append(name)
    log = [item] if item else by_role.get("item", [])
    if log and not _single(data, unit):
        return log[0], statistic or "gram"
    for name in [*log, *by_role.get("sensitive", []), *by_role.get("quasi-identifier", []), *by_role.get("other", [])]:
        return name, statistic or "histogram"
    raise UsageError("no column is one to count", where=str(data.path), fix=f"Name one with --item ({', '.join(found.columns)})")


def _single(data: DataFile, people: str) -> bool:
    """Whether each person has one row."""
    import pyarrow.compute as pc

    if people == ROW == data.options.get("row_number"):
        return True
    column = data.column(people)
    return bool(len(pc.unique(column)) == len(column))


def _quoted(text: str) -> str:
    """Text as Python reads it, between double quotes."""
    return json.dumps(text, ensure_ascii=False)


def as_literal(value: Any) -> str:
    """A value as a pipeline file writes it."""
    return _quoted(value) if isinstance(value, str) else repr(value)


def _plain(value: float) -> str:
    return repr(float(value))


def variable_name(text: str, fallback: str, taken: Collection[str] = ()) -> str:
    """A name that Python takes for a variable, and that is not taken."""
    name: Any = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower() or fallback
    if name[0].isdigit() or keyword.iskeyword(name) or name in taken:
        name = f"{fallback}_{name}"
    return str(name)
