"""The gate between a champion and a challenger: how many duels are needed, and whether the challenger passes, from one bit a person.

A person's bit is 1 where the challenger won their interleaved list (`interleaving`), 0 where the champion did, and a fair coin where
neither did. It leaves the device through randomised response of epsilon (`pl.privacy.local`, the oracle `grr` with two values), or not
randomised. With D = P[somebody clicks] (P[challenger wins | a click] - 1/2), a report is 1 with chance 1/2 + tanh(epsilon/2) D.

If the challenger is no better, everybody's chance of a 1 is at most 1/2. Then the number of ones is at most as large as that of a fair
coin's throws: exactly Binomial(n, 1/2) where all chances are 1/2, and no heavier in its upper tail, beyond its mean by one, where they
differ from person to person with that mean (Hoeffding 1956). So passing at the critical value happens with a chance of at most `level`.

Fix n before the first report, look once: every further look at the sum is another test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pellucid.errors import UsageError

MOST = 10**8


@dataclass(frozen=True)
class Gate:
    """A test fixed before the first report: `people`, the least number of ones that passes (`needed`), the chance that a challenger that
    is no better passes (`size`), and that one with the declared advantage does (`power`)."""

    people: int
    needed: int
    size: float
    power: float
    advantage: float
    epsilon: float | None
    level: float

    def passes(self, ones: int) -> bool:
        """Whether the challenger passes with so many ones among the reports of `people`. Raises UsageError for a number there cannot be."""
        if isinstance(ones, bool) or not isinstance(ones, int) or not 0 <= ones <= self.people:
            raise UsageError(f"ones must be a whole number from 0 to {self.people}, not {ones!r}")
        return ones >= self.needed


def gate(advantage: float, epsilon: float | None = None, level: float = 0.05, power: float = 0.8) -> Gate:
    """The gate with the fewest people that finds this advantage with this power, by the exact binomial law.

    `advantage` is D above, 0 to 1/2; `epsilon`: of a person's bit, None where it is not randomised. Raises UsageError.
    """
    for name, value, most in (("advantage", advantage, 0.5), ("level", level, 0.5), ("power", power, 1.0)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < most:
            raise UsageError(f"{name} must lie between 0 and {most:g}, both excluded, not {value!r}")
    if epsilon is not None and (isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 < epsilon < 100):
        raise UsageError(f"epsilon must be a number above 0, or None, not {epsilon!r}")
    from scipy.stats import norm

    moved = advantage * (1.0 if epsilon is None else math.tanh(epsilon / 2))
    rough = ((norm.isf(level) + norm.isf(1 - power)) / (2 * moved)) ** 2
    if rough > MOST:
        raise UsageError(
            "so small an advantage needs more than 100 million people", fix="Raise epsilon, or declare a larger advantage"
        )
    low, high = 0, 2 * math.ceil(rough) + 64
    # the exact power is a saw of n: find where it stays above from, then the first n of the last tooth
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (low, middle)
            if all(_of(one, moved, level)[2] >= power for one in (middle, middle + 1, middle + 2))
            else (middle, high)
        )
    people = next(one for one in range(max(1, high - 64), high + 1) if _of(one, moved, level)[2] >= power)
    needed, size, reached = _of(people, moved, level)
    return Gate(people, needed, size, reached, float(advantage), None if epsilon is None else float(epsilon), float(level))


def power_of(people: int, advantage: float, epsilon: float | None = None, level: float = 0.05) -> float:
    """The chance that a challenger of this advantage passes with so many people."""
    return _of(people, advantage * (1.0 if epsilon is None else math.tanh(epsilon / 2)), level)[2]


def needed_of(people: int, level: float = 0.05) -> int:
    """The least number of ones among so many people that passes."""
    return _of(people, 0.0, level)[0]


def _of(people: int, moved: float, level: float) -> tuple[int, float, float]:
    """The critical value, the size and the power."""
    from scipy.stats import binom

    needed = int(binom.isf(level, people, 0.5)) + 1
    return needed, float(binom.sf(needed - 1, people, 0.5)), float(binom.sf(needed - 1, people, 0.5 + moved))
