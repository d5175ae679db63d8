"""No release fails after its spend for the type of a column: what `check` takes, `run` can do, for every mechanism and every Arrow type."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pellucid.errors import PellucidError
from pellucid.privacy import MECHANISMS
from pellucid.store import kinds

DAY, NOW = datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 12, 30)
VALUES: dict[str, pa.Array] = {
    "bool": pa.array([True, False, True]),
    **{f"int{bits}": pa.array([1, 2, 1], getattr(pa, f"int{bits}")()) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": pa.array([1, 2, 1], getattr(pa, f"uint{bits}")()) for bits in (8, 16, 32)},
    "uint64": pa.array([1, 2**64 - 1, 2**63], pa.uint64()),
    "float16": pa.array(np.array([0.5, 0.25, 1.0], np.float16)),
    "float32": pa.array([0.5, 0.25, 1.0], pa.float32()),
    "float64": pa.array([0.5, float("inf"), float("nan")], pa.float64()),
    "string": pa.array(["a", "b", "a"]),
    "large string": pa.array(["a", "b", "a"], pa.large_string()),
    "string view": pa.array(["a", "b", "a"], pa.string_view()),
    "binary": pa.array([b"\xff", b"", b"\xff"]),
    "text that is none": pa.array([b"a", b"\xff\xfe", b"a"]).view(pa.string()),
    "large text that is none": pa.array([b"a", b"\xff", b"\xfe"], pa.large_binary()).view(pa.large_string()),
    "fixed binary": pa.array([b"ab", b"cd", b"ab"], pa.binary(2)),
    "dictionary": pa.array(["a", "b", "a"]).dictionary_encode(),
    "date32": pa.array([DAY] * 3, pa.date32()),
    "date64": pa.array([DAY] * 3, pa.date64()),
    "far date": pa.array([1, 2**31 - 1, -(2**31)], pa.date32()),
    **{f"timestamp {unit}": pa.array([NOW] * 3, pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")},
    "zoned timestamp": pa.array([NOW] * 3, pa.timestamp("us", "UTC")),
    "far timestamp": pa.array([1, 2**62, -(2**62)], pa.timestamp("us")),
    "time32": pa.array([1, 2, 3], pa.time32("s")),
    "time64": pa.array([1, 2, 3], pa.time64("us")),
    "duration": pa.array([1, 2, 3], pa.duration("s")),
    "interval": pa.array([(1, 2, 3)] * 3, pa.month_day_nano_interval()),
    "decimal": pa.array([decimal.Decimal("1.5")] * 3, pa.decimal128(5, 2)),
    "list": pa.array([[1], [2], [1]]),
    "struct": pa.array([{"a": 1}] * 3),
    "map": pa.array([[("a", 1)]] * 3, pa.map_(pa.string(), pa.int64())),
    "null": pa.nulls(3),
    "large binary": pa.array([b"\xff", b"", b"\xff"], pa.large_binary()),
    "binary view": pa.array([b"\xff", b"", b"\xff"], pa.binary_view()),
    "dictionary of numbers": pa.array([1, 2, 1]).dictionary_encode(),
    "dictionary of floats": pa.array([0.5, float("nan"), 0.5]).dictionary_encode(),
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["a", "b"])),
    "decimal256": pa.array([decimal.Decimal("1.5")] * 3, pa.decimal256(50, 2)),
    "large list": pa.array([["a"], [], ["a"]], pa.large_list(pa.string())),
    "list view": pa.array([[1], [], [1]], pa.list_view(pa.int64())),
    "list of a fixed size": pa.array([[1, 2]] * 3, pa.list_(pa.int64(), 2)),
    "struct of nothing": pa.array([{}] * 3, pa.struct([])),
    "union": pa.UnionArray.from_dense(pa.array([0, 0, 0], pa.int8()), pa.array([0, 1, 2], pa.int32()), [pa.array([1, 2, 1])]),
    "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)] * 3, pa.binary(16))),
    "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1", "{}", "1"])),
    "bool8": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, 1], pa.int8())),
    "half of nothing": pa.array([None] * 3, pa.float16()),
    "text with a null": pa.array(["a", None, "a"]),
    "a number that is null": pa.array([1, None, 1]),
}
# How each mechanism is asked for one column.
ASKED: dict[str, dict[str, Any]] = {
    "clicks": {"query": "c", "item": "c2", "place": "p"},
    "equal_norm_gram": {"item": "c"}, "gram": {"item": "c"}, "histogram": {"key": "c"},
    "marginals": {"columns": (("c", "bins", (0.0, 1.0, 2.0)), ("c2", "bins", (0.0, 1.0, 2.0)))},
    "mean": {"columns": ("c",)},
    "pairs": {"item": "c"}, "partitions": {"key": "c"}, "quantiles": {"column": "c", "lower": 0.0, "upper": 2.0},
    "select_best": {"columns": ("c", "c2")},
    "sum": {"columns": ("c",)}, "top_k": {"key": "c", "public_keys": ("a", "b"), "k": 1},
}  # fmt: skip


def _mechanism(name: str) -> Any:
    given = dict(ASKED[name])
    fields = MECHANISMS[name].__dataclass_fields__
    return MECHANISMS[name](**{field: value for field, value in given.items() if field in fields})


@pytest.mark.quick(6)
@pytest.mark.parametrize("name", sorted(MECHANISMS))
@pytest.mark.parametrize("place", ["value", "unit"])
def test_what_is_checked_can_be_released(name: str, place: str, tmp_path: Path) -> None:
    mechanism, ran = _mechanism(name), []
    for kind, values in VALUES.items():
        plain = pa.array(
            ["a", "b", "a"]
            if name in ("top_k", "clicks", "equal_norm_gram", "gram", "histogram", "pairs", "partitions")
            else [0.5, 0.25, 1.0]
        )
        columns = (
            {"c": values, "c2": values, "p": pa.array([1, 2, 1]), "u": pa.array([1, 2, 3])}
            if place == "value"
            else {"c": plain, "c2": plain, "p": pa.array([1, 2, 1]), "u": values}
        )
        folder = tmp_path / kind.replace(" ", "-")
        folder.mkdir()
        try:
            kinds.save(pa.table(columns), "table", folder, "t")  # as a source is stored before it is released
            mechanism.check(folder / "t.parquet", "u")
        except (PellucidError, TypeError):
            continue
        mechanism.run(folder / "t.parquet", "u", 1.0, 1e-6, bytes(range(32)), folder)
        ran.append(kind)
    assert ran, "some type must be taken"
