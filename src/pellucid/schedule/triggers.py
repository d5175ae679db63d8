"""Triggers: what makes a schedule fire. The moments of a clock are computed here, in UTC; the other two look at a file and at the record.

Moments are compared and kept in UTC alone: two times of one zone compare by the wall clock in Python, which shows an hour twice in autumn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pellucid.errors import UsageError, suggest

TRIGGERS = ("cron", "every", "changed", "after")
SHORTEST = 60  # seconds between two firings of an interval
_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True)
class Trigger:
    """`kind` is one of `TRIGGERS`; `text` a cron expression, an interval such as "6h", the file that is watched, or a pipeline's name.

    `zone` is the time zone in which a cron expression is meant. Raises UsageError for what cannot be read or never fires.
    """

    kind: str
    text: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.kind not in TRIGGERS:
            raise UsageError(f'there is no trigger "{self.kind}"', fix=suggest(self.kind, TRIGGERS))
        if self.kind == "cron":
            _zone(self.zone)
            if next(self.moments(0.0), None) is None:
                raise UsageError("it never fires", where=f'cron "{self.text}"', fix="Name a day that comes")
        elif self.zone != "UTC":
            raise UsageError(f"a zone has no meaning for --{self.kind}", fix="It is for cron expressions: leave it out")
        if self.kind == "every":
            self.seconds  # noqa: B018 - raises for what is no interval
        elif not self.text.strip():
            raise UsageError(f"--{self.kind} names nothing")

    @property
    def timed(self) -> bool:
        """Whether the clock alone says when it fires."""
        return self.kind in ("cron", "every")

    @property
    def seconds(self) -> int:
        """The length of an interval."""
        found = re.fullmatch(r"(\d{1,5})([mhdw])", self.text)
        if not found or int(found[1]) * _UNITS[found[2]] < SHORTEST:
            raise UsageError(f'"{self.text:.40}" is no interval', fix="Write a number and m, h, d or w, such as 30m, 6h or 1d")
        return int(found[1]) * _UNITS[found[2]]

    def moments(self, since: float, begun: float = 0.0) -> Iterator[float]:
        """The moments after `since` at which it fires, without end, in seconds since 1970 (UTC); none for a trigger without a clock.

        An interval counts from `begun`. A cron expression fires once where the clock of its zone shows a time twice, and at the first
        moment after the gap where it shows none.
        """
        if self.kind == "every":
            step = self.seconds
            number = math.floor((since - begun) / step) + 1
            while True:
                yield begun + number * step
                number += 1
        if self.kind == "cron":
            yield from _cron_moments(self.text, _zone(self.zone), since)

    def next(self, since: float, begun: float = 0.0, count: int = 1) -> list[float]:
        """The first moments after `since`."""
        return list(islice(self.moments(since, begun), count))

    def in_words(self) -> str:
        """When it fires, as people say it."""
        if self.kind == "cron":
            said = str(_parsed(self.text, datetime(2026, 1, 1, tzinfo=UTC)).explain())
            return f"{said[:1].lower()}{said[1:]} ({self.zone})"
        return {
            "every": f"every {self.text}",
            "changed": f"when {self.text} has changed",
            "after": f"after each run of {self.text}",
        }[self.kind]


def _cron_moments(text: str, zone: ZoneInfo, since: float) -> Iterator[float]:
    # a cron expression counts minutes: one that begins in the middle of the repeated hour must not give that hour's first half again
    last = since
    for found in _parsed(text, datetime.fromtimestamp(since, UTC).astimezone(zone)):
        moment = found.astimezone(UTC).timestamp()
        if moment > last:
            last = moment
            yield moment


def _parsed(text: str, since: datetime) -> Any:
    from cronsim import CronSim, CronSimError

    if len(text.split()) != 5:
        fix = 'Write five fields, such as "30 2 * * *": minute, hour, day of the month, month, day of the week'
        raise UsageError(f'"{text:.60}" is no cron expression', fix=fix)
    try:
        return CronSim(text, since)
    except CronSimError as error:
        raise UsageError(f'"{text:.60}" is no cron expression', why=str(error), fix='Such as "30 2 * * *"') from None


@cache
def _zone(name: str) -> ZoneInfo:
    known = available_timezones()
    if name not in known:
        near = next(
            (
                one
                for one in sorted(known)
                if one.casefold() == name.casefold() or one.rpartition("/")[2].casefold() == name.casefold()
            ),
            None,
        )
        fix = f'Did you mean "{near}"?' if near else suggest(name, sorted(known), 'Name one such as "Europe/Berlin"')
        raise UsageError(f'there is no time zone "{name:.60}"', fix=fix)
    return ZoneInfo(name)


def shown(moment: float, zone: str = "UTC") -> str:
    """A moment to the minute in a zone, with the zone's offset where it is not UTC."""
    at = datetime.fromtimestamp(moment, UTC)
    return f"{at:%Y-%m-%d %H:%M}" if zone == "UTC" else f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M %z}"


def iso(moment: float) -> str:
    """A moment to the second in UTC, as it is kept."""
    return f"{datetime.fromtimestamp(moment, UTC) + timedelta(microseconds=500_000):%Y-%m-%dT%H:%M:%SZ}"
