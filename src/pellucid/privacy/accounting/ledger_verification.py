"""Auditing a ledger without its state file: the chain, every balance, every cap, from its events or from an export of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.errors import PrivacyError
from pellucid.privacy.accounting import ledger_events
from pellucid.privacy.accounting.account import Limit, fits, period_start
from pellucid.privacy.accounting.amounts import DELTA_UNIT, EPSILON_UNIT, Amounts, as_float, units
from pellucid.privacy.accounting.composition import checked_events, privacy_cost


def verify_file(path: Path, heads: Iterable[str] = ()) -> int:
    """Check an export; how many events it has. Raises PrivacyError naming the first event or line that does not fit."""
    return verify(ledger_events.read(path), str(path), heads)


def verify(events: Iterable[Mapping[str, Any]], where: str, heads: Iterable[str] = ()) -> int:
    """Check a chain of events: that each follows from the one before, that each spend's balance is the sum of all before it, and
    that none went over its cap; and that it holds every one of `heads`."""
    accounts: dict[str, _Balance] = {}
    paid: dict[str, set[str]] = {}
    count = 0
    for event in ledger_events.walked(events, where, heads):
        count += 1
        kind, name = event["kind"], event["account"]
        try:
            if kind == "open":
                if name in accounts:
                    raise ValueError("the account is open already")
                accounts[name] = _Balance(name, event["body"]["composition"], Limit(**event["body"]["limit"]))
            elif kind == "cap":
                accounts[name].lift(Limit(**event["body"]["limit"]))
            elif kind == "spend":
                if name in paid.setdefault(event["release"], set()):
                    raise ValueError("the release has paid before")
                paid[event["release"]].add(name)
                accounts[name].spend(event)
            elif kind == "finish" and event["release"] not in paid:
                raise ValueError("nothing was paid for it")
        except (KeyError, TypeError, ValueError, PrivacyError) as error:
            why = f"{type(error).__name__}: {error}" if isinstance(error, KeyError | TypeError) else str(error)
            raise PrivacyError(f"event {count} of the ledger does not fit", where=where, why=why) from None
    return count


def release_of(event: Mapping[str, Any]) -> tuple[Sequence[Mapping[str, Any]], float]:
    """The events and extra delta of a spend, for the accountant."""
    epsilon, delta = as_float(event["epsilon"], EPSILON_UNIT), as_float(event["delta"], DELTA_UNIT)
    description = event["body"]["description"]
    told = [(description.get("epsilon", epsilon), EPSILON_UNIT), (description.get("delta", delta), DELTA_UNIT)]
    if [units(value, unit, up=True) for value, unit in told] != [event["epsilon"], event["delta"]]:
        raise ValueError("its price is not what its description says")
    return checked_events(description, epsilon, delta)


NEVER = -1


class _Balance:
    """One account while its events go by."""

    def __init__(self, name: str, composition: str, limit: Limit) -> None:
        self.name, self.composition, self.limit = name, composition, limit
        self.spent, self.since, self.within = Amounts(), NEVER, Amounts()
        self.paid: list[tuple[int, Amounts]] = []

    def lift(self, limit: Limit) -> None:
        self.since, self.limit = NEVER, limit

    def spend(self, event: Mapping[str, Any]) -> None:
        events, extra = release_of(event)
        epsilon, delta = as_float(event["epsilon"], EPSILON_UNIT), as_float(event["delta"], DELTA_UNIT)
        asked = privacy_cost(epsilon, delta, events, extra)
        self.spent += asked
        if self.spent != Amounts(**event["body"]["after"]):
            raise ValueError("its balance is not the sum of what was spent")
        self.paid.append((event["time"], asked))
        if self.limit.period is not None:
            since = period_start(self.limit.period, event["time"])
            if since != self.since:  # another period, or a cap on periods where there was none: what was spent in this one counts
                self.since, self.within = since, sum((cost for time, cost in self.paid if time >= since), Amounts())
            else:
                self.within += asked
            if self.within.epsilon > self.limit.period_epsilon or self.within.delta > self.limit.period_delta:
                raise ValueError(f"account {self.name!r} was overspent in its {self.limit.period}")
        if not fits(self.composition, self.limit, self.spent):
            raise ValueError(f"account {self.name!r} was overspent")
