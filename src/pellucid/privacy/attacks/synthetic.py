"""A mechanism audited on made-up neighbours: no private row is looked at, so what comes out may be shown to anyone.

The mechanism runs as it is, with its own bounds, from a table to what it releases. For counts the table holds many crowds apart, each
with items of its own; every second crowd has some people more. Noise is independent from cell to cell, so each crowd is one run of
the mechanism on one of two inputs, and one table gives thousands of them. For means there is one run for each.

How many more: one person alone moves noised counts too little to be seen in a few thousand runs. What is (epsilon, delta) private for
one is (k epsilon, delta (e^(k epsilon) - 1) / (e^epsilon - 1)) private for k together (Dwork and Roth 2014, theorem 2.2), so a
bound on the loss of k, divided by k, bounds epsilon. No more than some three can be seen in so few runs, so k epsilon is kept near two,
and the delta of all k below one in a hundred.
Keys are public here and those of no release.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.privacy.attacks.blackbox import Audit, audit

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 400_000  # of a made-up table at most
TRIALS = 1000  # crowds in all
RUNS = 220  # of a mean
CROWD = 500  # people in a made-up mean
_UNIT = "person, made up"
TOGETHER = 2.0  # epsilon of all the people added
MOST = 0.01  # the largest delta of all the people added


def audit_mechanism(mechanism: Any, epsilon: float, delta: float, *, trials: int = TRIALS) -> Audit | None:
    """The audit of one mechanism at its own settings, or None for a kind that this does not know how to make neighbours for."""
    together = added(epsilon, delta, TOGETHER if mechanism.name != "mean" else TOGETHER / 2)  # of a mean there are few runs
    with tempfile.TemporaryDirectory() as scratch:
        if mechanism.name in ("histogram", "gram") and not getattr(mechanism, "declared", ()):
            less, more = _of_crowds(mechanism, epsilon, delta, together, trials, Path(scratch))
        elif mechanism.name == "mean":
            less, more = _of_means(mechanism, epsilon, delta, together, min(trials, RUNS), Path(scratch))
        else:
            return None
    found = audit(mechanism.name, together * epsilon, group_delta(epsilon, delta, together), less, more)
    return Audit(mechanism.name, epsilon, delta, found.low / together, found.runs, found.confidence)


def group_delta(epsilon: float, delta: float, together: int) -> float:
    """The delta of so many people together."""
    return delta * math.expm1(together * epsilon) / math.expm1(epsilon)


def added(epsilon: float, delta: float, most: float = TOGETHER) -> int:
    """How many people a crowd gets more, of at most this epsilon together: at least 1, at most 100."""
    found = 1
    while found < 100 and (found + 1) * epsilon <= most and group_delta(epsilon, delta, found + 1) <= MOST:
        found += 1
    return found


def _of_crowds(
    mechanism: Any, epsilon: float, delta: float, together: int, trials: int, scratch: Path
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The sum of each crowd's released cells: of crowds as they are, and of those with `together` people more."""
    import numpy as np

    numbers = mechanism.numbers(epsilon, delta)
    cap = mechanism.cap
    people = math.ceil(numbers.get("threshold", 0.0) + 4 * numbers["sigma"]) + 1  # so that items are named, all but a few
    at_once = max(2, min(trials, ROWS // (people * cap), mechanism.max_items // cap) // 2 * 2)
    runs = min(8, max(1, -(-trials // at_once), -(-240 // at_once)))
    path = scratch / "crowds.parquet"
    _write_crowds(path, at_once, people, together, cap, mechanism.item if mechanism.name == "gram" else mechanism.key)
    scores = []
    for run in range(runs):
        key = hashlib.sha256(f"pellucid audit, not a release: {run}".encode()).digest()
        found = mechanism.run(path, _UNIT, epsilon, delta, key, scratch)
        first, second = (0, 0) if mechanism.name == "histogram" else (0, 1)
        a, b = (np.asarray(found.column(at)) // cap for at in (first, second))
        own = a == b
        scores.append(np.bincount(a[own], weights=np.asarray(found.column("count"))[own], minlength=at_once))
    every = np.concatenate(scores)
    return every[::2], every[1::2]


def _write_crowds(path: Path, crowds: int, people: int, together: int, cap: int, item: str) -> None:
    """Crowd c holds the items c cap to (c + 1) cap - 1, all of them by each of its people."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    sizes = people + np.arange(crowds) % 2 * together
    of = np.repeat(np.arange(crowds), sizes)
    unit = np.repeat(np.arange(len(of)), cap)
    held = (of[:, None] * cap + np.arange(cap)).ravel()
    pq.write_table(pa.table([pa.array(unit), pa.array(held)], names=[_UNIT, item]), path)


def _of_means(
    mechanism: Any, epsilon: float, delta: float, together: int, runs: int, scratch: Path
) -> tuple[NDArray[Any], NDArray[Any]]:
    """What people with the highest values add to all released sums together: without them, and with them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    width, middle = (mechanism.upper - mechanism.lower) / 2, (mechanism.upper + mechanism.lower) / 2
    found = []
    for more in (0, together):
        units = pa.array(np.arange(CROWD + more))
        values = np.append(np.full(CROWD, middle), [mechanism.upper] * more)
        path = scratch / f"mean{more}.parquet"
        pq.write_table(pa.table([units, *[pa.array(values)] * len(mechanism.columns)], names=[_UNIT, *mechanism.columns]), path)
        scores = []
        for run in range(runs // 2):
            key = hashlib.sha256(f"pellucid audit, not a release: {more} {run}".encode()).digest()
            told = mechanism.run(path, _UNIT, epsilon, delta, key, scratch)
            scores.append(told["people"] * (1 + sum((told[name] - middle) / width for name in mechanism.columns)))
        found.append(np.array(scores))
    return found[0], found[1]
