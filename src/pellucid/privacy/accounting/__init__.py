"""Accounting: what each release costs, how costs add up, and the ledger of accounts that pays them. May import noise and the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.privacy.accounting.account import Account, Limit, fits
    from pellucid.privacy.accounting.affordability import refuse_too_dear
    from pellucid.privacy.accounting.amounts import DELTA_UNIT, EPSILON_UNIT, RHO_UNIT, Amounts, as_float, cap
    from pellucid.privacy.accounting.composition import checked_events, loss_epsilon, privacy_cost, rho_of, slack_of, zcdp_epsilon
    from pellucid.privacy.accounting.gaussian_filter import gaussian_epsilon
    from pellucid.privacy.accounting.guarantee_statement import NOT_COVERED, promise, pure_event, relation_in_words, set_fields
    from pellucid.privacy.accounting.ledger import Ledger, Spend
    from pellucid.privacy.accounting.ledger_verification import verify_file
    from pellucid.privacy.accounting.looks import LOOKED, looked, note_look
    from pellucid.privacy.accounting.published_guarantee import guarantee_of, sums
    from pellucid.privacy.accounting.sign_off import Decision

__all__ = [
    "DELTA_UNIT",
    "EPSILON_UNIT",
    "LOOKED",
    "NOT_COVERED",
    "RHO_UNIT",
    "Account",
    "Amounts",
    "Decision",
    "Ledger",
    "Limit",
    "Spend",
    "as_float",
    "cap",
    "checked_events",
    "fits",
    "gaussian_epsilon",
    "guarantee_of",
    "looked",
    "loss_epsilon",
    "note_look",
    "privacy_cost",
    "promise",
    "pure_event",
    "refuse_too_dear",
    "relation_in_words",
    "rho_of",
    "set_fields",
    "slack_of",
    "sums",
    "verify_file",
    "zcdp_epsilon",
]

__getattr__ = lazy_names(
    __name__,
    {
        "account": (
            "Account",
            "Limit",
            "fits",
        ),
        "affordability": ("refuse_too_dear",),
        "amounts": (
            "Amounts",
            "DELTA_UNIT",
            "EPSILON_UNIT",
            "RHO_UNIT",
            "as_float",
            "cap",
        ),
        "composition": (
            "checked_events",
            "loss_epsilon",
            "privacy_cost",
            "rho_of",
            "slack_of",
            "zcdp_epsilon",
        ),
        "gaussian_filter": ("gaussian_epsilon",),
        "guarantee_statement": (
            "NOT_COVERED",
            "promise",
            "pure_event",
            "relation_in_words",
            "set_fields",
        ),
        "ledger": (
            "Ledger",
            "Spend",
        ),
        "ledger_verification": ("verify_file",),
        "looks": (
            "LOOKED",
            "looked",
            "note_look",
        ),
        "published_guarantee": (
            "guarantee_of",
            "sums",
        ),
        "sign_off": ("Decision",),
    },
)
