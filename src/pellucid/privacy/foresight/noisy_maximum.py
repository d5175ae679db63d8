"""How well noisy maxima tell candidates apart: `top_k` and `select_best`, from their noise and the number of candidates alone.

Every candidate's score gets a draw G >= 0 of its own with P[G >= g] = q^g, q = exp(-1 / scale), and the largest sum is named; k times,
each among those not yet named (report_noisy_max.py). Let m be the candidates and n = m - k those that are left out at the end.

The gap. Let the last of the best k be d ahead of the next. While j of the best are still to be named, another one is named instead only if
its draw reaches d + M, with M the largest of the draws of those j. There are n others, so that happens with a probability of at most
n q^d E[q^M], and over all rounds of at most n q^d S with S = sum over j of E[q^M]. So from d = scale ln(n S / beta) on the k named are the
best k with a probability of at least 1 - beta, for all data (`gap`). E[q^M] = (1 - q) sum over g of q^g (1 - q^(g+1))^j, and at most
1 / (q (j + 1)).

The loss of one choice (k = 1). One that is d or more behind is named only if one of m - 1 draws reaches d plus the draw of the best: with a
probability of at most min(1, (m - 1) q^d / (1 + q)). Summed over d >= 1 that bounds the expected loss, for all data (`loss`).

Without any law. No gap can be larger than `most`. While j of the best are to be named, one of them is, with at most 1 - p_j probability,
where p_j = P[one of n draws reaches M + most + 1] (the 1 more is for ties), however the data are; the rounds' draws are independent, so
the best k are named with a probability of at most the product of all 1 - p_j. As q^M is at least as large as the smallest W of j
uniform numbers, p_j >= E[1 - (1 - W t)^n] with t = q^(most + 1). Where the product is below 1 - beta, no data of so many people can be told
apart: the warning never alarms falsely (`can_tell`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SMALL = 1000.0  # scales below are summed term by term, those above bounded
POINTS = 4000  # of the grid over W


@dataclass(frozen=True)
class NoisyMaximum:
    """`candidates` of which the best `k` are named, one after the other, with draws of this `scale` (in units of the score)."""

    candidates: int
    k: int
    scale: float

    @property
    def left_out(self) -> int:
        """How many are not named."""
        return self.candidates - self.k

    def gap(self, beta: float) -> int:
        """From which lead on the best k are named with a probability of at least 1 - beta, whatever the data (see above)."""
        return max(1, math.ceil(self.scale * math.log(max(1.0, self.left_out * self._sum() / beta))))

    def loss(self) -> float:
        """The most that the score of one choice (k = 1) is expected to lie below the best score, whatever the data."""
        q = math.exp(-1 / self.scale)
        chance = (self.candidates - 1) / (1 + q)
        certain = max(0, math.floor(self.scale * math.log(chance))) if chance > 1 else 0
        return certain + chance * q ** (certain + 1) / (1 - q)

    def can_tell(self, most: int, beta: float) -> bool:
        """Whether any data at all, with scores from 0 to `most`, may be told apart with a probability of 1 - beta."""
        import numpy as np

        w = (np.arange(POINTS) + 0.5) / POINTS  # of W's distribution function for j = 1; P[W <= w] = 1 - (1 - w)^j
        reach = math.exp(-(most + 1) / self.scale)
        right = 0.0
        for j in range(1, self.k + 1):
            smallest = -np.expm1(np.log1p(-w) / j)
            missed = float((-np.expm1(self.left_out * np.log1p(-smallest * reach))).mean())
            right += math.log1p(-missed) if missed < 1 else -math.inf
            if right < math.log1p(-beta) - 1e-6:
                return False
        return True

    def least(self, a_person: int, beta: float) -> int:
        """The fewest people whose data may be told apart, where one person is worth at most so much of a score."""
        low, high = 0, 1
        while not self.can_tell(high * a_person, beta):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.can_tell(middle * a_person, beta) else (middle, high)
        return high

    def _sum(self) -> float:
        """The sum of E[q^M] over the rounds; above `SMALL` a bound of it."""
        import numpy as np

        q = math.exp(-1 / self.scale)
        if self.scale > SMALL:
            return sum(1 / (j + 1) for j in range(1, self.k + 1)) / q
        power = q ** np.arange(math.ceil(40 * self.scale) + 2)
        u = q * power
        rounds = (1 - u) * -np.expm1(self.k * np.log1p(-u)) / u  # the sum over j of (1 - u)^j
        return float((1 - q) * (power * rounds).sum())
