"""Whether accounts could pay for a release, before anything is opened or spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from pellucid.privacy.accounting.account import Account, Limit, refuse_overdraft
from pellucid.privacy.accounting.amounts import Amounts, cap
from pellucid.privacy.accounting.ledger import Ledger
from pellucid.store import STATE_FILE


def refuse_too_dear(
    home: Path, names: Iterable[str], budgets: Mapping[str, tuple[str, Any]], cost: Amounts, release: str
) -> None:
    """Raise BudgetError where an account of `names` could not pay `cost`. The `release` is "" while its data are not known: then it may be
    paid for already, so accounts that are open are not looked at; one that its source would open is looked at by its budget."""
    accounts: dict[str, Account] = {}
    if (home / STATE_FILE).exists():
        with closing(Ledger(home)) as ledger:
            if release and release in {spend["release"] for spend in ledger.spends()}:
                return
            there = {account["name"] for account in ledger.accounts()}
            accounts = {name: ledger.account(name) for name in names if name in there}
    for name in sorted(names):
        if name not in accounts:
            unit, budget = budgets[name]
            limit = Limit(*cap(budget.epsilon, budget.delta))
            refuse_overdraft(Account(name, unit, budget.composition, limit, Amounts(), Amounts()), cost)
        elif release:
            refuse_overdraft(accounts[name], cost)
