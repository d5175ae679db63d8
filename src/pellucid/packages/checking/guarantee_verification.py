"""The guarantee that a package states of a release, held against the rest of the package.

Three things can be known without the steward: that it is a guarantee at all, that it is the one in the release's own output, and that
its noise, as it is described, gives no weaker one. Whether that noise was drawn, and paid for, only the steward's ledger tells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError
from pellucid.packages.format import is_number, read_json, refuse

if TYPE_CHECKING:
    from pellucid.packages.format import Entry

MAX_RHO = 200  # beyond it a loss distribution would not fit in memory
ROUNDED = 1e-3  # of epsilon: the accountant rounds losses up to a grid
SAMPLED = 1e-20  # what a pure guarantee's sampler may be off by; the accountant counts it as delta


def refuse_other_output(package: Path, entry: Entry, where: str) -> None:
    """The guarantee in a release's own output, as it was computed, is the one stated. Raises PackageError."""
    stated = entry.outputs.get(f"{entry.step}_guarantee")
    if stated is None or stated.kind != "metrics" or stated.items is not None or len(entry.outputs) != 2:
        refuse(where, "the release does not give its guarantee beside what it releases")
    assert entry.guarantee is not None
    mechanism = entry.guarantee["mechanism"]
    numbers = read_json(package / stated.path, stated.path)
    if not {"epsilon", "delta"} <= numbers.keys():
        refuse(stated.path, "it is the guarantee of no release")
    for name, number in numbers.items():
        if not is_number(mechanism.get(name)) and name not in ("epsilon", "delta"):
            continue
        if not is_number(number) or float(number) != float(mechanism[name]):
            refuse(where, f"its guarantee states another {name[:40]} than its output {stated.path}")


def refuse_stronger(entry: Entry, where: str) -> None:
    """The noise and coins that the mechanism describes must give the guarantee that is stated. Raises PackageError."""
    if entry.guarantee is None:
        return
    epsilon, delta, mechanism = entry.guarantee["epsilon"], entry.guarantee["delta"], entry.guarantee["mechanism"]
    least = math.inf
    try:
        for found in _epsilons(mechanism["events"], mechanism["extra_delta"], epsilon, delta):
            least = min(least, found)
            if least <= epsilon * (1 + ROUNDED):
                return
    except PrivacyError as error:
        refuse(where, f"its guarantee cannot be accounted for: {error.what}", error.why)
    said = "none at this delta" if math.isinf(least) else f"epsilon {least:.4g}"
    refuse(where, f"it states epsilon {epsilon:g} at delta {delta:g}", f"the noise that it describes gives {said}")


def _epsilons(events: list[Mapping[str, Any]], extra: float, epsilon: float, delta: float) -> Iterator[float]:
    """The epsilon of the events at a delta, in each of the ways in which a mechanism may have chosen its noise, the quick ones first.

    Privacy loss distributions cost memory that grows with the loss, and are a tenth or so below zCDP: where that is far off, they are left.
    """
    from pellucid.privacy.accounting import loss_epsilon, rho_of, slack_of, zcdp_epsilon
    from pellucid.privacy.noise import delta_for_counts

    slack = math.fsum([*map(slack_of, events), extra])
    if slack <= delta * (1 + 1e-9) + SAMPLED:
        yield math.fsum(map(_pure, events))
    if len(events) == 1 and events[0].get("noise") == "discrete_gaussian" and events[0]["sensitivity"] == 1:
        exact = delta_for_counts(Fraction(events[0]["sigma2"]), epsilon, events[0]["cells"])
        if exact + extra <= delta * (1 + 1e-6):
            yield epsilon
    if delta:
        rho = sum(map(rho_of, events), start=Fraction(0))
        yield (by_zcdp := zcdp_epsilon(rho, slack, delta))
        widest = max(event.get("sensitivity", 1) for event in events)
        if by_zcdp <= 2 * epsilon and rho <= MAX_RHO and widest <= 1 << 20:
            yield loss_epsilon(events, extra, delta)


def _pure(event: Mapping[str, Any]) -> float:
    """The epsilon of an event without any delta of noise."""
    if "noise" not in event:
        return float(event["epsilon"])
    if event["noise"] == "discrete_laplace":
        return float(event["cells"] * event["sensitivity"] / Fraction(event["scale"]))
    return math.inf
