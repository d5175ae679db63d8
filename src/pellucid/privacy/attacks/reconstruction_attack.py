"""Reconstruction: enough counts over a secret bit give the bits back, unless there is noise.

Dinur and Nissim, "Revealing information while preserving privacy" (2003): ask how many people of random groups have the bit, solve for
the bits by least squares, round. With noise well below the square root of the number of people almost every bit comes back; the
fundamental law of information recovery says that no overly accurate answers to too many questions are safe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.privacy.attacks.finding import Finding, Rate
from pellucid.privacy.attacks.sampling import stream_of, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray


def reconstruction(
    bits: NDArray[Any],
    answer: Callable[[NDArray[Any]], NDArray[Any]],
    *,
    target: str,
    questions: int | None = None,
    seed: int = 0,
) -> Finding:
    """How many secret bits come back from answers about random groups.

    `bits`: one 0 or 1 a person; `answer(counts)` turns true counts into what is released (identity for exact counts, a
    mechanism's noise for a release). `questions` random groups are asked about, by default four for each person. The baseline
    guesses the commoner bit for everybody.
    """
    import numpy as np

    people = len(bits)
    if not 2 <= people <= 5000 or not np.isin(bits, (0, 1)).all():
        raise UsageError("reconstruction takes 2 to 5,000 bits, each 0 or 1", where="reconstruction")
    asked = questions or 4 * people
    groups = uniform(stream_of(seed, "reconstruction"), asked * people).reshape(asked, people) < 0.5
    answers = np.asarray(answer((groups @ bits).astype(np.int64)), dtype=np.float64)
    found = np.linalg.lstsq(groups - 0.5, answers - answers.mean(), rcond=None)[0]
    level = np.sort(found)[::-1][: max(1, round(_share(answers, groups, people) * people))].min()
    right = int(((found >= level) == bits.astype(bool)).sum())
    return Finding(
        attack="reconstruction",
        target=target,
        question=f"each person's secret bit, from {asked} counts of random groups",
        rate=Rate(right, people),
        baselines={"commoner bit for everybody": float(max(bits.mean(), 1 - bits.mean()))},
        assumes="who is in each group",
    )


def _share(answers: NDArray[Any], groups: NDArray[Any], people: int) -> float:
    """The share of ones, from the answers alone: each group holds its part of them."""
    import numpy as np

    return float(np.clip(answers.sum() / groups.sum(), 0.0, 1.0))
