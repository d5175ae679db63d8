"""Attack: what an adversary gets from the data as they stand, and from what would leave; and the mechanism on made-up neighbours."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from functools import partial
from typing import Any

from pellucid.errors import UsageError
from pellucid.privacy.attacks import attack_log, attack_release, attack_table, max_true_positive_rate
from pellucid.privacy.attacks.auditing import audit_mechanism
from pellucid.steward.current_state import CurrentState, PlannedRelease, confirmed_roles, standing
from pellucid.steward.workspace import Folder

FALSE_ALARMS = (0.01, 0.05, 0.1)


def attack(folder: Folder) -> dict[str, Any]:
    """Attack the data without identifiers (the warning), each release to come (simulated), and its mechanism; the evidence."""
    stand = standing(folder)
    stand.need("inventory", "assess", "protect")
    roles = confirmed_roles(stand.inventory())
    quasi_identifiers, sensitive = roles.get("quasi-identifier", []), roles.get("sensitive", [])
    attacks: list[tuple[str | None, Callable[[], list[Any]]]] = [
        *((None, partial(attack_log, stand.table, stand.unit, item)) for item in roles.get("item", [])),
        (None, partial(attack_table, stand.table, stand.unit, quasi_identifiers, sensitive)),
        *((coming.name, partial(_attacked, stand, coming)) for coming in stand.releases),
    ]
    found, skipped = [], list[str]()
    for release, attacked in attacks:
        try:
            found += [{"release": release, **finding.to_json()} for finding in attacked()]
        except UsageError as error:  # too few people for a control group: said here, and a check of the policy fails
            skipped.append(error.what)
    audits, bounds = [], {}
    for coming in stand.releases:
        mechanism, epsilon, delta = coming.terms
        audited = audit_mechanism(mechanism, epsilon, delta)
        if audited is not None:
            audits.append({"release": coming.name, **audited.to_json()})
        bounds[coming.name] = bound(epsilon, delta)
    told = {"findings": found, "audits": audits, "bounds": bounds, "skipped": list(dict.fromkeys(skipped))}
    return folder.write("attack", stand.of("attack"), told)


def _attacked(stand: CurrentState, coming: PlannedRelease) -> list[Any]:
    mechanism, epsilon, delta = coming.terms
    if stand.unit not in coming.table.columns:
        return []
    return attack_release(coming.table, stand.unit, mechanism, epsilon, delta, target=coming.name, told=coming.request.label.unit)


def bound(epsilon: float, delta: float) -> list[dict[str, float]]:
    """The most true alarms a membership attack can have at some rates of false ones: by the guarantee alone."""
    return [{"false_alarms": one, "true_alarms_at_most": max_true_positive_rate(one, epsilon, delta)} for one in FALSE_ALARMS]


def beyond_control(finding: dict[str, Any]) -> bool:
    """Whether the attack does better on people in the data than on those who are not: its interval lies wholly above theirs."""
    others = finding["baselines"]
    chosen = [others["control"]] if "control" in others else list(others.values())
    highest = max((one["high"] if isinstance(one, dict) else float(one) for one in chosen), default=0.0)
    return bool(finding["rate"]["low"] > highest)


def verdict(finding: dict[str, Any]) -> str:
    """What a finding comes to, in a few words."""
    if finding["release"] is None:
        return "do not publish it" if beyond_control(finding) else "no better than the control group here"
    return "BEYOND the control group" if beyond_control(finding) else "within the control group"


def attack_lines(folder: Folder, evidence: dict[str, Any]) -> list[str]:
    """One screen."""
    told: list[str] = []
    for head, wanted in (("as the data stand, without identifiers:", False), ("what would leave (simulated):", True)):
        chosen = [one for one in evidence["findings"] if (one["release"] is not None) == wanted]
        told += [head] if chosen else []
        for one in chosen:
            told += textwrap.wrap(f"{one['attack']}: {one['question']}", 80, initial_indent="  ", subsequent_indent="    ")
            told.append(f"    {one['target']:<29} {figure(one['rate'])}  {verdict(one)}")
            told += [f"    {name:<29} {figure(rate)}" for name, rate in (*one["baselines"].items(), *one["references"].items())]
    for one in evidence["skipped"]:
        told += textwrap.wrap(f"not attacked: {one}", 80, subsequent_indent="  ")
    for one in evidence["audits"]:
        said = "REFUTED" if one["refuted"] else "not refuted"
        told += textwrap.wrap(
            f"audit of {one['release']} on {one['runs']:,} made-up neighbours: epsilon at least {one['epsilon_at_least']:.3f},"
            f" declared {one['declared_epsilon']:g}: {said} (so many could show {one['reach']:.3f})", 80, subsequent_indent="  ",
        )  # fmt: skip
    told += textwrap.wrap("An attack that fails proves nothing; what holds is the guarantee. These figures are private.", 80)
    told.append(f"next: {folder.command('decide', '--by NAME')}")
    return told


def figure(rate: Any) -> str:
    """A rate with its interval."""
    if isinstance(rate, dict):
        return f"{rate['value']:.3f} [{rate['low']:.3f}, {rate['high']:.3f}]"
    return f"{rate:.3f}" if rate >= 0.0005 or rate == 0 else f"{rate:.1e}"
