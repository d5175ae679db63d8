"""Auditing: lower bounds of epsilon, from running a mechanism many times (or once, with many canaries) on neighbouring inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.privacy.attacks.auditing.black_box_audit import Audit, audit, floating_point_attack
    from pellucid.privacy.attacks.auditing.mechanism_audit import audit_mechanism
    from pellucid.privacy.attacks.auditing.one_run_audit import audit_one_run

__all__ = ["Audit", "audit", "audit_mechanism", "audit_one_run", "floating_point_attack"]

__getattr__ = lazy_names(
    __name__,
    {
        "black_box_audit": (
            "Audit",
            "audit",
            "floating_point_attack",
        ),
        "mechanism_audit": ("audit_mechanism",),
        "one_run_audit": ("audit_one_run",),
    },
)
