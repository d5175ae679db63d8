"""The audit in one run: canaries are put in or left out by coin flips, one release is made, and the flips are guessed from it.

Steinke, Nasr, Jagielski, "Privacy auditing with one (1) training run" (2023), Theorem 5.2: if a mechanism is (epsilon, delta)
private, the number of right guesses among r is dominated by a binomial with probability e^epsilon / (1 + e^epsilon), but for what
delta adds. So many right guesses refute small epsilons. Canaries here are people who hold one item each that nobody else holds,
among declared keys: each moves one count by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.privacy.attacks.auditing.black_box_audit import CONFIDENCE, Audit
from pellucid.privacy.attacks.sampling import stream_of, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray


def audit_one_run(
    mechanism: str,
    epsilon: float,
    delta: float,
    release: Callable[[NDArray[Any]], NDArray[Any]],
    *,
    canaries: int = 2000,
    guesses: int = 400,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Audit:
    """The lower bound on epsilon from one release.

    `release(inside)` makes it with the canaries marked in `inside` (bool) and returns one score a canary, larger when it seems to be in.
    The `guesses` / 2 highest are taken for in and as many lowest for out; the others are not guessed.
    """
    import numpy as np

    if not 2 <= guesses <= canaries:
        raise UsageError("an audit in one run makes at least 2 guesses, at most one a canary", where=mechanism)
    inside = uniform(stream_of(seed, "canaries"), canaries) < 0.5
    scores = np.asarray(release(inside), dtype=np.float64)
    order = np.argsort(scores, kind="stable")
    half = guesses // 2
    right = int(inside[order[-half:]].sum() + (~inside[order[:half]]).sum())
    low = refuted_epsilon(right, 2 * half, canaries, delta, 1 - confidence)
    reach = refuted_epsilon(2 * half, 2 * half, canaries, delta, 1 - confidence)
    return Audit(f"{mechanism}, in one run", epsilon, delta, low, canaries, reach, confidence)


def refuted_epsilon(right: int, guesses: int, canaries: int, delta: float, alpha: float) -> float:
    """The largest epsilon under which `right` of `guesses` would come about with probability below alpha."""
    low, high = 0.0, 20.0
    if probability(right, guesses, canaries, 0.0, delta) >= alpha:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if probability(right, guesses, canaries, middle, delta) < alpha else (low, middle)
    return low


def probability(right: int, guesses: int, canaries: int, epsilon: float, delta: float) -> float:
    """An upper bound on the probability of `right` or more right guesses under (epsilon, delta) (their Theorem 5.2)."""
    from scipy import stats

    law = stats.binom(guesses, 1 / (1 + math.exp(-epsilon)))
    beta = float(law.sf(right - 1))
    if delta == 0:
        return beta
    worst = total = 0.0
    for step in range(1, right + 1):
        total += float(law.pmf(right - step))
        worst = max(worst, total / step)
    return min(1.0, beta + 2 * canaries * delta * worst)
