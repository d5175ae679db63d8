"""The shape of the guarantee that a package states of a release: every part is there, of its kind and in its range.

Whether the guarantee is true is not decided here: see guarantee_verification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from pellucid.errors import PrivacyError
from pellucid.packages.format import naming_rules
from pellucid.packages.format.json_text import refuse, take

_SHA256 = re.compile("[0-9a-f]{64}")
_RATIO = re.compile(r"[0-9]{1,40}(/[1-9][0-9]{0,39})?")
MAX_EVENTS = 10_000
MAX_CELLS = {"sigma2": 1 << 22, "scale": 10_000}  # Gaussian: as in pellucid.privacy.noise.calibration


def checked(data: Any, where: str) -> Mapping[str, Any]:
    """A guarantee of the right shape: every part there, of its kind, and in its range. Raises PackageError."""
    from pellucid.privacy import checked_delta, checked_epsilon
    from pellucid.privacy.accounting import DELTA_UNIT, EPSILON_UNIT

    if not isinstance(data, dict):
        refuse(where, "it is a release without a guarantee")
    where = f"{where}, guarantee"
    names = {"epsilon", "delta", "accounts", "mechanism", "key_commitment", "ledger"}
    if data.keys() != names:
        refuse(where, f"it does not consist of {', '.join(sorted(names))}")
    mechanism = take(data, "mechanism", dict, where)
    for name, unit in (("epsilon", EPSILON_UNIT), ("delta", DELTA_UNIT)):
        stated, of = data[name], mechanism.get(name)
        if not is_number(stated) or not is_number(of) or abs(stated - of) > 1.001 * float(unit):  # the ledger rounds up
            refuse(where, f"its {name} is no number, or not that of its mechanism")
    try:
        checked_epsilon(data["epsilon"])
        checked_delta(data["delta"], pure=True)
    except PrivacyError as error:
        refuse(where, error.what, error.why)
    accounts, ledger = take(data, "accounts", list, where), take(data, "ledger", dict, where)
    if not accounts or not all(naming_rules.is_text(one) and one for one in accounts):
        refuse(where, "its accounts have no names")
    sequence = ledger.get("seq")
    if ledger.keys() != {"seq", "hash"} or isinstance(sequence, bool) or not isinstance(sequence, int) or sequence < 0:
        refuse(where, "it names no event of a ledger")
    for digest in (ledger["hash"], data["key_commitment"]):
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            refuse(where, "its ledger event or key commitment is no digest")
    for name in ("mechanism", "unit", "relation"):
        if not naming_rules.is_text(mechanism.get(name)) or not mechanism[name].strip():
            refuse(where, f"its mechanism has no {name}")
    for name, least in (("not_covered", 1), ("invariants", 0)):
        texts = mechanism.get(name, [])
        if not isinstance(texts, list) or len(texts) < least or not all(naming_rules.is_text(one, 1000) and one for one in texts):
            refuse(where, f"what is {name.replace('_', ' ')} is not a list of texts")
    _refuse_unaccountable(mechanism, where)
    return data


def is_number(value: object) -> bool:
    """Whether a value from JSON is a number, and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refuse_unaccountable(mechanism: Mapping[str, Any], where: str) -> None:
    """Its events are numbers that an accountant can take in reasonable time."""
    events, extra = mechanism.get("events"), mechanism.get("extra_delta")
    if not isinstance(events, list) or not 0 < len(events) <= MAX_EVENTS or not all(map(_is_event, events)):
        refuse(where, "its events are not what an accountant takes")
    if not is_number(extra) or not 0 <= extra < 1:  # type: ignore[operator]
        refuse(where, "its extra_delta is not a number from 0 to less than 1")


def _is_event(event: Any) -> bool:
    if not isinstance(event, dict):
        return False
    if "noise" not in event:
        numbers = event.keys() == {"epsilon", "delta"} and all(map(is_number, event.values()))
        return numbers and 0 <= event["epsilon"] < 1e6 and 0 <= event["delta"] < 1
    size = {"discrete_gaussian": "sigma2", "discrete_laplace": "scale"}.get(str(event["noise"]), "")
    if event.keys() != {"noise", size, "sensitivity", "cells"}:
        return False
    for name, most in (("sensitivity", 1 << 40), ("cells", MAX_CELLS[size])):
        value = event[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            return False
    return isinstance(event[size], str) and bool(_RATIO.fullmatch(event[size])) and 0 < Fraction(event[size]) < 1 << 80
