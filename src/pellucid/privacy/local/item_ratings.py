"""Items and ratings together: how many hold each item, and how they rate it, from one report of each client."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError
from pellucid.privacy.local.oracles import Oracle, checked_codes, choose, estimate
from pellucid.privacy.parameters import checked_bounds, checked_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream

LEVELS = 1 << 16


@dataclass(frozen=True)
class RatingEstimate:
    """For each item: the share of clients that hold it and the mean rating among them, each with its standard error.

    The mean of an item whose share is not clear of 0 means nothing: its error is then as large as the range, or larger.
    """

    shares: NDArray[Any]
    share_errors: NDArray[Any]
    means: NDArray[Any]
    mean_errors: NDArray[Any]
    reports: int


@dataclass(frozen=True)
class ItemRatings:
    """PCKV's pad-and-sample (Gu, Li, Cheng, Xiong, Cao 2020) with one frequency oracle over all pairs (item, sign).

    Unit: one report, about all of a client's items and ratings. Neighbouring: any two sets of rated items.
    A client pads its set with dummy items to `padding_length`, draws one of them (one of all its own items if it has more), rounds the
    rating to the lower or upper bound at random so that its mean is kept, and reports the pair by the oracle over
    2 (items + padding_length) values that `choose` gives.
    Guarantee: the oracle's epsilon, exact. Why: given which pair was drawn a report is the oracle's, whose ratio is bounded between any
    two pairs, so it is between any two mixtures of pairs. The drawing of item and sign may therefore be anything.
    Bias: of a client with more than `padding_length` items each counts less than one; shares of items held by such clients come out low.
    """

    items: int
    lower: float
    upper: float
    requested_epsilon: float
    padding_length: int = 1

    def __post_init__(self) -> None:
        checked_count("items", self.items, 1, 1 << 20)
        checked_count("padding_length", self.padding_length, 1, 1 << 10)
        lower, upper = checked_bounds(self.lower, self.upper)
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)

    @cached_property
    def oracle(self) -> Oracle:
        return choose(2 * (self.items + self.padding_length), self.requested_epsilon)

    @property
    def epsilon(self) -> float:
        return self.oracle.epsilon

    def perturb(
        self, clients: NDArray[Any], items: NDArray[Any], ratings: NDArray[Any], count: int, stream: Stream
    ) -> NDArray[Any]:
        """One report from each of the clients 0 .. count - 1; row i says that `clients[i]` rates `items[i]` with `ratings[i]`."""
        import numpy as np

        clients, items = checked_codes(clients, count), checked_codes(items, self.items)
        ratings = np.asarray(ratings, dtype=np.float64)
        if not len(clients) == len(items) == len(ratings) or not np.isfinite(ratings).all():
            raise PrivacyError("every row needs a client, an item and a finite rating")
        order = np.argsort(clients, kind="stable")
        held = np.bincount(clients, minlength=count)
        first = np.cumsum(held) - held
        own_stream = stream.split()
        drawn = own_stream.fork("position").words(count)
        position = (((drawn >> np.uint64(32)) * np.maximum(held, self.padding_length).astype(np.uint64)) >> np.uint64(32)).astype(
            np.int64
        )
        own = position < held
        row = order[np.minimum(first + position, max(len(order) - 1, 0))] if len(order) else np.zeros(count, dtype=np.int64)
        level = np.full(count, LEVELS // 2)  # a dummy's sign says nothing
        item = self.items + np.minimum(position, self.padding_length - 1)
        if len(order):
            share = (np.clip(ratings[row], self.lower, self.upper) - self.lower) / (self.upper - self.lower)
            level = np.where(own, np.rint(share * LEVELS).astype(np.int64), level)
            item = np.where(own, items[row], item)
        sign = (drawn & np.uint64(LEVELS - 1)).astype(np.int64) < level
        return self.oracle.perturb(2 * item + sign, own_stream.fork("report"))

    def estimate(self, reports: NDArray[Any]) -> RatingEstimate:
        """Shares and mean ratings, jointly from the reports of all clients."""
        import numpy as np

        found = estimate(self.oracle, self.oracle.aggregate(reports), len(reports))
        low, high = found.frequencies[0 : 2 * self.items : 2], found.frequencies[1 : 2 * self.items : 2]
        low_error, high_error = found.errors[0 : 2 * self.items : 2], found.errors[1 : 2 * self.items : 2]
        spread = np.sqrt(low_error**2 + high_error**2)
        both = np.maximum(low + high, spread)  # never divide by what is not clear of 0
        part = np.clip(high / both, 0.0, 1.0)
        width = self.upper - self.lower
        error = width * np.sqrt(((1 - part) * high_error) ** 2 + (part * low_error) ** 2) / both
        return RatingEstimate(
            self.padding_length * (low + high), self.padding_length * spread, self.lower + width * part, error, len(reports)
        )
