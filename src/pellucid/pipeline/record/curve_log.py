"""`pl.log`: a number of each epoch, while a step runs. It goes where the step's result goes, with the step's label."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pellucid.errors import UsageError
from pellucid.pipeline.record.run_metrics import MOST_POINTS, Point, point

_collected: list[Point] | None = None


def log(metric: str, value: float, step: int) -> None:
    """Note the value of a metric at a step of training, such as its loss in an epoch; only inside a step of a pipeline.

    It is no result: no key and no package has it, and it is seen by whoever may see the step's outputs (`Run.curves`, `pellucid show`, the
    pages of a run). `metric` has letters, digits, `_`, `.`, `/`, `@` and `-`, a letter first; `step` is a whole number from 0 on. Raises
    UsageError for anything else, outside a step, and after 100,000 points.
    """
    if _collected is None:
        raise UsageError(
            "pl.log was called outside a step", fix="Call it in a function decorated with @pl.step, while a pipeline runs"
        )
    if len(_collected) >= MOST_POINTS:
        raise UsageError(f"more than {MOST_POINTS:,} points were logged in one step", fix="Log every tenth or hundredth step")
    _collected.append(point(metric, value, step))


@contextmanager
def collected() -> Iterator[list[Point]]:
    """What is logged within."""
    global _collected
    before, points = _collected, list[Point]()
    _collected = points
    try:
        yield points
    finally:
        _collected = before
