"""What another policy would have earned, from the log of one that drew its actions with known chances.

With the reward r, the logged chance p of the action taken and the new policy's chance q of the same action, w = q / p:
- `ips`: mean of w r (Horvitz, Thompson 1952): unbiased where p > 0 wherever q > 0; its variance grows with w;
- `snips`: sum of w r / sum of w (Swaminathan, Joachims 2015): a little biased, far steadier;
- `dr`, doubly robust (Dudik, Langford, Li 2011): mean of m + w (r - f), where f predicts the reward of the action taken and m is the new
  policy's mean prediction over all actions: unbiased if the chances are right, whatever f, and steadier the better f.
The effective sample size (sum of w)^2 / sum of w^2 says how many rows the estimate really rests on. Intervals are bootstrap over rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 2_000


@dataclass(frozen=True)
class OffPolicy:
    """Estimates of a policy's mean reward with 95 % intervals: `ips`, `snips`, and `dr` where predictions were given (else None)."""

    rows: int
    effective_rows: float
    ips: tuple[float, float, float]
    snips: tuple[float, float, float]
    dr: tuple[float, float, float] | None = None


def off_policy(
    rewards: Sequence[float],
    logged: Sequence[float],
    policy: Sequence[float],
    *,
    predicted: Sequence[float] | None = None,
    expected: Sequence[float] | None = None,
    seed: int = 0,
) -> OffPolicy:
    """Estimate a policy's mean reward from a log. All sequences have one number a row.

    `logged`: the chance with which the action was drawn, above 0; `policy`: the new policy's chance of that action. `predicted`,
    `expected`: f and m above. Each estimate is (value, low, high). Raises DataError for lengths that differ and for chances that are none.
    """
    import numpy as np

    r, p, q = (np.asarray(one, dtype=np.float64) for one in (rewards, logged, policy))
    if not len(r) or not len(r) == len(p) == len(q):
        raise DataError("rewards, logged and policy must have one number a row", why=f"they have {len(r)}, {len(p)} and {len(q)}")
    if not np.isfinite(r).all() or not ((p > 0) & (p <= 1)).all() or not ((q >= 0) & (q <= 1)).all():
        raise DataError(
            "a reward or a chance is no number, or no chance",
            fix="Logged chances lie above 0 and up to 1, a policy's from 0 to 1",
        )
    if (predicted is None) != (expected is None):
        raise DataError("predicted and expected go together")
    w = q / p
    parts: list[NDArray[Any]] = [w * r, w]
    if predicted is not None and expected is not None:
        f, m = np.asarray(predicted, dtype=np.float64), np.asarray(expected, dtype=np.float64)
        if not len(f) == len(m) == len(r):
            raise DataError("predicted and expected must have one number a row")
        parts.append(m + w * (r - f))
    columns = np.stack(parts, axis=1)
    random = np.random.Generator(np.random.PCG64(seed))
    means = np.stack([columns[random.integers(0, len(r), len(r))].mean(axis=0) for _ in range(RESAMPLES)])
    whole = columns.mean(axis=0)
    effective = float(w.sum() ** 2 / (w**2).sum()) if w.any() else 0.0
    return OffPolicy(
        len(r),
        effective,
        _with_interval(float(whole[0]), means[:, 0]),
        _with_interval(_ratio(whole[0], whole[1]), np.array([_ratio(a, b) for a, b in means[:, :2]])),
        _with_interval(float(whole[2]), means[:, 2]) if len(parts) == 3 else None,
    )


def _ratio(a: float, b: float) -> float:
    return float(a / b) if b else 0.0


def _with_interval(value: float, resampled: NDArray[Any]) -> tuple[float, float, float]:
    import numpy as np

    low, high = np.quantile(resampled, [0.025, 0.975])
    return value, float(low), float(high)
