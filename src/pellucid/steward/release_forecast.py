"""Know before you pay: what the releases to come are expected to give, and the check of the policy that a useless one fails.

From declared numbers, where the steward has said how many people there are; no row is read for it then. Otherwise the people that were
counted in the data stand in: that is a private number, so the outcome of the check is private as well.
"""

from __future__ import annotations

import json
import textwrap
from typing import Any

from pellucid.privacy.foresight import ExpectedNumbers, Foresight, foresee_release
from pellucid.steward.current_state import CurrentState
from pellucid.steward.workspace import FILE, Folder, private
from pellucid.store import unit_of


def declare(folder: Folder, numbers: ExpectedNumbers) -> None:
    """Keep what the steward says of the data; a number that is not said now stays as it was."""
    path = folder.path / FILE
    held = json.loads(path.read_text(encoding="utf-8"))
    said = {name: value for name, value in vars(numbers).items() if value is not None}
    if said:
        held["expected"] = {**held.get("expected", {}), **said}
        private(path, json.dumps(held, indent=1) + "\n")


def declared(folder: Folder) -> ExpectedNumbers:
    """What the steward has said of the data."""
    held = json.loads((folder.path / FILE).read_text(encoding="utf-8"))
    return ExpectedNumbers(**held.get("expected", {}))


def forecasts(stand: CurrentState) -> tuple[list[Foresight], bool]:
    """What each release to come is expected to give, and whether that depends on declared numbers alone."""
    numbers, open_ = declared(stand.folder), True
    assessed = stand.folder.read("assess")
    if numbers.people is None and assessed is not None and not stand.missing_evidence("assess"):
        numbers, open_ = ExpectedNumbers(int(assessed["people"]) or None, numbers.items, numbers.each), False
    found = []
    for coming in stand.releases:
        mechanism, epsilon, delta = coming.terms
        relation = unit_of(coming.request.label.unit or "").relation
        found.append(foresee_release(coming.name, mechanism, epsilon, delta, numbers, relation))
    return found, open_


def as_evidence(found: list[Foresight], open_: bool) -> dict[str, Any]:
    """The same as JSON."""
    return {"declared": open_, "releases": [vars(one) for one in found]}


def forecast_lines(folder: Folder, evidence: dict[str, Any]) -> list[str]:
    """What to expect, for a screen of 80 columns."""
    by = "declared numbers" if evidence["declared"] else "the people counted in the data (private)"
    told = [f"what to expect, by {by}:"]
    for one in evidence["releases"]:
        for line in (*one["lines"], *((f"PROBLEM: {one['problem']}",) if one["problem"] else ())):
            told += textwrap.wrap(f"{one['release']}: {line}", 80, initial_indent="  ", subsequent_indent="    ")
        for advice in one["advice"]:
            told += textwrap.wrap(f"would help: {advice}", 80, initial_indent="    ", subsequent_indent="      ")
    if not evidence["declared"]:
        told += textwrap.wrap(
            f"Say it without looking: {folder.command('protect', '--people N --items N --per-person N')}",
            80,
            break_on_hyphens=False,
        )
    return told
