"""Marginals: how many people are in each cell of each column, and of those pairs of columns that hang together most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import PrivacyError
from pellucid.privacy.accounting import promise, pure_event
from pellucid.privacy.mechanisms.marginals.edge_selection import Place, candidate_places, first_places, scores, tree
from pellucid.privacy.mechanisms.marginals.table_columns import Column, bounded_codes, check_table, checked, declared
from pellucid.privacy.mechanisms.report_noisy_max import noise_for_maximum
from pellucid.privacy.mechanisms.threshold import Plan as CountsPlan
from pellucid.privacy.mechanisms.threshold import plan as counts_plan
from pellucid.privacy.noise import DiscreteLaplace
from pellucid.privacy.parameters import checked_count, checked_delta, checked_epsilon
from pellucid.store import ADD_REMOVE, REPLACE, Unit, unit_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream

SELECTION = Fraction(1, 10)  # of epsilon, for choosing pairs; fixed, not fitted to data
MOST_AT_ONCE = 40_000_000  # cells of all marginals that may be measured: 320 MB
MOST_RELEASED = 100_000_000  # values of the released table: 800 MB


@dataclass(frozen=True)
class Plan:
    """What a release adds: noise on the counts, and on the scores of each of so many rounds (None where nothing is chosen)."""

    counts: CountsPlan
    choice: DiscreteLaplace | None
    rounds: int
    epsilon_of_round: float


@dataclass(frozen=True)
class Marginals:
    """Counts of people per cell of each column, and of a tree of pairs of columns that the data choose (with a target: of triples).

    Unit and neighbouring relation: as the source declares them; of a unit with several rows one is drawn by the key (bounding.py).
    Statistic: the columns' cells are declared (table_columns.py). First the marginal of each column (with `target`: of each other column
    and the target); then a tree of pairs, chosen by noisy maxima (edge_selection.py); then the marginals of the chosen pairs (with
    `target`: of each pair and the target).
    Sensitivity: one unit is one row, so it moves exactly one cell of each marginal by 1: at most k cells in all, k the number of
    marginals of the first part and of the rounds. A score moves by at most 1. Replaced: 2 k cells, and a score by at most 2.
    Guarantee: (epsilon, delta). A tenth of epsilon, e, goes to the rounds, in equal parts, each a noisy maximum and purely private
    (report_noisy_max.py). The rest, g, is that of discrete Gaussian noise, all of one sigma, on the k cells that move. Which cells the
    last part measures, and how many, depends on what was drawn before. But the privacy loss of a moved cell has one law, whichever cell it
    is and whatever came before it, for its noise is fresh. Where fewer than k are measured, think of the rest as drawn and not shown:
    hiding them is post-processing. So the losses of the cells add up to the law of k draws, which calibration.py takes, and those of the
    rounds to at most e whatever they were. With L the Gaussian part of the loss, E[max(0, 1 - exp(epsilon - loss))] <=
    E[max(0, 1 - exp(g - L))] <= delta. The sampler's distance costs (1 + exp(g)) for each of the k draws, for these are the same draws
    under the real law (gaussian.py), and the rounds come on top of either.
    Source: McKenna, Miklau, Sheldon (2021) and McKenna et al. (2022) for select, measure, generate; Canonne, Kamath, Steinke (2020).
    Why the code meets it: marginals are counted from one row per unit; expectations are made of noised marginals in whole numbers; each
    marginal and each round draws from a stream of its own; all cells of a measured marginal are released, in their declared order,
    whether anybody is in them or not.

    Whoever changes what this computes must raise `version`: the noise stream of a release depends on it (see gram_matrix.py).
    """

    columns: tuple[Any, ...]
    target: str = ""
    other: str = ""
    max_cells: int = 100_000

    name: ClassVar[str] = "marginals"
    version: ClassVar[int] = 1
    output_kind: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        kept = checked(self.columns, self.other)
        object.__setattr__(self, "columns", tuple((one.name, one.kind, one.cells) for one in kept))
        names = [one.name for one in kept]
        if self.target and self.target not in names:
            raise PrivacyError(f"the target {self.target!r} is not a declared column", fix=f"Columns: {', '.join(names)}")
        checked_count("max_cells", self.max_cells, 4, 10_000_000)
        sizes = [one.size for one in kept]
        large = next((place for place in self._first() if math.prod(sizes[at] for at in place) > self.max_cells), None)
        if large is not None:
            named = " and ".join(names[at] for at in large)
            raise PrivacyError(f"{named} have more than {self.max_cells:,} cells", fix="Use fewer cells, or raise max_cells")
        fixed, chosen = ([math.prod(sizes[at] for at in place) for place in some] for some in (self._first(), self._candidates()))
        if sum(fixed) + sum(chosen) > MOST_AT_ONCE:
            raise PrivacyError(
                f"columns and pairs of columns have more than {MOST_AT_ONCE:,} cells together",
                fix="Use fewer columns or cells, or lower max_cells: larger pairs are then not looked at",
            )
        if (sum(fixed) + sum(sorted(chosen)[-self._rounds() :])) * (2 + 2 * len(kept)) > MOST_RELEASED:
            raise PrivacyError(
                f"what is released may have more than {MOST_RELEASED:,} values",
                fix="Use fewer columns or cells, or lower max_cells: larger pairs are then not looked at",
            )

    @property
    def table(self) -> tuple[Column, ...]:
        """The declared columns."""
        return checked(self.columns, self.other)

    def parameters(self) -> dict[str, Any]:
        """All that defines the statistic and how it is computed, for the release's id."""
        given = {"mechanism": self.name, "version": self.version, "columns": _lists(self.columns), "target": self.target}
        return {**given, "other": self.other, "max_cells": self.max_cells}

    def guarantee(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, Any]:
        """The guarantee in words and numbers; public."""
        chosen = self.plan(epsilon, delta, relation)
        choosing = [pure_event(chosen.epsilon_of_round)] * chosen.rounds
        by = 2 if relation == REPLACE else 1
        return promise(
            self.parameters(),
            epsilon,
            delta,
            relation,
            sensitivity=f"one unit changes at most {chosen.counts.cells} counts, each by 1, and each score of a pair by at most {by}",
            noise=f"discrete Gaussian on every count; geometric on every score, in each of {chosen.rounds} rounds",
            events=[*chosen.counts.events(), *choosing],
            extra_delta=chosen.counts.extra_delta,
            beyond=["whether every person has exactly one value in the unit column"],
            delta_parts={"counts": chosen.counts.delta_counts, "sampler": chosen.counts.delta_sampler},
            cells=chosen.counts.cells,
            sigma=chosen.counts.noise.sigma,
            sigma2=str(chosen.counts.sigma2),
            scale=str(chosen.choice.scale) if chosen.choice is not None else None,
        )

    def numbers(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, float]:
        """The same as flat numbers; `marginals` is how many are released at most."""
        chosen = self.plan(epsilon, delta, relation)
        return {
            "epsilon": float(epsilon),
            "delta": float(delta),
            "sigma": chosen.counts.noise.sigma,
            "cells": float(chosen.counts.cells),
            "marginals": float(len(self._first()) + chosen.rounds),
            "selection_scale": float(chosen.choice.scale) if chosen.choice is not None else 0.0,
        }

    def plan(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> Plan:
        """The noise of counts and of scores."""
        whole = Fraction(checked_epsilon(epsilon))
        rounds = self._rounds()
        of_round = float(whole * SELECTION / rounds) if rounds else 0.0
        if rounds and Fraction(of_round) * rounds > whole * SELECTION:
            of_round = math.nextafter(of_round, 0.0)
        rest = float(whole - Fraction(of_round) * rounds)
        if Fraction(rest) + Fraction(of_round) * rounds > whole:
            rest = math.nextafter(rest, 0.0)
        counts = counts_plan(rest, checked_delta(delta), len(self._first()) + rounds, 0, relation)
        shift = 2 if relation == REPLACE else 1
        choice = noise_for_maximum(Fraction(of_round), shift, monotone=False) if rounds else None
        return Plan(counts, choice, rounds, of_round)

    def check(self, table_path: Path, unit: str | Unit) -> None:
        """Raise PrivacyError, before anything is spent, for data this mechanism would refuse."""
        check_table(table_path, unit, self.table)

    def run(self, table_path: Path, unit: str | Unit, epsilon: float, delta: float, key: bytes, scratch: Path) -> pa.Table:
        """The release: `marginal` (from 0), the columns' cells (null for columns a marginal has not), `count` (int64)."""
        from pellucid.privacy.noise import Stream

        stream = Stream(key)
        counts = self.counts(table_path, unit, stream.subkey("bounding"), scratch)
        return self.shown(self.noised(counts, self.plan(epsilon, delta, unit_of(unit).relation), stream))

    def places(self) -> list[Place]:
        """Every marginal that may be measured, those that always are first."""
        return [*self._first(), *self._candidates()]

    def counts(self, table_path: Path, unit: str | Unit, key: bytes, scratch: Path) -> dict[Place, NDArray[Any]]:
        """People per cell of every marginal that may be measured (before noise: private)."""
        import numpy as np

        table = self.table
        shapes = {place: tuple(table[at].size for at in place) for place in self.places()}
        flat = {place: np.zeros(math.prod(shape), dtype=np.int64) for place, shape in shapes.items()}
        for rows in bounded_codes(table_path, unit, table, key, scratch):
            for place, shape in shapes.items():
                cells = np.ravel_multi_index(tuple(rows[:, at] for at in place), shape)
                flat[place] += np.bincount(cells, minlength=len(flat[place]))
        return {place: flat[place].reshape(shape) for place, shape in shapes.items()}

    def noised(self, counts: Mapping[Place, NDArray[Any]], chosen: Plan, stream: Stream) -> dict[Place, NDArray[Any]]:
        """The marginals as they are released, the chosen ones last."""
        noise, candidates = chosen.counts.noise, self._candidates()
        released = {}
        for at, place in enumerate(self._first()):
            drawn = noise.draw(stream.fork(f"marginal {at}"), counts[place].size)
            released[place] = counts[place] + drawn.reshape(counts[place].shape)
        worth = scores(counts, released, candidates, chosen.counts.sigma2)
        picked = tree(worth, candidates, chosen.rounds, chosen.choice, stream.fork("choice"))
        for at, place in enumerate(picked):
            drawn = noise.draw(stream.fork(f"chosen {at}"), counts[place].size)
            released[place] = counts[place] + drawn.reshape(counts[place].shape)
        return released

    def shown(self, released: Mapping[Place, NDArray[Any]]) -> pa.Table:
        """The marginals as one public table, the cells of each in the order of the declared columns."""
        import numpy as np
        import pyarrow as pa

        table, parts = self.table, []
        for number, (place, values) in enumerate(released.items()):
            order = sorted(place)
            values = values.transpose([place.index(at) for at in order])
            cells = np.unravel_index(np.arange(values.size), values.shape)
            columns: dict[str, Any] = {"marginal": pa.array(np.full(values.size, number, dtype=np.int32))}
            for at, column in enumerate(table):
                columns |= column.shown(cells[order.index(at)] if at in order else None, values.size)
            parts.append(pa.table(columns | {"count": pa.array(values.ravel())}))
        return pa.concat_tables(parts)

    def read(self, released: pa.Table) -> list[tuple[Place, NDArray[Any]]]:
        """The marginals of a release, in their order: the places of their columns, and their counts."""
        import numpy as np

        table, found = self.table, []
        labels = [next(iter(column.shown(None, 0))) for column in table]
        numbers = released.column("marginal").to_numpy()
        for number in np.unique(numbers):
            rows = np.flatnonzero(numbers == number)
            part = released.slice(int(rows[0]), len(rows))
            order = [at for at, label in enumerate(labels) if part.column(label).null_count == 0]
            counts = part.column("count").to_numpy().reshape([table[at].size for at in order])
            place = tuple(sorted(order, key=lambda at: (at == self._target(), at)))
            found.append((place, counts.transpose([order.index(at) for at in place])))
        return found

    def _target(self) -> int | None:
        return [name for name, _, _ in self.columns].index(self.target) if self.target else None

    def _first(self) -> list[Place]:
        return first_places(len(self.columns), self._target())

    def _candidates(self) -> list[Place]:
        return candidate_places([one.size for one in self.table], self._target(), self.max_cells)

    def _rounds(self) -> int:
        return len(self.columns) - (2 if self.target else 1) if self._candidates() else 0


def _lists(value: Any) -> Any:
    """As JSON has it."""
    return [_lists(one) for one in value] if isinstance(value, tuple) else value


def marginals(columns: Mapping[str, object], target: str = "", other: str = "", max_cells: int = 100_000) -> Marginals:
    """Counts of people per cell of each column, and of the pairs of columns that hang together most: what `pl.synthesize.table` needs.

    `columns` declares each column: a list of its values (text or whole numbers), a mapping of its values to groups (then the groups
    are counted), or `pl.privacy.bins(lower, upper, count)` for numbers; 2 to 60 columns, 2 to 10,000 cells each. `target` names the
    column that models of the synthetic rows will predict: every marginal then has it. Text that is not listed counts as `other`,
    or is refused where there is none. Pairs of more than `max_cells` cells are not looked at.
    """
    return Marginals(declared(columns, other), target, other, max_cells)
