"""Roles: what a column says about people, proposed with the evidence, to be confirmed by someone who knows the data."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pellucid.privacy.assess.column_profile import Profile

ROLES = {
    "unit": "says whose row it is: what privacy is promised to",
    "identifier": "names a person by itself",
    "quasi-identifier": "known to others, and together with more such columns may name a person",
    "sensitive": "what a person would not want to be known",
    "item": "what a person chose, visited or rated",
    "time": "when it happened; a time can single a person out like any other quasi-identifier",
    "text": "free text, which may name anyone",
    "other": "none of these; together with other columns it may still tell people apart",
}
"""The roles a column can have, and what each means."""

_ID = "(_?(id|key|no|nr|num|number|code|hash|uuid))?"

# Role and the names of columns it is proposed for; the first that fits wins. {id} stands for an ending such as _id.
_NAMED: tuple[tuple[str, str], ...] = (
    (
        "identifier",
        (
            "e?-?mail phone telephone mobile ssn passport iban (first|last|full|sur|real|family|given)_?name nick nickname login handle"
            " username user_?name screen_?name ip ip_?(v4|v6)?_?addr(ess)? address street licen[cs]e fingerprint cookie"
        ),
    ),
    (
        "unit",
        (
            "(user|person|people|customer|client|member|visitor|patient|student|employee|subscriber|account|device|author|reader){id}"
            " (borrower|session){id} uid (anon|pseudonym)(ous)?_?id"
        ),
    ),
    (
        "time",
        (
            "time date datetime timestamp ts day created updated at when hour .*_(time|date|at|ts)"
            " (create|delete|join|leave|update)_?(at|time|date)"
        ),
    ),
    (
        "quasi-identifier",
        (
            "age sex gender race ethnicity ethnic_group nationality native_?country country region state city town county zip zip_?code"
            " post_?code postal_?code birth.* dob born education.* degree occupation job profession employer work_?class marital.*"
            " relationship building department org_?unit faculty office language height weight lat lon latitude longitude location"
        ),
    ),
    (
        "sensitive",
        (
            "salary.* income.* wage.* disease.* diagnos[ie]s illness health.* religio.* politic.* party orientation hiv crime conviction"
            " debt.* grade score loan.* treatment drug.* medication capital_(gain|loss) rating stars tag opinion review comment"
        ),
    ),
    (
        "item",
        (
            "(item|product|movie|film|area|page|article|book|song|track|artist|channel|team|doc|document|query|object|content|video){id}"
            " (category|ad|course){id} url sku isbn"
        ),
    ),
    ("text", "text message body description note notes subject title summary abstract bio"),
)


@dataclass(frozen=True)
class Proposal:
    """A role for a column, why, and how sure (0 to 1: a rule of thumb, not a probability)."""

    role: str
    confidence: float
    evidence: tuple[str, ...]


def propose(profile: Profile) -> Proposal:
    """The role that the column's name, type and counts suggest. It quotes no value."""
    found = [_by_content(profile), _by_name(profile), _by_shape(profile)]
    proposals = [p for p in found if p is not None]
    if not proposals:
        return Proposal("other", 0.2, ("nothing in its name or its values says what it is",))
    best = max(proposals, key=lambda p: p.confidence)
    agreeing = [p for p in proposals if p.role == best.role and p is not best]
    confidence = min(0.95, best.confidence + 0.2 * len(agreeing))
    evidence = [line for p in [best, *agreeing] for line in p.evidence]
    evidence += [f"but {line} ({p.role})" for p in proposals if p.role != best.role for line in p.evidence[:1]]
    return Proposal(best.role, round(confidence, 2), tuple(evidence))


def _by_content(profile: Profile) -> Proposal | None:
    """What the cells hold: names by pattern."""
    for kind, count in sorted(profile.names.items(), key=lambda pair: (-pair[1], pair[0])):
        share = count / max(1, profile.filled)
        if kind in ("addressed name", "URL"):
            continue
        if share >= 0.5 and profile.spaces < 2:
            return Proposal("identifier", 0.85, (f"{count:,} of {profile.filled:,} cells hold what looks like an {kind}",))
    if profile.names and profile.spaces >= 2:
        told = ", ".join(f"{kind} in {count:,}" for kind, count in sorted(profile.names.items()))
        return Proposal("text", 0.7, (f"sentences with names in them: {told} cells",))
    return None


def _by_name(profile: Profile) -> Proposal | None:
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", profile.column.strip()).lower()
    plain = re.sub(r"[\s\-./]+", "_", plain)
    for role, patterns in _NAMED:
        if any(re.fullmatch(pattern.replace("{id}", _ID), plain) for pattern in patterns.split()):
            if role == "text" and not profile.letters:
                continue
            return Proposal(role, 0.6, (f'its name, "{profile.column}", is one for {_article(role)}',))
    return None


def _by_shape(profile: Profile) -> Proposal | None:
    """What types and counts suggest."""
    if profile.type.startswith(("timestamp", "date", "time")):
        return Proposal("time", 0.75, (f"its type is {profile.type}",))
    if profile.low is not None and profile.high is not None and profile.distinct > 20:
        for name, scale in (("seconds", 1.0), ("milliseconds", 1e3)):
            if 6e8 * scale <= profile.low and profile.high <= 3e9 * scale:
                return Proposal("time", 0.7, (f"its numbers are all {name} since 1970, between 1989 and 2065",))
    if not profile.filled:
        return Proposal("other", 0.5, ("it is empty",))
    if profile.letters and (profile.spaces >= 4 or profile.letters > 60):
        return Proposal("text", 0.65, (f"its cells are sentences, {profile.letters:.0f} characters on average",))
    share = profile.distinct / profile.filled
    if profile.filled >= 20 and share > 0.95 and not profile.type.startswith(("double", "float", "half")):
        return Proposal("identifier", 0.4, (f"nearly every row has a value of its own (about {profile.distinct:,})",))
    if 2 <= profile.distinct <= 200 and share < 0.2 and profile.filled >= 20:
        return Proposal("quasi-identifier", 0.3, (f"it has {profile.distinct:,} different values, each shared by many rows",))
    return None


def _article(role: str) -> str:
    return f"an {role}" if role[0] in "aeio" else f"a {role}{' column' * (role == 'sensitive')}"
