"""Schedule: what runs by itself, when, and what came of it.

A schedule names a pipeline file or a package and a trigger. Each moment it should fire at is one row, written before anything runs, so
that two schedulers on one state folder never do the same work twice and a killed one loses none. May import the rooms below, not the
service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.schedule.due_work import run_due
    from pellucid.schedule.follower import ScheduleFollower
    from pellucid.schedule.schedules import Firing, Schedule, Schedules
    from pellucid.schedule.triggers import TRIGGERS, Trigger, iso, shown

__all__ = ["TRIGGERS", "Firing", "Schedule", "ScheduleFollower", "Schedules", "Trigger", "iso", "run_due", "shown"]

__getattr__ = lazy_names(
    __name__,
    {
        "due_work": ("run_due",),
        "follower": ("ScheduleFollower",),
        "schedules": ("Firing", "Schedule", "Schedules"),
        "triggers": ("TRIGGERS", "Trigger", "iso", "shown"),
    },
)
