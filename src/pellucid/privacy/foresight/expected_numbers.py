"""What the steward declares of the data without looking: how many people, how many items, how many items each; and a law of popularity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LAWS = (1.0, 1.5)  # exponents of Zipf's law between which most popularities lie: the ends of a bracket
MOST_HELD = 0.5  # no item is taken to be held by more than this share of the people


@dataclass(frozen=True)
class ExpectedNumbers:
    """`people`; `items` (how many there are); `each` (how many different ones a person has, on average). None where nobody said."""

    people: int | None = None
    items: int | None = None
    each: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
                raise UsageError(f"{name} must be a number above 0, not {value!r}", where="expected numbers")

    @property
    def complete(self) -> bool:
        """Whether a law of popularity can be drawn up."""
        return None not in (self.people, self.items, self.each)

    def counts(self, exponent: float, cap: int) -> NDArray[np.float64]:
        """How many people are expected to hold each item, by Zipf's law: the item of rank r in proportion to r^-exponent, at most
        `MOST_HELD` of the people, scaled so that they add up to what people have; of which each keeps at most `cap`, by chance."""
        import numpy as np

        assert self.people is not None
        assert self.items is not None
        assert self.each is not None
        weights = 1.0 / np.arange(1, int(self.items) + 1) ** exponent
        total, most = self.each * self.people, MOST_HELD * self.people
        low, high = 0.0, total / weights[-1] + 1.0
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if np.minimum(middle * weights, most).sum() < total else (low, middle)
        found: NDArray[np.float64] = np.minimum(low * weights, most) * min(1.0, cap / self.each)
        return found
