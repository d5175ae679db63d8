"""`pellucid demo`: the main job, end to end, on one week of real visits."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from pellucid.cli import demo_synthetic, options
from pellucid.errors import PellucidError, StepError, UsageError

DATA = Path(__file__).parent / "msweb"


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    said = (
        "where to work (default pellucid-demo); before it the word synthetic: the demo of synthetic people (pellucid-synthetic)"
    )
    parser.add_argument("folder", nargs="*", metavar="[synthetic] [FOLDER]", help=said)


def call(arguments: argparse.Namespace) -> int:
    """Copy the example, run it, show cost and quality, draw the curve, publish, reproduce."""
    started = time.perf_counter()
    words = list(arguments.folder)
    if words[:1] == ["synthetic"]:
        there = Path((words[1:] or [demo_synthetic.FOLDER])[0]).absolute()
        _only(words[2:])
        copy_files(there, left_out=("areas.py", "curve.py"))
        return demo_synthetic.show(there, lambda file: _run(file, quiet=arguments.json), as_json=arguments.json)
    _only(words[1:])
    folder = Path((words or ["pellucid-demo"])[0]).absolute()
    say = (lambda *_: None) if arguments.json else _say
    copy_files(folder)
    place = os.path.relpath(folder)
    say(f"1  Private data go in: {place}/visits.csv, one week of real people's visits to the areas of a web site")
    run = _run(folder / "areas.py", quiet=arguments.json)
    say("\n2  What it cost: people's privacy is an account that only a release may spend from")
    account, guarantee = _ledger(run, say)
    say("\n3  What it is worth, on people the models have not seen (nDCG@10 / recall@20)")
    quality = _quality(run, say)
    say("\n4  How much privacy for how much use: a simulation on the private data, for the steward only")
    curve = _curve(folder, quiet=arguments.json, say=say)
    say("\n5  The open side as a package, re-run in a clean environment without network")
    verdict = _package(run, folder, say)
    took = time.perf_counter() - started
    if arguments.json:
        shown = {
            "run": run.id, "status": run.status, "seconds": round(took, 2), "account": account, "guarantee": guarantee,
            "quality": quality, "curve": curve, "package": str(folder / "package"),
            "verdict": verdict.verdict, "first_difference": verdict.to_json()["first_difference"],
            "reproduce": verdict.to_json(),
        }  # fmt: skip
        options.print_json(shown)
    else:
        _farewell(place, verdict, took)
    return int(verdict.exit_code)


def _only(left: list[str]) -> None:
    if left:
        raise UsageError(f'"{left[0]}" is one word too many', where="demo", fix="See: pellucid demo --help")


def _say(text: str) -> None:
    print(text, flush=True)


def copy_files(folder: Path, left_out: tuple[str, ...] = ("people.py",)) -> None:
    """The example's files but those left out; those that are there stay as they are, so that a newcomer's edits survive."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for entry in sorted(DATA.iterdir()):
            if entry.is_file() and entry.name not in left_out and not (folder / entry.name).exists():
                shutil.copyfile(entry, folder / entry.name)
    except OSError as error:
        raise PellucidError("the demo cannot be written", where=str(folder), why=str(error), fix="Name another folder") from error


def _run(file: Path, *, quiet: bool) -> Any:
    from pellucid.cli.progress import progress
    from pellucid.pipeline.running import load, run

    shown = None if quiet else progress()
    try:
        done = run(
            load(file), home=file.parent / ".pellucid", jobs=os.cpu_count() or 1, confined=True, check=False, progress=shown
        )
    finally:
        if shown is not None:
            shown.close()
    if done.status != "done":
        failed = next(report for report in done.steps.values() if report.action == "failed")
        raise StepError(f'step "{failed.step}" failed', why=failed.message)
    return done


def _ledger(run: Any, say: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    from pellucid.cli.ledger import as_json
    from pellucid.packages.standards import rounded_up
    from pellucid.privacy.accounting import Ledger

    ledger = Ledger(run.home)
    (account,) = ledger.accounts()
    rows = [
        [spend["description"]["step"], spend["description"]["mechanism"], f"{spend['epsilon']:g}", f"{spend['delta']:g}"]
        for spend in ledger.spends()
    ]
    rows.append([f"account {account['name']}", "spent", f"{account['spent_epsilon']:g}", f"{account['spent_delta']:g}"])
    rows.append(["", "left", f"{account['left_epsilon']:g}", f"{account['left_delta']:g}"])
    guarantee = dict(run["matrix_guarantee"])
    say(_indent(options.table(rows, ["release", "mechanism", "epsilon", "delta"], right=[2, 3])))
    say("   So whatever anyone learns from what is released, the odds that a given person was in the data")
    odds = rounded_up(math.exp(account["spent_epsilon"]))
    say(f"   move by at most e^{account['spent_epsilon']:g} = {odds:g} (but for a chance of {account['spent_delta']:g}).")
    return as_json(account), guarantee


def _quality(run: Any, say: Any) -> dict[str, Any]:
    released, ceiling = dict(run["quality"]), dict(run["ceiling"])
    rows = []
    for name, word in (("popular", "popularity, the floor"), ("recommender", "recommender on the release")):
        error = released[f"{name}_ndcg_10_error"]
        rows.append([word, f"{released[f'{name}_ndcg_10']:.3f} ± {error:.3f}", f"{released[f'{name}_recall_20']:.3f}", "open"])
    rows.append(["the same without privacy", f"{ceiling['ndcg_10']:.3f}", f"{ceiling['recall_20']:.3f}", "private"])
    say(_indent(options.table(rows, ["model", "nDCG@10", "recall@20", "who may know"])))
    share = released["recommender_ndcg_10"] / ceiling["ndcg_10"]
    say(f"   {share:.0%} of what is possible without privacy. The open figures are themselves a release (± its noise);")
    say("   the ceiling has no bound per person, so it stays with the steward: you, here.")
    return {"released": released, "ceiling": ceiling, "share": share}


def _curve(folder: Path, *, quiet: bool, say: Any) -> dict[str, Any]:
    from pellucid.cli.chart import curve

    run = _run(folder / "curve.py", quiet=quiet)
    draws: dict[float, list[float]] = {}
    for row in run["curve"].arrow().to_pylist():
        draws.setdefault(row["epsilon"], []).append(row["ndcg_10"])
    bounds = dict(run["bounds"])
    note = "Simulation on private data (5 noise draws, bars: 2 standard deviations). For the steward, not released."
    drawing = curve(draws, bounds["floor"], bounds["ceiling"], title="What privacy costs on msweb", note=note, measure="nDCG@10")
    (folder / "curve.svg").write_text(drawing)
    rows = [
        [f"{e:g}", f"{sum(v) / len(v):.3f}", f"{min(v):.3f} to {max(v):.3f}", _bar(sum(v) / len(v), bounds)]
        for e, v in draws.items()
    ]
    head = ["epsilon", "nDCG@10", "5 draws", f"floor {bounds['floor']:.3f} to ceiling {bounds['ceiling']:.3f}"]
    say(_indent(options.table(rows, head, right=[0, 1])))
    return {
        "file": str(folder / "curve.svg"),
        "label": "private",
        "simulation": True,
        **bounds,
        "draws": {str(e): v for e, v in draws.items()},
    }


def _bar(value: float, bounds: dict[str, float]) -> str:
    share = (value - bounds["floor"]) / (bounds["ceiling"] - bounds["floor"])
    return "█" * max(0, round(24 * share)) + "░" * min(24, 24 - round(24 * share))


def _package(run: Any, folder: Path, say: Any) -> Any:
    from pellucid.packages.publishing import publish
    from pellucid.packages.reproducing import reproduce
    from pellucid.registry import note_publication

    package = folder / "package"
    if package.exists():
        shutil.rmtree(package)
    done = publish(run.home, run.id, package)
    note_publication(run.home, package, run.id)
    say(f"   {os.path.relpath(package)}: {done.files} files, {options.size(done.size)}")
    say(f"   withheld as private: {', '.join(done.withheld)}")
    verdict = reproduce(package)
    say(_indent(options.wrapped(str(verdict))))
    return verdict


def _indent(text: str) -> str:
    return "\n".join("   " + line for line in text.splitlines())


def _farewell(place: str, verdict: Any, took: float) -> None:
    print(f"""
Done in {took:.0f} s: {verdict.to_json()["verdict"]}. Look at
   {place}/areas.py            the pipeline, eighty lines: change something and run it again
   {place}/curve.svg           the privacy-utility curve (private: a simulation)
   {place}/package/README.md   what a stranger gets
Try next
   {_command()} run {place}/areas.py --set quality.epsilon=0.4 --dry-run
   {_command()} ledger --home {place}/.pellucid
   {_command()} serve --demo           search and suggestions in a browser, from these models""")


def _command() -> str:
    """How to call pellucid from here: by name where that finds it, else as it was called."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m pellucid"
    found = shutil.which(called.name)
    return called.name if found and Path(found).resolve() == called.resolve() else os.path.relpath(called)
