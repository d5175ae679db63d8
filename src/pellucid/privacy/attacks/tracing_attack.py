"""Tracing: was this person among those a released statistic was made of? Asked of released counts and means themselves.

The test of Homer et al. (2008) in the form of Dwork, Smith, Steinke, Ullman, Vadhan, "Robust traceability from trace amounts" (2015): a
person is taken for a member when what was released lies nearer to their own data than what is known of people like them (a
reference group) would lead one to expect. How often it is right about members, at a fixed share of false alarms among people who are
not, is what epsilon and delta bound: true alarms <= e^epsilon false alarms + delta (Kairouz, Oh, Viswanath 2015), so the
measured rate stands beside the one that was promised.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.privacy.attacks.finding import Finding, Rate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.attacks.user_histories import Histories

FALSE_ALARMS = 0.05
LEAST = 20  # people in either group
PORTION = 2000  # people scored at a time


def max_true_positive_rate(false_positive_rate: float, epsilon: float, delta: float) -> float:
    """The most true alarms any attack can have at a rate of false alarms, under (epsilon, delta); depends on no data."""
    up = math.exp(min(epsilon, 700.0)) * false_positive_rate + delta
    down = 1.0 - math.exp(-epsilon) * (1.0 - delta - false_positive_rate)
    return max(false_positive_rate, min(1.0, up, down))


def tracing(
    members: NDArray[Any],
    control: NDArray[Any],
    *,
    target: str,
    epsilon: float,
    delta: float,
    false_positive_rate: float = FALSE_ALARMS,
) -> Finding:
    """How often members are found out, from the scores of members and of the control group (higher: more like a member).

    The threshold is the one that `false_positive_rate` of the control group reach; who is just at it is accused by a coin that makes up the
    share exactly, and counts as that part. Raises UsageError for fewer than 20 in a group.
    """
    import numpy as np

    if min(len(members), len(control)) < LEAST:
        raise UsageError(f"tracing needs at least {LEAST} people in the data and as many outside", where=target)
    falling = np.sort(np.asarray(control, dtype=np.float64))[::-1]
    accused = int(len(falling) * false_positive_rate)
    threshold = falling[accused]
    part = (accused - int((falling > threshold).sum())) / int((falling == threshold).sum())
    caught = float((members > threshold).sum()) + part * float((members == threshold).sum())
    return Finding(
        attack="membership",
        target=target,
        question=f"was this person in the data, where at most {false_positive_rate:.0%} of those who were not are taken for members",
        rate=Rate(caught, len(members)),
        baselines={"control": Rate(accused, len(falling))},
        references={"promised at most": max_true_positive_rate(false_positive_rate, epsilon, delta)},
        assumes="all of the person's own data, how many people the release was made of, and a sample of people who were not in it",
    )


def cell_scores(people: Histories, released: Any, columns: NDArray[Any], of: int, reference: Histories) -> NDArray[Any]:
    """Each person's score from released counts: a vector of people per item, or a square matrix of people per pair of items.

    `columns` are the places of the released items among those of the histories; `of` is how many people the release was made of.
    A score is the sum, over the cells a person is in, of the share released less the share in the reference group. A sparse matrix holds
    the pairs that were named, each once; of the others nothing is known.
    """
    import numpy as np
    from scipy.sparse import issparse

    known = reference.matrix[:, columns]
    rows = people.matrix[:, columns]
    if released.ndim == 1:
        excess = released / of - np.asarray(known.sum(axis=0)).ravel() / known.shape[0]
        return np.asarray(rows @ excess).ravel()
    usual = (known.T @ known) / known.shape[0]
    if issparse(released):
        named = released.copy()
        named.data = np.ones_like(named.data)
        excess = released / of - usual.multiply(named)
    else:
        excess = np.triu(released / of - usual.toarray())
    parts = [rows[start : start + PORTION] for start in range(0, rows.shape[0], PORTION)]
    return np.concatenate([np.asarray(part.multiply(part @ excess).sum(axis=1)).ravel() for part in parts])


def mean_scores(people: NDArray[Any], released: NDArray[Any], reference: NDArray[Any]) -> NDArray[Any]:
    """Each person's score (people x columns) from released means: how far they lie on the side the means moved to."""
    import numpy as np

    usual = reference.mean(axis=0)
    return np.asarray((people - usual) @ (released - usual))
