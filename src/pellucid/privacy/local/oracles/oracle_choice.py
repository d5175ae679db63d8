"""Which oracle for a domain and an epsilon: the one of least variance, and what it was compared with."""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.errors import PrivacyError
from pellucid.privacy.local.oracles.dyadic import local_epsilon
from pellucid.privacy.local.oracles.frequency_oracle import Oracle, mean_variance
from pellucid.privacy.local.oracles.grr import Grr
from pellucid.privacy.local.oracles.hadamard import Hadamard
from pellucid.privacy.local.oracles.olh import Olh
from pellucid.privacy.local.oracles.rappor import Rappor
from pellucid.privacy.local.oracles.subset import Subset
from pellucid.privacy.local.oracles.unary import Oue, Sue
from pellucid.privacy.parameters import checked_count

ORACLES: dict[str, type[Oracle]] = {
    "grr": Grr,
    "hadamard": Hadamard,
    "olh": Olh,
    "oue": Oue,
    "rappor": Rappor,
    "subset": Subset,
    "sue": Sue,
}
ONE_TIME = ("grr", "hadamard", "olh", "oue", "subset", "sue")
CLOSE = 1.01  # within one percent, the smaller report wins


@dataclass(frozen=True)
class Candidate:
    """An oracle with n times the variance of its estimates (mean over the domain) and the bytes of its reports."""

    oracle: Oracle
    variance: float
    bytes: int


def oracle(name: str, size: int, epsilon: float) -> Oracle:
    """The oracle of that name; PrivacyError for an unknown name, or a size or epsilon it cannot serve."""
    if name not in ORACLES:
        raise PrivacyError(f"there is no oracle {name!r}", fix=f"There are {', '.join(sorted(ORACLES))}")
    made: Oracle = ORACLES[name](size, epsilon)  # type: ignore[call-arg]
    return made


def candidates(size: int, epsilon: float) -> list[Candidate]:
    """The one-time oracles that can serve the domain at this epsilon, least variance first.

    Of those within one percent of the least, the one with the smallest report comes first. RAPPOR is not among them: it is for
    values reported again and again, and pays for that in variance.
    """
    checked_count("the domain's size", size, 2, 1 << 32)
    local_epsilon(epsilon)
    found = []
    for name in ONE_TIME:
        try:
            made = oracle(name, size, epsilon)
        except PrivacyError:
            continue  # the domain is too large, or epsilon too high, for this one
        found.append(Candidate(made, mean_variance(made), made.width))
    if not found:
        raise PrivacyError(f"no oracle serves {size} values at epsilon {epsilon:g}", fix="Lower epsilon or group the values")
    found.sort(key=lambda one: (one.variance, one.bytes, one.oracle.name))
    least = found[0].variance
    close = [one for one in found if one.variance <= CLOSE * least]
    first = min(close, key=lambda one: (one.bytes, one.variance, one.oracle.name))
    return [first, *(one for one in found if one is not first)]


def choose(size: int, epsilon: float) -> Oracle:
    """The oracle of least variance for the domain and epsilon (see `candidates` for what it is compared with)."""
    return candidates(size, epsilon)[0].oracle
