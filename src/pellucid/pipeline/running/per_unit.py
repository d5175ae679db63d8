"""Run a step person by person, so that no row of its result can depend on another person's rows.

This is what lets a release promise something per person about a computed table. The function sees one person's rows and open
inputs, nothing else; each row of the result is stamped with that person's unit. (State that a function keeps between calls would
break the promise; steps are pure functions, and a determinism check in another order, `pellucid run --twice`, finds such state.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from pellucid.errors import PellucidError
from pellucid.store import Table


class UnitTable(Table):
    """One unit's rows, in memory, with the interface of a table handle."""

    def __init__(self, arrow: Any) -> None:
        self._arrow = arrow

    def arrow(self) -> Any:
        return self._arrow

    def polars(self) -> Any:
        import polars

        return polars.from_arrow(self._arrow).lazy()  # type: ignore[union-attr]

    def duckdb(self) -> Any:
        import duckdb

        return duckdb.connect().from_arrow(self._arrow)

    def batches(self, rows: int = 65536) -> Any:
        return iter(self._arrow.to_batches(max_chunksize=rows))

    @property
    def schema(self) -> Any:
        return self._arrow.schema

    @property
    def columns(self) -> list[str]:
        return list(self._arrow.schema.names)

    @property
    def num_rows(self) -> int:
        return int(self._arrow.num_rows)

    def __len__(self) -> int:
        return self.num_rows

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._arrow.__arrow_c_stream__(requested_schema)


def one_by_one(fn: Callable[..., Any], arguments: Mapping[str, Any], closed: str, unit: str, names: list[str]) -> Any:
    """Call `fn` for every unit of `arguments[closed]`, in the order of the units' values; join the results for each output.

    Units with null are refused. `PYTHONHASHSEED` other than 0 reverses the order of calls: a function that keeps state between
    people then gives another result, and `--twice` names it.
    """
    import polars

    table: Table = arguments[closed]
    if unit not in table.columns:
        raise PellucidError(
            f'the unit column "{unit}" is gone', why="a step before dropped or renamed it", fix="Keep it in the result"
        )
    frame = polars.from_arrow(table.arrow())
    assert isinstance(frame, polars.DataFrame)
    if not len(frame):
        raise PellucidError("its table has no rows", fix="Check what made it")
    if frame[unit].null_count():
        raise PellucidError(f'the unit column "{unit}" has empty values', fix="Every row must say whose it is")
    groups = sorted(frame.partition_by(unit, as_dict=True, maintain_order=True).items())
    if os.environ.get("PYTHONHASHSEED") not in (None, "0"):
        groups.reverse()
    results: list[tuple[Any, list[Any]]] = []
    for (value,), rows in groups:
        returned = fn(**{**arguments, closed: UnitTable(rows.to_arrow())})
        parts = [returned] if names == [""] else [returned[n] for n in names] if isinstance(returned, Mapping) else list(returned)
        results.append((value, [_stamped(part, unit, value, frame.schema[unit]) for part in parts]))
    results.sort(key=lambda pair: pair[0])
    joined = [polars.concat([parts[at] for _, parts in results], how="vertical_relaxed") for at in range(len(names))]
    return joined[0] if names == [""] else dict(zip(names, joined, strict=True))


def _stamped(part: Any, unit: str, value: Any, dtype: Any) -> Any:
    import polars

    if isinstance(part, polars.LazyFrame):
        part = part.collect()
    frame = polars.DataFrame([part]) if isinstance(part, dict) else polars.DataFrame(part)
    return frame.with_columns(polars.lit(value, dtype=dtype).alias(unit)).select(unit, polars.exclude(unit))
