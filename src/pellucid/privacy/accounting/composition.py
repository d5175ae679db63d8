"""What several releases cost together: their noise as events, composed by zCDP and by privacy loss distributions.

A mechanism says what its noise does as events, plain JSON that the ledger keeps:

    {"noise": "discrete_gaussian", "sigma2": "p/q", "sensitivity": s, "cells": k}   a unit moves at most k integers by at most s
    {"noise": "discrete_laplace", "scale": "p/q", "sensitivity": s, "cells": k}     the same, scale b: P[x] ~ exp(-|x| / b)
    {"epsilon": e, "delta": d}                                                      anything else, by its own guarantee

and beside them `extra_delta`, what thresholds and samplers add. Two ways to add such events up, for two situations (the third, as
Gaussian noise, has a file of its own, gaussian_filter.py):

- zCDP (Bun and Steinke 2016) holds when each release, its parameters included, was chosen after looking at all before it:
  Whitehouse, Ramdas, Rogers, Wu ("Fully adaptive composition in differential privacy", 2023, Theorem 1) show that releases whose
  rho and delta sum to at most (rho, delta) are together delta-approximately rho-zCDP however they were chosen. A discrete
  Gaussian event has rho = k s^2 / (2 sigma^2) (Canonne, Kamath, Steinke 2020, Theorem 14), a discrete Laplace event
  k (s/b)^2 / 2, and an (epsilon, delta) guarantee is delta-approximately epsilon^2 / 2 (Bun and Steinke, Proposition 3.3 and
  its approximate form in section 8).
- Privacy loss distributions (Sommer, Meiser, Mohammadi 2019; dp-accounting composes them) are tighter, and hold when the
  parameters of all releases are fixed beforehand: what is asked of the data next may depend on results, how much noise and
  budget it gets may not. No filter with these constants is known for general events, so accounts do not add up by it.

The loss of a discrete Gaussian event, k draws shifted by s, depends on the sum S of the draws alone: s (k s + 2 S) / (2 sigma^2).
Its law is bounded above as in calibration.py and rounded up to the grid. A unit that moves fewer cells is post-processing; one
that moves a cell by less than s is dominated by s (Canonne, Kamath, Steinke, Theorem 7), and domination survives composition
(Zhu, Dong, Wang 2022, Theorem 10).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from pellucid.errors import PrivacyError
from pellucid.privacy.accounting import gaussian_filter
from pellucid.privacy.accounting.amounts import Amounts, cost
from pellucid.privacy.noise import REACH, ROUNDING, delta_for_l2, law_of_sum

INTERVAL = 1e-4  # of the grid of losses; every loss is rounded up to it
FFT_ERROR = 1e-12  # added to delta: convolutions by FFT err by some 1e-16 a point, whatever the size of the probability
MAX_POINTS = 2_000_000  # of one event's loss distribution
EVENT_NAMES = frozenset({"noise", "sigma2", "scale", "sensitivity", "cells", "epsilon", "delta"})


def checked_events(description: Mapping[str, Any], epsilon: float, delta: float) -> tuple[tuple[Mapping[str, Any], ...], float]:
    """The events and the extra delta that a release's description holds; without any, its own (epsilon, delta) is the event.

    Raises PrivacyError for events that are not of the forms above.
    """
    events, extra = description.get("events"), description.get("extra_delta", 0.0)
    if events is None:
        return ({"epsilon": epsilon, "delta": delta},), 0.0
    if not isinstance(events, list) or not events or not all(isinstance(event, Mapping) for event in events):
        raise PrivacyError("a release's events must be a list of objects")
    if isinstance(extra, bool) or not isinstance(extra, int | float) or not 0 <= extra < 1:
        raise PrivacyError(f"extra_delta must lie between 0 and 1, not {extra!r}")
    for event in events:
        rho_of(event)
    return tuple(events), float(extra)


def privacy_cost(epsilon: float, delta: float, events: Iterable[Mapping[str, Any]], extra: float) -> Amounts:
    """What a release costs in whole units, by each composition that an account may have."""
    events = list(events)
    rho, slack = sum(map(rho_of, events), start=Fraction(0)), math.fsum([*map(slack_of, events), extra])
    return cost(epsilon, delta, rho, slack, gaussian_filter.cost_of(epsilon, delta, events, extra))


def rho_of(event: Mapping[str, Any]) -> Fraction:
    """The zCDP parameter of an event, exact (for an event with delta: of its approximate zCDP)."""
    try:
        if not EVENT_NAMES.issuperset(event):
            raise ValueError(f"{min(set(event) - EVENT_NAMES)} is not known")
        if "noise" not in event:
            epsilon = _within(float(event["epsilon"]), 0, 1e6)
            _within(float(event["delta"]), 0, 1)
            return Fraction(epsilon) ** 2 / 2
        cells, sensitivity = int(event["cells"]), int(event["sensitivity"])
        if cells < 1 or sensitivity < 1:
            raise ValueError("cells and sensitivity are whole numbers from 1 on")
        if event["noise"] == "discrete_gaussian":
            return cells * sensitivity**2 / (2 * _positive(event["sigma2"]))
        if event["noise"] == "discrete_laplace":
            return cells * (sensitivity / _positive(event["scale"])) ** 2 / 2
        raise ValueError(f"there is no noise {event['noise']!r}")
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise PrivacyError("an event of a release cannot be accounted for", why=str(error)) from None


def slack_of(event: Mapping[str, Any]) -> float:
    """The delta beside an event's rho."""
    return 0.0 if "noise" in event else float(event["delta"])


def zcdp_delta(rho: Fraction, slack: float, epsilon: float) -> float:
    """The delta at `epsilon` of what is slack-approximately rho-zCDP; rounded up.

    Approximate zCDP holds outside events of probability `slack` on either side, so the deltas add.
    """
    if slack >= 1:
        return 1.0
    return min(1.0, slack + (delta_for_l2(Fraction(1), epsilon, 2 * rho) if rho else 0.0))


def zcdp_epsilon(rho: Fraction, slack: float, delta: float) -> float:
    """The smallest epsilon, to 1e-6 relative and rounded up, at which `zcdp_delta` is at most delta; infinite where none is."""
    if slack >= delta:
        return math.inf
    low, high = 0.0, 1.0
    while zcdp_delta(rho, slack, high) > delta:
        low, high = high, 2 * high
        if high > 1e9:
            return math.inf
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if zcdp_delta(rho, slack, middle) <= delta else (middle, high)
    return high


def loss_epsilon(events: Iterable[Mapping[str, Any]], extra: float, delta: float) -> float:
    """The epsilon at `delta` of all the events together, by privacy loss distributions; infinite where extra takes all of delta."""
    if extra + FFT_ERROR >= delta:
        return math.inf
    composed = _composed(events)
    return 0.0 if composed is None else float(composed.get_epsilon_for_delta((delta - extra - FFT_ERROR) / ROUNDING))


def loss_delta(events: Iterable[Mapping[str, Any]], extra: float, epsilon: float) -> float:
    """The delta at `epsilon` of all the events together, by privacy loss distributions; rounded up."""
    composed = _composed(events)
    return min(1.0, extra + FFT_ERROR + (0.0 if composed is None else ROUNDING * float(composed.get_delta_for_epsilon(epsilon))))


def _composed(events: Iterable[Mapping[str, Any]]) -> Any:
    """The composed distribution, or None for no events. Equal events are composed by powers."""
    counts = Counter(_frozen(event) for event in events)
    total: Any = None
    for frozen, times in sorted(counts.items(), key=str):
        one = _distribution(frozen)
        many = one if times == 1 else one.self_compose(times)
        total = many if total is None else total.compose(many)
    return total


def _frozen(event: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    rho_of(event)
    return tuple(sorted(event.items()))


@lru_cache(maxsize=512)
def _distribution(frozen: tuple[tuple[str, Any], ...]) -> Any:
    """The privacy loss distribution of one event."""
    from dp_accounting.pld import common, privacy_loss_distribution

    event = dict(frozen)
    if "noise" not in event:
        promised = common.DifferentialPrivacyParameters(float(event["epsilon"]), float(event["delta"]))
        return privacy_loss_distribution.from_privacy_parameters(promised, INTERVAL)
    cells, sensitivity = int(event["cells"]), int(event["sensitivity"])
    if event["noise"] == "discrete_gaussian":
        return privacy_loss_distribution.PrivacyLossDistribution(_gaussian_losses(Fraction(event["sigma2"]), sensitivity, cells))
    one = privacy_loss_distribution.from_discrete_laplace_mechanism(
        math.nextafter(1 / float(Fraction(event["scale"])), math.inf), sensitivity, True, INTERVAL, use_connect_dots=True
    )
    return one if cells == 1 else one.self_compose(cells)


def _gaussian_losses(sigma2: Fraction, sensitivity: int, cells: int) -> Any:
    """The losses of `cells` discrete Gaussians shifted by `sensitivity`, rounded up to the grid; see the head of the file."""
    import numpy as np
    from dp_accounting.pld.pld_pmf import DensePLDPmf

    step = sensitivity / float(sigma2)  # between the losses of neighbouring sums
    ends, masses = law_of_sum(sigma2, cells, max(1, int(INTERVAL / (8 * step))))
    losses = np.ceil(sensitivity * (cells * sensitivity + 2 * ends) / (2 * float(sigma2)) * (1 + 1e-12) / INTERVAL - 1e-9)
    lowest = int(losses[0])
    if losses[-1] - lowest > MAX_POINTS:
        raise PrivacyError("the noise is too small to account for", why="its privacy loss is in the hundreds")
    probabilities = np.bincount((losses - lowest).astype(np.int64), weights=masses)
    return DensePLDPmf(INTERVAL, lowest, probabilities, 2 * math.exp(-REACH * REACH / 2), True)


def _within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:  # also NaN
        raise ValueError(f"{value} is not from {low} to {high}")
    return value


def _positive(text: Any) -> Fraction:
    value = Fraction(text)
    if value <= 0:
        raise ValueError(f"{text} is not above 0")
    return value
