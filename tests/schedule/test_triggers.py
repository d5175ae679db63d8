"""When schedules fire: a year in six zones, against the clocks of these zones read quarter of an hour by quarter of an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import UsageError
from pellucid.schedule import Trigger

ZONES = ("Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = [BEGIN + timedelta(minutes=15 * at) for at in range(4 * 24 * 365)]


def fired(trigger: Trigger, since: datetime = BEGIN, until: datetime = YEAR[-1]) -> list[datetime]:
    moments = takewhile(lambda one: one <= until.timestamp(), trigger.moments(since.timestamp() - 1))
    return [datetime.fromtimestamp(one, UTC) for one in moments]


def daily(zone: str, hour: int, minute: int) -> list[datetime]:
    """The first moment of each local day at which its clock shows this time or, where it is put forward over it, a later one."""
    found: dict[object, datetime] = {}
    for moment in YEAR:
        local = moment.astimezone(ZoneInfo(zone))
        if (local.hour, local.minute) >= (hour, minute):
            found.setdefault(local.date(), moment)
    first = BEGIN.astimezone(ZoneInfo(zone))
    if (first.hour, first.minute) > (hour, minute):  # that day's moment was before the year
        del found[first.date()]
    return list(found.values())


@pytest.mark.quick(10)
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("hour", "minute"), [(0, 0), (1, 30), (2, 0), (2, 30), (23, 45)])
def test_a_daily_time_comes_once_a_day(zone: str, hour: int, minute: int):
    assert fired(Trigger("cron", f"{minute} {hour} * * *", zone)) == daily(zone, hour, minute)


@pytest.mark.parametrize("zone", ZONES)
def test_an_hourly_one_comes_every_hour(zone: str):
    """Also in the hour that the clock shows twice. A quarter past: Kathmandu is 5 h 45 min ahead, Lord Howe moves by half an hour."""
    local = [moment.astimezone(ZoneInfo(zone)) for moment in YEAR]
    shown = [moment for moment, there in zip(YEAR, local, strict=True) if there.minute == 15]
    found = fired(Trigger("cron", "15 * * * *", zone))
    gaps = {b - a for a, b in pairwise(found)}
    if zone != "Australia/Lord_Howe":
        assert found == shown and gaps == {timedelta(hours=1)}
    assert len(found) == len(set(found)) and abs(len(found) - 365 * 24) <= 1


@given(
    st.sampled_from(ZONES),
    st.sampled_from(["30 2 * * *", "0 0 * * *", "*/30 1-3 * * *", "15 3 * 3,4,9,10,11 0"]),
    st.integers(0, len(YEAR) - 1),
)
def test_going_on_from_anywhere_gives_the_rest(zone: str, text: str, at: int):
    """A scheduler that stops and starts sees what one that ran on would have seen."""
    trigger = Trigger("cron", text, zone)
    until = YEAR[at] + timedelta(days=3)
    together = fired(trigger, YEAR[at], until)
    one_by_one, since = [], YEAR[at].timestamp() - 1
    while (since := trigger.next(since)[0]) <= until.timestamp():
        one_by_one.append(datetime.fromtimestamp(since, UTC))
    assert one_by_one == together


@given(st.integers(1, 2000), st.sampled_from("mhdw"), st.floats(0, 1e9), st.floats(0, 1e9))
def test_intervals_count_from_where_they_began(number: int, unit: str, begun: float, later: float):
    trigger = Trigger("every", f"{number}{unit}")
    moments = trigger.next(begun + later, begun, 3)
    assert all(one > begun + later for one in moments)
    assert moments[0] - (begun + later) <= trigger.seconds * (1 + 1e-9)
    steps = [(one - begun) / trigger.seconds for one in moments]
    assert all(abs(step - round(step)) < 1e-6 for step in steps)


@pytest.mark.parametrize(
    ("kind", "text", "zone", "said"),
    [
        ("cron", "0 0 30 2 *", "UTC", "is no cron expression: Bad day-of-month"),
        ("cron", "0 0 29 2 1#5", "UTC", None),
        ("cron", "61 * * * *", "UTC", "is no cron expression"),
        ("cron", "* * * *", "UTC", "Write five fields"),
        ("cron", "* * * * * *", "UTC", "Write five fields"),
        ("cron", "", "UTC", "Write five fields"),
        ("cron", "0 0 * * *", "Berlin", 'Did you mean "Europe/Berlin"?'),
        ("cron", "0 0 * * *", "Europe/Berln", 'Did you mean "Europe/Berlin"?'),
        ("cron", "0 0 * * *", "../../etc/passwd", "there is no time zone"),
        ("every", "6x", "UTC", "is no interval"),
        ("every", "0m", "UTC", "is no interval"),
        ("every", "999999999h", "UTC", "is no interval"),
        ("every", "6h", "Europe/Berlin", "a zone has no meaning"),
        ("after", " ", "UTC", "names nothing"),
        ("hourly", "x", "UTC", "there is no trigger"),
    ],
)
def test_what_cannot_fire_is_refused_at_once(kind: str, text: str, zone: str, said: str | None):
    if said is None:
        assert Trigger(kind, text, zone).next(0.0)
        return
    with pytest.raises(UsageError) as refused:
        Trigger(kind, text, zone)
    assert said in str(refused.value)
