"""Metrics: a flat record of numbers, kept as JSON.

Keys are sorted, floats written by `repr` (the shortest text that reads back as the same float), integers stay integers. JSON has
no word for them, so NaN and the infinities are the strings "NaN", "Infinity", "-Infinity"; metrics hold no other strings.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid import html_display
from pellucid.errors import DamagedError
from pellucid.store.atomic_write import RECOMPUTE, writing
from pellucid.store.row_iteration import named_type

SUFFIX = ".json"


class Metrics(dict[str, int | float]):
    """Numbers by name, as a step returns them: a plain dict will do. Booleans and nested values are refused."""

    def _repr_html_(self) -> str:
        return html_display.table("Metrics", ["name", "value"], self.items())


def plain(value: Any) -> Metrics:
    """`value` as metrics, numpy scalars as Python numbers. Raises TypeError for what is not a flat dict of numbers."""
    if not isinstance(value, Mapping):
        raise TypeError(f"returned {named_type(value)}, declared metrics: return a flat dict of numbers by name")
    metrics = Metrics()
    for name, number in value.items():
        if not isinstance(name, str):
            raise TypeError(f"returned metrics with the name {name!r}: names must be strings")
        if type(number).__module__ == "numpy" and getattr(number, "ndim", None) == 0:
            number = number.item()
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise TypeError(f"returned metrics in which {name!r} is {named_type(number)}: metrics are integers and floats")
        metrics[name] = int(number) if isinstance(number, int) else float(number)
    return metrics


def encode(metrics: Mapping[str, int | float]) -> bytes:
    """The JSON text of metrics."""
    words = {name: number if math.isfinite(number) else _WORDS[str(number)] for name, number in metrics.items()}
    return (json.dumps(words, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def write(value: Any, path: Path) -> str:
    """Write metrics; return their canonical digest."""
    metrics = plain(value)
    with writing(path), path.open("wb") as file:
        file.write(encode(metrics))
    return _digest(metrics)


def read(path: Path) -> Metrics:
    """The metrics of a file."""
    return decode(path.read_bytes(), str(path))


def decode(text: bytes, where: str) -> Metrics:
    """The metrics that a JSON text holds; `where` it comes from is part of an error."""
    try:
        found = json.loads(text)
        return plain({name: float(number) if number in _WORDS.values() else number for name, number in found.items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise DamagedError("not a record of metrics", where=where, why=str(error), fix=RECOMPUTE) from error


def digest(path: Path) -> str:
    """The canonical digest: of the JSON text with -0.0 as 0.0. The integer 1 is not the float 1.0."""
    return _digest(read(path))


def _digest(metrics: Metrics) -> str:
    one_zero = {name: number + 0 if isinstance(number, float) else number for name, number in metrics.items()}
    return f"metrics:{hashlib.sha256(encode(one_zero)).hexdigest()}"
