"""Attacks: what an adversary still gets, as a number with an interval and what to compare it with.

On logs of who did what: `linkage`, `further`, `vanity`. On tables: `homogeneity`, `background`, `singling_out`, `linkability`,
`inference`. On models and counts: `membership`, `reconstruction`, `tracing`. On mechanisms: `audit`, `precision`, `one_run`,
`audit_mechanism`. `attack_log`, `attack_table` and `attack_release` choose among them; `steps.log`, `.table`, `.release` and `.mechanism`
are pipeline steps. An attack that fails proves nothing, one that succeeds refutes; what holds is the guarantee. Results are as private
as what was attacked.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Bound here, eagerly, because each function shares its name with its file: a later import of the file must not hide it.
from pellucid.privacy.attacks.further import further
from pellucid.privacy.attacks.histories import Histories, histories
from pellucid.privacy.attacks.linkage import linkage
from pellucid.privacy.attacks.membership import membership
from pellucid.privacy.attacks.reconstruction import reconstruction
from pellucid.privacy.attacks.tracing import tracing
from pellucid.privacy.attacks.vanity import vanity

if TYPE_CHECKING:
    from pellucid.privacy.attacks import steps
    from pellucid.privacy.attacks.blackbox import Audit, audit, precision
    from pellucid.privacy.attacks.canaries import one_run
    from pellucid.privacy.attacks.classes import background, homogeneity
    from pellucid.privacy.attacks.finding import Finding, Rate
    from pellucid.privacy.attacks.further import from_counts, from_records
    from pellucid.privacy.attacks.records import inference, linkability, singling_out
    from pellucid.privacy.attacks.rehearsal import attack_log, attack_release, attack_table
    from pellucid.privacy.attacks.synthetic import audit_mechanism
    from pellucid.privacy.attacks.tracing import promised

__all__ = [
    "Audit", "Finding", "Histories", "Rate", "attack_log", "attack_release", "attack_table", "audit", "audit_mechanism", "background",
    "from_counts", "from_records", "further", "histories", "homogeneity", "inference", "linkability", "linkage", "membership",
    "one_run", "precision", "promised", "reconstruction", "singling_out", "steps", "tracing", "vanity",
]  # fmt: skip

_FILES = {
    "Audit": "blackbox",
    "Finding": "finding",
    "Rate": "finding",
    "attack_log": "rehearsal",
    "attack_release": "rehearsal",
    "attack_table": "rehearsal",
    "audit": "blackbox",
    "audit_mechanism": "synthetic",
    "background": "classes",
    "from_counts": "further",
    "from_records": "further",
    "homogeneity": "classes",
    "inference": "records",
    "linkability": "records",
    "one_run": "canaries",
    "precision": "blackbox",
    "promised": "tracing",
    "singling_out": "records",
}


def __getattr__(name: str) -> Any:
    if name == "steps":
        return import_module("pellucid.privacy.attacks.steps")
    if name in _FILES:
        return getattr(import_module(f"pellucid.privacy.attacks.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
