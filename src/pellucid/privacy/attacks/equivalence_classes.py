"""What k-anonymity leaves: in a class of people who look alike, everybody may share the secret, or few values may be left.

Homogeneity and background knowledge are the attacks of Machanavajjhala, Kifer, Gehrke, Venkitasubramaniam, "l-diversity" (2007). The
adversary knows a person's quasi-identifiers, finds their class in the table, and with background knowledge can also rule out the
`ruled_out` values that are rarest in the whole table and not the person's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError
from pellucid.privacy.attacks.finding import Finding, Rate

if TYPE_CHECKING:
    from numpy.typing import NDArray


def homogeneity(table: Any, quasi_identifiers: list[str], sensitive: str, *, target: str) -> Finding:
    """The share of people whose class holds one sensitive value only: the adversary learns it with certainty."""
    counts, size = _by_class(table, quasi_identifiers, sensitive)
    certain = float(size[(counts > 0).sum(axis=1) == 1].sum())
    return Finding(
        attack="homogeneity",
        target=target,
        question=f"what is this person's {sensitive}, with certainty",
        rate=Rate(certain, int(size.sum())),
        baselines={"random guess": 0.0},
        details={"classes": float(len(size)), "smallest class": float(size.min())},
        assumes=f"the person is in the table; their {', '.join(quasi_identifiers)}",
    )


def background(table: Any, quasi_identifiers: list[str], sensitive: str, *, target: str, ruled_out: int = 1) -> Finding:
    """How often the best guess in the class is right, after ruling values out; the baseline guesses without the class."""
    import numpy as np

    counts, size = _by_class(table, quasi_identifiers, sensitive)
    overall = counts.sum(axis=0)
    rare = np.argsort(overall, kind="stable")
    right, blind = 0.0, 0.0
    for own in range(len(overall)):
        left = np.ones(len(overall), dtype=bool)
        left[[value for value in rare if value != own][:ruled_out]] = False
        best = np.where(left, counts, -1).max(axis=1)
        here = np.where(left[own], counts[:, own], 0)
        ties = (np.where(left, counts, -1) == best[:, None]).sum(axis=1)
        right += float((here * (here == best) / ties).sum())
        blind += float(overall[own]) * (overall[own] == overall[left].max())
    total = int(size.sum())
    return Finding(
        attack="background knowledge",
        target=target,
        question=f"what is this person's {sensitive}, in one guess",
        rate=Rate(right, total),
        baselines={"without the table's classes": blind / total},
        assumes=f"the person is in the table; their {', '.join(quasi_identifiers)}; {ruled_out} values they do not have",
    )


def _by_class(table: Any, quasi_identifiers: list[str], sensitive: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """How often each sensitive value occurs in each class (classes x values), and the classes' sizes."""
    import numpy as np
    import polars

    frame = table.polars().collect() if hasattr(table, "path") else polars.DataFrame(table)
    missing = [name for name in (*quasi_identifiers, sensitive) if name not in frame.columns]
    if missing or not frame.height:
        raise DataError(f"the table has no column {missing[0]!r}" if missing else "the table is empty")
    grouped = frame.with_columns(
        polars.struct(quasi_identifiers).rank("dense").alias("__class"), frame[sensitive].rank("dense").alias("__value")
    )
    pairs = grouped.group_by("__class", "__value").len()
    counts = np.zeros((int(grouped["__class"].max()), int(grouped["__value"].max())), dtype=np.int64)  # type: ignore[arg-type]
    counts[pairs["__class"].to_numpy() - 1, pairs["__value"].to_numpy() - 1] = pairs["len"].to_numpy()
    return counts, counts.sum(axis=1)
