"""The checks of every mechanism in the registry: small data for sensitivity, samples for audit and precision attack.

As in privacy_checks.py they run on the real code, and on the real code with a bug planted in it. What a mechanism claims is read from
its own guarantee: how many cells a unit moves and by how much.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import privacy_checks as checks
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

import pellucid as pl
from pellucid.privacy import MECHANISMS, secret_keys
from pellucid.privacy.noise.laplace import DiscreteLaplace, _table
from pellucid.privacy.noise.stream import Stream
from pellucid.privacy.private_tables import bounding
from pellucid.privacy.private_tables.public_partitions import counts_of_public_keys, only_public_keys
from pellucid.store.labels import Unit

KEY = checks.KEY
Row = tuple[str, str, float | None, int]  # item, second item, value, day
HISTORIES: list[list[Row]] = [
    [],
    [("a", "x", 0.25, 1)],
    [("a", "x", 0.25, 1), ("a", "x", 0.25, 1), ("a", "y", math.nan, 2)],
    [("a", "x", math.inf, 1), ("b", "y", -math.inf, 2)],
    [("c", "x", 1e300, 1), ("b", "x", None, 1), ("a", "x", 0.75, 2), ("a", "y", 0.5, 2)],
    [("b", "z", 1.0, 2), ("c", "z", 1.0, 2), ("c", "z", 1.0, 2), ("c", "z", 0.9, 2)],
    [("a", "x", 9.0, 1), ("a", "x", 9.0, 1), ("b", "x", 9.0, 1), ("b", "x", 9.0, 2)],
    [("c", "x", -9.0, 1), ("c", "x", -9.0, 1), ("b", "y", -9.0, 1), ("a", "y", -9.0, 2)],
]
CROWD: list[list[Row]] = [[("a", "x", 0.5, 1)], [("b", "y", 0.1, 1), ("c", "x", 0.9, 2)]]


@dataclass(frozen=True)
class Case:
    """A mechanism small enough to be tried in full: its true statistic, and samples of what it releases on two neighbours."""

    mechanism: Any
    statistic: Callable[[Any, Path, Any, Path], dict[Any, int]]
    sample: Callable[[Any, bool, int, Path], tuple[np.ndarray[Any, Any], float, float]]


def table(people: list[list[Row]], scratch: Path) -> Path:
    rows = [(f"u{who}", *row) for who, history in enumerate(people) for row in history]
    columns = {
        "unit": pa.array([row[0] for row in rows], pa.string()),
        "item": pa.array([row[1] for row in rows], pa.string()),
        "second": pa.array([row[2] for row in rows], pa.string()),
        "x": pa.array([row[3] for row in rows], pa.float64()),
        "y": pa.array([None if row[3] is None else -row[3] for row in rows], pa.float64()),
        "t": pa.array([86_400 * row[4] + 5 for row in rows], pa.int64()),
    }
    pq.write_table(pa.table(columns), scratch / "small.parquet")
    return scratch / "small.parquet"


# --- true statistics, by the functions a release calls


def of_gram(mechanism: Any, path: Path, unit: Any, scratch: Path) -> dict[Any, int]:
    held = bounding.bounded_pairs(path, unit, mechanism.item, mechanism.max_contributions, KEY, scratch)
    items, counts = checks.GRAM.diagonal(held)
    cells = checks.GRAM.pair_counts(held, items)
    found = {(i, j): int(cells[i, j]) for i in range(len(items)) for j in range(i + 1, len(items))}
    names = items.to_pylist()
    return {(names[i], names[j]): v for (i, j), v in found.items()} | dict(zip(names, map(int, counts), strict=True))


def of_equal_norm_gram(mechanism: Any, path: Path, unit: Any, scratch: Path) -> dict[Any, int]:
    module = sys.modules["pellucid.privacy.mechanisms.equal_norm_gram"]
    relation = unit.relation if isinstance(unit, Unit) else "add-remove"
    weights = mechanism.plan(1.0, 1e-6, relation).weights
    held = bounding.bounded_pairs(path, unit, mechanism.item, mechanism.max_contributions, KEY, scratch)
    items, sums = module.weighted_diagonal(held, weights)
    kept = items.filter(pa.array([name != "c" for name in items.to_pylist()]))  # as a release does, which names some items only
    cells, names = module.weighted_cells(held, kept, weights), kept.to_pylist()
    found = {(names[i], names[j]): int(cells[i, j]) for i in range(len(kept)) for j in range(i + 1, len(kept))}
    return found | dict(zip(items.to_pylist(), map(int, sums), strict=True))


def of_histogram(mechanism: Any, path: Path, unit: Any, scratch: Path) -> dict[Any, int]:
    if mechanism.public_keys:
        path = only_public_keys(path, unit, mechanism.key, mechanism.public_keys, mechanism.other, scratch)
    held = bounding.bounded_pairs(path, unit, mechanism.key, mechanism.max_contributions, KEY, scratch, times=mechanism.rows)
    items, counts = checks.GRAM.diagonal(held)
    if mechanism.public_keys:
        items, counts = counts_of_public_keys(items, counts, mechanism.public_keys, mechanism.other)
    return dict(zip(items.to_pylist(), map(int, counts), strict=True))


def of_keys(mechanism: Any, path: Path, unit: Any, scratch: Path) -> dict[Any, int]:
    held = bounding.bounded_pairs(path, unit, mechanism.key, mechanism.max_contributions, KEY, scratch)
    items, counts = checks.GRAM.diagonal(held)
    return dict(zip(items.to_pylist(), map(int, counts), strict=True))


def of_clicks(mechanism: Any, path: Path, unit: Any, scratch: Path) -> dict[Any, int]:
    module = sys.modules["pellucid.privacy.mechanisms.clicks"]
    held = bounding.bounded_pairs(path, unit, mechanism.query, mechanism.queries, KEY, scratch)
    items, counts = checks.GRAM.diagonal(held)
    found: dict[Any, int] = dict(zip(items.to_pylist(), map(int, counts), strict=True))
    held = bounding.bounded_pairs(path, unit, mechanism.query, mechanism.clicks, KEY, scratch, second=mechanism.place)
    clicked = module.pair_counts(held).to_pylist()
    return found | {(row["item"], row["second"]): row["count"] for row in clicked}


def of_pairs(mechanism: Any, path: Path, unit: Any, scratch: Path) -> dict[Any, int]:
    held = bounding.bounded_pairs(path, unit, mechanism.item, mechanism.max_contributions, KEY, scratch)
    items, _ = checks.GRAM.diagonal(held)
    names = items.to_pylist()
    first, second, counts = sys.modules["pellucid.privacy.mechanisms.pairs"].together(held, items)
    return {(names[a], names[b]): int(c) for a, b, c in zip(first, second, counts, strict=True)}


def of_sums(mechanism: Any, path: Path, unit: Any, scratch: Path) -> dict[Any, int]:
    relation = unit.relation if isinstance(unit, Unit) else "add-remove"
    half = mechanism.plan(1.0, 1e-6, relation).half
    return dict(enumerate(map(int, mechanism.sums(path, unit, half, KEY, scratch))))


def of_top(mechanism: Any, path: Path, unit: Any, scratch: Path) -> dict[Any, int]:
    names, counts = mechanism.counts(path, unit, KEY, scratch)
    return dict(zip(names.to_pylist(), map(int, counts), strict=True))


def of_choose(mechanism: Any, path: Path, unit: Any, scratch: Path) -> dict[Any, int]:
    return dict(enumerate(map(int, mechanism.scores(path, unit, KEY, scratch))))


def of_quantiles(mechanism: Any, path: Path, unit: Any, scratch: Path) -> dict[Any, int]:
    counts = mechanism.counts(path, unit, KEY, scratch)
    scores = sys.modules["pellucid.privacy.mechanisms.quantiles"].scores
    return {(part, at): int(v) for part in mechanism.parts for at, v in enumerate(scores(counts, part))}


def of_marginals(mechanism: Any, path: Path, unit: Any, scratch: Path) -> dict[Any, int]:
    """All that is always measured, and the pairs of a tree that might be chosen."""
    counts = mechanism.counts(path, unit, KEY, scratch)
    width = 2 if mechanism.target else 1
    tree = [place for place in counts if len(place) > width][: mechanism.plan(1.0, 1e-6).rounds]
    measured = [place for place in counts if len(place) == width] + tree
    return {(place, cell): int(count) for place in measured for cell, count in enumerate(counts[place].ravel())}


# --- samples on neighbours: many keys at once, each a sample of its own, or many draws


def _written(rows: list[tuple[str, ...]], scratch: Path) -> Path:
    columns = {name: [row[at] for row in rows] for at, name in enumerate(("unit", "item", "second"))}
    pq.write_table(pa.table(columns), scratch / "many.parquet")
    return scratch / "many.parquet"


def by_key(people: int, epsilon: float, delta: float, label: str = "count") -> Callable[..., Any]:
    """Keys held by `people` or one more, each by people of its own: their released counts (-1 where a key is not named)."""

    def sample(mechanism: Any, more: bool, count: int, scratch: Path) -> tuple[np.ndarray[Any, Any], float, float]:
        many = min(count, 5000)
        names = [f"k{at:04d}" for at in range(many)]
        rows = [(f"{name}/{who}", name, "s") for name in names for who in range(people + more)]
        path, found = _written(rows, scratch), []
        for run in range(count // many):
            out = mechanism.run(path, "unit", epsilon, delta, secret_keys.derive(KEY, f"{label}{more}{run}"), scratch)
            shown = out.column("count").to_pylist() if "count" in out.column_names else [1] * out.num_rows
            named = dict(zip(out.column(mechanism.key).to_pylist(), shown, strict=True))
            found.append([named.get(name, -(10**6)) for name in names])
        return np.concatenate(found), epsilon, delta

    return sample


def of_two_cells(people: int, epsilon: float, delta: float, pair: Callable[[dict[str, Any], str], int]) -> Callable[..., Any]:
    """As `by_key` for mechanisms of pairs: one more person holds `name`-a and `name`-b."""

    def sample(mechanism: Any, more: bool, count: int, scratch: Path) -> tuple[np.ndarray[Any, Any], float, float]:
        many = min(count, 2500)
        names = [f"k{at:04d}" for at in range(many)]
        rows = [(f"{n}/{who}", f"{n}-{end}", f"{n}-p") for n in names for who in range(people + more) for end in "ab"]
        if mechanism.name == "clicks":
            rows = [row for row in rows if row[1].endswith("a")]
        path, found = _written(rows, scratch), []
        for run in range(count // many):
            out = mechanism.run(path, "unit", epsilon, delta, secret_keys.derive(KEY, f"two{more}{run}"), scratch).to_pylist()
            by_name: dict[str, int] = {}
            for row in out:
                name = str(next(iter(row.values()))).split("-")[0]
                by_name[name] = by_name.get(name, 0) + pair(row, name)
            found.append([by_name.get(name, -(10**6)) for name in names])
        return np.concatenate(found), epsilon, delta

    return sample


def sample_sums(mechanism: Any, more: bool, count: int, scratch: Path) -> tuple[np.ndarray[Any, Any], float, float]:
    """The released first sum where one more unit brings the most it may."""
    epsilon, delta = 1.0, 0.0 if getattr(mechanism, "pure", False) else 0.01
    chosen, cells = mechanism.plan(epsilon, delta), len(mechanism.columns)
    most = getattr(chosen, "most", chosen.half)
    sums = np.full(cells + (mechanism.name == "mean"), (100 + more) * most, dtype=np.int64)
    found = []
    for run in range(count):
        out = mechanism.noised(sums, chosen, Stream(secret_keys.derive(KEY, f"sums{more}{run}")))
        if mechanism.name == "mean":
            found.append(round(out["people"] * chosen.half))
        else:
            found.append(round(out[mechanism.columns[0]] / mechanism.step(chosen.half)))
    return np.array(found), epsilon, delta


def sample_maximum(noise_of: Callable[[Any], DiscreteLaplace], epsilon: float, vectors: Any) -> Callable[..., Any]:
    """Which of the candidates is named, on scores before and after a unit that counts most."""

    def sample(mechanism: Any, more: bool, count: int, scratch: Path) -> tuple[np.ndarray[Any, Any], float, float]:
        from pellucid.privacy.mechanisms.report_noisy_max import noisy_maximum

        noise, scores = noise_of(mechanism), np.array(vectors[more], dtype=np.int64)
        stream = Stream(secret_keys.derive(KEY, f"maximum{more}"))
        return np.array([noisy_maximum(scores, noise, stream) for _ in range(count)]), epsilon, 0.0

    return sample


def sample_gram(mechanism: Any, more: bool, count: int, scratch: Path) -> tuple[np.ndarray[Any, Any], float, float]:
    """The sum of the three cells of a pair of items, see privacy_checks.py."""
    return checks.sums_of_cells(10_000 + more, count, 1.0, 0.01, f"gram{more}"), 1.0, 0.01


def sample_equal_norm_gram(mechanism: Any, more: bool, count: int, scratch: Path) -> tuple[np.ndarray[Any, Any], float, float]:
    """A pair of items that 200 people hold, or one more: the sum of its three released cells, each times what a person adds to it."""
    epsilon, delta = 1.0, 0.01
    chosen, people = mechanism.plan(epsilon, delta), 200 + more
    own, both = chosen.weights[1]
    cells, found = np.array([[0, both * people], [both * people, 0]], dtype=np.int64), []
    for run in range(count):
        stream = Stream(secret_keys.derive(KEY, f"equal{more}{run}"))
        out = checks.GRAM.protected(pa.array(["a", "b"]), np.full(2, own * people), lambda kept: cells, chosen, stream, 2)
        told = out.column("count").to_numpy()
        found.append(int(told[0] * own + told[1] * both + told[2] * own) if len(told) == 3 else -(10**9))
    return np.array(found), epsilon, delta


def sample_marginals(mechanism: Any, more: bool, count: int, scratch: Path) -> tuple[np.ndarray[Any, Any], float, float]:
    """40 people in the first cells, or one more: the sum of the released counts of these cells."""
    epsilon, delta = 1.0, 0.01
    chosen, table = mechanism.plan(epsilon, delta), mechanism.table
    empty = {place: np.zeros([table[at].size for at in place], dtype=np.int64) for place in mechanism.places()}
    for counts in empty.values():
        counts.flat[0] = 40 + more
    found = []
    for run in range(count):
        out = mechanism.noised(empty, chosen, Stream(secret_keys.derive(KEY, f"marginals{more}{run}")))
        found.append(sum(int(counts.flat[0]) for counts in out.values()))
    return np.array(found), epsilon, delta


P: dict[str, Any] = dict(MECHANISMS)
CASES: dict[str, list[Case]] = {
    "equal_norm_gram": [Case(P["equal_norm_gram"](item="item", max_contributions=3), of_equal_norm_gram, sample_equal_norm_gram)],
    "gram": [Case(P["gram"](item="item", max_contributions=2), of_gram, sample_gram)],
    "histogram": [
        Case(P["histogram"](key="item", max_contributions=1), of_histogram, by_key(12, 1.0, 0.01)),
        Case(P["histogram"](key="item", max_contributions=1, noise="laplace"), of_histogram, by_key(5, 1.0, 0.01)),
        Case(P["histogram"](key="item", max_contributions=2, rows=2), of_histogram, by_key(20, 1.0, 0.01)),
        Case(
            P["histogram"](
                key="item", max_contributions=1, public_keys=tuple(f"k{at:04d}" for at in range(5000)), other="o", noise="laplace"
            ),
            of_histogram,
            by_key(2, 1.0, 0.0),
        ),
    ],
    "marginals": [
        Case(
            P["marginals"](
                columns=(
                    ("item", "values", ("a", "b", "c")),
                    ("second", "values", ("x", "y", "z")),
                    ("x", "bins", (0.0, 0.5, 1.0)),
                )
            ),
            of_marginals,
            sample_marginals,
        ),
        Case(
            P["marginals"](
                columns=(
                    ("item", "groups", (("ab", ("a", "b")), ("c", ("c",)))),
                    ("second", "values", ("x", "y")),
                    ("y", "bins", (-1, 0, 2)),
                ),
                target="item",
                other="other",
            ),
            of_marginals,
            sample_marginals,
        ),
    ],
    "mean": [Case(P["mean"](columns=("x", "y"), lower=-1.0, upper=3.0), of_sums, sample_sums)],
    "sum": [
        Case(P["sum"](columns=("x", "y"), lower=-1.0, upper=2.0, max_contributions=2), of_sums, sample_sums),
        Case(P["sum"](columns=("x",), lower=-1.0, upper=2.0, max_contributions=3, noise="laplace"), of_sums, sample_sums),
        Case(P["sum"](columns=("x",), lower=0.5, upper=0.75, max_contributions=3), of_sums, sample_sums),
        Case(P["sum"](columns=("y", "x"), lower=-4.0, upper=-1.0, max_contributions=4, noise="laplace"), of_sums, sample_sums),
    ],
    "partitions": [
        Case(P["partitions"](key="item", max_contributions=1), of_keys, by_key(2, 1.0, 0.01)),
        Case(P["partitions"](key="item", max_contributions=2, method="gaussian"), of_keys, by_key(9, 1.0, 0.01)),
    ],
    "clicks": [
        Case(
            P["clicks"](query="item", place="second", queries=1, clicks=1),
            of_clicks,
            of_two_cells(30, 1.0, 0.01, lambda row, n: row["count"]),
        )
    ],
    "pairs": [
        Case(P["pairs"](item="item", max_contributions=2), of_pairs, of_two_cells(12, 1.0, 0.01, lambda row, n: row["count"]))
    ],
    "top_k": [
        Case(
            P["top_k"](key="item", public_keys=("a", "b", "c"), k=1),
            of_top,
            sample_maximum(lambda m: m.plan(1.0, 0.0), 1.0, ([5, 5], [6, 5])),
        )
    ],
    "select_best": [
        Case(
            P["select_best"](columns=("x", "y"), grid=4),
            of_choose,
            sample_maximum(lambda m: m.plan(1.0, 0.0), 1.0, ([5, 5], [9, 5])),
        )
    ],
    "quantiles": [
        Case(
            P["quantiles"](column="x", lower=0.0, upper=1.0, levels=(0.25, 0.5), steps=4),
            of_quantiles,
            sample_maximum(lambda m: m.plan(2.0, 0.0)[1], 1.0, ([5, 5], [6, 4])),
        )
    ],
}
ALL = [(name, at) for name, cases in CASES.items() for at in range(len(cases))]


# --- the checks


def claimed(mechanism: Any, relation: str) -> tuple[int, int]:
    """How many cells a unit moves at most, and each by how much, as the guarantee says."""
    if mechanism.name in ("top_k", "select_best", "quantiles"):
        by = {"top_k": 1, "select_best": getattr(mechanism, "grid", 0)}.get(mechanism.name)
        return 10**6, by or max(mechanism.shift(part, relation) for part in mechanism.parts)
    events = mechanism.guarantee(1.0, 1e-6 if not getattr(mechanism, "pure", False) else 0.0, relation)["events"]
    if "noise" not in events[0]:
        return len(events), 1
    return events[0]["cells"], events[0]["sensitivity"]


def sensitivity_breaches(case: Case, scratch: Path, relation: str = "add-remove", limit: int = 10**6) -> list[str]:
    """Over all histories of one unit among others: does it, added, removed or replaced, move more than is claimed?

    A unit without rows is a history too: where a step before gives somebody none, replaced is removed.
    """
    unit = Unit("unit", relation=relation)
    found = [case.statistic(case.mechanism, table([*CROWD, history], scratch), unit, scratch) for history in HISTORIES]
    pairs = (
        itertools.combinations(range(len(HISTORIES)), 2) if relation == "replace" else ((0, at) for at in range(len(HISTORIES)))
    )
    cells, by = claimed(case.mechanism, relation)
    breaches = []
    for one, two in pairs:
        moves = [found[two].get(cell, 0) - found[one].get(cell, 0) for cell in {*found[one], *found[two]}]
        moved = [move for move in moves if move]
        mixed = min(moved, default=0) < 0 < max(moved, default=0) and relation != "replace"
        mixed = mixed and case.mechanism.name not in ("mean", "sum", "quantiles")
        too_far = len(moved) > cells or any(abs(move) > by for move in moved)
        if case.mechanism.name == "mean":  # its bound is one of lengths
            too_far = sum(move * move for move in moved) > cells * by * by
        if case.mechanism.name == "equal_norm_gram":  # so is its; the 64 are the pads of its proof
            too_far = too_long(case.mechanism, moved, cells, relation)
        if too_far or mixed:
            breaches.append(f"{HISTORIES[one]} and {HISTORIES[two]}: {moved}")
    return breaches[:limit]


def too_long(mechanism: Any, moved: list[int], cells: int, relation: str) -> bool:
    """Whether a unit moved an equal-norm matrix further than its guarantee says: in length, in any cell, or in how many cells."""
    twice = 2 if relation == "replace" else 1
    length = sum(move * move for move in moved) > cells - 64
    wide = any(abs(move) > mechanism.guarantee(1.0, 1e-6, relation)["scale"] for move in moved)
    return length or wide or len(moved) > twice * mechanism.cells


def day_breaches(case: Case, scratch: Path) -> list[str]:
    """The same for a person's day: another day of the same person must keep its part."""
    unit = pl.UserDay("unit", time="t", clock="s")
    cells, by = claimed(case.mechanism, "add-remove")
    breaches = []
    for history in HISTORIES:
        full = case.statistic(case.mechanism, table([*CROWD, history], scratch), unit, scratch)
        for day in (1, 2):
            rest = [row for row in history if row[3] != day]
            less = case.statistic(case.mechanism, table([*CROWD, rest], scratch), unit, scratch)
            moved = [move for cell in {*full, *less} if (move := full.get(cell, 0) - less.get(cell, 0))]
            too_far = len(moved) > cells or any(abs(move) > by for move in moved)
            if case.mechanism.name == "equal_norm_gram":
                too_far = too_long(case.mechanism, moved, cells, "add-remove")
            if too_far:
                breaches.append(f"{history} without day {day}: {moved}")
    return breaches


def refuted(case: Case, scratch: Path, samples: int = 20_000, confidence: float = 0.9999) -> bool:
    """Is the declared (epsilon, delta) refuted by some event, on either order of the neighbours?

    The events are thresholds on the released number (either way) and each single value; chosen on one half of the samples, judged on
    the other.
    """
    less, epsilon, delta = case.sample(case.mechanism, False, samples, scratch)
    more, _, _ = case.sample(case.mechanism, True, samples, scratch)
    return _refuted(less, more, epsilon, delta, confidence) or _refuted(more, less, epsilon, delta, confidence)


def _refuted(p: np.ndarray[Any, Any], q: np.ndarray[Any, Any], epsilon: float, delta: float, confidence: float) -> bool:
    values = np.unique(np.concatenate([p, q]))
    events: list[Callable[[Any], Any]] = []
    for value in values[:: max(1, len(values) // 2000)]:
        events += [lambda x, v=value: x >= v, lambda x, v=value: x <= v]
    top = values[np.argsort(-np.array([np.sum(p[::2] == v) for v in values[:2000]]))[:200]] if len(values) <= 2000 else []
    events += [lambda x, v=value: x == v for value in top]
    best = max(events, key=lambda event: np.mean(event(p[::2])) - math.exp(epsilon) * np.mean(event(q[::2])))
    n = len(p[1::2])
    hits_p, hits_q = int(np.sum(best(p[1::2]))), int(np.sum(best(q[1::2])))
    low = float(stats.beta.ppf(1 - confidence, hits_p, n - hits_p + 1)) if hits_p else 0.0
    high = float(stats.beta.ppf(confidence, hits_q + 1, n - hits_q)) if hits_q < n else 1.0
    return low - math.exp(epsilon) * high > delta


def distinguishing_event(case: Case, scratch: Path, samples: int = 20_000) -> bool:
    """The precision attack: are there outputs that only one of two neighbours gives, in more than delta's share of the draws?

    A share of delta, and what is rare on both sides, is allowed for: values seen only once count for nothing.
    """
    less, _, delta = case.sample(case.mechanism, False, samples, scratch)
    more, _, _ = case.sample(case.mechanism, True, samples, scratch)
    if not (np.issubdtype(less.dtype, np.integer) and np.issubdtype(more.dtype, np.integer)):
        return True
    if len(np.unique(less)) > samples / 20:  # a fine grid: its low bits must be as even on both sides
        odd = [int(np.sum(side % 2)) for side in (less, more)]
        return bool(abs(odd[0] - odd[1]) > 5 * math.sqrt(samples / 2))
    for one, other in ((less, more), (more, less)):
        seen = set(other.tolist())
        if np.mean([value not in seen for value in one.tolist()]) > delta + 0.005:
            return True
    return False


def lone_naming(case: Case, scratch: Path, delta: float = 0.04, runs: int = 4) -> bool:
    """Is what one person alone holds named more often than delta allows (99.99% confident)?"""
    mechanism, many, times, tried = case.mechanism, 2500, 0, 0
    names = [f"k{at:04d}" for at in range(many)]
    rows = [(f"{n}/0", f"{n}-{end}", f"{n}-p") for n in names for end in ("a" if mechanism.name == "clicks" else "ab")]
    if mechanism.name in ("histogram", "partitions"):
        rows = [row for row in rows if row[1].endswith("a")]
    path = _written(rows, scratch)
    for run in range(runs):
        out = mechanism.run(path, "unit", 1.0, delta, secret_keys.derive(KEY, f"lone{run}"), scratch)
        first = out.column(0).to_pylist()
        times, tried = times + len({str(value).split("-")[0] for value in first}), tried + many
    return bool(times) and float(stats.beta.ppf(1e-4, times, tried - times + 1)) > delta


def law(noise: DiscreteLaplace, reach: int) -> np.ndarray[Any, Any]:
    """P[G = g] for g < reach of the magnitudes that a noisy maximum draws, from the sampler's own table."""
    found = _table(noise.steps, noise.halvings).entries
    total = float(1 << 256)
    plus, minus = found[noise.steps :], found[: noise.steps][::-1]
    q = 2.0**-noise.halvings
    one = np.array([(a + b) / total for a, b in zip(plus, minus, strict=True)])
    return np.concatenate([one * (1 - q) * q**turn for turn in range(reach // noise.steps + 1)])[:reach]


def chances_of_maximum(scores: list[int], noise: DiscreteLaplace, reach: int) -> list[float]:
    """The exact chance of each candidate, by summing over its draw (draws beyond `reach` are left out)."""
    pmf = law(noise, reach)
    below = np.concatenate([[0.0], np.cumsum(pmf)])  # below[x] = P[G < x]
    found = []
    for i, own in enumerate(scores):
        total = pmf.copy()
        for j, other in enumerate(scores):
            if j != i:  # j must be below, or equal and later
                limit = np.arange(reach) + own - other + (1 if j > i else 0)
                total = total * below[np.clip(limit, 0, reach)]
        found.append(float(total.sum()))
    return found


def maximum_breaches(noise: DiscreteLaplace, epsilon: float, neighbours: list[tuple[list[int], list[int]]]) -> list[str]:
    """Neighbouring scores for which the chance of some candidate changes by more than e^epsilon."""
    reach = int(60 * float(noise.scale)) + 60
    found = []
    for one, two in neighbours:
        for p, q in zip(chances_of_maximum(one, noise, reach), chances_of_maximum(two, noise, reach), strict=True):
            if max(p, q) > min(p, q) * math.exp(epsilon) * (1 + 1e-9):
                found.append(f"{one} {two}: {p} {q}")
    return found


def monotone_neighbours(size: int, shift: int) -> list[tuple[list[int], list[int]]]:
    """Small score vectors, and with every score raised by 0 .. shift."""
    bases = itertools.product(range(0, 3 * shift + 1, shift), repeat=size)
    return [
        (list(base), [a + b for a, b in zip(base, up, strict=True)])
        for base in bases
        for up in itertools.product((0, shift), repeat=size)
    ]


def quantile_neighbours(mechanism: Any, part: int, relation: str, size: int = 3) -> list[tuple[list[int], list[int]]]:
    """The scores of small counts, and of the same with one unit more (or, replaced, elsewhere)."""
    scores = sys.modules["pellucid.privacy.mechanisms.quantiles"].scores
    found = []
    for counts in itertools.product(range(4), repeat=size):
        for at in range(size):
            more = [c + (place == at) for place, c in enumerate(counts)]
            if relation == "add-remove":
                found.append((scores(np.array(counts), part).tolist(), scores(np.array(more), part).tolist()))
                continue
            for other in range(size):
                elsewhere = [c + (place == other) for place, c in enumerate(counts)]
                found.append((scores(np.array(more), part).tolist(), scores(np.array(elsewhere), part).tolist()))
    return found


def laplace_chi_squared(noise: DiscreteLaplace, draws: int = 400_000, label: str = "laplace") -> float:
    """The p-value of draws against the exact discrete Laplace, values pooled so that 10 or more are expected in each bin."""
    drawn = noise.draw(Stream(secret_keys.derive(KEY, label)), draws)
    if drawn.dtype != np.int64:
        return 0.0
    q = 2.0 ** (-noise.halvings / noise.steps)
    group = max(1, int(noise.sigma / 20))
    most = int(5 * noise.sigma / group) + 1
    edges = np.arange(-most, most + 1) * group  # bin i holds edges[i] <= z < edges[i + 1]; two more for the tails

    def below(z: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """P[Z < z]"""
        return np.where(z <= 0, q ** (1 - z.clip(max=1).astype(float)) / (1 + q), 1 - q ** z.clip(min=0).astype(float) / (1 + q))

    cumulative = np.concatenate([[0.0], below(edges), [1.0]])
    wanted = np.diff(cumulative) * draws
    seen = np.bincount(np.searchsorted(edges, drawn, side="right"), minlength=len(wanted)).astype(float)
    small = wanted < 10
    wanted, seen = np.append(wanted[~small], wanted[small].sum()), np.append(seen[~small], seen[small].sum())
    if wanted[-1] < 5:
        wanted = np.append(wanted[:-2], wanted[-2] + wanted[-1])
        seen = np.append(seen[:-2], seen[-2] + seen[-1])
    return float(stats.chisquare(seen, wanted * seen.sum() / wanted.sum()).pvalue)


def off_grid(mechanism: Any, path: Path, scratch: Path) -> list[float]:
    """Released quantiles that are not points of the declared grid."""
    points = {mechanism.lower + (mechanism.upper - mechanism.lower) * at / mechanism.steps for at in range(mechanism.steps + 1)}
    released = [mechanism.run(path, "unit", 50.0, 0.0, secret_keys.derive(KEY, f"grid{run}"), scratch) for run in range(5)]
    return [value for found in released for value in found.values() if value not in points]


def clicks_share_noise(scratch: Path) -> bool:
    """Do queries and clicks of one release have the same noise?"""
    mechanism = P["clicks"](query="item", place="second", queries=40, clicks=40)
    rows = [(f"u{u:03d}", f"q{at:02d}", "p") for u in range(300) for at in range(40)]
    out = mechanism.run(_written(rows, scratch), "unit", 50.0, 0.01, KEY, scratch).to_pylist()
    queries = np.array([row["count"] for row in out if row["second"] is None])
    return checks.shared_noise(queries, np.array([row["count"] for row in out if row["second"] is not None]))
