"""What readers' browsers say about the ranking: one randomised report each a week, for the model that is served.

Each ranking that learns from clicks has a collection of its own, named by the model's digest: a report for another model is refused by
name. A browser reports about a week after its end, so the week that ended last is open, and the one before it for those who read at
midnight.
"""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.privacy.local import Collection, Collector, declare_directions

if TYPE_CHECKING:
    from pellucid.service.followed_models import Served

WEEK = 7 * 24 * 3600
LARGEST = 1 << 16  # bytes of a batch


def week(now: float | None = None) -> int:
    """The number of the week, counted from 1970 (each begins on a Thursday, 00:00 UTC)."""
    return int((time.time() if now is None else now) // WEEK)


def collection_for(served: Served) -> Collection:
    """The collection of a served ranking; the same in every service of the same model."""
    size = served.model.arrays["whitening"].shape[1]
    return _collection(served.deployment.digest, size, float(served.model.settings["epsilon"]))


@lru_cache(maxsize=16)
def _collection(digest: str, size: int, epsilon: float) -> Collection:
    return declare_directions(f"clicks-{digest[:12]}", [f"c{place + 1}" for place in range(size)], epsilon)


def told(served: Served) -> dict[str, Any]:
    """What a browser needs to report: the collection's text and id, and the week that is running."""
    made = collection_for(served)
    return {"collection": made.text, "id": made.id.hex(), "period": week(), "period_seconds": WEEK}


def take(home: Path, served: Served, body: bytes) -> dict[str, Any]:
    """Take a batch of reports. Raises PrivacyError for bytes that are none."""
    now, collector = week(), Collector(home)
    try:
        collector.open(collection_for(served))
        outcome = collector.ingest(body, range(now - 2, now))
    finally:
        collector.close()
    return {"taken": outcome.taken, "refused": outcome.refused}
