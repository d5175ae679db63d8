"""The search for the least-loss table, from a table and hierarchies to transforms that make it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.errors import PrivacyError, UsageError
from pellucid.privacy.transforms.hierarchy import Hierarchy, read_hierarchy
from pellucid.privacy.transforms.lattice import Check, Goal, compact, search
from pellucid.privacy.transforms.row_transform import Transform


@dataclass(frozen=True)
class Generalisation:
    """The optimal choice of levels, what it loses by several measures, and how it was found.

    `loss` is the mean normalised certainty penalty of a cell (a suppressed row has lost all its cells). `choices` is the size of the
    lattice, `looked_at` how many of them were tested on the data. Levels and losses were chosen by looking at the data: they are as
    private as the data.
    """

    levels: Mapping[str, int]
    loss: float
    iyengar: float
    precision: float
    discernibility: int
    rows: int
    suppressed: int
    classes: int
    choices: int
    looked_at: int
    k: int
    hierarchies: Mapping[str, Hierarchy] = field(repr=False)

    def transforms(self) -> list[Transform]:
        """What makes this table: give it to `pl.protect` or `transformed`."""
        from pellucid.privacy.transforms.generalise import Generalise
        from pellucid.privacy.transforms.suppress import SuppressSmall

        chain: list[Transform] = [Generalise(name, self.hierarchies[name], level) for name, level in self.levels.items() if level]
        if self.suppressed:
            chain.append(SuppressSmall(tuple(self.levels), self.k))
        return chain

    def to_json(self) -> dict[str, Any]:
        found = {name: value for name, value in vars(self).items() if name != "hierarchies"}
        return {"format": "pellucid generalisation 1", **found, "levels": dict(self.levels)}

    def to_text(self) -> str:
        """At 80 columns."""
        lines = [f"{'column':<28} {'level':>6} {'of':>4}"]
        lines += [f"{name[:28]:<28} {level:>6} {self.hierarchies[name].levels - 1:>4}" for name, level in self.levels.items()]
        told = (
            f"Loss {self.loss:.4f} (normalised certainty penalty; 0 as it was, 1 nothing left), Iyengar's loss {self.iyengar:.4f}, "
            f"precision {self.precision:.4f}, discernibility {self.discernibility:,}. {self.suppressed:,} of {self.rows:,} rows "
            f"suppressed; {self.classes:,} classes of at least {self.k}. The least of {self.choices:,} choices; {self.looked_at:,} were "
            "tested. It proves nothing about people of whom more is known than these columns."
        )
        return "\n".join([*lines, *textwrap.wrap(told, 80)])


def least_loss(
    data: Any,
    hierarchies: Mapping[str, Hierarchy | str | Path],
    *,
    k: int,
    sensitive: str | None = None,
    l: int | None = None,  # noqa: E741
    t: float | None = None,
    ordered: bool | None = None,
    suppress: float = 0.0,
) -> Generalisation:
    """The full-domain generalisation of the columns of `hierarchies` that is k-anonymous, and l-diverse (distinct) and t-close in
    `sensitive` where asked, with the least loss; the share `suppress` of the rows may be left out.

    `data` is a path or anything that holds rows; a hierarchy may be the path of its CSV file. The result is optimal: lattice.py has
    the argument, and under which assumptions. Of several optima the one with the lowest levels, column by column, is taken. Raises
    PrivacyError where even the coarsest table fails, DataError, UsageError.
    """
    import numpy as np

    from pellucid.privacy.assess import columns_of
    from pellucid.privacy.transforms import information_loss as losses

    goal = Goal(k, sensitive, l, t, ordered, suppress)
    if goal.suppress and goal.l is not None:
        raise UsageError(
            "l-diversity is not searched together with suppression",
            why="no transform here leaves out the rows of classes that are not diverse",
            fix="Give one of the two",
        )
    read = {n: h if isinstance(h, Hierarchy) else read_hierarchy(h) for n, h in hierarchies.items()}
    if sensitive is not None and sensitive in read:
        raise UsageError(f'"{sensitive}" cannot be generalised and sensitive at once')
    names = [*read, *([sensitive] if sensitive else [])]
    columns = columns_of(data, names)
    if not len(columns[0]):
        raise PrivacyError("the table has no rows, so there is nothing to generalise")
    wanted = columns[-1] if sensitive and (l is not None or t is not None) else None
    table = compact(dict(zip(read, columns, strict=False)), read, wanted)
    by_rank = bool(goal.ordered) if goal.ordered is not None else wanted is not None and _is_ordered(wanted.type)
    check = Check(table, goal, by_rank)
    found = search(table, check)
    if found is None:
        raise PrivacyError(
            "no generalisation reaches this",
            why="even with every column at its coarsest level the goal is missed",
            fix="Ask for less, allow suppression, or give the hierarchies a last level where all values are alike",
        )
    levels, loss, size = found
    gone = check.failing(levels) if check.limit else np.zeros(len(table.counts), dtype=bool)
    looked = check.looked - bool(check.limit)
    of_class, count = table.classes(levels)
    sizes = np.bincount(of_class[~gone], weights=table.counts[~gone], minlength=count).astype(np.int64)
    sizes = sizes[sizes > 0]
    left_out = int(table.counts[gone].sum())
    fine = sum(level[n] for level, n in zip(table.penalties(losses.iyengar), levels, strict=True))
    heights = [n / max(1, h.levels - 1) for n, h in zip(levels, table.hierarchies, strict=True)]
    share = left_out / table.rows
    return Generalisation(
        levels=dict(zip(table.columns, levels, strict=True)),
        loss=loss,
        iyengar=float((np.where(gone, len(levels), fine) * table.counts).sum() / (table.rows * len(levels))),
        precision=1 - ((1 - share) * sum(heights) / len(heights) + share),
        discernibility=losses.discernibility(sizes, left_out, table.rows),
        rows=table.rows,
        suppressed=left_out,
        classes=len(sizes),
        choices=size,
        looked_at=looked,
        k=k,
        hierarchies=read,
    )


def _is_ordered(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_temporal(kind)
    )
