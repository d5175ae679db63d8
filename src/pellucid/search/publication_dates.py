"""When documents are from: the day or year in a column, as people write them in catalogues.

Understood: a year, and a day or month as ISO 8601 writes them (2024, 2024-05, 2024-05-17, 2024-05-17T10:00). A year or month stands for its
last day, so that nothing counts as older than it can be.
"""

from __future__ import annotations

import calendar
import re
from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from pellucid.errors import UsageError
from pellucid.search.search_index import unpack

if TYPE_CHECKING:
    from pellucid.store import Model

LONGEST_LIST = 12  # ranges of years that are shown
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
DATES = ("date", "published", "year", "created")
_RANGE = re.compile(r"([0-9]{1,4})?\s*(-)?\s*([0-9]{1,4})?")
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


def year_range(text: str) -> tuple[int, int]:
    """The first and last year of "1995", "1990-1999", "1990-" or "-1999". Raises UsageError for anything else."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or not (found[1] or found[3]) or (found[3] and not found[2]):
        raise UsageError(f'"{text:.40}" is no range of years', fix="Write 1995, 1990-1999, 1990- or -1999")
    first, dash, last = found.groups()
    return int(first or 0), int(last or 9999) if dash else int(first)


def in_ranges(counts: Mapping[int, int]) -> list[tuple[str, int]]:
    """Counts of years in at most `LONGEST_LIST` ranges of one length, oldest first, without empty ones."""
    step = next(one for one in STEPS if len({year // one for year in counts}) <= LONGEST_LIST or one == STEPS[-1])
    sums: Counter[int] = Counter()
    for year, count in counts.items():
        sums[year // step * step] += count
    return [(str(year) if step == 1 else f"{year}-{year + step - 1}", count) for year, count in sorted(sums.items())]


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
