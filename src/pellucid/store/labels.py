"""Labels: who may see an artifact, and whose privacy it carries.

The algebra is small. Levels are ordered open < protected < private, and a step's output takes the most private level of its
inputs. Beside the level travels what a release needs to be allowed to lower it: the `unit` column (each row belongs to one unit
and depends on nothing but that unit's rows and open data) and the `accounts` that must pay.

Why the unit can be lost: a guarantee "per person" holds for a statistic of a table only when one person moves only their own
rows of it. Ingest keeps that, a per-unit step keeps it; any other step may mix people (a model fitted on everybody and then
scored per person changes every row when one person leaves), so its output has no unit and cannot be released.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

ADD_REMOVE, REPLACE = "add-remove", "replace"
ONE_ROW, PER_DAY, REPLACED = "one row", " per day of ", ", replaced"  # how a unit reads


class Level(IntEnum):
    """Who may see an artifact; a larger level is more private."""

    OPEN = 0
    PROTECTED = 1
    PRIVATE = 2

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Unit:
    """Whose privacy is protected, and which data count as neighbours: what a source declares and what travels with its rows.

    `column` holds the person and `time` the moment of a row: with both the unit is one person's rows of one UTC day, with `column`
    alone one person, with neither one row. `clock` says what a whole number in `time` counts since 1970: "s" or "ms". `relation` is
    "add-remove" (neighbours differ by one unit that is there or not) or "replace" (one unit is another one instead).
    """

    column: str | None
    time: str | None = None
    clock: str = ""
    relation: str = ADD_REMOVE

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that say which unit a row belongs to."""
        return tuple(column for column in (self.column, self.time) if column is not None)

    @property
    def is_person(self) -> bool:
        """Whether a unit is all rows of one value of one column."""
        return self.column is not None and self.time is None

    def __str__(self) -> str:
        shown = self.column if self.column is not None else ONE_ROW
        if self.time is not None:
            shown = f"{self.column}{PER_DAY}{self.time}" + (f" in {self.clock}" if self.clock else "")
        return f"{shown}{REPLACED}" if self.relation == REPLACE else str(shown)

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    @staticmethod
    def from_json(data: str | Mapping[str, Any] | None) -> str | Unit | None:
        return Unit(**data) if isinstance(data, Mapping) else data


def unit_of(unit: str | Unit) -> Unit:
    """The unit a plain column name stands for (one person, add-remove), or the unit itself."""
    return Unit(unit) if isinstance(unit, str) else unit


def person_column(unit: str | Unit | None) -> str:
    """The column of a unit that is one person."""
    assert unit is not None
    column = unit_of(unit).column
    assert column is not None
    return column


@dataclass(frozen=True)
class Label:
    """A level, the unit (the name of a person's column, or a `Unit`; or None), and the accounts a release of it is charged to."""

    level: Level
    unit: str | Unit | None = None
    accounts: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        return self.level is Level.OPEN

    def __str__(self) -> str:
        return self.level.word


OPEN = Label(Level.OPEN)

PROVES_NOTHING = "a transform proves nothing against someone who knows something else about a person"
"""Why what is protected may not be published."""


def join(labels: Iterable[Label], *, per_unit: bool = False) -> Label:
    """The label of what is computed from inputs with these labels.

    The level is the most private one, the accounts are united. The unit survives only a per-unit step that has exactly one
    input which is not open.
    """
    closed = [label for label in labels if not label.is_open]
    if not closed:
        return OPEN
    unit = closed[0].unit if per_unit and len(closed) == 1 else None
    return Label(max(label.level for label in closed), unit, frozenset().union(*(label.accounts for label in closed)))


def protected(label: Label, *, keeps_unit: bool) -> Label:
    """The label of a transformed table: protected, since work was done on it and nothing was proved.

    The accounts always travel on: who releases it pays as for the data it came from. The unit does where `keeps_unit` says that each row
    still belongs to one unit and depends on nothing but that unit's rows.
    """
    return Label(Level.PROTECTED, label.unit if keeps_unit else None, label.accounts)
