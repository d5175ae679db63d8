"""The release step: the only thing that lowers a label, and what it does before, while and after.

Before: the parameters are checked, the release's identity is computed, and its cost is on disk in the ledger. While: the
mechanism runs in a worker with the key of its own noise stream. After: the ledger notes what was released, and refuses a second
value.

The identity covers the data's canonical digest, the unit, everything that defines the statistic (with the mechanism's version),
epsilon and delta. The noise is a function of the steward's key and the identity. So the same release gives the same noise and
costs nothing the second time; two different ones never share noise; and one killed after its spend is finished under that spend.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import typing
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol, Self

from pellucid.errors import PellucidError, PrivacyError, UsageError
from pellucid.pipeline.declaration import GateRequest, Grant, Output, OutputOf, Source, Step, own
from pellucid.pipeline.keys import canonical
from pellucid.pipeline.record import accounts_elsewhere, note_account
from pellucid.privacy.accounting import LOOKED, Decision, Ledger, checked_events, looked, privacy_cost, refuse_too_dear
from pellucid.privacy.mechanisms import MECHANISMS
from pellucid.privacy.parameters import checked_delta, checked_epsilon
from pellucid.privacy.secret_keys import commitment, pseudonym, release_key, steward_key
from pellucid.store import ADD_REMOVE, Table, Unit, unit_of

_INPUT = "of"


class Mechanism(Protocol):
    """What a mechanism must say and do: a frozen dataclass of its bounds. `pellucid.privacy.MECHANISMS` has them all.

    One whose `pure` is true takes delta 0; one whose `rerunnable` is false cannot be made again. Both may be left out.
    """

    @property
    def output_kind(self) -> str: ...

    def parameters(self) -> dict[str, Any]:
        """All that defines the statistic, with name and version, as JSON."""
        ...

    def guarantee(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, Any]:
        """Unit relation, sensitivity, noise, what is not covered: public JSON. Raises PrivacyError where there is none."""
        ...

    def numbers(self, epsilon: float, delta: float, relation: str = ADD_REMOVE) -> dict[str, float]:
        """The guarantee as flat numbers."""
        ...

    def check(self, table_path: Path, unit: str | Unit) -> None:
        """Refuse data this mechanism cannot take, before anything is spent. Raises PrivacyError."""
        ...

    def run(self, table_path: Path, unit: str | Unit, epsilon: float, delta: float, key: bytes, scratch: Path) -> Any:
        """Compute the noised statistic."""
        ...


@own("gate")
@dataclasses.dataclass(frozen=True)
class ReleaseGate:
    """The gate of one release step (see `pellucid.pipeline.declaration.nodes.Gate`)."""

    mechanism: Any

    def __post_init__(self) -> None:
        if type(self.mechanism) not in MECHANISMS.values():
            raise PrivacyError(
                f"a {type(self.mechanism).__name__} is not one of Pellucid's mechanisms",
                where="pl.release",
                why="what it gives would be open on its own word",
                fix="Use one of pl.privacy, or write it as a step (@pl.step): its output stays private",
            )

    def resolved(self, settings: Mapping[str, Any], where: str, relation: str = ADD_REMOVE) -> tuple[Any, float, float]:
        """The mechanism with its settings, epsilon and delta. Raises PrivacyError that names the step."""
        bounds = {field.name for field in dataclasses.fields(self.mechanism)}
        given = {n: tuple(v) if isinstance(v, list) else v for n, v in settings.items() if n in bounds}
        try:
            mechanism = dataclasses.replace(self.mechanism, **given)
            pure = getattr(mechanism, "pure", False)
            epsilon, delta = checked_epsilon(settings["epsilon"]), checked_delta(settings["delta"], pure=pure)
            mechanism.guarantee(epsilon, delta, relation)
        except PrivacyError as error:
            raise PrivacyError(error.what, where=error.where or where, why=error.why, fix=error.fix) from error
        return mechanism, epsilon, delta

    def check(self, request: GateRequest) -> str:
        """The release's identity, in hex."""
        return hashlib.sha256(canonical(self.identity(request))).hexdigest()

    def identity(self, request: GateRequest) -> dict[str, Any]:
        """Everything the noise depends on, beside the steward's key."""
        unit = request.label.unit
        assert unit is not None
        mechanism, epsilon, delta = self.resolved(request.settings, f'release "{request.step}"', unit_of(unit).relation)
        return {
            "format": "pellucid release 1",
            "data": request.digest,
            "unit": unit if isinstance(unit, str) else unit.to_json(),  # an object is no column's name, whatever that is
            "statistic": mechanism.parameters(),
            "epsilon": repr(epsilon),
            "delta": repr(delta),
        }

    def notices(self, request: GateRequest) -> list[str]:
        """The accounts in other state folders of this user that pay for the same data: what people lose by both adds up."""
        key = steward_key()
        elsewhere = {
            (home, other): account
            for account in sorted(request.label.accounts)
            for data in _pseudonyms(key, request, account)
            for home, other in accounts_elsewhere(data, request.home)
        }
        return [
            f'the data of account "{account}" also pay from account "{other}" in {home}{_spent(home, other)}:'
            " what people lose by both adds up, and no cap bounds the sum"
            for (home, other), account in sorted(elsewhere.items())
        ]

    def refusal(self, request: GateRequest) -> str:
        """Why it would be refused: a column that is not there or of no use, or an account that has less left than it costs."""
        assert request.label.unit is not None
        relation = unit_of(request.label.unit).relation
        mechanism, epsilon, delta = self.resolved(request.settings, f'release "{request.step}"', relation)
        try:
            if request.path is not None:
                mechanism.check(request.path, request.label.unit)
            events, extra = checked_events(mechanism.guarantee(epsilon, delta, relation), epsilon, delta)
            cost, paid = privacy_cost(epsilon, delta, events, extra), self.check(request) if request.digest else ""
            refuse_too_dear(request.home, request.label.accounts, request.budgets, cost, paid)
        except PrivacyError as error:
            return str(error)
        return ""

    def authorize(self, request: GateRequest) -> Grant:
        """Check sign-off and data, then spend: durable when this returns. Costs nothing for a release that was paid before.

        What is refused on the way is refused before anything is spent, and leaves its trace in the ledger.
        """
        where = f'release "{request.step}"'
        assert request.label.unit is not None
        relation = unit_of(request.label.unit).relation
        mechanism, epsilon, delta = self.resolved(request.settings, where, relation)
        release_id = self.check(request)
        key = steward_key()
        accounts = sorted(request.label.accounts)
        ledger = Ledger(request.home)
        try:
            try:
                self._open(ledger, request, key)
                if ledger.requires_sign_off(accounts) or any(request.budgets[account][1].sign_off for account in accounts):
                    decided = Decision.of(self.identity(request), release_id, request)
                    ledger.refuse_unsigned(decided, where)
                if request.path is not None:
                    mechanism.check(request.path, request.label.unit)
            except PrivacyError as error:
                ledger.refuse(accounts, release_id, error)
                raise
            description = mechanism.guarantee(epsilon, delta, relation)  # and then who asks, which no mechanism has a say in
            if looked(request.home, accounts):
                description["not_covered"] = [*description.get("not_covered", []), LOOKED]
            description |= {"step": request.step, "pipeline": request.pipeline, "unit": str(request.label.unit)}
            spend = ledger.spend(accounts, release_id, epsilon, delta, description, commitment(key))
            if not spend.first and not getattr(mechanism, "rerunnable", True):
                raise PrivacyError(
                    "this release cannot be made again",
                    where=where,
                    why="its noise had no key, and a second draw would show more than was paid for",
                    fix="Take what it gave out from the store or a backup, or release anew with another epsilon, which costs again",
                )
        finally:
            ledger.close()
        return Grant(release_id, release_key(key, release_id))

    def decide(self, request: GateRequest, by: str, note: str) -> str:
        """Sign for the release as it stands, data included; its identity. Spends nothing."""
        release_id = self.check(request)
        ledger = Ledger(request.home)
        try:
            self._open(ledger, request, steward_key())
            ledger.decide(Decision.of(self.identity(request), release_id, request), by, note)
        finally:
            ledger.close()
        return release_id

    def _open(self, ledger: Ledger, request: GateRequest, key: bytes) -> None:
        for account in sorted(request.label.accounts):
            unit, budget = request.budgets[account]
            period = (budget.period, budget.period_epsilon, budget.period_delta) if budget.period else None
            ledger.open_account(
                account,
                unit,
                budget.epsilon,
                budget.delta,
                composition=budget.composition,
                period=period,
                sign_off=budget.sign_off,
                data=(data := _pseudonyms(key, request, account)),
            )
            for one in data:
                note_account(one, request.home, account)

    def perform(self, arguments: Mapping[str, Any], *, unit: str | Unit, key: bytes, scratch: Path) -> Mapping[str, Any]:
        """The released value and the numbers of its guarantee."""
        mechanism, epsilon, delta = self.resolved(
            {n: v for n, v in arguments.items() if n != _INPUT}, "release", unit_of(unit).relation
        )
        table: Table = arguments[_INPUT]
        return {
            "": mechanism.run(table.path, unit, epsilon, delta, key, scratch),
            "guarantee": mechanism.numbers(epsilon, delta, unit_of(unit).relation),
        }

    def settle(self, home: Path, grant: Grant, digests: Mapping[str, str]) -> None:
        """Note the digest of what was released (the first output)."""
        ledger = Ledger(home)
        try:
            ledger.finish(grant.release_id, next(iter(digests.values())))
        finally:
            ledger.close()


def _pseudonyms(key: bytes, request: GateRequest, account: str) -> list[str]:
    return [pseudonym(key, f"account/{digest}") for digest in request.sources.get(account, ())]


def _spent(home: Path, account: str) -> str:
    """What an account of another state folder has spent, in words; nothing where that cannot be read."""
    try:
        with closing(Ledger(home)) as ledger:
            spent = ledger.account(account).to_json()
    except PellucidError:
        return ""
    return f", which has spent epsilon {spent['spent_epsilon']:.4g}"


def release(
    mechanism: Mechanism,
    *,
    of: Source | Step | OutputOf | str,
    epsilon: float,
    delta: float,
    name: str | None = None,
) -> Step:
    """Declare a release: `mechanism` applied to the private table `of`, at user-level (`epsilon`, `delta`).

    Its outputs are open: the released value under the release's name, and its guarantee as numbers under `<name>_guarantee`. The
    mechanism's bounds, epsilon and delta are settings (`--set matrix.epsilon=2`). Raises PrivacyError for unusable parameters.
    """
    gate = ReleaseGate(mechanism)
    settings: dict[str, Any] = {f.name: getattr(mechanism, f.name) for f in dataclasses.fields(mechanism)}  # type: ignore[arg-type]
    settings |= {"epsilon": epsilon, "delta": delta}
    gate.resolved(settings, f'release "{name or mechanism.parameters()["mechanism"]}"')
    if not isinstance(of, Source | Step | OutputOf | str):
        raise UsageError(f"of= must be a source, a step or the name of an output, not a {type(of).__name__}", where="release")
    hints = typing.get_type_hints(type(mechanism)) | {"epsilon": float, "delta": float}
    return Step(
        fn=_Signature({setting: (hints.get(setting, Any), value) for setting, value in settings.items()}),
        name=name,
        outputs=(Output("", mechanism.output_kind), Output("guarantee", "metrics")),
        inputs={_INPUT: of},
        settings=settings,  # said here, or a source that is named like a setting (`rows`) would be taken for it
        kind="release",
        gate=gate,
    )


class _Signature:
    """Stands for a release where the graph asks for parameters: the input, and the settings with their types and values."""

    def __init__(self, settings: Mapping[str, tuple[Any, Any]]) -> None:
        parameter, keyword = inspect.Parameter, inspect.Parameter.KEYWORD_ONLY
        parameters = [parameter(_INPUT, keyword, annotation=Table)]
        parameters += [parameter(n, keyword, default=value, annotation=hint) for n, (hint, value) in settings.items()]
        self.__signature__ = inspect.Signature(parameters)
        self.__annotations__ = {p.name: p.annotation for p in parameters}

    def __call__(self, **arguments: Any) -> Self:
        raise UsageError("a release runs only in a pipeline", why="outside of one nothing is accounted for")
