"""The guarantee that a package states of a release, held against the rest of the package.

Three things can be known without the steward: that it is a guarantee at all, that it is the one in the release's own output, and that
its noise, as it is described, gives no weaker one. Whether that noise was drawn, and paid for, only the steward's ledger tells.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError
from pellucid.packages import naming
from pellucid.packages.untrusted import read_json, refuse, take

if TYPE_CHECKING:
    from pellucid.packages.manifest import Entry

_SHA256 = re.compile("[0-9a-f]{64}")
_RATIO = re.compile(r"[0-9]{1,40}(/[1-9][0-9]{0,39})?")
MAX_EVENTS = 10_000
MAX_CELLS = 10_000  # as in pellucid.privacy.calibration
MAX_RHO = 200  # beyond it a loss distribution would not fit in memory
ROUNDED = 1e-3  # of epsilon: the accountant rounds losses up to a grid
SAMPLED = 1e-20  # what a pure guarantee's sampler may be off by; the accountant counts it as delta


def checked(data: Any, where: str) -> Mapping[str, Any]:
    """A guarantee of the right shape: every part there, of its kind, and in its range. Raises PackageError."""
    from pellucid.privacy.amounts import DELTA_UNIT, EPSILON_UNIT
    from pellucid.privacy.parameters import checked_delta, checked_epsilon

    if not isinstance(data, dict):
        refuse(where, "it is a release without a guarantee")
    where = f"{where}, guarantee"
    names = {"epsilon", "delta", "accounts", "mechanism", "key_commitment", "ledger"}
    if data.keys() != names:
        refuse(where, f"it does not consist of {', '.join(sorted(names))}")
    mechanism = take(data, "mechanism", dict, where)
    for name, unit in (("epsilon", EPSILON_UNIT), ("delta", DELTA_UNIT)):
        stated, of = data[name], mechanism.get(name)
        if not _is_number(stated) or not _is_number(of) or abs(stated - of) > 1.001 * float(unit):  # the ledger rounds up
            refuse(where, f"its {name} is no number, or not that of its mechanism")
    try:
        checked_epsilon(data["epsilon"])
        checked_delta(data["delta"], pure=True)
    except PrivacyError as error:
        refuse(where, error.what, error.why)
    accounts, ledger = take(data, "accounts", list, where), take(data, "ledger", dict, where)
    if not accounts or not all(naming.is_text(one) and one for one in accounts):
        refuse(where, "its accounts have no names")
    sequence = ledger.get("seq")
    if ledger.keys() != {"seq", "hash"} or isinstance(sequence, bool) or not isinstance(sequence, int) or sequence < 0:
        refuse(where, "it names no event of a ledger")
    for digest in (ledger["hash"], data["key_commitment"]):
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            refuse(where, "its ledger event or key commitment is no digest")
    for name in ("mechanism", "unit", "relation"):
        if not naming.is_text(mechanism.get(name)) or not mechanism[name].strip():
            refuse(where, f"its mechanism has no {name}")
    for name, least in (("not_covered", 1), ("invariants", 0)):
        texts = mechanism.get(name, [])
        if not isinstance(texts, list) or len(texts) < least or not all(naming.is_text(one, 1000) and one for one in texts):
            refuse(where, f"what is {name.replace('_', ' ')} is not a list of texts")
    _refuse_unaccountable(mechanism, where)
    return data


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refuse_unaccountable(mechanism: Mapping[str, Any], where: str) -> None:
    """Its events are numbers that an accountant can take in reasonable time."""
    events, extra = mechanism.get("events"), mechanism.get("extra_delta")
    if not isinstance(events, list) or not 0 < len(events) <= MAX_EVENTS or not all(map(_is_event, events)):
        refuse(where, "its events are not what an accountant takes")
    if not _is_number(extra) or not 0 <= extra < 1:  # type: ignore[operator]
        refuse(where, "its extra_delta is not a number from 0 to less than 1")


def _is_event(event: Any) -> bool:
    if not isinstance(event, dict):
        return False
    if "noise" not in event:
        numbers = event.keys() == {"epsilon", "delta"} and all(map(_is_number, event.values()))
        return numbers and 0 <= event["epsilon"] < 1e6 and 0 <= event["delta"] < 1
    size = {"discrete_gaussian": "sigma2", "discrete_laplace": "scale"}.get(str(event["noise"]), "")
    if event.keys() != {"noise", size, "sensitivity", "cells"}:
        return False
    for name, most in (("sensitivity", 1 << 40), ("cells", MAX_CELLS)):
        value = event[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            return False
    return isinstance(event[size], str) and bool(_RATIO.fullmatch(event[size])) and 0 < Fraction(event[size]) < 1 << 80


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
        if not _is_number(mechanism.get(name)) and name not in ("epsilon", "delta"):
            continue
        if not _is_number(number) or float(number) != float(mechanism[name]):
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
    from pellucid.privacy.calibration import delta_for_counts

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
