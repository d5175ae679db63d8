"""Attacks on what would leave, before it leaves, beside attacks on the data as they stand.

A release is simulated (simulation.py) on four fifths of the people; the others are the control group, like them but for being in the
data. `attack_release` asks what the simulated release gives away of those in it beyond what it gives away of the control group;
`attack_log` and `attack_table` ask the same of the data as they stand without their identifiers, which is the warning beside it.
All of it is as private as the data.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.privacy.attacks.finding import Finding
from pellucid.privacy.attacks.user_histories import Histories, histories
from pellucid.store import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONTROL = 5  # one person in so many is in the control group
TARGETS = 2000
FEW = 50  # people to ask about at least
LARGE = 3000  # items, up to which exact pair counts are tried beside the released ones


def attack_log(data: Any, unit: str, item: str, *, known: int = 4, targets: int = 1000, seed: int = 0) -> list[Finding]:
    """Linkage of the log as it stands with its identifiers hashed: the adversary never looks at them. Empty where nearly everybody
    has one item only. Raises DataError."""
    from pellucid.privacy.attacks.linkage_attack import linkage

    log = histories(data, unit, item)
    known = _most_known(log, known)
    return [linkage(log, log, target="hashed identifiers", known=known, targets=targets, seed=seed)] if known else []


def attack_table(
    data: Any, unit: str | None, quasi_identifiers: list[str], sensitive: list[str], *, seed: int = 0
) -> list[Finding]:
    """What the table without its identifiers says of a sensitive value, from the quasi-identifiers: in one guess (inference) and with
    certainty (homogeneity). Raises DataError, UsageError."""
    from pellucid.privacy.attacks.equivalence_classes import homogeneity
    from pellucid.privacy.attacks.record_attacks import inference

    if not quasi_identifiers or not sensitive:
        return []
    frame = _frame(data)
    for name in (*quasi_identifiers, *sensitive):
        if name not in frame.columns:
            raise UsageError(f'there is no column "{name}"', where="attack_table")
    inside, outside = _parted(frame, unit, seed)
    found, target = [], "the table without identifiers"
    for secret in sensitive:
        columns = [*quasi_identifiers, secret]
        part, control = inside.select(columns), outside.select(columns)
        found += [
            inference(part, part, control, target=target, known=quasi_identifiers, secret=secret, seed=seed),
            homogeneity(part, quasi_identifiers, secret, target=target),
        ]
    return found


def attack_release(
    data: Any,
    unit: str,
    mechanism: Any,
    epsilon: float,
    delta: float,
    *,
    target: str = "release",
    known: int = 4,
    targets: int = TARGETS,
    seed: int = 0,
    told: Any = None,
) -> list[Finding]:
    """Membership, and for counts of items a further item, from one simulated release; a control group is kept out of it.

    `unit` is the column of people; `told` the unit as the mechanism is told it, where that is more than the column. Empty for a kind of
    release that no attack here fits. Raises DataError, and UsageError for too few people.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pellucid.privacy.attacks.membership_scores import SCORES, released_counts
    from pellucid.privacy.attacks.tracing_attack import tracing
    from pellucid.privacy.simulation import simulate

    if mechanism.name not in SCORES:
        return []
    frame = _frame(data)
    inside, outside = _parted(frame, unit, seed)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "members.parquet"
        pq.write_table(pa.table(inside), path)
        released = simulate(mechanism, Table(path), unit=told or unit, epsilon=epsilon, delta=delta, draw=seed)
    members, others = SCORES[mechanism.name](mechanism, inside, outside, unit, released)
    found = [tracing(members, others, target=target, epsilon=epsilon, delta=delta)]
    if mechanism.name not in ("gram", "histogram"):
        return found
    item = str(getattr(mechanism, "item", None) or mechanism.key)
    every = histories(frame, unit, item)
    held, control = (histories(part, unit, item, every.items) for part in (inside, outside))
    counts, columns = released_counts(mechanism, released, every)
    sigma = mechanism.numbers(epsilon, delta)["sigma"]
    return found + _guessed(held, control, counts, columns, sigma, target, _most_known(control, known), targets, seed)


def _guessed(
    members: Histories,
    control: Histories,
    counts: NDArray[Any],
    columns: NDArray[Any],
    sigma: float,
    target: str,
    known: int,
    targets: int,
    seed: int,
) -> list[Finding]:
    """The attack for a further item, by pair counts or by plain ones. A table of one value a person is asked for that value."""
    import numpy as np

    from pellucid.privacy.attacks.attribute_inference import attribute_inference, from_counts, from_records, most_held

    size = members.matrix.shape[1]
    if counts.ndim == 2 and not (known and len(columns)):
        return []
    references: dict[str, Any] = {}
    if known:
        references["hashed identifiers"] = from_records(members)
    if counts.ndim == 2:
        guess = from_counts(counts, columns, size, ridge=max(10.0, sigma))
        if size <= LARGE:
            references["exact counts"] = from_counts((members.matrix.T @ members.matrix).toarray(), np.arange(size), size)
    else:
        held = np.full(size, -1.0)
        held[columns] = counts
        guess = most_held(held)
    found = attribute_inference(
        members, control, guess, target=target, known=known, targets=targets, seed=seed, references=references
    )
    if not known:
        found = dataclasses.replace(
            found, attack="value", question="what this person's value is, in one guess", assumes="nothing about the person"
        )
    return [found]


def _most_known(log: Histories, known: int) -> int:
    """How many items an adversary may know so that enough people hold one more; 0 where there are too few for one."""
    return next((n for n in range(known, 0, -1) if int((log.sizes > n).sum()) >= FEW), 0)


def _frame(data: Any) -> Any:
    import polars

    if isinstance(data, Table):
        return data.polars().collect()
    if isinstance(data, str | Path):
        from pellucid.data import open_table

        return polars.DataFrame(open_table(Path(data)).read_all())
    return polars.DataFrame(data)


def _parted(frame: Any, unit: str | None, seed: int) -> tuple[Any, Any]:
    """The rows of those in the data and of the control group, drawn by person (by row where nobody says whose row it is)."""
    import numpy as np
    import polars

    from pellucid.errors import DataError
    from pellucid.privacy.attacks.sampling import chosen, stream_of

    if unit is not None and unit not in frame.columns:
        raise DataError(f'there is no column "{unit}"', fix=f"Its columns are: {', '.join(frame.columns)}")
    if unit is not None and frame[unit].null_count():
        raise DataError(f'column "{unit}" has rows without a value', fix="Drop or fill them first")
    of = np.arange(frame.height) if unit is None else frame[unit].rank("dense").to_numpy().astype(np.int64) - 1
    people = int(of.max()) + 1 if len(of) else 0
    if people < 2 * CONTROL * 20:
        raise UsageError(f"an attack with a control group needs at least {2 * CONTROL * 20} people", where="attack")
    outside = np.zeros(people, dtype=bool)
    outside[chosen(stream_of(seed, "control group"), people, people // CONTROL)] = True
    mask = polars.Series(outside[of])
    return frame.filter(~mask), frame.filter(mask)
