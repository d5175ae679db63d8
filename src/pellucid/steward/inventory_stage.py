"""Inventory: what is in the data and whose it is, proposed, corrected and confirmed, and taken again when the data change."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Mapping

from pellucid.errors import UsageError
from pellucid.pipeline.declaration import Source
from pellucid.privacy.assess import ColumnRole, Inventory, inventory, read_inventory
from pellucid.steward.current_state import CurrentState, refuse_nameless, standing
from pellucid.steward.workspace import Folder, private


def take(
    folder: Folder, roles: Mapping[str, str] | None = None, *, confirm: bool = False
) -> tuple[CurrentState, Inventory, bool]:
    """The inventory with these roles confirmed (all, with `confirm`), and whether the data had changed since the last one.

    After a change the columns are looked at again; what was confirmed stays confirmed. Raises UsageError for an unknown column or
    role, PrivacyError where the unit has gaps.
    """
    stand = standing(folder)
    changed = bool(stand.missing_evidence("inventory")) and folder.file("inventory").exists()
    return stand, keep(stand, roles or {}, rest=confirm), changed


def keep(stand: CurrentState, roles: Mapping[str, str], *, rest: bool = False) -> Inventory:
    """Look at the data where that is to be done, join what is known, and write it down."""
    path = stand.folder.file("inventory")
    refuse_nameless(stand.table, stand.unit, str(stand.source.name))
    held = read_inventory(path) if path.exists() else None
    if held is None or stand.missing_evidence("inventory"):
        assert isinstance(stand.source.node, Source)
        found = inventory(stand.table, source=stand.source.node.path.name)
        found = dataclasses.replace(found, columns={n: _with_unit(stand.unit, n, c) for n, c in found.columns.items()})
        if held is not None:
            found = dataclasses.replace(found, columns={n: _joined(held, n, c) for n, c in found.columns.items()})
        held = found
    held = held.confirm(_checked(held, roles), rest=rest)
    body = {**held.to_json(), "of": stand.of("inventory")}
    private(path, json.dumps(body, indent=1, ensure_ascii=False) + "\n")
    return held


def _with_unit(unit: str, name: str, column: ColumnRole) -> ColumnRole:
    """A proposal that agrees with the pipeline about who the unit is."""
    if name == unit:
        return column if column.role == "unit" else dataclasses.replace(column, role="unit", evidence=("the pipeline says so",))
    if column.role == "unit":
        return dataclasses.replace(
            column, role="identifier", evidence=(*column.evidence, f'but the pipeline says "{unit}" is the unit')
        )
    return column


def _joined(held: Inventory, name: str, column: ColumnRole) -> ColumnRole:
    """A column as it is now, with the role that somebody confirmed for it."""
    before = held.columns.get(name)
    if before is None or not before.confirmed:
        return column
    return dataclasses.replace(column, role=before.role, confirmed=True)


def _checked(held: Inventory, roles: Mapping[str, str]) -> Mapping[str, str]:
    """The roles; where another column than before becomes the unit, that is said, since the pipeline must say the same."""
    units = [name for name, role in roles.items() if role == "unit"]
    if len(units) > 1:
        raise UsageError("only one column can be the unit", where="inventory", fix="Name the one that says whose row it is")
    return roles


def inventory_lines(stand: CurrentState, found: Inventory, changed: bool) -> list[str]:
    """One screen: each column with its role, and why it was proposed while that is not confirmed."""
    told = ["the data changed since the last inventory: looked at again", ""] if changed else []
    told.append(f"{found.source}: {found.rows:,} rows")
    for name, held in found.columns.items():
        told.append(f"{name[:28]:<28} {held.role:<17} {'confirmed' if held.confirmed else f'proposed, {held.confidence:.0%}'}")
        for line in held.evidence[:1] if not held.confirmed else ():
            told += textwrap.wrap(line, 80, initial_indent="    ", subsequent_indent="    ")
        if held.names:
            names = ", ".join(f"{kind} {count:,}" for kind, count in sorted(held.names.items()))
            told += textwrap.wrap(f"cells with names: {names}", 80, initial_indent="    ", subsequent_indent="    ")
    waiting = [name for name, held in found.columns.items() if not held.confirmed]
    told.append("")
    if waiting:
        said = f"{len(waiting)} of {len(found.columns)} roles are proposed: guesses. Correct what is wrong with --set COLUMN=ROLE, then"
        told += [*textwrap.wrap(f"{said} confirm the rest.", 80), "next: pellucid steward inventory --confirm"]
    else:
        said = f'Every role is confirmed. The unit is "{stand.unit}": whoever has a value there is promised something.'
        told += [*textwrap.wrap(said, 80), "next: pellucid steward assess"]
    return told
