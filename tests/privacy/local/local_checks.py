"""The checks of a local randomiser: each returns what it found, empty when it found nothing.

They run on the real code, and on the real code with a bug planted in it. Where a draw has few enough meanings, the distribution of
reports is found exactly, by running the real code on chosen words at both sides of every threshold.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from scipy import stats

from pellucid.privacy.local.oracles.dyadic import FINE, ONE
from pellucid.privacy.noise.stream import Stream

Perturb = Callable[[Any, Any], Any]


class Fixed:
    """A stream whose words are given."""

    def __init__(self, words: Any) -> None:
        self.left = np.asarray(words, dtype=np.uint64)

    def words(self, count: int) -> Any:
        found, self.left = self.left[:count].copy(), self.left[count:]
        assert len(found) == count, "the stream ran out"
        return found


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def one_draw(perturb: Perturb, code: int, total: int, words: Callable[[Any], Any]) -> dict[bytes, Fraction]:
    """The exact distribution of the report of `code`, which one integer below `total` decides.

    The report is piecewise constant over the integers: the pieces are found by bisection between points that differ, starting from
    a grid. A piece narrower than the grid would be missed, so the masses found must be few and are checked by the caller.
    """

    def reports(points: list[int]) -> list[bytes]:
        found = perturb(np.full(len(points), code), Fixed(words(np.array(points, dtype=np.uint64))))
        return [bytes(row) for row in found]

    grid = sorted({*range(0, total, max(1, total // 4096)), total - 1})
    seen = reports(grid)
    masses: Counter[bytes] = Counter()
    start = 0
    for (low, high), (before, after) in zip(itertools.pairwise(grid), itertools.pairwise(seen), strict=True):
        if before == after:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if reports([middle])[0] == before else (low, middle)
        masses[before] += high - start
        start = high
    masses[seen[-1]] += total - start
    return {report: Fraction(mass, total) for report, mass in masses.items()}


def ratio_breaches(distributions: list[dict[bytes, Fraction]], epsilon: float) -> list[str]:
    """Reports whose probabilities under two values differ by more than a factor e^epsilon (or that only one value can give)."""
    breaches = []
    for report in set().union(*distributions):
        masses = [found.get(report, Fraction(0)) for found in distributions]
        if min(masses) == 0:
            breaches.append(f"{report.hex()} is possible for some values only")
        elif math.log(max(masses) / min(masses)) > epsilon * (1 + 1e-12):
            breaches.append(f"{report.hex()}: epsilon {math.log(max(masses) / min(masses))} above {epsilon}")
    return breaches


def grr_distributions(perturb: Perturb, size: int) -> list[dict[bytes, Fraction]]:
    return [one_draw(perturb, code, ONE, lambda w: w << np.uint64(11)) for code in range(size)]


def subset_distributions(chosen: Any, perturb: Perturb) -> list[dict[bytes, Fraction]]:
    """Below `truth` the rank is a remainder: every remainder by the real code, at both ends and amid; above, in pieces."""
    inside, truth, found = chosen.inside, chosen.truth, []

    def shifted(points: Any) -> Any:
        return points << np.uint64(11)

    for code in range(chosen.size):
        masses: Counter[bytes] = Counter()
        starts = [0, (truth // 2) // inside * inside, truth // inside * inside - inside]
        periods = []
        for start in starts:
            points = np.arange(start, start + inside, dtype=np.uint64)
            periods.append([bytes(row) for row in perturb(np.full(inside, code), Fixed(shifted(points)))])
        assert periods[0] == periods[1] == periods[2]
        for rank, report in enumerate(periods[0]):
            masses[report] += Fraction(truth // inside + (rank < truth % inside), ONE)  # type: ignore[assignment]
        rest = one_draw(perturb, code, ONE - truth, lambda w: shifted(w + np.uint64(truth)))
        for report, mass in rest.items():
            masses[report] += mass * Fraction(ONE - truth, ONE)  # type: ignore[assignment]
        assert sum(masses.values()) == 1
        found.append(dict(masses))
    return found  # type: ignore[return-value]


def hadamard_distributions(perturb: Perturb, size: int, order: int) -> list[dict[bytes, Fraction]]:
    """Over all rows (the low bits) and all flips (the high half)."""
    found = []
    for code in range(size):
        whole: Counter[bytes] = Counter()
        for row in range(order):
            part = one_draw(perturb, code, 1 << 32, lambda w, row=row: (w << np.uint64(32)) | np.uint64(row))
            for report, mass in part.items():
                whole[report] += mass / order  # type: ignore[assignment]
        found.append(dict(whole))
    return found  # type: ignore[return-value]


def unary_distributions(perturb: Perturb, size: int) -> list[dict[bytes, Fraction]]:
    """Each bit's exact probability from all 2^16 values of its own draw, the others held; then their product."""
    words = (size + 3) // 4
    found = []
    for code in range(size):
        ones = []
        for bit in range(size):
            parts = np.full((FINE, words * 4), FINE - 1, dtype="<u2")
            parts[:, bit] = np.arange(FINE)
            reports = perturb(np.full(FINE, code), Fixed(parts.view("<u8").reshape(-1)))
            ones.append(Fraction(int(((reports[:, bit // 8] >> (bit % 8)) & 1).sum()), FINE))
        whole = {}
        for bits in itertools.product((0, 1), repeat=size):
            mass = Fraction(1)
            for one, bit in zip(ones, bits, strict=True):
                mass *= one if bit else 1 - one
            whole[np.packbits(bits, bitorder="little").tobytes()] = mass
        found.append(whole)
    return found


def olh_breaches(perturb: Perturb, size: int, epsilon: float, seeds: int = 2) -> list[str]:
    """For some fixed seeds: the exact distribution of the bucket given the seed, whatever value is hashed."""
    breaches = []
    for seed in Stream(key(5)).words(seeds):
        distributions = []
        for code in range(size):

            def words(points: Any, seed: Any = seed) -> Any:
                return np.stack([np.full(len(points), seed), points << np.uint64(11)], axis=1).reshape(-1)

            distributions.append(one_draw(perturb, code, ONE, words))
        breaches += ratio_breaches(distributions, epsilon)
    return breaches


def audit_breach(perturb: Perturb, values: tuple[int, int], epsilon: float, draws: int, label: int) -> float:
    """A lower bound on epsilon at 99.9 % from draws alone, minus the declared one: positive refutes.

    The event is chosen on one half of the draws (the reports more frequent under one value by most), judged on the other half by
    Clopper-Pearson, in both directions.
    """
    reports = [perturb(np.full(draws, value), Stream(key(1000 * label + value))) for value in values]
    names = [np.ascontiguousarray(rows).view(f"V{rows.shape[1]}").reshape(-1) for rows in reports]
    half = draws // 2
    first = [Counter(bytes(one) for one in rows[:half]) for rows in names]
    best = -math.inf
    for a, b in ((0, 1), (1, 0)):
        gain = {report: first[a][report] / (first[b][report] + 1) for report in first[a] if first[a][report] > half // 500}
        for threshold in sorted({*gain.values()}, reverse=True)[:8]:
            event = {report for report, ratio in gain.items() if ratio >= threshold}
            hits = [sum(bytes(one) in event for one in rows[half:]) for rows in names]
            rest = draws - half
            low = stats.beta.ppf(0.0005 / 16, hits[a], rest - hits[a] + 1) if hits[a] else 0.0
            high = stats.beta.ppf(1 - 0.0005 / 16, hits[b] + 1, rest - hits[b])
            best = max(best, math.log(low / high) if low > 0 else -math.inf)
    return best - epsilon


def chi_squared(counts: Any, probabilities: Any) -> float:
    """The p-value of counts under exact probabilities."""
    counts, probabilities = np.asarray(counts, dtype=float), np.asarray(probabilities, dtype=float)
    expected = probabilities / probabilities.sum() * counts.sum()
    return float(stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1))
