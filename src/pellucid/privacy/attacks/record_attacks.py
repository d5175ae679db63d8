"""Singling out, linkability and inference on tables of records: the three risks of the Article 29 Working Party (opinion 05/2014).

Giomi, Boenisch, Wehmeyer, Tasnadi, "A unified framework for quantifying privacy risk in synthetic data" (2023) measure each by an
attack on the released table, the same attack on people who are not in it (the control group), and the rate of blind guesses.
What the attack gains on the people in it beyond the control group is a leak about persons; what it gains on both is what the
table teaches about everybody. The definitions are theirs; the code is tested against their `anonymeter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError, UsageError
from pellucid.privacy.attacks.finding import Finding, Rate
from pellucid.privacy.attacks.sampling import chosen, stream_of, uniform

if TYPE_CHECKING:
    import polars
    from numpy.typing import NDArray

PORTION = 256


def singling_out(
    original: Any, released: Any, control: Any, *, target: str, columns: int = 3, attacks: int = 500, seed: int = 0
) -> Finding:
    """How many predicates that fit one released record alone fit exactly one original record (multivariate singling out).

    A predicate takes a random released record and `columns` random columns of it: equality for text, at least or at most the value
    for numbers. The control group answers the same predicates.
    """
    frames = _framed(original, released, control)
    stream = stream_of(seed, "singling out")
    guesses: list[list[tuple[str, str, Any]]] = []
    seen: set[str] = set()
    for _ in range(50 * attacks):
        if len(guesses) == attacks:
            break
        row = frames[1].row(int(chosen(stream, frames[1].height, 1)[0]), named=True)
        names = [frames[1].columns[at] for at in sorted(chosen(stream, frames[1].width, columns).tolist())]
        signs = uniform(stream, len(names))
        predicate = [_condition(frames[1], name, row[name], bool(sign < 0.5)) for name, sign in zip(names, signs, strict=True)]
        if str(predicate) not in seen and _fitting(frames[1], predicate) == 1:
            seen.add(str(predicate))
            guesses.append(predicate)
    if not guesses:
        raise UsageError(
            "no predicate fits one released record alone", where="singling out", fix="Let a predicate use more columns"
        )
    hits = [sum(_fitting(frame, guess) == 1 for guess in guesses) for frame in (frames[0], frames[2])]
    size, weight = frames[0].height, 1 / frames[0].height
    chance = size * weight * (1 - weight) ** (size - 1)  # of isolating by a predicate of the best weight, without any data
    return Finding(
        attack="singling out",
        target=target,
        question=f"a description by {columns} attributes that fits exactly one person",
        rate=Rate(hits[0], len(guesses)),
        baselines={"control": Rate(hits[1], len(guesses)), "without the table": chance},
        assumes="the released table",
    )


def linkability(
    original: Any,
    released: Any,
    control: Any,
    *,
    target: str,
    left: list[str],
    right: list[str],
    neighbours: int = 1,
    attacks: int = 500,
    seed: int = 0,
) -> Finding:
    """How often two halves of a person's record, known apart, are joined by being near the same released record.

    Near: among the `neighbours` closest by Gower's distance (1971: share of the range for numbers, equal or not for text).
    """
    frames = _framed(original, released, control)
    rates = {}
    for name, frame in (("members", frames[0]), ("control", frames[2])):
        places = chosen(stream_of(seed, f"linkability {name}"), frame.height, attacks)
        first = _nearest(frame[places], frames[1], left, neighbours)
        second = _nearest(frame[places], frames[1], right, neighbours)
        rates[name] = Rate(sum(bool(set(a) & set(b)) for a, b in zip(first, second, strict=True)), len(places))
    return Finding(
        attack="linkability",
        target=target,
        question=f"do {', '.join(left)} and {', '.join(right)} belong to one person",
        rate=rates["members"],
        baselines={"control": rates["control"], "random guess": min(1.0, neighbours**2 / frames[1].height)},
        assumes="either half of the person's record",
    )


def inference(
    original: Any, released: Any, control: Any, *, target: str, known: list[str], secret: str, attacks: int = 1000, seed: int = 0
) -> Finding:
    """How often the nearest released record, by the known columns, has the person's secret value.

    A number counts as right within 5 % of itself.
    """
    import numpy as np

    frames = _framed(original, released, control)
    rates: dict[str, Rate] = {}
    for name, frame in (("members", frames[0]), ("control", frames[2])):
        places = chosen(stream_of(seed, f"inference {name}"), frame.height, attacks)
        near = np.array(_nearest(frame[places], frames[1], known, 1))[:, 0]
        rates[name] = Rate(_agreeing(frames[1][near][secret], frame[places][secret]), len(places))
        if name == "control":
            guess = frames[1][chosen(stream_of(seed, "inference blind"), frames[1].height, len(places)).repeat(1)][secret]
            size = min(len(guess), len(places))
            rates["random guess"] = Rate(_agreeing(guess[:size], frame[places][secret][:size]), size)
    return Finding(
        attack="inference",
        target=target,
        question=f"what is this person's {secret}, from {', '.join(known)}",
        rate=rates["members"],
        baselines={"control": rates["control"], "random guess": rates["random guess"]},
        assumes=f"the person's {', '.join(known)}",
    )


def _framed(*tables: Any) -> list[polars.DataFrame]:
    import polars

    frames = [table.polars().collect() if hasattr(table, "path") else polars.DataFrame(table) for table in tables]
    for frame in frames:
        if frame.columns != frames[0].columns or not frame.height:
            raise DataError("the tables must have the same columns and at least one row", where="attacks on records")
    return frames


def _condition(frame: polars.DataFrame, name: str, value: Any, low: bool) -> tuple[str, str, Any]:
    if value is None:
        return name, "null", None
    return (name, "<=" if low else ">=", value) if frame[name].dtype.is_numeric() else (name, "==", value)


def _fitting(frame: polars.DataFrame, predicate: list[tuple[str, str, Any]]) -> int:
    import polars

    found = {
        "null": lambda column, value: column.is_null(),
        "<=": lambda column, value: column <= value,
        ">=": lambda column, value: column >= value,
        "==": lambda column, value: column == value,
    }
    return int(frame.filter([found[sign](polars.col(name), value) for name, sign, value in predicate]).height)


def _nearest(asked: polars.DataFrame, released: polars.DataFrame, columns: list[str], count: int) -> list[list[int]]:
    """The places of the `count` released records nearest to each one asked about, by Gower's distance; ties: the first."""
    import numpy as np

    distances: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for name in columns:
        if name not in released.columns:
            raise DataError(f"the tables have no column {name!r}", where="attacks on records")
        if released[name].dtype.is_numeric():
            here, there = (frame[name].fill_null(0).to_numpy().astype(np.float32) for frame in (asked, released))
            spread = float(max(here.max(), there.max()) - min(here.min(), there.min())) or 1.0
            distances.append((here / spread, there / spread))
        else:
            texts = released[name].cast(str).fill_null("").append(asked[name].cast(str).fill_null("")).rank("dense").to_numpy()
            distances.append((texts[released.height :].astype(np.int64), texts[: released.height].astype(np.int64)))
    found: list[list[int]] = []
    for start in range(0, asked.height, PORTION):
        total = np.zeros((min(PORTION, asked.height - start), released.height), dtype=np.float32)
        for here, there in distances:
            part = here[start : start + PORTION, None]
            total += np.abs(part - there) if part.dtype.kind == "f" else (part != there).astype(np.float32)
        found += (
            np.argsort(total, axis=1, kind="stable")[:, :count].tolist() if count > 1 else total.argmin(axis=1)[:, None].tolist()
        )
    return found


def _agreeing(guesses: polars.Series, truth: polars.Series) -> int:
    import numpy as np

    if truth.dtype.is_numeric():
        a, b = guesses.to_numpy().astype(float), truth.to_numpy().astype(float)
        return int((np.abs(a - b) <= 0.05 * np.abs(b)).sum())
    return int((guesses.cast(str) == truth.cast(str)).sum())
