"""Steward: one guided path from private data to a release that somebody answers for.

inventory -> assess -> protect -> attack -> decide -> release. Each step looks at the data and the pipeline as they stand, writes what it
found into the steward's folder as evidence that only its owner can read, and says what is next. Evidence is bound to what it is about
by digests, so that none of it can stand for data, roles or releases that have changed since. What is measured on private data
stays in that folder; the card that goes with a release holds what depends on no private row. May import packages and below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.steward.assessment_stage import assess, assessment_lines
    from pellucid.steward.attack_stage import attack, attack_lines
    from pellucid.steward.current_state import shown
    from pellucid.steward.decision_policy import Refused, check_lines, decide, decision_lines
    from pellucid.steward.initialization import begin
    from pellucid.steward.inventory_stage import inventory_lines, take
    from pellucid.steward.path_summary import folders_of, path_of_folder
    from pellucid.steward.proposed_pipeline import DataFile, Proposal, as_literal, variable_name
    from pellucid.steward.protection_stage import protect, protection_lines
    from pellucid.steward.release_stage import release, release_lines
    from pellucid.steward.report import write
    from pellucid.steward.workspace import DEFAULT, STEPS, Folder, opened

__all__ = [
    "DEFAULT",
    "STEPS",
    "DataFile",
    "Folder",
    "Proposal",
    "Refused",
    "as_literal",
    "assess",
    "assessment_lines",
    "attack",
    "attack_lines",
    "begin",
    "check_lines",
    "decide",
    "decision_lines",
    "folders_of",
    "inventory_lines",
    "opened",
    "path_of_folder",
    "protect",
    "protection_lines",
    "release",
    "release_lines",
    "shown",
    "take",
    "variable_name",
    "write",
]

__getattr__ = lazy_names(
    __name__,
    {
        "assessment_stage": (
            "assess",
            "assessment_lines",
        ),
        "attack_stage": (
            "attack",
            "attack_lines",
        ),
        "current_state": ("shown",),
        "decision_policy": (
            "Refused",
            "check_lines",
            "decide",
            "decision_lines",
        ),
        "initialization": ("begin",),
        "inventory_stage": (
            "inventory_lines",
            "take",
        ),
        "path_summary": ("folders_of", "path_of_folder"),
        "proposed_pipeline": (
            "DataFile",
            "Proposal",
            "as_literal",
            "variable_name",
        ),
        "protection_stage": (
            "protect",
            "protection_lines",
        ),
        "release_stage": (
            "release",
            "release_lines",
        ),
        "report": ("write",),
        "workspace": (
            "DEFAULT",
            "Folder",
            "STEPS",
            "opened",
        ),
    },
)
