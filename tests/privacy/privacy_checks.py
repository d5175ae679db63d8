"""The checks: each looks for one way a mechanism can break its promise, and returns what it found (empty when it found nothing).

They run on the real code, and on the real code with a bug planted in it (test_planted_bugs.py); they know of no test hook, since
there is none.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from pellucid.privacy import secret_keys
from pellucid.privacy.mechanisms import gram, mean
from pellucid.privacy.noise.gaussian import DiscreteGaussian
from pellucid.privacy.noise.stream import Stream
from pellucid.privacy.private_tables.bounding import bounded_pairs

KEY = bytes(range(32))
GRAM = sys.modules["pellucid.privacy.mechanisms.gram_matrix"]  # by its full name: the room shows the function of that name
ITEMS = ("a", "b", "c")


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    pq.write_table(
        pa.table({"unit": pa.array([r[0] for r in rows], pa.string()), "item": pa.array([r[1] for r in rows], pa.string())}), path
    )
    return path


def gram_statistic(rows: list[tuple[str, str]], cap: int, scratch: Path) -> dict[tuple[str, str], int]:
    """The true bounded Gram matrix by the functions a release calls, with all items kept."""
    pairs = bounded_pairs(write(scratch / "data.parquet", rows), "unit", "item", cap, KEY, scratch)
    items, counts = GRAM.diagonal(pairs)
    cells = GRAM.pair_counts(pairs, items)
    pairs.unlink()
    names = items.to_pylist()
    found = {(names[i], names[j]): int(cells[i, j]) for i in range(len(names)) for j in range(i, len(names))}
    found.update({(name, name): count for name, count in zip(names, counts.tolist(), strict=True)})
    return {pair: count for pair, count in found.items() if count}


def sensitivity_breaches(cap: int, scratch: Path, units: int = 3, items: tuple[str, ...] = ITEMS) -> list[str]:
    """Over all histories of `units` units on the items: does one unit move more cells than declared, or one by other than 1?

    Every row is written twice for the first unit, so that repeats count once.
    """
    subsets = [s for n in range(len(items) + 1) for s in itertools.combinations(items, n)]
    statistics = {}
    for histories in itertools.product(subsets, repeat=units):
        rows = [(f"u{u}", item) for u, history in enumerate(histories) for item in history for _ in range(2 if u == 0 else 1)]
        statistics[histories] = gram_statistic(rows, cap, scratch)
    breaches = []
    for histories, full in statistics.items():
        for unit in range(units):
            less = statistics[(*histories[:unit], (), *histories[unit + 1 :])]
            moves = [full.get(cell, 0) - less.get(cell, 0) for cell in {*full, *less}]
            moved = [move for move in moves if move]
            if len(moved) > gram(item="item", max_contributions=cap).cells or any(move != 1 for move in moved):
                breaches.append(f"{histories} without unit {unit}: {moves}")
    return breaches


def mean_breaches(scratch: Path) -> list[str]:
    """Does one unit with any value move a sum of the mean by more than its bound, or the count by other than `half`?"""
    mechanism, half, breaches = mean(["x", "y"], lower=-1.0, upper=3.0), 64, []
    values = [-1e300, -1.0, 0.3, 3.0, math.inf, -math.inf, math.nan, None]
    crowd = [("u1", 0.5, 1.0), ("u2", 2.0, -0.5)]

    def sums(rows: list[tuple[str, Any, Any]]) -> np.ndarray[Any, Any]:
        names = ("unit", "x", "y")
        columns = [pa.array([row[i] for row in rows], pa.float64() if i else pa.string()) for i in range(3)]
        pq.write_table(pa.table(columns, names=names), scratch / "mean.parquet")
        return mechanism.sums(scratch / "mean.parquet", "unit", half, KEY, scratch)

    base = sums(crowd)
    for x, y in [*itertools.product(values, repeat=2)]:
        for extra in ([("u0", x, y)], [("u0", x, y), ("u0", 1.0, y)]):  # one row, and two rows of which one must be drawn
            moved = sums([*crowd, *extra]) - base
            if (np.abs(moved[:2]) > half).any() or moved[2] != half:
                breaches.append(f"{extra}: {moved}")
    return breaches


def noised(counts: list[int], pair: int, epsilon: float, delta: float, cap: int, key: bytes) -> np.ndarray[Any, Any]:
    """What the real code releases for a crowd with two items of given counts and joint count: cells (a,a), (a,b), (b,b)."""
    mechanism = gram(item="item", max_contributions=cap)
    cells = np.array([[counts[0], pair], [pair, counts[1]]], dtype=np.int64)
    table = GRAM.protected(
        pa.array(["a", "b"]),
        np.array(counts),
        lambda kept: cells,
        mechanism.plan(epsilon, delta),
        Stream(key),
        mechanism.max_items,
    )
    return table.column("count").to_numpy()


def sums_of_cells(count: int, samples: int, epsilon: float, delta: float, label: str) -> np.ndarray[Any, Any]:
    """Sums of the three released cells of a pair of items that `count` people hold, `samples` times, through the real code.

    Each release names 100 items in 50 disjoint pairs, whose cells have independent noise: 50 samples at a time.
    """
    mechanism, found = gram(item="item", max_contributions=2), []
    items = pa.array(np.arange(100))
    for run in range(samples // 50):
        stream = Stream(secret_keys.derive(KEY, f"{label}{run}"))
        cells = np.full((100, 100), count, dtype=np.int64)
        plan = mechanism.plan(epsilon, delta)
        table = GRAM.protected(items, np.full(100, count), lambda kept, cells=cells: cells, plan, stream, 100)
        a, b = table.column("item_a").to_numpy(), table.column("item_b").to_numpy()
        found.append(
            np.bincount(a[a // 2 == b // 2] // 2, weights=table.column("count").to_numpy()[a // 2 == b // 2], minlength=50)
        )
    return np.rint(np.concatenate(found)).astype(np.int64)


def audit_breach(epsilon: float, delta: float, samples: int = 60_000, confidence: float = 0.9999) -> tuple[bool, float]:
    """Is (epsilon, delta) refuted on crowds that differ by one person holding both items (3 cells, cap 2)?

    The optimal events are thresholds on the sum of the cells. Returns whether, for some threshold, the confident lower bound of
    P[event | more] - e^epsilon P[event | less] exceeds delta, and the plain estimate of that difference. The threshold is
    chosen on one half of the samples and judged on the other.
    """
    less = np.sort(sums_of_cells(10_000, samples, epsilon, delta, "less"))
    more = np.sort(sums_of_cells(10_001, samples, epsilon, delta, "more"))
    rng = np.random.default_rng(0)
    parts = [np.sort(values[rng.permutation(len(values))].reshape(2, -1), axis=1) for values in (less, more)]

    def hits(half: int, threshold: int) -> tuple[int, int, int]:
        n = parts[0].shape[1]
        return *(n - int(np.searchsorted(part[half], threshold)) for part in parts), n  # type: ignore[return-value]

    def estimate(half: int, threshold: int) -> float:
        hits_less, hits_more, n = hits(half, threshold)
        return (hits_more - math.exp(epsilon) * hits_less) / n

    best = max(range(int(less[0]), int(more[-1]) + 1), key=lambda threshold: estimate(0, threshold))
    hits_less, hits_more, n = hits(1, best)
    low = float(stats.beta.ppf(1 - confidence, hits_more, n - hits_more + 1)) if hits_more else 0.0
    high = float(stats.beta.ppf(confidence, hits_less + 1, n - hits_less)) if hits_less < n else 1.0
    return low - math.exp(epsilon) * high > delta, estimate(1, best)


def naming_rate(runs: int, epsilon: float, delta: float) -> tuple[int, int]:
    """How often an item that one person alone holds is named: (times, runs)."""
    mechanism = gram(item="item", max_contributions=1)
    chosen, times = mechanism.plan(epsilon, delta), 0
    for i in range(runs):
        table = GRAM.protected(
            pa.array(["only"]), np.array([1]), lambda kept: np.ones((len(kept),) * 2, dtype=np.int64), chosen,
            Stream(secret_keys.derive(KEY, f"name{i}")), 10,
        )  # fmt: skip
        times += table.num_rows
    return times, runs


def naming_breach(runs: int = 4000, epsilon: float = 1.0, delta: float = 0.04) -> bool:
    """Is a lone item named more often than delta allows (99.99% confident)?"""
    times, runs = naming_rate(runs, epsilon, delta)
    return bool(times) and float(stats.beta.ppf(1e-4, times, runs - times + 1)) > delta


def release(
    scratch: Path, release_id: str, items: int = 40, people: int = 400, **options: Any
) -> tuple[pa.Table, np.ndarray[Any, Any]]:
    """A real release by `Gram.run` where everyone holds every item, so every true count is `people`: the table and its noise."""
    rows = [(f"u{u:03d}", f"i{i:03d}") for u in range(people) for i in range(items)]
    table = gram(item="item", max_contributions=items).run(
        write(scratch / "full.parquet", rows), "unit", 50.0, 0.01, secret_keys.release_key(KEY, release_id), scratch
    )
    return table, table.column("count").to_numpy() - people


def shared_noise(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Do two noise sequences start alike? (Sequences of independent draws do so with probability below 1e-6.)"""
    size = min(len(a), len(b), 30)
    return size >= 20 and float(np.mean(a[:size] == b[:size])) > 0.9


def reused_streams(scratch: Path) -> list[str]:
    """Noise that appears twice: on and off the diagonal of one release, or in two releases."""
    found = []
    first, noise = release(scratch, "one")
    diagonal = np.asarray(first.column("item_a")) == np.asarray(first.column("item_b"))
    if shared_noise(noise[diagonal], noise[~diagonal]):
        found.append("diagonal and off-diagonal")
    if shared_noise(noise, release(scratch, "two")[1]):
        found.append("two releases")
    return found


def order_leaks(scratch: Path) -> bool:
    """Is the order of rows anything but the items' own order?"""
    rows = [(f"u{u}", item) for u in range(600) for item in ("a", "b", "c") if u % {"a": 3, "b": 2, "c": 1}[item] == 0]
    table = gram(item="item", max_contributions=3).run(write(scratch / "o.parquet", rows), "unit", 20.0, 0.01, KEY, scratch)
    found = list(zip(table.column("item_a").to_pylist(), table.column("item_b").to_pylist(), strict=True))
    assert len(found) == 6
    return found != sorted(found)


def distinguishing_share(runs: int = 4000) -> float:
    """The share of outputs on one crowd whose value never occurs on its neighbour: near 1 when low bits give the input away."""
    less = {float(noised([900, 900], 900, 5.0, 0.01, 2, secret_keys.derive(KEY, f"l{i}"))[1]) for i in range(runs)}
    more = [float(noised([901, 901], 901, 5.0, 0.01, 2, secret_keys.derive(KEY, f"m{i}"))[1]) for i in range(runs)]
    return sum(value not in less for value in more) / runs


def chi_squared(sigma2: Fraction, draws: int = 400_000, label: str = "chi") -> float:
    """The p-value of the sampler's draws against the exact discrete Gaussian (tails pooled so that 10 or more are expected)."""
    sigma = math.sqrt(sigma2)
    reach = int(12 * sigma) + 2
    support = np.arange(-reach, reach + 1)
    weights = np.exp(-(support.astype(float) ** 2) / (2 * float(sigma2)))
    expected = weights / weights.sum() * draws
    group = max(1, int(sigma / 20))
    bins = np.clip(np.rint(support / group).astype(int), -int(3.2 * sigma / group) - 1, int(3.2 * sigma / group) + 1)
    drawn = DiscreteGaussian(sigma2).draw(Stream(secret_keys.derive(KEY, label)), draws)
    if drawn.dtype != np.int64:
        return 0.0
    found = Counter(np.clip(np.rint(drawn / group).astype(int), bins.min(), bins.max()).tolist())
    labels = sorted(set(bins.tolist()))
    wanted = np.array([expected[bins == label].sum() for label in labels])
    seen = np.array([found.get(label, 0) for label in labels], dtype=float)
    small = wanted < 10
    wanted, seen = np.append(wanted[~small], wanted[small].sum()), np.append(seen[~small], seen[small].sum())
    if wanted[-1] < 1e-9:
        wanted, seen = wanted[:-1], seen[:-1]
    return float(stats.chisquare(seen, wanted * seen.sum() / wanted.sum()).pvalue)
