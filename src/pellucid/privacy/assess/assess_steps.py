"""Assessments as pipeline steps: what they find is as private as what they look at, and stays so.

They are ordinary steps without a gate, so their outputs take the label of their inputs and are withheld from every package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.pipeline.declaration import Output, OutputOf, Source, Step
from pellucid.privacy.assess.finding import Assessment
from pellucid.store import Metrics, Table

Node = Source | Step | OutputOf | str


def assess_table(
    data: Any,
    quasi_identifiers: list[str],
    sensitive: list[str],
    *,
    l: int | None = None,  # noqa: E741
    population: Any = None,
) -> Assessment:
    """k-anonymity of a table by its quasi-identifiers, l-diversity and t-closeness of each sensitive column, and delta-presence where a
    `population` (a public table that holds everybody of this one) is given. Raises DataError, UsageError."""
    import pyarrow as pa

    from pellucid.privacy.assess.anonymity import k_anonymity
    from pellucid.privacy.assess.closeness import t_closeness
    from pellucid.privacy.assess.column_codes import columns_of
    from pellucid.privacy.assess.diversity import l_diversity
    from pellucid.privacy.assess.presence import delta_presence

    names = list(dict.fromkeys([*quasi_identifiers, *sensitive]))
    table = pa.table(columns_of(data, names), names=names)
    findings = [k_anonymity(table, quasi_identifiers)]
    for column in sensitive:
        findings += [*l_diversity(table, quasi_identifiers, column, l=l), t_closeness(table, quasi_identifiers, column)]
    if population is not None:
        findings.append(delta_presence(table, population, quasi_identifiers))
    return Assessment(table.num_rows, tuple(findings))


def assess_log(data: Any, unit: str, item: str, *, known: int = 4, trials: int = 2000, seed: int = 0) -> Assessment:
    """How far 1 to `known` items of a person single them out in a log, and its k^m-anonymity for m = 1 and 2. Raises DataError."""
    import pyarrow as pa

    from pellucid.errors import DataError
    from pellucid.privacy.assess.column_codes import columns_of
    from pellucid.privacy.assess.itemset_anonymity import km_anonymity
    from pellucid.privacy.assess.uniqueness_estimate import uniqueness
    from pellucid.privacy.assess.user_itemsets import histories

    table = pa.table(columns_of(data, [unit, item]), names=[unit, item])
    findings = [km_anonymity(table, unit, item, m=m) for m in (1, 2)]
    longest = int(histories(table, unit, item).lengths.max())
    if known < 1:
        raise DataError("known must be at least 1")
    findings += [uniqueness(table, unit, item, m=m, trials=trials, seed=seed) for m in range(1, min(known, longest) + 1)]
    return Assessment(table.num_rows, tuple(findings))


def table_numbers(data: Table, quasi_identifiers: list[str], sensitive: list[str]) -> Metrics:
    """`assess_table` as flat numbers."""
    return Metrics(assess_table(data, list(quasi_identifiers), list(sensitive)).numbers())


def log_numbers(data: Table, unit_column: str, item: str, known: int, trials: int, draws: int) -> Metrics:
    """`assess_log` as flat numbers."""
    return Metrics(assess_log(data, unit_column, item, known=known, trials=trials, seed=draws).numbers())


def columns_found(data: Table) -> Table:
    """The proposed role of each column, as rows."""
    import polars

    from pellucid.privacy.assess.data_inventory import inventory

    found = inventory(data).columns.items()
    rows = [(name, held.role, held.confidence, "; ".join(held.evidence)) for name, held in found]
    return polars.DataFrame(rows, schema=["column", "role", "confidence", "evidence"], orient="row")  # type: ignore[return-value]


def columns(of: Node, *, name: str | None = None) -> Step:
    """A step that takes the inventory of a table: a row for each column with its proposed role, how sure, and the evidence. Private."""
    return Step(columns_found, name, (Output("", "table"),), {"data": of}, {}, kind="inventory")


def table(
    of: Node,
    *,
    quasi_identifiers: list[str] | None = None,
    sensitive: list[str] | None = None,
    inventory: str | Path | None = None,
    name: str | None = None,
) -> Step:
    """A step that assesses a table: k-anonymity, l-diversity, t-closeness, as numbers as private as the table.

    The columns come from `quasi_identifiers` and `sensitive`, or from the confirmed roles of an `inventory` file. Raises
    UsageError, and PrivacyError for an inventory with roles that nobody confirmed.
    """
    if inventory is not None:
        from pellucid.privacy.assess.data_inventory import read_inventory

        held = read_inventory(inventory)
        quasi_identifiers = held.columns_with("quasi-identifier") if quasi_identifiers is None else quasi_identifiers
        sensitive = held.columns_with("sensitive") if sensitive is None else sensitive
    if not quasi_identifiers:
        raise UsageError(
            "no quasi-identifier is named", where="pl.privacy.assess.table", fix="Give quasi_identifiers=[...] or inventory=..."
        )
    settings = {"quasi_identifiers": list(quasi_identifiers), "sensitive": list(sensitive or [])}
    return Step(table_numbers, name, (Output("", "metrics"),), {"data": of}, settings, kind="assess")


def log(of: Node, *, unit: str, item: str, known: int = 4, trials: int = 2000, seed: int = 0, name: str | None = None) -> Step:
    """A step that assesses a log of people and items: k^m-anonymity and uniqueness given 1 to `known` items, as private numbers."""
    settings = {"unit_column": unit, "item": item, "known": known, "trials": trials, "draws": seed}
    return Step(log_numbers, name, (Output("", "metrics"),), {"data": of}, settings, kind="assess")
