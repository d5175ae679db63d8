"""The first step: a folder with a pipeline that a person can read and edit, and an inventory to confirm."""

from __future__ import annotations

import json
import keyword
import os
import re
import shutil
from pathlib import Path
from typing import Any

from pellucid.errors import PrivacyError, UsageError
from pellucid.privacy.assess import Inventory, inventory
from pellucid.steward.current_state import CurrentState, refuse_gaps, standing
from pellucid.steward.inventory_stage import keep
from pellucid.steward.workspace import Folder, made

PIPELINE = '''\
"""Releases of {file}, for its steward to read and change. Nothing leaves before somebody has signed for it:

pellucid steward inventory, assess, protect, attack, decide, release
"""

import pellucid as pl

# Private: rows about people. `unit` says whose row it is, and so to whom the guarantee is given. `budget` caps what all
# releases may ever cost these people together; with sign_off none of them runs before somebody has decided.
{source} = pl.source(
    {path},
    label="private",
    unit={unit},
    budget=pl.Budget(epsilon=1.0, delta=1e-5, sign_off=True),
)

# What is to leave: {what}
# A person moves at most `max_contributions` of them; what more they have is left out. A smaller epsilon promises more, and adds more noise.
{release} = pl.release(
    {mechanism},
    of={source},
    epsilon=1.0,
    delta=1e-6,
)

pipeline = pl.Pipeline("{name}", [{source}, {release}])
'''

_WHAT = {
    "gram": "how many people have each two of {column} together, with noise.",
    "histogram": "how many people have each {column}, with noise.",
}


def begin(
    data: Path,
    folder: Path,
    *,
    unit: str | None = None,
    item: str | None = None,
    statistic: str | None = None,
    home: Path | None = None,
) -> tuple[Folder, CurrentState, Inventory]:
    """Make a steward's folder for a data file, or for a pipeline file (.py) that is there already.

    `unit` names the column that says whose row it is, `item` the one with what people chose; both are guessed otherwise, and must be
    confirmed. `statistic` is "gram" or "histogram". Raises UsageError for a folder that is there, PrivacyError where nothing says whose
    a row is or where it has gaps, DataError for data that cannot be read. Where it raises, it leaves no folder.
    """
    if folder.exists():
        raise UsageError("it is there already", where=str(folder), fix="Go on with it, remove it, or name another with --folder")
    if not data.is_file():
        raise UsageError("there is no such file", where=str(data), fix="Name a data file, or a pipeline file")
    if data.suffix == ".py":
        text = None
        if unit or item or statistic:
            raise UsageError("--unit, --item and --as are for a data file", where=str(data), fix="The pipeline file says them")
    else:
        text = _written(data, folder, unit, item, statistic)
    folder.mkdir(mode=0o700, parents=True)
    try:
        pipeline = data
        if text is not None:
            pipeline = folder / "steward.py"
            pipeline.write_text(text, encoding="utf-8")
        place = made(folder, pipeline, home)
        stand = standing(place)
        confirmed = {name: role for name, role in ((unit, "unit"), (item, "item")) if name is not None}
        return place, stand, keep(stand, confirmed)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _written(data: Path, folder: Path, unit: str | None, item: str | None, statistic: str | None) -> str:
    """The text of the pipeline file."""
    found = inventory(data)
    named = {name: role for name, role in ((unit, "unit"), (item, "item")) if name is not None}
    if unit is not None:  # one column says whose row it is: a guess at another gives way
        named |= {name: "identifier" for name, held in found.columns.items() if held.role == "unit" and name != unit}
    found = found.confirm(named)
    people = _unit(found, str(data))
    refuse_nameless_file(data, people)
    column, kind = _statistic(data, found, people, item, statistic)
    source = _name(data.stem, "rows")
    release = _name(column, "counts") + ("_pairs" if kind == "gram" else "_counts")
    return PIPELINE.format(
        file=data.name,
        source=source,
        release=release,
        name=source.replace("_", "-"),
        path=_quoted(os.path.relpath(data, folder).replace(os.sep, "/")),
        unit=_quoted(people),
        what=_WHAT[kind].format(column=column),
        mechanism=f"pl.privacy.gram(item={_quoted(column)}, max_contributions=5)"
        if kind == "gram"
        else f"pl.privacy.histogram(key={_quoted(column)}, max_contributions={1 if _single(data, people) else 5})",
    )


def refuse_nameless_file(data: Path, unit: str) -> None:
    """As `refuse_nameless`, for a file that is not read in yet."""
    from pellucid.data import open_table

    refuse_gaps(open_table(data, options={"columns": [unit]}).read_all().column(unit).null_count, unit, str(data))


def _unit(found: Inventory, where: str) -> str:
    units = [name for name, held in found.columns.items() if held.role == "unit"]
    if len(units) == 1:
        return units[0]
    listed = ", ".join(units or found.columns)
    said = "several columns may say whose row it is" if units else "no column says whose row it is"
    raise PrivacyError(
        said,
        where=where,
        why="a guarantee is given to somebody: the unit",
        fix=f"Name one with --unit ({listed}); where each row is another person's, add a column that numbers the rows",
    )


def _statistic(data: Path, found: Inventory, unit: str, item: str | None, statistic: str | None) -> tuple[str, str]:
    """What to count by default, and how: pairs of items of a log, else the first column that says something about people."""
    by_role: dict[str, list[str]] = {}
    for name, held in found.columns.items():
        by_role.setdefault(held.role, []).append(name)
    log = [item] if item else by_role.get("item", [])
    if log and not _single(data, unit):
        return log[0], statistic or "gram"
    for name in [*log, *by_role.get("sensitive", []), *by_role.get("quasi-identifier", []), *by_role.get("other", [])]:
        return name, statistic or "histogram"
    raise UsageError("no column is one to count", where=str(data), fix=f"Name one with --item ({', '.join(found.columns)})")


def _single(data: Path, unit: str) -> bool:
    """Whether each person has one row."""
    import pyarrow.compute as pc

    from pellucid.privacy.assess import columns_of

    column = columns_of(data, [unit])[0]
    return bool(pc.count_distinct(column).as_py() == len(column))


def _quoted(text: str) -> str:
    """Text as Python reads it, between double quotes."""
    return json.dumps(text, ensure_ascii=False)


def _name(text: str, fallback: str) -> str:
    """A name that Python takes for a variable."""
    name: Any = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower() or fallback
    if name[0].isdigit() or keyword.iskeyword(name) or name in ("pl", "pipeline"):
        name = f"{fallback}_{name}"
    return str(name)
