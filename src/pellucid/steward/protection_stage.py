"""Protect: what is to be released, by which mechanism and bounds, how large its noise is beside the counts, and what it costs."""

from __future__ import annotations

import copy
import dataclasses
import textwrap
from collections.abc import Mapping
from typing import Any

from pellucid.errors import PrivacyError
from pellucid.pipeline.declaration import Step
from pellucid.privacy import BudgetForecast, forecast
from pellucid.privacy.accounting import note_look
from pellucid.privacy.foresight import ExpectedNumbers
from pellucid.steward.current_state import CurrentState, PlannedRelease, standing
from pellucid.steward.release_forecast import as_evidence, declare, forecast_lines, forecasts
from pellucid.steward.workspace import Folder
from pellucid.store import STATE_FILE

FEW = 6  # values that are listed
LARGE_DELTA = 0.1  # of one person in the data


WARNING = (
    "Private: releases are simulated on the rows. Choosing a setting by how well it does here is a use of the data that no guarantee"
    " covers; their cards say so."
)


def protect(folder: Folder, numbers: ExpectedNumbers | None = None) -> dict[str, Any]:
    """Look at the plan of releases; the evidence. A release is simulated for its size beside its noise; nothing is spent.

    `numbers` is what the steward declares of the data without looking at them; it is kept.
    """
    declare(folder, numbers or ExpectedNumbers())
    stand = standing(folder)
    stand.need("inventory", "assess")
    assessed = folder.read("assess")
    assert assessed is not None
    accounts = [
        {
            "account": one.account,
            "unit": one.unit,
            "composition": one.composition,
            "cap": one.cap,
            "spent": one.spent,
            "after": one.after,
            "fits": one.fits,
        }
        for one in costs(stand)
    ]
    note_look(folder.home, {name for coming in stand.releases for name in coming.request.label.accounts})
    found = {
        "releases": [_release(stand, coming, int(assessed["people"])) for coming in stand.releases],
        "forecast": as_evidence(*forecasts(stand)),
        "transforms": _transforms(stand),
        "accounts": accounts,
    }
    return folder.write("protect", stand.of("protect"), found)


def costs(stand: CurrentState) -> list[BudgetForecast]:
    """Each account after the releases; those that have been paid for already cost nothing more."""
    paid = already_paid(stand)
    if paid == {coming.name for coming in stand.releases}:
        now = forecast(stand.pipeline, stand.folder.home, compare=False)
        return [dataclasses.replace(one, after=one.spent, fits=True) for one in now]
    left = copy.copy(stand.pipeline)
    left.steps = {name: bound for name, bound in stand.pipeline.steps.items() if name not in paid}
    return forecast(left, stand.folder.home, compare=False)


def already_paid(stand: CurrentState) -> set[str]:
    """The releases that the ledger has a spend for, just as they stand."""
    from pellucid.privacy.accounting import Ledger

    if not (stand.folder.home / STATE_FILE).exists():
        return set()
    ledger = Ledger(stand.folder.home)
    try:
        paid = {spend["release"] for spend in ledger.spends()}
    finally:
        ledger.close()
    return {coming.name for coming in stand.releases if coming.identity in paid}


def _release(stand: CurrentState, coming: PlannedRelease, people: int) -> dict[str, Any]:
    mechanism, epsilon, delta = coming.terms
    guarantee = mechanism.guarantee(epsilon, delta)
    told = {
        "name": coming.name,
        "of": coming.input,
        "mechanism": mechanism.parameters(),
        "epsilon": epsilon,
        "delta": delta,
        "unit": str(coming.request.label.unit),
        "relation": guarantee["relation"],
        "sensitivity": guarantee["sensitivity"],
        "noise": guarantee["noise"],
        "not_covered": guarantee.get("not_covered", []),
        "numbers": mechanism.numbers(epsilon, delta),
        "delta_people": delta * people,
    }
    simulated = _simulated(stand, coming, mechanism, epsilon, delta)
    helps = _what_names(coming, mechanism, epsilon, delta) if "empty" in simulated else []
    return {**told, "simulated": simulated, "helps": helps}


def _what_names(coming: PlannedRelease, mechanism: Any, epsilon: float, delta: float) -> list[str]:
    """What would make an empty simulated release name something, tried on the data: as private as they are."""
    from pellucid.privacy import histogram, simulate

    unit = coming.request.label.unit
    assert unit is not None

    def names(other: Any, at: float) -> bool:
        try:
            return bool(simulate(other, coming.table, unit=unit, epsilon=at, delta=delta, draw=0).num_rows)
        except PrivacyError:
            return False

    found = [f"epsilon {epsilon * times:g}" for times in (2, 4, 8) if names(mechanism, epsilon * times)][:1]
    if isinstance(getattr(mechanism, "max_contributions", None), int) and mechanism.max_contributions > 2:
        less = dataclasses.replace(mechanism, max_contributions=2)
        found += ["max_contributions 2"] if names(less, epsilon) else []
    if mechanism.name in ("gram", "pairs") and names(histogram(mechanism.item, 1), epsilon):
        found.append("a histogram of the items, one of each person")
    return [*found, "a declared catalogue (public_keys=[...])"] if hasattr(mechanism, "public_keys") else found


def _simulated(stand: CurrentState, coming: PlannedRelease, mechanism: Any, epsilon: float, delta: float) -> dict[str, float]:
    """How large one simulated release is beside its noise, and what bounding leaves out. As private as the data."""
    import numpy as np

    from pellucid.privacy import simulate

    unit = coming.request.label.unit
    assert unit is not None
    released = simulate(mechanism, coming.table, unit=unit, epsilon=epsilon, delta=delta, draw=0)
    if isinstance(released, dict):
        return {name: float(value) for name, value in released.items()}
    told: dict[str, float] = {} if released.num_rows else {"empty": 1.0}
    if not released.num_rows:
        return told
    sigma = mechanism.numbers(epsilon, delta).get("sigma")
    if sigma and "count" in released.column_names and released.num_rows:
        counts = np.asarray(released.column("count"))
        told |= {"median_count": float(np.median(counts)), "within_two_sigma": float((np.abs(counts) <= 2 * sigma).mean())}
    column = getattr(mechanism, "item", None) or getattr(mechanism, "key", None)
    if isinstance(column, str) and column in coming.table.columns and stand.unit in coming.table.columns:
        from pellucid.privacy.assess import histories

        log = histories(coming.table, stand.unit, column)
        if hasattr(mechanism, "max_contributions"):  # the best of declared keys need no bound
            told |= {"kept_by_cap": float(np.minimum(log.lengths, mechanism.max_contributions).sum() / log.lengths.sum())}
        told |= {"values": float(len(log.item_starts) - 1), "values_released": float(_values(released, column))}
    return told


def _values(released: Any, column: str) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [name for name in (column, "item_a", "item_b") if name in released.column_names]
    chunks = [chunk for name in columns for chunk in released.column(name).chunks]
    return int(pc.count_distinct(pa.chunked_array(chunks)).as_py()) if chunks else 0


def _transforms(stand: CurrentState) -> list[dict[str, Any]]:
    found = []
    for bound in stand.pipeline.steps.values():
        if isinstance(bound.node, Step) and bound.node.protection is not None:
            kinds = [str(one.get("transform", one.get("name", "transform"))) for one in bound.node.protection.parameters()]
            found.append({"step": bound.name, "transforms": kinds})
    return found


def protection_lines(folder: Folder, evidence: dict[str, Any]) -> list[str]:
    """One screen."""
    told = [*textwrap.wrap(WARNING, 80), ""]
    for one in evidence["releases"]:
        bounds = bounds_in_words(one["mechanism"])
        head = f"{one['name']}: {one['mechanism']['mechanism']} ({bounds}), epsilon {one['epsilon']:g}, delta {one['delta']:g}"
        told += textwrap.wrap(head, 80, subsequent_indent="  ")
        told += textwrap.wrap(
            f"promised to each {one['unit']}: {one['relation']}; {one['sensitivity']}; {one['noise']}",
            80, initial_indent="  ", subsequent_indent="  ",
        )  # fmt: skip
        told += [f"  {line}" for _, said in size_in_words(one) for line in textwrap.wrap(said, 78)]
    told += ["", *forecast_lines(folder, evidence["forecast"])]
    for one in evidence["transforms"]:
        told += textwrap.wrap(
            f"{one['step']}: {', '.join(one['transforms'])}: proves nothing; it does not make anything open", 80
        )
    told.append("")
    for one in evidence["accounts"]:
        verdict = "fits" if one["fits"] else "DOES NOT FIT: lower epsilon, or let the cap be raised (pellucid ledger cap)"
        before, after, cap = (f"{one[word][0]:g}, {one[word][1]:g}" for word in ("spent", "after", "cap"))
        said = f"account {one['account']}: spent {before}, after this {after}, cap {cap}: {verdict}"
        told += textwrap.wrap(said, 80, subsequent_indent="  ")
    told.append(f"next: {folder.command('attack')}")
    return told


def bounds_in_words(parameters: Mapping[str, Any]) -> str:
    """A mechanism's parameters in a line; of a long list its length and its ends."""

    def shown(value: Any) -> str:
        if not isinstance(value, list):
            return str(value)
        few = [str(one) for one in value]
        return ", ".join(few) if len(few) <= FEW else f"{len(few)} values, {few[0]} to {few[-1]}"

    return ", ".join(f"{name} {shown(value)}" for name, value in parameters.items() if name not in ("mechanism", "version"))


def size_in_words(one: dict[str, Any]) -> list[tuple[str, str]]:
    """What a simulated release looks like beside its noise: what each line is about, and the line."""
    numbers, seen = one["numbers"], one["simulated"]
    told = []
    if "sigma" in numbers and "median_count" in seen:
        threshold = f", named from {numbers['threshold']:g} on" if numbers.get("threshold") else ""
        said = (
            f"noise of standard deviation {numbers['sigma']:.3g} on each count{threshold}; the median count is"
            f" {seen['median_count']:,.0f}, and {seen['within_two_sigma']:.0%} of the counts are no more than noise"
        )
        told.append(("noise", said))
    if "kept_by_cap" in seen:
        told.append(("kept", f"max_contributions keeps {seen['kept_by_cap']:.0%} of what people have"))
    if "empty" in seen:
        told.append(("empty", f"PROBLEM: a simulated release was EMPTY. Would help: {'; '.join(one['helps']) or 'more people'}"))
    if "values" in seen:
        there = f"{seen['values']:,.0f} values"
        declared = seen["values_released"] > seen["values"]
        said = f"all that is declared is released, more than the {there} there are" if declared else ""
        told.append(("named", said or f"{seen['values_released']:,.0f} of {there} are released"))
    if "people" in seen and "noise" in numbers:
        told.append(("noise", f"noise of standard deviation {numbers['noise'] / max(1.0, seen['people']):.2g} on each mean"))
    if one["delta_people"] > LARGE_DELTA:
        told.append(
            ("delta", f"delta is large for so many people: {one['delta']:g} times people is {one['delta_people']:.2g}; lower it")
        )
    return told
