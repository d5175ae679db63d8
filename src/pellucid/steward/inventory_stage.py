"""Inventory: what is in the data and whose it is, proposed, corrected and confirmed, and taken again when the data change."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Mapping, Sequence

from pellucid.errors import UsageError
from pellucid.pipeline.declaration import Source
from pellucid.privacy.assess import ColumnRole, Inventory, inventory, read_inventory
from pellucid.steward import role_file
from pellucid.steward.current_state import CurrentState, refuse_nameless, shown, standing
from pellucid.steward.proposed_pipeline import digest_of
from pellucid.steward.release_forecast import declare, declared
from pellucid.steward.workspace import Folder, made, private, proposed


def take(
    folder: Folder, roles: Mapping[str, str] | None = None, *, confirm: bool = False
) -> tuple[CurrentState, Inventory, list[str]]:
    """The inventory with these roles and those corrected in roles.toml confirmed (all, with `confirm`), and what happened on the way.

    After a change of the data the columns are looked at again; what was confirmed stays confirmed. After a change of the roles the
    pipeline that the path proposed is proposed anew, unless somebody has changed it. Raises UsageError for an unknown column or role,
    PrivacyError where the unit has gaps.
    """
    path, said = folder.file("inventory"), []
    corrected = dict(roles or {})
    if path.exists():
        held = read_inventory(path)
        corrected = _one_unit(held, {**role_file.corrections(folder.path / role_file.FILE, held), **corrected})
        said = _proposed_anew(folder, held, held.confirm(corrected), corrected)
    stand = standing(folder)
    if path.exists() and stand.missing_evidence("inventory"):
        said.insert(0, "the data changed since the last inventory: looked at again")
    return stand, keep(stand, corrected, rest=confirm), said


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
    held = held.confirm(roles, rest=rest)
    body = {**held.to_json(), "of": stand.of("inventory")}
    private(path, json.dumps(body, indent=1, ensure_ascii=False) + "\n")
    private(stand.folder.path / role_file.FILE, role_file.text_of(held))
    return held


def _one_unit(held: Inventory, roles: dict[str, str]) -> dict[str, str]:
    """The roles; where another column becomes the unit, the one before gives way, since a row is one person's."""
    units = [name for name, role in roles.items() if role == "unit"]
    if len(units) > 1:
        raise UsageError("only one column can be the unit", where="inventory", fix="Name the one that says whose row it is")
    before = [name for name, column in held.columns.items() if units and column.role == "unit" and name not in (*units, *roles)]
    return {**roles, **dict.fromkeys(before, "identifier")}


def _units(found: Inventory) -> list[str]:
    return [name for name, column in found.columns.items() if column.role == "unit"]


def _proposed_anew(folder: Folder, before: Inventory, after: Inventory, corrected: Mapping[str, str]) -> list[str]:
    """Propose the pipeline again where other roles ask for another one; what was done, in words."""
    changed = [name for name, column in after.columns.items() if column.role != before.columns[name].role]
    earlier = proposed(folder)
    if not changed or earlier is None or _units(before) != _units(after):
        return []  # whose the rows are is for the steward to say in the pipeline too: the next step asks for it
    data, proposal, digest = earlier
    item = next((name for name, role in corrected.items() if role == "item"), None)
    text, name = proposal.pipeline(data, folder.path, after, item), shown(folder.pipeline)
    now = folder.pipeline.read_text(encoding="utf-8")
    if text == now:
        return []
    if digest_of(now) != digest:
        return [f"{name} was changed by hand, so it stays as it is: see that it still fits the roles"]
    folder.pipeline.write_text(text, encoding="utf-8")
    numbers = declared(folder)
    declare(made(folder.path, folder.pipeline, folder.kept_home, (data, proposal, text)), numbers)
    return [f"{name}: proposed anew, since the role of {', '.join(changed)} is another"]


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


def inventory_lines(stand: CurrentState, found: Inventory, said: Sequence[str]) -> list[str]:
    """One screen: each column with its role, and why it was proposed while that is not confirmed."""
    told = [*(line for one in said for line in textwrap.wrap(one, 80)), *([""] if said else [])]
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
        where = shown(stand.folder.path / role_file.FILE)
        guesses = f"{len(waiting)} of {len(found.columns)} roles are proposed: guesses. Correct what is wrong in {where}"
        told += textwrap.wrap(f"{guesses} (or with --set COLUMN=ROLE), then confirm the rest.", 80, break_on_hyphens=False)
        told.append(f"next: {stand.folder.command('inventory', '--confirm')}")
    else:
        sure = f'Every role is confirmed. The unit is "{stand.unit}": whoever has a value there is promised something.'
        told += [*textwrap.wrap(sure, 80), f"next: {stand.folder.command('assess')}"]
    return told
