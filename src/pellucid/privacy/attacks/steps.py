"""Attacks as pipeline steps: what they find is as private as what they attack, and stays so.

They are ordinary steps without a gate, so their outputs take the label of their inputs and are withheld from every package.
`mechanism` looks at no data: it has no private input, and what it gives is open.
"""

from __future__ import annotations

from typing import Any

from pellucid.errors import UsageError
from pellucid.pipeline.declaration import Output, OutputOf, Source, Step
from pellucid.privacy.attacks.attack_suite import attack_log, attack_release, attack_table
from pellucid.privacy.attacks.finding import Finding, Rate
from pellucid.store import Metrics, Table

Node = Source | Step | OutputOf | str


def numbers(findings: list[Finding]) -> Metrics:
    """Findings as flat numbers: each rate with its interval, and its baselines and references."""
    found: dict[str, float] = {}
    for finding in findings:
        name = f"{finding.attack} {finding.target}".replace(" ", "_")
        found |= {name: finding.rate.value, f"{name}_low": finding.rate.low, f"{name}_high": finding.rate.high}
        for other, rate in (*finding.baselines.items(), *finding.references.items()):
            found[f"{name}_{other.replace(' ', '_')}"] = rate.value if isinstance(rate, Rate) else float(rate)
    return Metrics(found)


def log_numbers(data: Table, unit_column: str, item: str, known: int, draws: int) -> Metrics:
    """`attack_log` as flat numbers."""
    return numbers(attack_log(data, unit_column, item, known=known, seed=draws))


def table_numbers(
    data: Table, unit_column: str | None, quasi_identifiers: list[str], sensitive: list[str], draws: int
) -> Metrics:
    """`attack_table` as flat numbers."""
    return numbers(attack_table(data, unit_column, list(quasi_identifiers), list(sensitive), seed=draws))


def release_numbers(
    data: Table, unit_column: str, mechanism: Any, epsilon: float, delta: float, known: int, draws: int
) -> Metrics:
    """`attack_release` as flat numbers."""
    return numbers(attack_release(data, unit_column, mechanism, epsilon, delta, known=known, seed=draws))


def audit_numbers(mechanism: Any, epsilon: float, delta: float) -> Metrics:
    """`audit_mechanism` as flat numbers."""
    from pellucid.privacy.attacks.auditing import audit_mechanism

    found = audit_mechanism(mechanism, epsilon, delta)
    if found is None:
        raise UsageError(f"nothing here audits a {mechanism.name}", where="pl.privacy.attacks.mechanism")
    return Metrics(
        {
            "declared": found.declared,
            "at_least": found.epsilon_lower_bound,
            "reach": found.max_detectable_epsilon,
            "runs": found.runs,
            "refuted": int(found.refuted),
        }
    )


def log(of: Node, *, unit: str, item: str, known: int = 4, seed: int = 0, name: str | None = None) -> Step:
    """A step that attacks a log without its identifiers by linkage, as numbers as private as the log."""
    return _step(log_numbers, name, of, {"unit_column": unit, "item": item, "known": known, "draws": seed})


def table(
    of: Node,
    *,
    quasi_identifiers: list[str],
    sensitive: list[str],
    unit: str | None = None,
    seed: int = 0,
    name: str | None = None,
) -> Step:
    """A step that attacks a table without its identifiers by inference and homogeneity, as numbers as private as the table."""
    if not quasi_identifiers or not sensitive:
        raise UsageError("name the quasi-identifiers and the sensitive columns", where="pl.privacy.attacks.table")
    return _step(
        table_numbers,
        name,
        of,
        {"unit_column": unit, "quasi_identifiers": list(quasi_identifiers), "sensitive": list(sensitive), "draws": seed},
    )


def release(
    mechanism: Any,
    *,
    of: Node,
    unit: str,
    epsilon: float,
    delta: float,
    known: int = 4,
    seed: int = 0,
    name: str | None = None,
) -> Step:
    """A step that simulates a release and attacks it, as numbers as private as the data. It spends nothing."""
    settings = {"unit_column": unit, "mechanism": mechanism, "epsilon": epsilon, "delta": delta, "known": known, "draws": seed}
    return _step(release_numbers, name, of, settings)


def mechanism(mechanism: Any, *, epsilon: float, delta: float, name: str | None = None) -> Step:
    """A step that audits a mechanism on made-up neighbours. It sees no data, so its numbers are open."""
    settings = {"mechanism": mechanism, "epsilon": epsilon, "delta": delta}
    return Step(audit_numbers, name, (Output("", "metrics"),), {}, settings, kind="attack")


def _step(fn: Any, name: str | None, of: Node, settings: dict[str, Any]) -> Step:
    return Step(fn, name, (Output("", "metrics"),), {"data": of}, settings, kind="attack")
