"""Auditing a mechanism as a black box: a lower bound on its epsilon, from many runs on two neighbouring inputs.

If some event happens with probability at least p on one input and at most q on the other, then epsilon >= log((p - delta) / q). The
event is chosen on one half of the runs and judged on the other by Clopper-Pearson bounds, so that the bound holds with the stated
confidence (Jagielski, Ullman, Oprea, "Auditing differentially private machine learning", 2020). Events are thresholds on a score
of the output: for noise added to counts that one person moves, the sum of what is released about them orders outputs by their
likelihood ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.privacy.attacks.finding import lower_bound, upper_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = 0.999


@dataclass(frozen=True)
class Audit:
    """A mechanism's epsilon is at least `epsilon_lower_bound` with the stated confidence; a good one stays at or below what is `declared`.

    So many runs could show `max_detectable_epsilon` at most, were every one told right: an audit that could show less than what is
    declared cannot refute it.
    """

    mechanism: str
    declared: float
    delta: float
    epsilon_lower_bound: float
    runs: int
    max_detectable_epsilon: float
    confidence: float = CONFIDENCE

    @property
    def refuted(self) -> bool:
        return self.epsilon_lower_bound > self.declared

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "attack": "audit",
            "mechanism": self.mechanism,
            "declared_epsilon": self.declared,
            "delta": self.delta,
            "epsilon_at_least": self.epsilon_lower_bound,
            "reach": self.max_detectable_epsilon,
            "runs": self.runs,
            "confidence": self.confidence,
            "refuted": self.refuted,
        }

    def to_lines(self) -> list[str]:
        """Two lines at 80 columns."""
        verdict = "REFUTED" if self.refuted else "not refuted"
        return [
            f"audit of {self.mechanism}: epsilon at least {self.epsilon_lower_bound:.3f}, declared {self.declared:g}: {verdict}",
            f"  ({self.runs:,} runs could show {self.max_detectable_epsilon:.3f} at most)",
        ]


def audit(
    mechanism: str, epsilon: float, delta: float, less: NDArray[Any], more: NDArray[Any], confidence: float = CONFIDENCE
) -> Audit:
    """The lower bound on epsilon from scores of runs without (`less`) and with (`more`) one unit; both directions are tried.

    Scores are one number a run, in the order of the runs. Raises UsageError for fewer than 100 runs of either.
    """
    import numpy as np

    if min(len(less), len(more)) < 100:
        raise UsageError("an audit needs at least 100 runs on either input", where=mechanism)
    alpha = (1 - confidence) / 8  # two directions, two inputs, two bounds
    best = 0.0
    for sign in (1, -1):
        for first, second in (
            (sign * np.asarray(more), sign * np.asarray(less)),
            (sign * np.asarray(less), sign * np.asarray(more)),
        ):
            threshold = _chosen(first[::2], second[::2], delta, alpha)
            best = max(best, _bound(first[1::2], second[1::2], threshold, delta, alpha))
    judged = min(len(less), len(more)) // 2
    reach = math.log(max(1.0, (lower_bound(judged, judged, alpha) - delta) / upper_bound(0, judged, alpha)))
    return Audit(mechanism, epsilon, delta, best, len(less) + len(more), reach, confidence)


def _chosen(first: NDArray[Any], second: NDArray[Any], delta: float, alpha: float) -> float:
    """The threshold whose event bounds epsilon best on these runs."""
    import numpy as np

    values = np.unique(np.concatenate([first, second]))
    if len(values) > 400:
        values = np.quantile(values, np.linspace(0, 1, 400))
    return float(max(values, key=lambda threshold: _bound(first, second, threshold, delta, alpha)))


def _bound(first: NDArray[Any], second: NDArray[Any], threshold: float, delta: float, alpha: float) -> float:
    often = lower_bound(int((first >= threshold).sum()), len(first), alpha) - delta
    seldom = upper_bound(int((second >= threshold).sum()), len(second), alpha)
    return math.log(often / seldom) if often > 0 else 0.0


def floating_point_attack(
    mechanism: str, epsilon: float, delta: float, less: NDArray[Any], more: NDArray[Any], confidence: float = CONFIDENCE
) -> Audit:
    """The precision attack: do the low bits of single outputs, or the very values that occur, give the input away?

    Floating-point noise does not reach every number: which ones it reaches depends on what it was added to (Mironov, "On
    significance of the least significant bits for differential privacy", 2012). Two scores are audited: the place of an output's
    lowest bit that is set, and whether its value occurred more often with the unit than without in the first half of the runs.
    """
    import numpy as np

    low_bits = audit(mechanism, epsilon, delta, -_lowest_bit(less), -_lowest_bit(more), confidence)
    values, places = np.unique(np.concatenate([less, more]), return_inverse=True)
    first, second = places[: len(less)], places[len(less) :]
    seen = np.bincount(second[::2], minlength=len(values)) - np.bincount(first[::2], minlength=len(values))
    occurring = audit(mechanism, epsilon, delta, seen[first[1::2]], seen[second[1::2]], confidence)
    worst = max(low_bits, occurring, key=lambda found: found.epsilon_lower_bound)
    return Audit(
        f"{mechanism}, low bits and values",
        epsilon,
        delta,
        worst.epsilon_lower_bound,
        worst.runs,
        worst.max_detectable_epsilon,
        confidence,
    )


def _lowest_bit(values: NDArray[Any]) -> NDArray[Any]:
    """The exponent of two of the lowest bit that is set in each number; 0 for zero."""
    import numpy as np

    fraction, exponent = np.frexp(np.asarray(values, dtype=np.float64))
    whole = np.abs(np.ldexp(fraction, 53)).astype(np.int64)
    lowest = np.where(whole == 0, 1, whole & -whole)
    return np.where(whole == 0, 0, exponent - 53 + np.log2(lowest).astype(np.int64))
