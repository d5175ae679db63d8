"""Optimised local hashing: the value hashed to a few buckets by a function of the report's own, then randomised response."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.privacy.local.oracles.dyadic import domain_size, exponential, local_epsilon
from pellucid.privacy.local.oracles.frequency_oracle import checked_codes, code_type
from pellucid.privacy.local.oracles.grr import Grr, respond

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream

MAX_SIZE = 1 << 32
MAX_EPSILON = 8.0  # the buckets: 2,982
NARROW = 1 << 16
BLOCK = 1 << 14  # reports at a time: what is worked on stays in the processor's cache
THREADS = 2


@dataclass(frozen=True)
class Olh:
    """Optimised local hashing.

    Unit: one report. Neighbouring: any two values. Report: the hash function's seed, two or three 32-bit numbers, and a bucket
    of g = round(e^epsilon) + 1; 9 bytes for domains up to 65,536 and 13 up to 2^32 (one more where g > 256).
    Hash: with the value's upper and lower 16 bits x1 and x0, z = (a0 x0 + a1 x1 + b) mod 2^32 (no a1 in domains up to 65,536); the
    bucket is the upper half of z, times g, over 2^16. The upper 16 bits of z are uniform and pairwise independent
    over the seed (Dietzfelbinger 1996: keys of u bits and l output bits need u + l - 1 bits, here 31); bucket c holds s_c of the 2^16.
    Probabilities: randomised response among the g buckets with masses t and a as in `Grr`. p = t / 2^53. A report supports another
    value with probability q = sum over c of s_c (a + (t - a) s_c), exact by pairwise independence (s_c as a share).
    Guarantee: the seed is independent of the value and given it the ratio is at most t / a <= e^epsilon, however good the hash.
    Why the code meets it: two or three words a report; the seed's words never decide the response.
    Variance, times n: about 4 e^epsilon / (e^epsilon - 1)^2 + f. Source: Wang, Blocki, Li, Jha (2017).
    """

    size: int
    requested_epsilon: float
    name: ClassVar[str] = "olh"

    def __post_init__(self) -> None:
        domain_size(self.size, MAX_SIZE)
        object.__setattr__(self, "requested_epsilon", local_epsilon(self.requested_epsilon, MAX_EPSILON))

    @cached_property
    def buckets(self) -> int:
        """g."""
        return int(exponential(self.requested_epsilon).to_integral_value()) + 1

    @cached_property
    def response(self) -> Grr:
        """Randomised response among the buckets."""
        return Grr(self.buckets, self.requested_epsilon)

    @property
    def epsilon(self) -> float:
        return self.response.epsilon

    @property
    def p(self) -> Fraction:
        return self.response.p

    @cached_property
    def q(self) -> Fraction:
        edges = [-(-c * NARROW // self.buckets) for c in range(self.buckets + 1)]
        shares = [Fraction(high - low, NARROW) for low, high in pairwise(edges)]
        other, truth = self.response.q, self.response.p
        return sum((share * (other + (truth - other) * share) for share in shares), Fraction(0))

    @property
    def seeds(self) -> int:
        """32-bit numbers in a seed: a0, b and, in wide domains, a1."""
        return 2 if self.size <= NARROW else 3

    @property
    def width(self) -> int:
        return 4 * self.seeds + int(code_type(self.buckets)[-1])

    def parameters(self) -> dict[str, Any]:
        shown = {"size": self.size, "buckets": self.buckets, "seeds": self.seeds}
        return {"oracle": self.name, **shown, "truth": self.response.truth, "other": self.response.other}

    def perturb(self, codes: NDArray[Any], stream: Stream) -> NDArray[Any]:
        """A report takes the seed's words (two numbers each, the last half unused in wide domains), then the response's."""
        import numpy as np

        codes = checked_codes(codes, self.size)
        found = np.empty((len(codes), self.width), dtype=np.uint8)
        words = self.seeds // 2 + self.seeds % 2 + 1
        for start in range(0, len(codes), BLOCK):
            part = codes[start : start + BLOCK]
            drawn = stream.words(len(part) * words).reshape(len(part), words)
            seed = np.ascontiguousarray(drawn[:, :-1]).astype("<u8", copy=False).view("<u4")[:, : self.seeds]
            mixed = self._mixed(seed, part.astype(np.uint32))
            bucket = ((mixed >> np.uint32(16)) * np.uint32(self.buckets)) >> np.uint32(16)
            draw = drawn[:, -1] >> np.uint64(11)
            answer = respond(bucket.astype(np.int64), draw, self.response.truth, self.response.other)
            out = found[start : start + len(part)]
            out[:, : 4 * self.seeds] = np.ascontiguousarray(seed).view(np.uint8)
            out[:, 4 * self.seeds :] = answer.astype(code_type(self.buckets)).view(np.uint8).reshape(len(part), -1)
        return found

    def valid(self, reports: NDArray[Any]) -> NDArray[Any]:
        good: NDArray[Any] = self._split(reports)[1] < self.buckets
        return good

    def aggregate(self, reports: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        return self.support(reports, np.arange(self.size, dtype=np.int64))

    def support(self, reports: NDArray[Any], codes: NDArray[Any]) -> NDArray[Any]:
        """How many reports support each of the given codes: len(reports) x len(codes) hashes, on two threads.

        A bucket is an interval of z, so a report supports x iff (a0 x0 + a1 x1 + b - start of its bucket) mod 2^32 < its length.
        """
        from concurrent.futures import ThreadPoolExecutor

        import numpy as np

        codes = checked_codes(codes, self.size).astype(np.uint32)
        seed, bucket = self._split(reports)
        low, high = (-(-(bucket + more) * NARROW // self.buckets) for more in (0, 1))
        shift = (seed[:, 1] - (low << 16).astype(np.uint32)).astype(np.uint32)
        span = ((high - low) << 16).astype(np.uint32)
        columns = [np.ascontiguousarray(seed[:, at]) for at in range(self.seeds) if at != 1]

        def block(start: int) -> NDArray[Any]:
            some = slice(start, start + BLOCK)
            multipliers, base, length = [column[some] for column in columns], shift[some], span[some]
            z, extra, hit = np.empty_like(base), np.empty_like(base), np.empty(len(base), dtype=bool)
            counts = np.empty(len(codes), dtype=np.int64)
            for at, code in enumerate(codes):
                np.multiply(multipliers[0], code & np.uint32(NARROW - 1), out=z)
                if len(multipliers) > 1:
                    np.multiply(multipliers[1], code >> np.uint32(16), out=extra)
                    z += extra
                np.add(z, base, out=z)
                np.less(z, length, out=hit)
                counts[at] = np.count_nonzero(hit)
            return counts

        total = np.zeros(len(codes), dtype=np.int64)
        with ThreadPoolExecutor(THREADS) as pool:
            for counts in pool.map(block, range(0, len(reports), BLOCK)):
                total += counts
        return total

    def _mixed(self, seed: NDArray[Any], codes: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        mixed: NDArray[Any] = seed[:, 0] * (codes & np.uint32(NARROW - 1)) + seed[:, 1]
        return mixed + seed[:, 2] * (codes >> np.uint32(16)) if self.seeds == 3 else mixed

    def _split(self, reports: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Seeds (n, seeds) as uint32, buckets as int64."""
        import numpy as np

        at = 4 * self.seeds
        seed = np.ascontiguousarray(reports[:, :at]).view("<u4")
        return seed, np.ascontiguousarray(reports[:, at:]).view(code_type(self.buckets)).reshape(len(reports)).astype(np.int64)
