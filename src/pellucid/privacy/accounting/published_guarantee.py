"""What a package says of a release: from the steward's ledger, the part that is public by the nature of the guarantee.

The release's identity is left out: it is computed from the digest of the private data, so it could confirm a guess of them. So is
what else was spent. The hash of the event that settled the release is in: the head of the ledger's chain just then, which holds
random bits and so confirms nothing, but by which a chain cut off later is found out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.errors import PrivacyError


def guarantee_of(home: Path, release_id: str, digest: str, step: str) -> dict[str, Any]:
    """Epsilon, delta, the accounts that paid, the mechanism's description and the commitment to the key of its noise.

    Raises PrivacyError when the ledger does not know the release, or knows that it gave out something else than `digest`.
    """
    from pellucid.privacy.accounting.ledger import Ledger

    ledger = Ledger(home)
    try:
        paid = [spend for spend in ledger.spends() if spend["release"] == release_id]
    finally:
        ledger.close()
    if not paid or any(spend["digest"] != digest for spend in paid):
        why = "it gave out another value" if paid else "it does not know this release"
        raise PrivacyError("the ledger does not stand for it", where=f'release "{step}"', why=why, fix="Run the pipeline again")
    first = paid[0]
    return {
        "epsilon": first["epsilon"],
        "delta": first["delta"],
        "accounts": sorted(spend["account"] for spend in paid),
        "mechanism": {k: v for k, v in first["description"].items() if k not in ("step", "pipeline")},
        "key_commitment": first["commitment"],
        "ledger": first["settled"],
    }


def sums(guarantees: list[Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    """What the releases cost each account together, by basic composition: epsilons add, deltas add."""
    found: dict[str, tuple[float, float]] = {}
    for guarantee in guarantees:
        for account in guarantee["accounts"]:
            epsilon, delta = found.get(account, (0.0, 0.0))
            found[account] = (epsilon + guarantee["epsilon"], delta + guarantee["delta"])
    return found
