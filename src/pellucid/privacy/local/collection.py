"""A collection: the public parameters that clients and collector must agree on, as one text whose hash is its name."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError
from pellucid.privacy.local.directions import Directions
from pellucid.privacy.local.oracles import ORACLES, Oracle, Rappor, choose, oracle
from pellucid.privacy.parameters import checked_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
MAX_CAP = 1_000_000


@dataclass(frozen=True)
class Collection:
    """What is asked of clients. Its id (16 bytes of SHA-256 of its text) covers all of it, so nothing can be changed unnoticed.

    `values`: the declared domain, in order; of `directions` the names of the coordinates. `reports_per_period`: reports that one client
    may send in one period. `max_memoized_values`: for RAPPOR, how many different values a client may ever report, each of which costs
    epsilon once.
    """

    name: str
    oracle: Oracle | Directions
    values: tuple[str, ...]
    reports_per_period: int = 1
    max_memoized_values: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or len(self.name) > 200:
            raise PrivacyError("a collection needs a name of at most 200 characters")
        if len(self.values) != self.oracle.size:
            raise PrivacyError(f"the oracle is for {self.oracle.size} values, {len(self.values)} are declared")
        if any(not isinstance(value, str) for value in self.values) or len(set(self.values)) != len(self.values):
            raise PrivacyError("declared values must be different texts")
        checked_count("reports_per_period", self.reports_per_period, 1, MAX_CAP)
        checked_count("max_memoized_values", self.max_memoized_values, 1, MAX_CAP)

    @cached_property
    def text(self) -> str:
        """The public parameters in one fixed JSON form: what clients are given."""
        public: dict[str, Any] = {
            "format": FORMAT,
            "name": self.name,
            "asked": self.oracle.requested_epsilon,
            "epsilon": self.oracle.epsilon,
            "reports_per_period": self.reports_per_period,
            "max_memoized_values": self.max_memoized_values,
            "millionths": self.millionths,
            "parameters": self.oracle.parameters(),
            "values": list(self.values),
        }
        if isinstance(self.oracle, Rappor):
            public["noise"] = self.oracle.noise
        return json.dumps(public, ensure_ascii=True, sort_keys=True, separators=(",", ":"))

    @cached_property
    def id(self) -> bytes:
        return hashlib.sha256(self.text.encode()).digest()[:16]

    @cached_property
    def millionths(self) -> int:
        """Epsilon as reports carry it: in millionths, rounded up."""
        return math.ceil(Fraction(float(self.oracle.epsilon)) * 1_000_000)

    @cached_property
    def codes(self) -> dict[str, int]:
        """The place of each declared value."""
        return {value: place for place, value in enumerate(self.values)}

    def encode(self, values: Sequence[str]) -> NDArray[Any]:
        """The codes of values; PrivacyError, without showing it, for one that was never declared."""
        import numpy as np

        try:
            return np.array([self.codes[value] for value in values], dtype=np.int64)
        except (KeyError, TypeError):
            raise PrivacyError(
                "a value was never declared in the domain",
                where=f"collection {self.name!r}",
                fix="Declare it, or do not report it",
            ) from None

    def spent(self, reports: int) -> float:
        """At most what that many reports of one client have cost it, whatever their periods."""
        return self.oracle.epsilon * (min(reports, self.max_memoized_values) if isinstance(self.oracle, Rappor) else reports)


def declare(
    name: str,
    values: Sequence[str],
    epsilon: float,
    *,
    oracle_name: str | None = None,
    reports_per_period: int = 1,
    max_memoized_values: int = 1,
) -> Collection:
    """A collection over the declared values, by the named oracle or the one of least variance."""
    made = choose(len(values), epsilon) if oracle_name is None else oracle(oracle_name, len(values), epsilon)
    return Collection(name, made, tuple(values), reports_per_period, max_memoized_values)


def declare_directions(name: str, coordinates: Sequence[str], epsilon: float) -> Collection:
    """A collection of directions in the named coordinates: one report of a client in each period."""
    return Collection(name, Directions(len(coordinates), epsilon), tuple(coordinates))


def read(text: str) -> Collection:
    """The collection of a text. PrivacyError if it is not one, or says other probabilities than follow from its epsilon."""
    try:
        told = json.loads(text)
        parameters = told["parameters"]
        if told["format"] != FORMAT or parameters["oracle"] not in (*ORACLES, Directions.name):
            raise PrivacyError("the collection is of another version", fix="Upgrade pellucid, or have it declared again")
        size, asked = parameters["size"], told["asked"]
        made: Oracle | Directions
        if parameters["oracle"] == Directions.name:
            made = Directions(size, asked)
        else:
            made = (
                Rappor(size, asked, told["noise"])
                if parameters["oracle"] == "rappor"
                else oracle(parameters["oracle"], size, asked)
            )
        found = Collection(told["name"], made, tuple(told["values"]), told["reports_per_period"], told["max_memoized_values"])
    except (ValueError, KeyError, TypeError) as error:
        raise PrivacyError("this is not a collection's text", why=f"{type(error).__name__}: {error}") from error
    if found.text != text:
        raise PrivacyError(
            "the collection's text is not what its epsilon and domain give",
            fix="Take the text as `pellucid local declare` wrote it",
        )
    return found
