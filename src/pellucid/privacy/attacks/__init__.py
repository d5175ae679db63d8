"""Attacks: what an adversary still gets, as a number with an interval and what to compare it with.

On logs of who did what: `linkage`, `attribute_inference`, `text_reidentification`. On tables: `homogeneity`, `background`,
`singling_out`, `linkability`, `inference`. On models and counts: `membership`, `reconstruction`, `tracing`. On mechanisms: `audit`,
`floating_point_attack`, `audit_one_run`, `audit_mechanism`. `attack_log`, `attack_table` and `attack_release` choose among them;
`steps.log`, `.table`, `.release` and `.mechanism` are pipeline steps. An attack that fails proves nothing, one that succeeds refutes;
what holds is the guarantee. Results are as private as what was attacked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.privacy.attacks import steps
    from pellucid.privacy.attacks.attack_suite import attack_log, attack_release, attack_table
    from pellucid.privacy.attacks.attribute_inference import attribute_inference, from_counts, from_records
    from pellucid.privacy.attacks.auditing import Audit, audit, audit_mechanism, audit_one_run, floating_point_attack
    from pellucid.privacy.attacks.equivalence_classes import background, homogeneity
    from pellucid.privacy.attacks.finding import Finding, Rate
    from pellucid.privacy.attacks.linkage_attack import linkage
    from pellucid.privacy.attacks.membership_inference import membership
    from pellucid.privacy.attacks.reconstruction_attack import reconstruction
    from pellucid.privacy.attacks.record_attacks import inference, linkability, singling_out
    from pellucid.privacy.attacks.text_reidentification import text_reidentification
    from pellucid.privacy.attacks.tracing_attack import max_true_positive_rate, tracing
    from pellucid.privacy.attacks.user_histories import Histories, histories

__all__ = [
    "Audit",
    "Finding",
    "Histories",
    "Rate",
    "attack_log",
    "attack_release",
    "attack_table",
    "attribute_inference",
    "audit",
    "audit_mechanism",
    "audit_one_run",
    "background",
    "floating_point_attack",
    "from_counts",
    "from_records",
    "histories",
    "homogeneity",
    "inference",
    "linkability",
    "linkage",
    "max_true_positive_rate",
    "membership",
    "reconstruction",
    "singling_out",
    "steps",
    "text_reidentification",
    "tracing",
]

__getattr__ = lazy_names(
    __name__,
    {
        "attack_suite": (
            "attack_log",
            "attack_release",
            "attack_table",
        ),
        "attribute_inference": (
            "from_counts",
            "from_records",
            "attribute_inference",
        ),
        "equivalence_classes": (
            "background",
            "homogeneity",
        ),
        "finding": (
            "Finding",
            "Rate",
        ),
        "linkage_attack": ("linkage",),
        "membership_inference": ("membership",),
        "auditing": (
            "Audit",
            "audit",
            "audit_mechanism",
            "audit_one_run",
            "floating_point_attack",
        ),
        "reconstruction_attack": ("reconstruction",),
        "record_attacks": (
            "inference",
            "linkability",
            "singling_out",
        ),
        "text_reidentification": ("text_reidentification",),
        "tracing_attack": (
            "max_true_positive_rate",
            "tracing",
        ),
        "user_histories": (
            "Histories",
            "histories",
        ),
    },
    modules=("steps",),
)
