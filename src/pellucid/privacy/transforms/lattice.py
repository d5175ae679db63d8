"""The least-loss generalisation: of all choices of one level for each column, the one that is k-anonymous and loses least.

Full-domain generalisation (every value of a column at one level). The choices form a lattice, and three facts make the search exact
and short:

- The loss of a choice, before suppression, is the mean of one number a column and level, so all are known before a row is looked at,
  and choices are tried in the order of rising loss: without suppression the first that satisfies is the optimum.
- k-anonymity, distinct l-diversity and t-closeness are monotone: if a choice satisfies, every coarser one does (classes only merge;
  k and l grow; both distances are convex, so that of a merged class is at most the larger one). So along a path upwards the border is
  found by bisection (as in Flash, Kohlmayer et al. 2012, and OLA, El Emam et al. 2009), and one failure rules out all that is finer.
- Only distinct combinations of values are looked at, with their counts.

With suppression, a choice satisfies when the rows in classes that fail k or l are at most the limit; merging never raises their number
(a class that holds k stays one), so this is monotone as well. A suppressed row counts as lost in every column. The loss is then no
longer monotone, but never below what it was before suppression; so choices are tried in that order until the bound reaches the
best loss found, which is the optimum too. t-closeness and suppression together are refused: leaving rows out moves the distribution that
t is measured against, and monotonicity goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError, UsageError
from pellucid.privacy.parameters import checked_count
from pellucid.privacy.transforms.hierarchy import Hierarchy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.assess import Codes

_CHOICES = 20_000_000  # a lattice larger than this is refused: its index alone would not fit


@dataclass(frozen=True)
class Goal:
    """What the generalised table must satisfy: `k` rows a class; `l` different values of `sensitive` in each, and a distance of at most
    `t`, where given; the share `suppress` of the rows may be left out to reach k and l."""

    k: int
    sensitive: str | None = None
    l: int | None = None  # noqa: E741
    t: float | None = None
    ordered: bool | None = None
    suppress: float = 0.0

    def __post_init__(self) -> None:
        checked_count("k", self.k, 1, 1_000_000_000)
        if self.l is not None:
            checked_count("l", self.l, 1, 1_000_000_000)
        for name, number in (("t", self.t), ("suppress", self.suppress)):
            if number is not None and (isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1):
                raise PrivacyError(f"{name} must lie between 0 and 1, not {number}")
        if (self.l is not None or self.t is not None) and self.sensitive is None:
            raise UsageError("l and t are about a sensitive column", fix="Name it: sensitive=...")
        if self.t is not None and self.suppress:
            raise UsageError(
                "t-closeness cannot be searched together with suppression",
                why="leaving rows out moves the distribution that t is measured against",
                fix="Give one of the two",
            )


@dataclass(frozen=True)
class Table:
    """The table as the search sees it: distinct combinations, as rows of each column's hierarchy, with their counts.

    `values` and `weights`: distinct (combination, sensitive value) pairs, where there is a sensitive column.
    """

    columns: tuple[str, ...]
    hierarchies: tuple[Hierarchy, ...]
    places: tuple[NDArray[Any], ...]
    counts: NDArray[Any]
    sensitive: Codes | None = None

    @cached_property
    def rows(self) -> int:
        return int(self.counts.sum())

    @cached_property
    def shape(self) -> tuple[int, ...]:
        return tuple(h.levels for h in self.hierarchies)

    @cached_property
    def coded(self) -> list[list[tuple[NDArray[Any], int]]]:
        """For each column and level: the code of each combination, and how many codes there are."""
        found = []
        for hierarchy, places in zip(self.hierarchies, self.places, strict=True):
            levels = [hierarchy.codes(level) for level in range(hierarchy.levels)]
            found.append([(codes[places], count) for codes, count in levels])
        return found

    def penalties(self, measure: Any) -> list[list[NDArray[Any]]]:
        """For each column and level: the loss of each combination's value."""
        return [
            [measure(h, level)[places] for level in range(h.levels)]
            for h, places in zip(self.hierarchies, self.places, strict=True)
        ]

    def classes(self, choice: Sequence[int]) -> tuple[NDArray[Any], int]:
        """The class of each combination under a choice of levels."""
        from pellucid.privacy.assess import Codes, classes

        return classes([Codes(*self.coded[at][level], None) for at, level in enumerate(choice)])


def compact(columns: Mapping[str, Any], hierarchies: Mapping[str, Hierarchy], sensitive: Any = None) -> Table:
    """The distinct combinations of a table's columns (Arrow arrays), with the sensitive column's values kept apart. Raises DataError."""
    import numpy as np

    from pellucid.privacy.assess import Codes, classes, encode

    places = [hierarchies[name].places_of(column, name) for name, column in columns.items()]
    codes = [Codes(p, len(hierarchies[name].rows), None) for p, name in zip(places, columns, strict=True)]
    kept = encode(sensitive) if sensitive is not None else None
    of_class, count = classes([*codes, *([kept] if kept else [])])
    first = np.empty(count, dtype=np.int64)
    first[of_class[::-1]] = np.arange(len(of_class))[::-1]
    held = Codes(kept.of[first], kept.size, kept.values) if kept else None
    return Table(
        tuple(columns),
        tuple(hierarchies[name] for name in columns),
        tuple(p[first] for p in places),
        np.bincount(of_class, minlength=count),
        held,
    )


class Check:
    """Whether a choice satisfies a goal, and how many rows it leaves out to do so."""

    def __init__(self, table: Table, goal: Goal, ordered: bool) -> None:
        self.table, self.goal, self.ordered = table, goal, ordered
        self.limit = int(goal.suppress * table.rows)
        self.looked = 0
        self.sensitive = table.sensitive.ordered() if ordered and table.sensitive is not None else table.sensitive

    def failing(self, choice: Sequence[int]) -> NDArray[Any]:
        """For each combination, whether its class fails k or l."""
        import numpy as np

        self.looked += 1
        of_class, count = self.table.classes(choice)
        fails = np.bincount(of_class, weights=self.table.counts, minlength=count) < self.goal.k
        if self.goal.l is not None and not fails.all():
            assert self.sensitive is not None
            pairs = np.unique(of_class * self.sensitive.size + self.sensitive.of)
            fails |= np.bincount(pairs // self.sensitive.size, minlength=count) < self.goal.l
        return np.asarray(fails[of_class])

    def satisfies(self, choice: Sequence[int]) -> bool:
        """Whether the choice reaches the goal."""
        if int(self.table.counts[self.failing(choice)].sum()) > self.limit:
            return False
        return self.goal.t is None or self.distance(choice) <= self.goal.t + 1e-12

    def distance(self, choice: Sequence[int]) -> float:
        """t of a choice: the distances need one row for each row of the table."""
        import numpy as np

        from pellucid.privacy.assess import Codes, distances

        assert self.sensitive is not None
        of_class, count = self.table.classes(choice)
        repeated = np.repeat(np.arange(len(of_class)), self.table.counts)
        spread = Codes(self.sensitive.of[repeated], self.sensitive.size, None)
        return float(distances(of_class[repeated], count, spread, self.ordered).max())


def search(table: Table, check: Check) -> tuple[tuple[int, ...], float, int] | None:
    """The optimal choice, its loss (NCP), and the size of the lattice; None where even the coarsest choice fails."""
    import numpy as np

    from pellucid.privacy.transforms.information_loss import ncp

    shape = table.shape
    size = int(np.prod(shape, dtype=object))
    if size > _CHOICES:
        raise UsageError(f"{size:,} choices of levels are too many to search", fix="Leave out columns, or levels of hierarchies")
    penalties = table.penalties(ncp)
    weights = table.counts / (table.rows * len(shape))
    bound = np.zeros(shape)
    for at, levels in enumerate(penalties):
        along = [1] * len(shape)
        along[at] = -1
        bound += np.array([float(weights @ level) for level in levels]).reshape(along)
    known = np.zeros(shape, dtype=np.int8)  # 1 satisfies, -1 fails
    top = tuple(n - 1 for n in shape)
    if not check.satisfies(top):
        return None
    known[top] = 1
    best: tuple[tuple[int, ...], float] | None = None
    for flat in np.argsort(bound, axis=None, kind="stable"):
        choice = tuple(int(n) for n in np.unravel_index(flat, shape))
        if best is not None and float(bound[choice]) >= best[1] - 1e-15:
            break
        if known[choice] == 0:
            _bisect(choice, top, known, bound, check)
        if known[choice] != 1:
            continue
        loss = float(bound[choice])
        if check.limit:
            gone = check.failing(choice)
            kept = sum(level[n] for level, n in zip(penalties, choice, strict=True))
            loss = float((np.where(gone, len(shape), kept) * weights).sum())
        if best is None or loss < best[1] - 1e-15:
            best = choice, loss
    assert best is not None
    return best[0], best[1], size


def _bisect(choice: tuple[int, ...], top: tuple[int, ...], known: Any, bound: Any, check: Check) -> None:
    """Find the border on a path from a choice to the top, and mark what it decides: all below a failure fails, all above a success
    satisfies."""
    path = [choice]
    while path[-1] != top and known[path[-1]] == 0:
        ways = [(*path[-1][:at], n + 1, *path[-1][at + 1 :]) for at, n in enumerate(path[-1]) if n < top[at]]
        path.append(min(ways, key=lambda way: (float(bound[way]), way)))
    if known[path[-1]] != 0:
        path.pop()
    low, high = 0, len(path)  # below low all fail, from high on all satisfy
    while low < high:
        middle = (low + high) // 2
        at = path[middle]
        if known[at] == 0:
            if check.satisfies(at):
                known[tuple(slice(n, None) for n in at)] = 1
            else:
                known[tuple(slice(None, n + 1) for n in at)] = -1
        if known[at] == 1:
            high = middle
        else:
            low = middle + 1
