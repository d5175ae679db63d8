"""The inventory: what is in the data and whose it is, proposed by the machine, confirmed by the steward, kept as a plain file."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pellucid.errors import PrivacyError, UsageError, suggest
from pellucid.privacy.assess.column_roles import ROLES, propose

FORMAT = "pellucid inventory 1"


@dataclass(frozen=True)
class ColumnRole:
    """One column: the role, whether the steward confirmed it, how sure the proposal was, the evidence, names found by kind."""

    role: str
    confirmed: bool = False
    confidence: float = 0.0
    evidence: tuple[str, ...] = ()
    names: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Inventory:
    """The columns of one table with their roles, in the table's order."""

    source: str
    rows: int
    columns: Mapping[str, ColumnRole]

    def confirm(self, roles: Mapping[str, str] | None = None, *, rest: bool = False) -> Inventory:
        """The inventory with these roles confirmed, as column -> role; `rest` confirms all others as proposed."""
        roles = dict(roles or {})
        for column, role in roles.items():
            _known(column, self.columns)
            _checked(role, f'column "{column}"')
        changed = {
            name: replace(held, role=roles.get(name, held.role), confirmed=held.confirmed or rest or name in roles)
            for name, held in self.columns.items()
        }
        return replace(self, columns=changed)

    def columns_with(self, role: str) -> list[str]:
        """The columns of a role. Raises PrivacyError, naming them, while any column is unconfirmed: a role that nobody has looked
        at is a guess, and a wrong guess here makes every number after it wrong."""
        _checked(role, "inventory")
        open_ones = [name for name, held in self.columns.items() if not held.confirmed]
        if open_ones:
            raise PrivacyError(
                f"{_few(open_ones)} {'has' if len(open_ones) == 1 else 'have'} a proposed role that nobody confirmed",
                where=self.source,
                fix='Look at the evidence, correct "role" where it is wrong, and set "confirmed": true',
            )
        return [name for name, held in self.columns.items() if held.role == role]

    def unit(self) -> str:
        """The one column that says whose row it is. Raises PrivacyError when there is none, or more than one."""
        found = self.columns_with("unit")
        if len(found) != 1:
            raise PrivacyError(
                f"{len(found)} columns have the role unit", where=self.source, fix="Give it to the one that says whose row it is"
            )
        return found[0]

    def to_json(self) -> dict[str, Any]:
        columns = {
            name: {**vars(held), "evidence": list(held.evidence), "names": dict(held.names or {})}
            for name, held in self.columns.items()
        }
        return {"format": FORMAT, "source": self.source, "rows": self.rows, "columns": columns}

    def to_text(self) -> str:
        """At 80 columns: each column's role and the evidence."""
        lines = [f"{self.source}: {self.rows:,} rows"]
        for name, held in self.columns.items():
            sure = "confirmed" if held.confirmed else f"proposed, {held.confidence:.0%}"
            lines.append(f"{name[:28]:<28} {held.role:<17} {sure}")
            for line in held.evidence:
                lines += textwrap.wrap(line, 80, initial_indent="    ", subsequent_indent="    ")
            if held.names:
                told = ", ".join(f"{kind} {count:,}" for kind, count in sorted(held.names.items()))
                lines += textwrap.wrap(f"cells with names: {told}", 80, initial_indent="    ", subsequent_indent="    ")
        return "\n".join(lines)

    def write(self, path: str | Path) -> None:
        """Keep it as JSON, for the steward to read and edit. A file that is there is not overwritten: it may hold decisions."""
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n")
        except FileExistsError as error:
            raise UsageError("it is there already", where=str(path), fix="Remove it, or write to another file") from error


def inventory(data: Any, *, source: str = "", presidio: bool = False) -> Inventory:
    """Propose a role for each column of a table (a path, read by the readers, or anything that holds rows), in one streaming pass.

    Nothing it gives quotes a value. `presidio` counts names in text by Presidio's recognisers as well (slow: some thousand cells a
    second). Raises DataError, UsageError.
    """
    from pellucid.privacy.assess.column_profile import profiles

    more = None
    if presidio:
        from pellucid.privacy.assess.presidio import counter

        more = counter()
    if isinstance(data, str | Path):
        from pellucid.data import open_table

        reader, source = open_table(Path(data)), source or Path(data).name
    else:
        from pellucid.store import rows_of

        reader = rows_of(data)
    found = profiles(reader, reader.schema, more)
    columns = {}
    for profile in found:
        proposal = propose(profile)
        columns[profile.column] = ColumnRole(proposal.role, False, proposal.confidence, proposal.evidence, profile.names)
    return Inventory(source or "table", found[0].rows if found else 0, columns)


def read_inventory(path: str | Path) -> Inventory:
    """An inventory from a JSON or TOML file. Raises UsageError for one that cannot be read, naming the column and what is wrong."""
    import tomllib

    path = Path(path)
    where = str(path)
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except FileNotFoundError as error:
        raise UsageError("there is no such file", where=where, fix="Make it: inventory(data).write(path)") from error
    except (OSError, ValueError) as error:
        raise UsageError("it cannot be read", where=where, why=str(error).splitlines()[0]) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("columns"), dict):
        raise UsageError(f'it is no inventory: "format" must be "{FORMAT}", and "columns" an object', where=where)
    columns = {}
    for name, held in data["columns"].items():
        at = f'{where}, column "{name}"'
        if not isinstance(held, dict) or not isinstance(held.get("confirmed", False), bool):
            raise UsageError('it needs a "role", and "confirmed" true or false', where=at)
        role = _checked(held.get("role"), at)
        evidence, names = held.get("evidence", []), held.get("names", {})
        confidence = held.get("confidence", 0.0)
        if not isinstance(evidence, list) or not isinstance(names, dict) or not isinstance(confidence, int | float):
            raise UsageError("its evidence, names or confidence is malformed", where=at)
        columns[name] = ColumnRole(role, held.get("confirmed", False), float(confidence), tuple(map(str, evidence)), names)
    rows = data.get("rows", 0)
    return Inventory(str(data.get("source", path.name)), rows if isinstance(rows, int) else 0, columns)


def _checked(role: object, where: str) -> str:
    if not isinstance(role, str) or role not in ROLES:
        raise UsageError(f"{role!r:.40} is not a role", where=where, fix=f"Roles are: {', '.join(ROLES)}")
    return role


def _known(column: str, columns: Mapping[str, ColumnRole]) -> None:
    if column not in columns:
        raise UsageError(f'there is no column "{column}"', where="inventory", fix=suggest(column, columns))


def _few(names: list[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
