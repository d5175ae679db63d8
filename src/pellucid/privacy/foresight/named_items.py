"""How many items a release by threshold names: for declared popularities, and the most that any data can make it expect.

An item that c people hold is named with the probability that c and the noise reach the threshold, `chance`: exact, from the sampler's own
table. Expected is the sum over the items.

Without any law: let one person add at most m to the sum of the counts, and let there be n people. Every count is between 1 and n times
what a person may add to it (an item that nobody holds is not there), and they add up to at most n m. Since chance(c) = c (chance(c) / c),
the expected number of named items is at most n m max chance(c) / c over those c. So where this bound is below 1, no data of so many people
can be expected to name one item: the warning never alarms falsely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

STEPS = 60  # of a grid of counts, a decade
MOST_PEOPLE = 10**9


@dataclass(frozen=True)
class Naming:
    """How a release names: `chance` of a count (a whole number from 1 on), the most that one person adds to the sum of the counts (`mass`)
    and to one count (`lift`), and the largest number of items it names (`at_most`)."""

    chance: Callable[[int], float]
    mass: int
    lift: int
    at_most: int

    def expected(self, counts: Iterable[float]) -> float:
        """How many items are expected to be named of these expected counts."""
        return min(float(self.at_most), sum(self.chance(max(1, round(count))) for count in counts if count >= 0.5))

    def most_expected(self, people: int) -> float:
        """The most that can be expected for any data of so many people (see above). Rounded up: between two counts of the grid the chance
        is at most that of the larger one, and a count at least the smaller one."""
        highest, before, best = people * self.lift, 0, 0.0
        for count in _grid(highest):
            chance = self.chance(count)
            best = max(best, chance / (before + 1))
            before = count
            if chance >= 1 - 1e-12:  # from here on chance / count falls
                break
        return min(float(self.at_most), people * self.mass * best)

    def fewest_people(self) -> int:
        """The fewest people for which one item can be expected, if the data suit it best."""
        low, high = 0, MOST_PEOPLE
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.most_expected(middle) >= 1 else (middle, high)
        return high


def _grid(highest: int) -> Iterable[int]:
    """Whole numbers from 1 to `highest`: all of the small ones, then so many a decade."""
    count = 0
    while count < highest:
        count = min(highest, max(count + 1, round(count * 10 ** (1 / STEPS))))
        yield count
