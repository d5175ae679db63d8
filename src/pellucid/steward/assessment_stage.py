"""Assess: how identifying the data are as they stand, by the confirmed roles."""

from __future__ import annotations

import textwrap
from typing import Any

from pellucid.errors import UsageError
from pellucid.privacy.assess import Assessment, assess_log, assess_table
from pellucid.steward.current_state import CurrentState, confirmed_roles, standing
from pellucid.steward.workspace import Folder

KNOWN = 4
QUASI = 8  # columns looked at together


def assess(folder: Folder) -> dict[str, Any]:
    """Uniqueness and k^m-anonymity for each item column, k, l and t for quasi-identifiers and sensitive columns; the evidence.

    Raises PrivacyError while roles are not confirmed, UsageError where no role gives anything to assess.
    """
    stand = standing(folder)
    inventory = stand.inventory()
    stand.need("inventory")
    roles = confirmed_roles(inventory)
    found = [
        _told(f"people by {item}", assess_log(stand.table, stand.unit, item, known=KNOWN), 0.0) for item in roles.get("item", [])
    ]
    quasi_identifiers = [*roles.get("quasi-identifier", []), *([] if "item" in roles else roles.get("time", []))][:QUASI]
    if quasi_identifiers:
        assessed = assess_table(stand.table, quasi_identifiers, roles.get("sensitive", []))
        found.append(
            _told(f"rows by {', '.join(quasi_identifiers)}", assessed, assessed.findings[0].detail["unique"] / assessed.rows)
        )
    if not found:
        raise UsageError(
            "no column is an item or a quasi-identifier, so there is nothing to assess",
            where=str(folder.file("inventory")),
            fix=f"Say what others may know of a person: {folder.command('inventory', '--set COLUMN=ROLE')}",
        )
    people = _people(stand)
    return folder.write("assess", stand.of("assess"), {"people": people, "rows": inventory.rows, "assessments": found})


def _told(what: str, assessed: Assessment, alone: float) -> dict[str, Any]:
    worst = max([finding.value for finding in assessed.findings if finding.measure.startswith("unique_given")], default=alone)
    return {"what": what, "single_out": worst, **assessed.to_json(), "text": assessed.to_text()}


def _people(stand: CurrentState) -> int:
    import pyarrow.compute as pc

    from pellucid.privacy.assess import columns_of

    return int(pc.count_distinct(columns_of(stand.table, [stand.unit])[0]).as_py())


def meaning(evidence: dict[str, Any]) -> str:
    """What the numbers come to, in a sentence."""
    worst = max(float(one["single_out"]) for one in evidence["assessments"])
    if worst >= 0.01:
        return (
            f"Somebody who knows a little of a person finds them alone in up to {worst:.0%} of cases, though no name is needed for it:"
            " taking names out would not make these data open."
        )
    return "Few people stand alone in what was looked at; that says nothing of somebody who knows something else about them."


def assessment_lines(folder: Folder, evidence: dict[str, Any]) -> list[str]:
    """One screen."""
    told = [f"{evidence['people']:,} people"]
    for one in evidence["assessments"]:
        told += ["", f"{one['what']}:", *str(one["text"]).splitlines()]
    told += ["", *textwrap.wrap(meaning(evidence), 80), f"next: {folder.command('protect')}"]
    return told
