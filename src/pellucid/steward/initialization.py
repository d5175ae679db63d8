"""The first step: a folder with a pipeline that a person can read and edit, and an inventory to confirm."""

from __future__ import annotations

import shutil
from pathlib import Path

from pellucid.errors import DataError, UsageError
from pellucid.privacy.assess import Inventory, inventory
from pellucid.privacy.foresight import ExpectedNumbers
from pellucid.steward.current_state import CurrentState, refuse_gaps, standing
from pellucid.steward.inventory_stage import keep
from pellucid.steward.proposed_pipeline import ROW, DataFile, Proposal, unit_of
from pellucid.steward.release_forecast import declare
from pellucid.steward.workspace import Folder, made

PROPOSED = "steward.py"


def begin(
    data: DataFile,
    folder: Path,
    *,
    unit: str | None = None,
    item: str | None = None,
    proposal: Proposal | None = None,
    numbers: ExpectedNumbers | None = None,
    home: Path | None = None,
) -> tuple[Folder, CurrentState, Inventory]:
    """Make a steward's folder for a data file, or for a pipeline file (.py) that is there already.

    `unit` names the column that says whose row it is ("row", where there is no such column: each row is another person's), `item` the
    one with what people chose; both are guessed otherwise, and must be confirmed. `numbers` is what is declared of the data. Raises
    UsageError for a folder that is there, PrivacyError where nothing says whose a row is or where it has gaps, DataError for data that
    cannot be read. Where it raises, it leaves no folder.
    """
    if folder.exists():
        raise UsageError("it is there already", where=str(folder), fix="Go on with it, remove it, or name another with --folder")
    if data.path.is_dir():
        raise UsageError("this is a folder", where=str(data.path), fix="Name the data file in it, or a pipeline file")
    if not data.path.exists():
        raise UsageError("there is no such file", where=str(data.path), fix="Name a data file, or a pipeline file")
    if data.path.suffix == ".py":
        if unit or item or proposal or data.format or data.options:
            said = "--unit, --item, --as, --epsilon, --format and --option are for a data file"
            raise UsageError(said, where=str(data.path), fix="The pipeline file says them")
        text, taken = None, None
    else:
        data = _numbered(data, unit)
        found = _confirmed(data, unit, item)
        proposal = proposal or Proposal()
        text = proposal.pipeline(data, folder, found, item)
        taken = (data, proposal, text)
    folder.mkdir(mode=0o700, parents=True)
    try:
        pipeline = data.path
        if text is not None:
            pipeline = folder / PROPOSED
            pipeline.write_text(text, encoding="utf-8")
        place = made(folder, pipeline, home, taken)
        declare(place, numbers or ExpectedNumbers())
        stand = standing(place)
        confirmed = {name: role for name, role in ((unit, "unit"), (item, "item")) if name is not None}
        return place, stand, keep(stand, confirmed)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _numbered(data: DataFile, unit: str | None) -> DataFile:
    """The data with a column that numbers their rows, where each row is another person's."""
    if unit != ROW or ROW in data.rows().schema.names:
        return data
    return DataFile(data.path, data.format, {**data.options, "row_number": ROW})


def _confirmed(data: DataFile, unit: str | None, item: str | None) -> Inventory:
    """The roles as proposed, with those that were said; of the people's column it is sure that it has no gaps."""
    found = inventory(data.rows(), source=data.path.name)
    if not found.rows:
        raise DataError("it has columns and no rows", where=str(data.path), fix="Check how it was written or copied")
    named = {name: role for name, role in ((unit, "unit"), (item, "item")) if name is not None}
    if unit is not None:  # one column says whose row it is: a guess at another gives way
        named |= {name: "identifier" for name, held in found.columns.items() if held.role == "unit" and name != unit}
    found = found.confirm(named)
    people = unit_of(found, str(data.path))
    refuse_gaps(data.column(people).null_count, people, str(data.path))
    return found
