"""Release: the pipeline runs, what it released is copied out with its card, and the account says what is left."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import Any

from pellucid.errors import BudgetError, PrivacyError, UsageError
from pellucid.steward.current_state import CurrentState, shown, standing
from pellucid.steward.protection_stage import costs
from pellucid.steward.workspace import CARD, Folder, now


def release(folder: Folder) -> dict[str, Any]:
    """Run the pipeline and write the card folder; the evidence.

    The ledger refuses a release that nobody has signed for, whose data or settings changed since, or that does not fit. Raises what the
    run raises.
    """
    from pellucid.pipeline.running import run

    stand = standing(folder)
    decided = folder.read("decide")
    if decided is None:
        raise UsageError("nobody has decided yet", where=str(folder.path), fix=f"Run: {folder.command('decide', '--by NAME')}")
    changed = stand.missing_evidence("decide")
    if changed and not all(budget.sign_off for coming in stand.releases for _, budget in coming.request.budgets.values()):
        raise PrivacyError(
            f"{changed} {decided['by']} signed", where=str(folder.path), fix=f"Run: {folder.command('decide', '--by NAME')}"
        )
    short = [] if changed else [one for one in costs(stand) if not one.fits]  # what changed the ledger refuses, and notes
    if short:  # of several releases none shall be made when not all can be
        one = short[0]
        raise BudgetError(
            f"account {one.account!r} has a cap of {one.cap[0]:g}, {one.cap[1]:g}; all releases together would come to"
            f" {one.after[0]:g}, {one.after[1]:g}",
            where=str(folder.path),
            fix="Nothing is spent. Ask for less, or raise the cap (pellucid ledger cap)",
        )
    done = run(stand.pipeline, home=folder.home, confined=True)
    released = _copied(stand, done, decided)
    of = stand.of("decide")
    accounts = [account for account in _accounts(folder.home) if account["name"] in _paying(stand)]
    return folder.write("release", of, {"run": done.id, "released": released, "accounts": accounts})


def _paying(stand: CurrentState) -> set[str]:
    return {account for coming in stand.releases for account in coming.request.label.accounts}


def _accounts(home: Path) -> list[dict[str, Any]]:
    from pellucid.privacy.accounting import Ledger

    ledger = Ledger(home)
    try:
        return ledger.accounts()
    finally:
        ledger.close()


def _copied(stand: CurrentState, done: Any, decided: dict[str, Any]) -> list[dict[str, Any]]:
    """What was released, in the card folder, each with its card; and the page for people."""
    from pellucid.pipeline.record import path_of
    from pellucid.privacy.accounting import guarantee_of
    from pellucid.steward.privacy_card import card_of, written
    from pellucid.store import Objects, Table

    objects, folder = Objects(stand.folder.home), stand.folder.path / CARD
    folder.mkdir(exist_ok=True)
    attacked = stand.folder.read("attack") if not stand.missing_evidence("attack") else None
    cards, told = [], []
    for coming in stand.releases:
        outputs = done.steps[coming.name].outputs
        artifact = outputs[coming.name]
        data = f"{coming.name}{artifact.suffix}"
        target = folder / data
        target.unlink(missing_ok=True)
        shutil.copyfile(path_of(objects, artifact), target)
        guarantee = guarantee_of(stand.folder.home, coming.identity, artifact.digest, coming.name)
        table = Table(target, is_open=True) if artifact.kind == "table" else None
        cards.append(card_of(coming, guarantee, data, artifact.digest, attacked, decided, table))
        shape = {} if table is None else {"rows": table.num_rows, "columns": table.columns}
        told.append({"name": coming.name, "file": f"{CARD}/{data}", "size": artifact.size, "digest": artifact.digest, **shape})
    written(folder, stand.pipeline.name, cards, now())
    return told


def release_lines(folder: Folder, evidence: dict[str, Any]) -> list[str]:
    """One screen."""
    told = []
    for one in evidence["released"]:
        told.append(f"{shown(folder.path / one['file'])}: open ({one['size']:,} bytes)")
        if "rows" in one:
            said = (
                f"{one['rows']:,} rows of {', '.join(one['columns'])}" if one["rows"] else "EMPTY: nothing reached the threshold"
            )
            told += textwrap.wrap(said, 80, initial_indent="  ", subsequent_indent="  ")
    told.append(f"{shown(folder.path / CARD / 'index.html')}: what people were promised; the cards are beside it")
    for account in evidence["accounts"]:
        left = f"{account['left_epsilon']:g}, {account['left_delta']:g}"
        told.append(f"account {account['name']}: spent {account['spent_epsilon']:g}, {account['spent_delta']:g}; left {left}")
    told += textwrap.wrap(
        "Only card/ is for everybody. The rest of this folder is private: report and evidence come from the data.", 80
    )
    told.append("to publish all of the run for anyone to re-run:")
    told.append(f"  pellucid publish {evidence['run']} DEST --home {shown(folder.home)}")
    return told
