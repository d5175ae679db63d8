"""Decide: the policy, check by check, and the signature of whoever answers for the release, bound to the data as they are."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from pellucid.errors import PellucidError, PrivacyError
from pellucid.steward.attack_stage import beyond_control
from pellucid.steward.current_state import CurrentState, refuse_nameless, standing
from pellucid.steward.protection_stage import already_paid, costs
from pellucid.steward.release_forecast import forecasts
from pellucid.steward.workspace import Folder


@dataclass(frozen=True)
class Check:
    """One point of the policy: whether it holds, and what was looked at. `open` says whether its outcome depends on no private row
    and so may be shown to everybody."""

    name: str
    passed: bool
    says: str
    open: bool = True


def checks(stand: CurrentState) -> list[Check]:
    """The policy on things as they stand."""
    try:
        stand.inventory()
        confirmed = stand.missing_evidence("inventory")
    except PellucidError as error:
        confirmed = error.what
    try:
        refuse_nameless(stand.table, stand.unit, stand.source.name)
        found = [Check("unit declared", True, f'"{stand.unit}" says whose row it is, and has no gaps')]
    except PrivacyError as error:
        found = [Check("unit declared", False, error.what)]
    waits = all(budget.sign_off for coming in stand.releases for _, budget in coming.request.budgets.values())
    found.append(Check("account waits for a signature", waits, "sign_off=True" if waits else "its budget needs sign_off=True"))
    found.append(Check("inventory confirmed", not confirmed, confirmed or "every column's role was confirmed"))
    for step, said in (("assess", "assessed"), ("protect", "plan looked at"), ("attack", "attacked")):
        wrong = confirmed if confirmed and step != "protect" else stand.missing_evidence(step)
        found.append(Check(said, not wrong, wrong or "on the data and releases as they stand"))
    attacked = (stand.folder.read("attack") or {}) if not (confirmed or stand.missing_evidence("attack")) else {}
    planned = (stand.folder.read("protect") or {}) if not stand.missing_evidence("protect") else {}
    return found + _findings(stand, attacked) + [_worth(stand), *_not_empty(stand, planned), _budget(stand)]


def _not_empty(stand: CurrentState, planned: dict[str, Any]) -> list[Check]:
    """Whether a simulated release of them names something: a look at the private rows, and so private."""
    paid = already_paid(stand)
    coming = [one for one in planned.get("releases", []) if one["name"] not in paid]
    empty = [one for one in coming if "empty" in one["simulated"]]
    said = "; ".join(
        f"{one['name']} would be an empty table. Would help: {'; '.join(one['helps']) or 'more people'}" for one in empty
    )
    failed = bool(empty) and len(empty) == len(coming)  # of several some may be empty: the plan says which
    return [Check("not empty", not failed, said or "a simulated release names something", open=False)]


def _worth(stand: CurrentState) -> Check:
    """Whether each release that is not paid for yet can be expected to give something."""
    paid = already_paid(stand)
    foreseen, is_open = forecasts(stand)
    wrong = [one for one in foreseen if one.problem and one.release not in paid]
    said = "; ".join(f"{one.release}: {one.problem}. Would help: {'; '.join(one.advice)}" for one in wrong)
    return Check("worth its cost", not wrong, said or "something can be expected of each release", open=is_open)


def _findings(stand: CurrentState, attacked: dict[str, Any]) -> list[Check]:
    """What the attacks found: on made-up neighbours (open), and on the data (private)."""
    audits = {one["release"]: one for one in attacked.get("audits", [])}
    missing = [coming.name for coming in stand.releases if coming.name not in audits]
    refuted = [name for name, one in audits.items() if one["refuted"]]
    if refuted or missing:
        said = f"refuted: {', '.join(refuted)}" if refuted else f"no audit of {', '.join(missing)}"
    else:
        said = "no audit refutes the declared epsilon"
    found = [Check("mechanism audited", not (refuted or missing), said)]
    held = [one for one in attacked.get("findings", []) if one["release"] is not None]
    bare = sorted({coming.name for coming in stand.releases} - {one["release"] for one in held})
    beyond = [f"{one['attack']} on {one['release']}" for one in held if beyond_control(one)]
    if beyond or bare:
        said = (
            f"beyond the control group: {', '.join(beyond)}"
            if beyond
            else f"nothing attacked {', '.join(bare)}{_because(attacked)}"
        )
    else:
        said = "no attack does better on people in the data than on those who are not"
    return [*found, Check("attacks within control", not (beyond or bare), said, open=False)]


def _because(attacked: dict[str, Any]) -> str:
    skipped = attacked.get("skipped", [])
    return f": {'; '.join(skipped)}" if skipped else ""


def _budget(stand: CurrentState) -> Check:
    after = costs(stand)
    short = [one for one in after if not one.fits]
    said = "; ".join(
        f"{one.account}: {one.after[0]:g}, {one.after[1]:g} of {one.cap[0]:g}, {one.cap[1]:g}" for one in short or after
    )
    paid = already_paid(stand)
    if paid == {coming.name for coming in stand.releases}:
        said = "paid for already"
    return Check("budget fits", not short, said)


def decide(folder: Folder, by: str, *, note: str = "", although: str = "") -> tuple[dict[str, Any], list[Check]]:
    """Sign for every release as it stands; the evidence, and the checks.

    Raises PrivacyError naming the checks that fail, unless `although` gives a reason; the reason goes to the report and the card. Nothing
    is spent.
    """
    if not by.strip():
        raise PrivacyError("a decision needs the name of who decides", fix=f"Such as: {folder.command('decide', '--by NAME')}")
    stand = standing(folder)
    found = checks(stand)
    failing = [one for one in found if not one.passed]
    if failing and not although.strip():
        raise Refused(
            f"{len(failing)} of {len(found)} checks fail: " + "; ".join(f"{one.name} ({one.says})" for one in failing),
            found,
            where=str(folder.path),
            fix="Nothing is signed. Mend them, or say why it may leave all the same: --although REASON",
        )
    although = although.strip() if failing else ""
    said = "; ".join(part for part in (note.strip(), f"although: {although}" if although else "") if part)
    for coming in stand.releases:
        coming.gate.decide(coming.request, by.strip(), said)
    told = {"by": by.strip(), "note": note.strip(), "although": although, "checks": [asdict(one) for one in found]}
    return folder.write("decide", stand.of("decide"), told), found


class Refused(PrivacyError):
    """A decision that the policy does not allow; `checks` has every point."""

    def __init__(self, what: str, checks: list[Check], *, where: str, fix: str) -> None:
        super().__init__(what, where=where, fix=fix)
        self.checks = checks


def check_lines(found: list[Check]) -> list[str]:
    """The policy, a point a line."""
    told = []
    for one in found:
        head = f"{'pass' if one.passed else 'FAIL'}  {one.name:<30}"
        told += textwrap.wrap(f"{head} {one.says}", 80, subsequent_indent=" " * 37)
    return told


def decision_lines(folder: Folder, evidence: dict[str, Any], found: list[Check]) -> list[str]:
    """One screen."""
    told = [*check_lines(found), ""]
    said = f"{evidence['by']} signs for {', '.join(evidence['of']['releases'])} on the data as they are now ({evidence['at']})"
    told += textwrap.wrap(said, 80)
    if evidence["although"]:
        told += textwrap.wrap(f"although {sum(not one.passed for one in found)} checks fail: {evidence['although']}", 80)
        told += textwrap.wrap("The reason goes onto the card: whoever reads it learns that a check failed.", 80)
    told += textwrap.wrap("If the data or a setting changes, it has to be signed for again. Nothing is spent yet.", 80)
    told.append(f"next: {folder.command('release')}")
    return told
