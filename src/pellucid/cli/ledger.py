"""`pellucid ledger`: the privacy accounts."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from pellucid.cli import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "action", nargs="?", choices=["show", "verify", "cap"], default="show", help="show (default), verify, or cap"
    )
    parser.add_argument("account", nargs="?", help="for cap: whose")
    parser.add_argument("--epsilon", type=float, help="for cap: the most it may ever spend")
    parser.add_argument("--delta", type=float, help="for cap: the most it may ever spend")
    options.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Show accounts and spends, check the chain, or set a cap."""
    from pellucid.errors import UsageError
    from pellucid.privacy.ledger import Ledger

    ledger = Ledger(options.home_of(arguments))
    if arguments.action == "cap":
        if not arguments.account or arguments.epsilon is None or arguments.delta is None:
            raise UsageError(
                "cap needs an account, --epsilon and --delta", fix="Such as: pellucid ledger cap visits --epsilon 4 --delta 1e-5"
            )
        ledger.set_cap(arguments.account, arguments.epsilon, arguments.delta)
    if arguments.action == "verify":
        ledger.verify()
        head = ledger.head()
        options.print_json({"verified": True, "head": head}) if arguments.json else print(
            f"the chain is whole; its head is {head}"
        )
        return 0
    accounts, spends = ledger.accounts(), ledger.spends()
    if arguments.json:
        options.print_json(
            {"accounts": {account["name"]: as_json(account) for account in accounts}, "spends": spends, "head": ledger.head()}
        )
        return 0
    if arguments.action == "cap":
        accounts = [account for account in accounts if account["name"] == arguments.account]
        spends = []
    rows = [
        [account["name"], account["unit"], *(_pair(account, word) for word in ("cap", "spent", "left"))] for account in accounts
    ]
    print(
        options.table(rows, ["account", "unit", "cap", "spent", "left"]) if rows else "no account: nothing private was released"
    )
    if spends:
        print()
        print(
            options.table([_row(spend) for spend in spends], ["release", "account", "by", "epsilon, delta", "on (UTC)", "state"])
        )
    if any(spend["state"] == "spent" for spend in spends):
        print("spent: paid for but not given out yet; run its pipeline again to finish it at no further cost")
    return 0


def _row(spend: dict[str, Any]) -> list[str]:
    told = spend["description"]
    by = f"{told.get('pipeline', '-')}.{told.get('step', '-')}"
    on = f"{datetime.fromtimestamp(spend['time'], UTC):%Y-%m-%d}"
    return [spend["release"][:8], spend["account"], by, f"{spend['epsilon']:g}, {spend['delta']:g}", on, spend["state"]]


def as_json(account: dict[str, Any]) -> dict[str, Any]:
    """An account: `cap`, `spent` and `left` are epsilon; the same for delta; exact whole numbers beside them."""
    shown = {word: account[f"{word}_epsilon"] for word in ("cap", "spent", "left")}
    shown |= {f"{word}_delta": account[f"{word}_delta"] for word in ("cap", "spent", "left")}
    exact = {name: value for name, value in account.items() if name.endswith(("_nano", "_atto"))}
    return {"unit": account["unit"], **shown, "exact": exact}


def _pair(account: dict[str, Any], word: str) -> str:
    return f"{account[f'{word}_epsilon']:g}, {account[f'{word}_delta']:g}"
