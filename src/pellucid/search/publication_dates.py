"""When documents are from: the day or year in a column, as people write them in catalogues.

Understood: a year, and a day or month as ISO 8601 writes them (2024, 2024-05, 2024-05-17, 2024-05-17T10:00). A year or month stands for its
last day, so that nothing counts as older than it can be.
"""

from __future__ import annotations

import calendar
import re
from datetime import date
from typing import TYPE_CHECKING

from pellucid.search.search_index import unpack

if TYPE_CHECKING:
    from pellucid.store import Model

DATES = ("date", "published", "year", "created")
_DATE = re.compile(r"\s*([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?(?![0-9-])")


def day_of(text: str) -> date | None:
    """The day that a text begins with, or None."""
    found = _DATE.match(text)
    if found is None:
        return None
    year, month, day = (int(part) if part else 0 for part in found.groups())
    month = month or (12 if found[2] is None else 0)
    try:
        return date(year, month, day if found[3] is not None else calendar.monthrange(year, month)[1])
    except (ValueError, calendar.IllegalMonthError):
        return None


def ages(index: Model) -> dict[str, float]:
    """By id, how many days before the newest document of an index each is from; nothing of documents without a day.

    Counted from the newest document, not from today: the same index gives the same answer on every day.
    """
    names = [str(name) for name in index.settings["columns"]]
    column = next((name for name in DATES if name in names), None)
    if column is None:
        return {}
    days = {
        name: day for number, name in enumerate(index.arrays["id"].tolist()) if (day := day_of(unpack(index, column, number)))
    }
    newest = max(days.values(), default=date.min)
    return {name: float((newest - day).days) for name, day in days.items()}
