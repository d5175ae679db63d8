"""Which pairs of columns are measured: a tree of those whose people are furthest from what the columns alone would lead one to expect.

The candidates are pairs of columns (with a target: pairs and the target). What is expected of one is computed from the noised marginals
of the first part alone: as if the two columns were independent (with a target: independent among people of the same target cell). A
candidate's score is the sum over its cells of |people - expected|, less half of what noise alone would make of it (the other half is drawn
back afterwards, where rows are made); one more candidate, "no more", has the score 0. Round after round a noisy maximum
(report_noisy_max.py) names one of those that join two parts of the tree, until all are joined or "no more" is named. This is the selection
of MST (McKenna, Miklau, Sheldon, "Winning the NIST contest", 2021) with a penalty as AIM has it (McKenna et al., 2022).

Sensitivity. Expected numbers and penalties are made of what was noised before, so on neighbouring data with the same first part they are
the same. One row more is in one cell of each candidate: |people - expected| of that cell moves by 1, the score by at most 1, upwards for
some candidates and downwards for others; a row replaced by another moves two cells, the score by at most 2.

All in whole numbers, so that no processor's rounding has a say in which pair is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING, Any

from pellucid.privacy.mechanisms.report_noisy_max import noisy_maximum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import DiscreteLaplace, Stream

Place = tuple[int, ...]  # the columns of a marginal, by their numbers; the target last
MOST_PEOPLE = (1 << 31) - 1  # in a cell: products of two stay below 2^62
CLEAR = 2  # standard deviations under which a cell is taken to be empty when expectations are made


def first_places(columns: int, target: int | None) -> list[Place]:
    """The marginals that are always measured: each column, with a target each other column and the target."""
    return [(at,) if target is None else (at, target) for at in range(columns) if at != target]


def candidate_places(sizes: Sequence[int], target: int | None, most_cells: int) -> list[Place]:
    """The pairs of columns (and the target) with at most `most_cells` cells, in order."""
    nodes = [at for at in range(len(sizes)) if at != target]
    last = () if target is None else (target,)
    places = [(*pair, *last) for pair in combinations(nodes, 2)]
    return [place for place in places if math.prod(sizes[at] for at in place) <= most_cells]


def expected(first: Mapping[Place, NDArray[Any]], place: Place, sigma2: Fraction) -> NDArray[Any]:
    """How many people to expect in each cell of a candidate (int64), from noised marginals alone."""
    import numpy as np

    one, other = (_cleared(first[(at, *place[2:])], sigma2) for at in place[:2])
    if len(place) == 2:
        people = max(1, (int(one.sum()) + int(other.sum())) // 2)
        return np.asarray(one[:, None] * other[None, :] // people)
    people_of = np.maximum(1, (one.sum(axis=0) + other.sum(axis=0)) // 2)
    return np.asarray(one[:, None, :] * other[None, :, :] // people_of)


def scores(
    counts: Mapping[Place, NDArray[Any]], first: Mapping[Place, NDArray[Any]], candidates: Sequence[Place], sigma2: Fraction
) -> NDArray[Any]:
    """The candidates' scores (private), and at the end the 0 of "no more"."""
    import numpy as np

    half_of_noise = math.isqrt(int(sigma2 * 1000 * 1000 / Fraction("6.2831853")))  # in thousandths: E|noise| = sigma sqrt(2 / pi)
    found = []
    for place in candidates:
        distance = int(np.abs(counts[place] - expected(first, place, sigma2)).sum())
        found.append(distance - counts[place].size * half_of_noise // 1000)
    return np.array([*found, 0], dtype=np.int64)


def tree(
    scores: NDArray[Any], candidates: Sequence[Place], rounds: int, noise: DiscreteLaplace | None, stream: Stream
) -> list[Place]:
    """The candidates that are named, in their order of naming: at most one a round, and no two that join what is joined."""
    part = {at: at for place in candidates for at in place[:2]}
    chosen: list[Place] = []
    for number in range(rounds):
        open_places = [at for at, place in enumerate(candidates) if part[place[0]] != part[place[1]]]
        if not open_places or noise is None:
            break
        asked = [*open_places, len(candidates)]
        best = asked[noisy_maximum(scores[asked], noise, stream.fork(f"round {number}"))]
        if best == len(candidates):
            break
        chosen.append(candidates[best])
        one, other = (part[at] for at in candidates[best][:2])
        part = {at: one if of == other else of for at, of in part.items()}
    return chosen


def _cleared(noised: NDArray[Any], sigma2: Fraction) -> NDArray[Any]:
    import numpy as np

    least = math.isqrt(int(CLEAR * CLEAR * sigma2))
    return np.where(noised > least, np.minimum(noised, MOST_PEOPLE), 0)
