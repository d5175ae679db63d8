"""`pellucid ledger`: the privacy accounts."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.cli import options, state_folder, steward

if TYPE_CHECKING:
    from pellucid.privacy.accounting import Ledger

ACTIONS = ("show", "plan", "cap", "share", "export", "verify")


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    said = (
        "show (default) accounts and spends; plan: what a pipeline's releases would cost; cap: change what an account may spend;"
        " share: let an account be about the data of another;"
    )
    parser.add_argument(
        "action", nargs="?", choices=ACTIONS, default="show", help=f"{said} export every event; verify the chain of events"
    )
    parser.add_argument("subject", nargs="?", help="plan: a pipeline file; cap, share: an account; export: a new file")
    parser.add_argument("--with", dest="other", metavar="ACCOUNT", help="for share: the account that is about these data already")
    parser.add_argument("--epsilon", type=float, help="for cap: the most it may ever spend")
    parser.add_argument("--delta", type=float, help="for cap: the most it may ever spend")
    parser.add_argument(
        "--each",
        nargs=3,
        metavar=("PERIOD", "EPSILON", "DELTA"),
        help="for cap: and the most in each day, week, month or year (UTC)",
    )
    parser.add_argument("--set", action="append", default=[], metavar="STEP.SETTING=VALUE", help="for plan: change a setting")
    steward.expected(parser, "plan")
    said = "for plan: also by the rows themselves; it is private, and no guarantee covers choosing by it: later cards say so"
    parser.add_argument("--from-rows", action="store_true", help=said)
    parser.add_argument("--times", type=options.whole(1), default=1, metavar="N", help="for plan: run it N times, on new data")
    parser.add_argument("--file", type=Path, metavar="EXPORT", help="for verify: an export, instead of the state folder")
    parser.add_argument("--card", action="append", default=[], type=Path, help="for verify: a card whose event must be there")
    parser.add_argument("--head", action="append", default=[], metavar="HASH", help="for verify: an event that must be there")
    state_folder.add_home(parser)


def call(arguments: argparse.Namespace) -> int:
    """Do one of the actions."""
    return {"show": show, "plan": plan, "cap": cap, "share": share, "export": export, "verify": verify}[arguments.action](
        arguments
    )


def show(arguments: argparse.Namespace) -> int:
    """Print accounts and spends."""
    with _opened(arguments) as ledger:
        accounts, spends = ledger.accounts(), ledger.spends()
        if arguments.json:
            told = {account["name"]: as_json(account) | {"together": _together(ledger, account)} for account in accounts}
            options.print_json({"accounts": told, "spends": spends, "refusals": ledger.refusals(), "head": ledger.head(),
                                "clock_set_forward": ledger.clock_jumps()})  # fmt: skip
            return 0
        _print_accounts(accounts)
        for jump in ledger.clock_jumps():
            print(f"! before event {jump['seq']} the clock was set forward by {jump['days']:.0f} days: a period began early")
        for account in accounts:
            epsilon = _together(ledger, account)
            if epsilon is not None and epsilon < account["spent_epsilon"] * 0.999:
                print(
                    f"{account['name']}: as a plan fixed beforehand: epsilon {epsilon:.4g} at delta {account['cap_delta']:g} (pld)"
                )
    if spends:
        print()
        print(
            options.table([_row(spend) for spend in spends], ["release", "account", "by", "epsilon, delta", "on (UTC)", "state"])
        )
    if any(spend["state"] == "spent" for spend in spends):
        print("spent: paid for but not given out yet; run its pipeline again to finish it at no further cost")
    return 0


def plan(arguments: argparse.Namespace) -> int:
    """Print what the releases of a pipeline file would cost, and whether they fit; exit code 1 when they do not."""
    from pellucid.cli.run import parse_settings
    from pellucid.errors import UsageError
    from pellucid.privacy import budget_forecast
    from pellucid.privacy.foresight import ExpectedNumbers
    from pellucid.privacy.private_forecast import WARNING, forecast_from_rows
    from pellucid.store import home_for

    if not arguments.subject:
        raise UsageError("plan needs a pipeline file", where="ledger", fix="Such as: pellucid ledger plan areas.py")
    file = Path(arguments.subject)
    pipeline = options.load(file).with_settings(parse_settings(arguments.set))
    home = Path(arguments.home).absolute() if arguments.home is not None else home_for(file.absolute())
    releases, accounts = budget_forecast.planned(pipeline), budget_forecast.forecast(pipeline, home, arguments.times)
    fit = all(account.fits for account in accounts)
    numbers = ExpectedNumbers(arguments.people, arguments.items, arguments.per_person)
    foreseen = budget_forecast.foreseen(pipeline, numbers)
    told: dict[str, Any] = {}
    if arguments.from_rows:
        print(options.wrapped(WARNING) + "\n", file=sys.stderr, flush=True)
        told = {"private": [vars(one) for one in forecast_from_rows(pipeline, home)], "warning": WARNING}
    if arguments.json:
        shown = [{"step": r.step, "accounts": list(r.accounts), "epsilon": r.epsilon, "delta": r.delta} for r in releases]
        options.print_json(
            {"releases": shown, "times": arguments.times, "accounts": [vars(account) for account in accounts], "fits": fit,
             "expected": [vars(one) for one in foreseen], **told}
        )  # fmt: skip
        return 0 if fit else 1
    rows = [[r.step, ", ".join(r.accounts), f"{r.epsilon:g}, {r.delta:g}"] for r in releases]
    print(options.table(rows, ["release", "account", "epsilon, delta"]))
    print(f"{arguments.times} times, each on other data\n" if arguments.times > 1 else "")
    rows = [[a.account, *(f"{e:g}, {d:g}" for e, d in (a.cap, a.spent, a.after)), a.composition] for a in accounts]
    print(options.table(rows, ["account", "cap", "spent", "after (basic)", "adds up by"]))
    for account in accounts:
        sums = ", ".join(f"{name} {epsilon:.4g}" for name, epsilon in account.together.items())
        verdict = "fits" if account.fits else "DOES NOT FIT"
        print(f"{account.account}: {verdict}; epsilon at delta {account.cap[1]:g}: {sums}")
    print()
    for one in foreseen:
        for line in (
            *one.lines,
            *([f"PROBLEM: {one.problem}"] if one.problem else []),
            *(f"would help: {said}" for said in one.advice),
        ):
            print(options.wrapped(f"{one.release}: {line}"))
    for private in told.get("private", ()):
        for line in private["lines"]:
            print(options.wrapped(f"{private['release']} (private): {line}"))
    return 0 if fit else 1


def cap(arguments: argparse.Namespace) -> int:
    """Set what an account may spend."""
    from pellucid.errors import UsageError

    if not arguments.subject or arguments.epsilon is None or arguments.delta is None:
        raise UsageError(
            "cap needs an account, --epsilon and --delta", fix="Such as: pellucid ledger cap visits --epsilon 4 --delta 1e-5"
        )
    period = None
    if arguments.each:
        try:
            period = (arguments.each[0], float(arguments.each[1]), float(arguments.each[2]))
        except ValueError:
            raise UsageError("--each takes a period, an epsilon and a delta", fix="Such as: --each month 1 1e-6") from None
    with _opened(arguments) as ledger:
        ledger.set_limit(arguments.subject, arguments.epsilon, arguments.delta, period=period)
        accounts = [account for account in ledger.accounts() if account["name"] == arguments.subject]
        if arguments.json:
            options.print_json({"accounts": {account["name"]: as_json(account) for account in accounts}, "head": ledger.head()})
        else:
            _print_accounts(accounts)
    return 0


def share(arguments: argparse.Namespace) -> int:
    """Let an account be about the same data as another."""
    from pellucid.errors import UsageError

    if not arguments.subject or not arguments.other:
        raise UsageError("share needs an account and --with", fix="Such as: pellucid ledger share visits-2 --with visits")
    with _opened(arguments) as ledger:
        ledger.share(arguments.subject, arguments.other)
        head = ledger.head()
    if arguments.json:
        options.print_json({"account": arguments.subject, "with": arguments.other, "head": head})
    else:
        print(f"{arguments.subject} may now be about the data of {arguments.other}")
        print("What people lose by both adds up: each has a cap of its own, and nothing caps their sum.")
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Write every event to a file."""
    from pellucid.errors import UsageError

    if not arguments.subject:
        raise UsageError("export needs a file to write", where="ledger", fix="Such as: pellucid ledger export ledger.jsonl")
    if Path(arguments.subject).exists():
        raise UsageError("it is there already", where=arguments.subject, fix="Name a file that does not exist yet")
    with _opened(arguments) as ledger:
        count = ledger.export(Path(arguments.subject))
        head = ledger.head()
    if arguments.json:
        options.print_json({"events": count, "head": head})
    else:
        print(f"{count} events; the head of the chain is {head}")
        print("For auditors, not for publication: release ids confirm a guess of the data.")
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Check the chain, from the state folder or from an export."""
    heads = [*arguments.head, *(_head_of(card) for card in arguments.card)]
    if arguments.file is not None:
        from pellucid.privacy.accounting import verify_file

        count, head = verify_file(arguments.file, heads), None
    else:
        with _opened(arguments) as ledger:
            count, head = ledger.verify(heads), ledger.head()
    if arguments.json:
        options.print_json({"verified": True, "events": count, "head": head, "cards": len(heads)})
    else:
        named = f", and holds all {len(heads)} events named" if heads else ""
        print(f"the chain is whole: {count} events{named}" + (f"; its head is {head}" if head else ""))
    return 0


def _opened(arguments: argparse.Namespace) -> Any:
    from contextlib import closing

    from pellucid.privacy.accounting import Ledger

    return closing(Ledger(state_folder.home_of(arguments)))


def _head_of(card: Path) -> str:
    """The hash of the event that a card names."""
    from pellucid.errors import UsageError

    try:
        return str(json.loads(card.read_text())["ledger"]["hash"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = getattr(error, "strerror", None) or "it has no ledger entry"
        raise UsageError("it is no card of a release", where=str(card), why=why) from None


def _together(ledger: Ledger, account: dict[str, Any]) -> float | None:
    """The epsilon of all an account's releases at its cap's delta, losses composed; None where there are fewer than two."""
    from pellucid.privacy import together

    releases = ledger.releases(account["name"])
    if len(releases) < 2:
        return None
    return together(ledger.account(account["name"]).spent, releases, account["cap_delta"])["pld"]


def _print_accounts(accounts: list[dict[str, Any]]) -> None:
    rows = [
        [account["name"], account["unit"], *(_pair(account, word) for word in ("cap", "spent", "left"))] for account in accounts
    ]
    print(
        options.table(rows, ["account", "unit", "cap", "spent", "left"]) if rows else "no account: nothing private was released"
    )
    for account in accounts:
        if "period" in account:
            period = account["period"]
            print(
                f"{account['name']}: this {period['name']} {period['spent_epsilon']:g}, {period['spent_delta']:g} spent"
                f" of {period['cap_epsilon']:g}, {period['cap_delta']:g}"
            )


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
    more: dict[str, Any] = {name: account[name] for name in ("composition", "period") if name in account}
    return {"unit": account["unit"], **shown, **more, "exact": exact}


def _pair(account: dict[str, Any], word: str) -> str:
    return f"{account[f'{word}_epsilon']:g}, {account[f'{word}_delta']:g}"
