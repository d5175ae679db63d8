"""One of 256 public directions: what a client's many clicks say about ranking, in one byte and a public turn."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import PrivacyError
from pellucid.privacy.local.oracles import checked_ratio, exponential, local_epsilon
from pellucid.privacy.parameters import checked_count

if TYPE_CHECKING:
    from decimal import Decimal

    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream

CODES = 256
WHOLE = 1 << 48  # one draw; below 2^53, so that JavaScript counts it exactly
GRID = 1 << 20  # a vector is taken to whole numbers by its largest coordinate
UNIT = 1 << 12  # the length of a direction in the table
FEWEST, MOST = 3, 10  # coordinates the table is there for
MAX_EPSILON = 8.0
TABLE = Path(__file__).with_name("directions.json")


@dataclass(frozen=True)
class Directions:
    """The mean direction of clients' vectors, by one of 256 public directions from each.

    Unit: one report. Neighbouring: any two vectors, the empty one among them. Report: a turn and a code, 1 byte each.
    Probabilities: the k directions nearest to the turned vector have `near` / 2^48 each, the first `rest` of the others
    (`far` + 1) / 2^48, the remaining ones `far` / 2^48, with k near + (256 - k) far + rest = 2^48. A client with nothing to say (a
    vector of zeros, or not finite) draws each code with 2^40 / 2^48.
    Guarantee: whatever the vector is, every code's probability lies between far / 2^48 and near / 2^48 (2^40 does: it is the mean), so
    the ratio for any two vectors is at most near / far <= e^epsilon; declared is its logarithm rounded up. The turn is uniform and
    independent of the vector, so it costs nothing.
    Why the code meets it: which k codes count as near is found in floating point and whole numbers, and may be found wrongly without harm
    to the guarantee: any k codes will do. One integer of 48 bits decides, without a second draw; eight other bits of the same word are
    the turn.
    Estimate: the mean of the directions, turned back, over m = (near - far) 256 f(k / 256) / 2^48, where f(p) is the mean over the cap of
    share p of the sphere of its projection on the cap's axis, times p. The table is antipodal and a tight frame, and the 256 turns are
    signed permutations of the coordinates, so the bias is below 2 % of the length (tested).
    Variance, times n: at most 1 / (m^2 d) for each of the d coordinates.
    Source: PrivUnit (Bhowmick et al. 2018), of least variance among unbiased randomisers (Asi, Feldman, Talwar 2022), on a finite code
    as in Isik et al. 2023.
    """

    size: int
    requested_epsilon: float
    name: ClassVar[str] = "directions"
    width: ClassVar[int] = 2

    def __post_init__(self) -> None:
        checked_count("the number of coordinates", self.size, FEWEST, MOST)
        object.__setattr__(self, "requested_epsilon", local_epsilon(self.requested_epsilon, MAX_EPSILON))

    @cached_property
    def nearest(self) -> int:
        """k: how many codes count as near; the one of the largest m."""
        grown = math.expm1(self.requested_epsilon)
        found = [round(grown * _cap(k / CODES, self.size) / (1 + k / CODES * grown), 12) for k in range(1, CODES // 2 + 1)]
        return 1 + max(range(len(found)), key=lambda place: (found[place], -place))

    @cached_property
    def masses(self) -> tuple[int, int, int]:
        """near, far, rest: of 2^48, the mass of a near code, of another, and how many of the others have one more."""
        return masses(self.nearest, exponential(self.requested_epsilon))

    @cached_property
    def epsilon(self) -> float:
        near, far, _ = self.masses
        return checked_ratio(Fraction(near, far), self.requested_epsilon, self.name)

    @cached_property
    def shrinkage(self) -> float:
        """m: the length of the mean report of clients that all hold one direction."""
        near, far, _ = self.masses
        return (near - far) / WHOLE * CODES * _cap(self.nearest / CODES, self.size)

    def parameters(self) -> dict[str, Any]:
        near, far, rest = self.masses
        return {"oracle": self.name, "size": self.size, "nearest": self.nearest, "near": near, "far": far, "rest": rest}

    def perturb(self, vectors: NDArray[Any], stream: Stream) -> NDArray[Any]:
        """One report for each row of `vectors` (n, size): uint8 of shape (n, 2), turn and code."""
        import numpy as np

        vectors = np.asarray(vectors, dtype=np.float64)
        if vectors.ndim != 2 or vectors.shape[1] != self.size:
            raise PrivacyError("vectors to report must be rows", why=f"each has {self.size} coordinates")
        found = np.empty((len(vectors), 2), dtype=np.uint8)
        for start in range(0, len(vectors), 1 << 13):
            part = vectors[start : start + (1 << 13)]
            words = stream.words(len(part))
            turn = (words & np.uint64(255)).astype(np.int64)
            drawn = (words >> np.uint64(16)).astype(np.int64)
            whole, silent = on_grid(part)
            near = self._near(turned(whole, turn))
            found[start : start + len(part), 0] = turn
            found[start : start + len(part), 1] = np.where(silent, drawn >> 40, respond(near, drawn, *self.masses))
        return found

    def valid(self, reports: NDArray[Any]) -> NDArray[Any]:
        """Any two bytes are a report."""
        import numpy as np

        return np.ones(len(reports), dtype=bool)

    def aggregate(self, reports: NDArray[Any]) -> NDArray[Any]:
        """The sum of the reports' directions, turned back, in 1 / 2^12: int64, `size` of them."""
        import numpy as np

        counts = np.bincount(reports[:, 0].astype(np.int64) * CODES + reports[:, 1], minlength=CODES * CODES)
        back = turned_back(np.tile(codes(self.size), (CODES, 1)), np.repeat(np.arange(CODES), CODES))
        return np.asarray(counts @ back)

    def mean(self, total: NDArray[Any], reports: int) -> MeanDirection:
        """From `aggregate` over that many reports to the mean direction."""
        import numpy as np

        if reports < 1:
            raise PrivacyError("there is nothing to estimate from", why="no report was taken")
        return MeanDirection(
            np.asarray(total, dtype=np.float64) / UNIT / reports / self.shrinkage,
            1.0 / math.sqrt(self.shrinkage**2 * self.size * reports),
            reports,
        )

    def _near(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """Which codes are among the k nearest to each vector of whole numbers: bool (n, 256). Among equals the smaller code."""
        import numpy as np

        order = np.argsort(-(vectors @ codes(self.size).T), axis=1, kind="stable")[:, : self.nearest]
        near = np.zeros((len(vectors), CODES), dtype=bool)
        np.put_along_axis(near, order, True, axis=1)
        return near


@dataclass(frozen=True)
class MeanDirection:
    """The mean of clients' directions (those with nothing to say count as 0), unbiased but for the table; `error` of a coordinate."""

    mean: NDArray[Any]
    error: float
    reports: int


def masses(nearest: int, grown: Decimal) -> tuple[int, int, int]:
    """near, far and rest for k near codes, with near / far <= `grown` (e^epsilon) exactly and every draw used."""
    limit = Fraction(grown)
    far = math.floor(WHOLE / (nearest * limit + CODES - nearest))
    near = math.floor(limit * far)
    while True:
        far = (WHOLE - nearest * near) // (CODES - nearest)
        rest = WHOLE - nearest * near - (CODES - nearest) * far
        if Fraction(near, far) <= limit:
            return near, far, rest
        near -= 1


def respond(near: NDArray[Any], drawn: NDArray[Any], mass: int, far: int, rest: int) -> NDArray[Any]:
    """The code of each draw (int64, below 2^48) where `near` (n, 256) says which codes have the mass of a near one."""
    import numpy as np

    nearest = int(near[0].sum()) if len(near) else 0
    order = np.argsort(~near, axis=1, kind="stable")  # the near codes in order, then the others
    past = drawn - nearest * mass
    edge = rest * (far + 1)
    other = np.where(past < edge, past // (far + 1), rest + (past - edge) // far)
    place = np.where(past < 0, drawn // mass, nearest + other)
    return np.take_along_axis(order, place[:, None], axis=1)[:, 0]


def on_grid(vectors: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Vectors as whole numbers, the largest coordinate being 2^20; and which of them say nothing."""
    import numpy as np

    finite = np.isfinite(vectors).all(axis=1)
    largest = np.where(finite, np.abs(np.where(finite[:, None], vectors, 0)).max(axis=1, initial=0.0), 0.0)
    silent = ~(largest > 0)
    scaled = np.where(silent[:, None], 0.0, vectors) / np.where(silent, 1.0, largest)[:, None]
    return np.floor(scaled * GRID + 0.5).astype(np.int64), silent


@cache
def codes(size: int) -> NDArray[Any]:
    """The 256 directions of `size` coordinates, in 1 / 2^12: the table's 128, then their opposites."""
    import numpy as np

    half = np.array(json.loads(TABLE.read_text())[str(size)], dtype=np.int64)
    return np.concatenate([half, -half])


@cache
def turns(size: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The 256 public turns: where each coordinate goes, and its sign (two arrays, 256 x size).

    A shuffle and signs by the linear congruential generator of Numerical Recipes, begun at the turn's number: `client.js` has the same.
    """
    import numpy as np

    places, signs = [], []
    for turn in range(CODES):
        state = turn * 0x9E3779B1 + size & 0xFFFFFFFF
        order, sign = list(range(size)), []
        for last in range(size - 1, -1, -1):
            state = state * 1664525 + 1013904223 & 0xFFFFFFFF
            other = (state >> 16) * (last + 1) >> 16
            order[last], order[other] = order[other], order[last]
            sign.append(1 if state & 0x8000 else -1)
        places.append(order)
        signs.append(sign)
    return np.array(places), np.array(signs)


def turned(vectors: NDArray[Any], turn: NDArray[Any]) -> NDArray[Any]:
    """Each vector by its turn: coordinate i is sign_i times the coordinate at place_i."""
    import numpy as np

    places, signs = turns(vectors.shape[1])
    return np.asarray(np.take_along_axis(vectors, places[turn], axis=1) * signs[turn])


def turned_back(vectors: NDArray[Any], turn: NDArray[Any]) -> NDArray[Any]:
    """The inverse of `turned`."""
    import numpy as np

    places, signs = turns(vectors.shape[1])
    found = np.empty_like(vectors)
    np.put_along_axis(found, places[turn], vectors * signs[turn], axis=1)
    return found


def _cap(share: float, size: int) -> float:
    """f(p): the mean projection on its axis of the cap of share p (<= 1/2) of the sphere in `size` dimensions, times p."""
    from scipy.special import betaincinv

    half = (size - 1) / 2
    height = float(betaincinv(half, 0.5, 2 * share))  # 1 - t^2, where the cap is <u, v> >= t
    scale = math.exp(math.lgamma(size / 2) - math.lgamma(half)) / math.sqrt(math.pi)
    return scale * float(height**half) / (size - 1)
