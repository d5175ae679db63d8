"""Rows from marginals: a tree of columns, each drawn given the one before it (and given the target, where there is one).

The noised marginals contradict each other and have cells below zero. They are brought together as follows. The number of people is the
mean of the marginals' sums, each weighted by the inverse of its variance. A joint marginal is drawn towards what independence would give,
by the share of its distance from it that noise explains (James and Stein 1961): w = max(0, 1 - cells sigma^2 / distance^2). Every marginal
is then moved to the nearest one without negative cells that has all the people (Wang and Carreira-Perpinan 2013). What two marginals say
of one column is averaged, weighted by the inverse of the number of cells that were summed; and the joint ones are scaled until they agree
with that (iterative proportional fitting: Deming and Stephan 1940).

The tree's edges are the joint marginals, so the distribution is exact: no approximate inference. Rows are drawn with stratified numbers:
of the n rows with one parent cell, one number falls into each n-th part of the unit interval, so that counts of cells are off by rounding
and not by chance. Cumulated shares are rounded to 2^-20, and each portion of rows has a generator of its own (PCG64 of the public seed and
its number), so that the rounding of another processor hardly ever shows in the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.synthesize.released_marginals import Place, ReleasedMarginals

PORTION = 1 << 18  # rows drawn at once
GRID = float(1 << 20)
SCALINGS = 30
TRACE = 1e-6  # of what independence gives, added to a joint marginal: no cell is impossible


@dataclass(frozen=True)
class Draw:
    """One column's cumulated shares, one row for each cell of its `parents` (ascending places of columns drawn before)."""

    column: int
    parents: tuple[int, ...]
    cumulated: NDArray[Any]  # parent cells x cells


@dataclass(frozen=True)
class ColumnTree:
    """The draws in order, and how many people the marginals say there are."""

    draws: tuple[Draw, ...]
    sizes: tuple[int, ...]
    people: float

    def portions(self, seed: int, rows: int) -> Iterator[NDArray[Any]]:
        """`rows` rows as cell numbers (int64, rows x columns), portion after portion."""
        import numpy as np

        for number, start in enumerate(range(0, rows, PORTION)):
            count = min(PORTION, rows - start)
            random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number])))
            cells = np.zeros((count, len(self.sizes)), dtype=np.int64)
            for draw in self.draws:
                group = np.zeros(count, dtype=np.int64)
                for parent in draw.parents:
                    group = group * self.sizes[parent] + cells[:, parent]
                uniform = _stratified(group, random)
                offset = draw.cumulated + np.arange(len(draw.cumulated))[:, None]  # one ascending list for all groups
                place = np.searchsorted(offset.ravel(), group + uniform, side="right")
                cells[:, draw.column] = np.minimum(place - group * self.sizes[draw.column], self.sizes[draw.column] - 1)
            yield cells


def fit_tree(told: ReleasedMarginals, sigma: float) -> ColumnTree:
    """The distribution of rows that the marginals tell. Raises DataError where they are noise alone."""
    import numpy as np

    weights = np.array([1.0 / counts.size for counts in told.single.values()])
    people = float(np.average([counts.sum() for counts in told.single.values()], weights=weights))
    noise = sigma * float(np.sqrt(1.0 / weights.sum()))  # standard deviation of that mean
    if people < max(1.0, 4 * noise):
        raise DataError(
            "the marginals say nothing: there is no more in them than noise",
            why=f"they count {people:.0f} people, give or take {noise:.0f}",
            fix="Raise epsilon, declare fewer columns or cells, or release from more people",
        )
    single = {place: _feasible(counts, people) for place, counts in told.single.items()}
    joint = {
        place: _feasible(_drawn_in(counts, _independent(single, place), sigma), people) for place, counts in told.joint.items()
    }
    single = _agreed(single, joint, told.target)
    joint = {place: _scaled(counts, single, place) for place, counts in joint.items()}
    sizes = tuple(column.size for column in told.columns)
    draws = tuple(_draws(single, joint, told.target))
    if not all(np.isfinite(draw.cumulated).all() for draw in draws):
        raise DataError(
            "the marginals contradict each other so far that no shares can be had of them", fix="Give it the release itself"
        )
    return ColumnTree(draws, sizes, people)


def _feasible(counts: NDArray[Any], people: float) -> NDArray[Any]:
    """The nearest table without negative cells and with this sum."""
    import numpy as np

    descending = np.sort(counts, axis=None)[::-1]
    excess = (np.cumsum(descending) - people) / np.arange(1, counts.size + 1)
    last = int(np.flatnonzero(descending > excess)[-1])
    return np.asarray(np.maximum(counts - excess[last], 0.0))


def _independent(single: dict[Place, NDArray[Any]], place: Place) -> NDArray[Any]:
    import numpy as np

    one, other = (single[(at, *place[2:])] for at in place[:2])
    if len(place) == 2:
        return np.asarray(one[:, None] * other[None, :] / max(1e-9, one.sum()))
    people_of = np.maximum(1e-9, (one.sum(axis=0) + other.sum(axis=0)) / 2)
    return np.asarray(one[:, None, :] * other[None, :, :] / people_of)


def _drawn_in(counts: NDArray[Any], base: NDArray[Any], sigma: float) -> NDArray[Any]:
    distance = float(((counts - base) ** 2).sum())
    return base + max(0.0, 1.0 - counts.size * sigma**2 / max(distance, 1e-9)) * (counts - base)  # type: ignore[no-any-return]


def _agreed(single: dict[Place, NDArray[Any]], joint: dict[Place, NDArray[Any]], target: int | None) -> dict[Place, NDArray[Any]]:
    """What all marginals together say of each column (and the target)."""
    sums = {place: (counts.copy(), 1.0) for place, counts in single.items()}
    for place, counts in joint.items():
        for at in (0, 1):
            mine, over = (place[at], *place[2:]), 1 - at
            total, weight = sums[mine]
            share = 1.0 / counts.shape[over]
            sums[mine] = (total + share * counts.sum(axis=over), weight + share)
    found = {place: total / weight for place, (total, weight) in sums.items()}
    if target is None:
        return found
    shares = {place: 1.0 / len(counts) for place, counts in found.items()}
    people_of = sum(shares[place] * counts.sum(axis=0) for place, counts in found.items()) / sum(shares.values())
    return {place: counts * _ratio(people_of, counts.sum(axis=0)) for place, counts in found.items()}


def _scaled(counts: NDArray[Any], single: dict[Place, NDArray[Any]], place: Place) -> NDArray[Any]:
    counts = counts + TRACE * (_independent(single, place) + 1e-9)
    one, other = (single[(at, *place[2:])] for at in place[:2])
    for _ in range(SCALINGS):
        counts = counts * _ratio(one, counts.sum(axis=1))[:, None]
        counts = counts * _ratio(other, counts.sum(axis=0))[None, :]
    return counts


def _draws(single: dict[Place, NDArray[Any]], joint: dict[Place, NDArray[Any]], target: int | None) -> Iterator[Draw]:
    """The target, then column after column along the edges; a column without an edge to one before it starts a tree of its own."""
    last = () if target is None else (target,)
    if target is not None:
        first = next(iter(single.values()))
        yield Draw(target, (), _cumulated(first.sum(axis=0)[None, :]))
    done: list[int] = []
    for root in [place[0] for place in single]:
        if root in done:
            continue
        counts = single[(root, *last)]
        yield Draw(root, last, _cumulated(counts.T if last else counts[None, :]))
        done.append(root)
        waiting = [root]
        while waiting:
            parent = waiting.pop(0)
            for place, cells in joint.items():
                if parent not in place[:2]:
                    continue
                child = place[1] if place[0] == parent else place[0]
                if child in done:
                    continue
                shares = cells if place[0] == parent else cells.swapaxes(0, 1)  # parent, child (, target)
                shares = shares.swapaxes(1, 2) if last else shares  # parent (, target), child
                yield Draw(child, (parent, *last), _cumulated(shares.reshape(-1, shares.shape[-1])))
                done.append(child)
                waiting.append(child)


def _cumulated(counts: NDArray[Any]) -> NDArray[Any]:
    """Cumulated shares of each row; equal shares where a row has nothing."""
    import numpy as np

    counts = np.where(counts.sum(axis=1, keepdims=True) > 0, counts, 1.0)
    cumulated = np.cumsum(counts, axis=1)
    return np.asarray(np.round(cumulated / cumulated[:, -1:] * GRID) / GRID)


def _stratified(group: NDArray[Any], random: Any) -> NDArray[Any]:
    """For each row a number in [0, 1): those of one group fall one into each n-th part."""
    import numpy as np

    order = np.lexsort((random.random(len(group)), group))
    counts = np.bincount(group)
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(group))
    rank[order] = np.arange(len(group)) - starts[group[order]]
    return np.asarray(np.minimum((rank + random.random(len(group))) / counts[group], 1 - 1 / GRID / 2))


def _ratio(wanted: Any, there: NDArray[Any]) -> NDArray[Any]:
    """By how much to scale; 0 where there is nobody."""
    import numpy as np

    return np.asarray(np.divide(wanted, there, out=np.zeros_like(there), where=there > 1e-9))
