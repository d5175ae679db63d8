"""A mechanism audited on made-up neighbours: no private row is looked at, so what comes out may be shown to anyone.

The mechanism runs as it is, with its own bounds, from a table to what it releases (neighbouring_inputs has the tables). Where its noise is
independent from cell to cell one table gives a thousand runs; else there are a few hundred, which see less.

How many more: one person alone moves noised counts too little to be seen in a few thousand runs. What is (epsilon, delta) private for
one is (k epsilon, delta (e^(k epsilon) - 1) / (e^epsilon - 1)) private for k together (Dwork and Roth 2014, theorem 2.2), so a
bound on the loss of k, divided by k, bounds epsilon. No more than some three can be seen in so few runs, so k epsilon is kept near two,
and the delta of all k below one in a hundred.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
from pathlib import Path
from typing import Any

from pellucid.privacy.attacks.auditing.black_box_audit import CONFIDENCE, Audit, audit
from pellucid.privacy.attacks.auditing.neighbouring_inputs import CELLS, WHOLE, crowd_sizes, crowds_at_once, of_crowds, of_tables

TRIALS, MOST_TRIALS = 1000, 20_000  # crowds in all
MANY = 8  # tables, where one holds too few crowds
TOGETHER = 2.0  # epsilon of all the people added
MOST = 0.01  # the largest delta of all the people added


def audit_mechanism(mechanism: Any, epsilon: float, delta: float, *, confidence: float = CONFIDENCE) -> Audit | None:
    """The audit of one mechanism at its own settings, or None for a kind that this does not know how to make neighbours for.

    Where it is not known beforehand how many people tell most, some sizes are tried, each at its part of the confidence.
    """
    if mechanism.name not in CELLS | WHOLE.keys():
        return None
    numbers = mechanism.numbers(epsilon, delta)
    found: list[Audit] = []
    with tempfile.TemporaryDirectory() as scratch:
        sizes = crowd_sizes(numbers) if mechanism.name in CELLS else [0]
        for people in sizes:
            at_once = crowds_at_once(mechanism, people) if people else 0
            runs_are_many = at_once * MANY >= TRIALS  # in few less can be seen
            together = added(epsilon, delta, TOGETHER if runs_are_many else TOGETHER / 2)
            if people:
                wanted = min(MOST_TRIALS, max(TRIALS, math.ceil(36 * math.exp(1.5 * together * epsilon))))
                less, more = of_crowds(mechanism, epsilon, delta, people, together, min(wanted, MANY * at_once), Path(scratch))
            else:
                less, more = of_tables(mechanism, epsilon, delta, together, Path(scratch))
            part = 1 - (1 - confidence) / len(sizes)
            one = audit(mechanism.name, together * epsilon, group_delta(epsilon, delta, together), less, more, part)
            low, reach = one.epsilon_lower_bound / together, one.max_detectable_epsilon / together
            found.append(Audit(mechanism.name, epsilon, delta, low, one.runs, reach, confidence))
    best = max(found, key=lambda one: one.epsilon_lower_bound)
    return dataclasses.replace(
        best, runs=sum(one.runs for one in found), max_detectable_epsilon=max(one.max_detectable_epsilon for one in found)
    )


def group_delta(epsilon: float, delta: float, together: int) -> float:
    """The delta of so many people together."""
    return delta * math.expm1(together * epsilon) / math.expm1(epsilon)


def added(epsilon: float, delta: float, most: float = TOGETHER) -> int:
    """How many people a crowd gets more, of at most this epsilon together: at least 1, at most 100."""
    found = 1
    while found < 100 and (found + 1) * epsilon <= most and group_delta(epsilon, delta, found + 1) <= MOST:
        found += 1
    return found
