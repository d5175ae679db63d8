"""Re-running the private side: for the steward, who has the data and the key.

The pipeline runs again from its sources in a throwaway state folder, with the steward's key, so that every release draws the very
noise it drew before; what it gives is compared with the package, and what the private steps give with the steward's own record.
Nothing is charged and nothing is kept: each release must be one that the steward's ledger has paid for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PackageError, PrivacyError, UsageError

if TYPE_CHECKING:
    from pellucid.packages.format import Manifest
    from pellucid.pipeline.record import StepRecord

Finding = tuple[str, str, str, str]  # step, output, result, detail


@dataclass(frozen=True)
class Steward:
    """Who re-runs: the state folder that holds the run, and the folder of the key (None: the usual one)."""

    home: Path
    keys: Path | None = None


def rerun(manifest: Manifest, steward: Steward) -> list[Finding]:
    """A finding for each output of each private step and each release, in the order of the run.

    Raises UsageError where the run is not in the state folder, PrivacyError where the key is not the one the package names or a release
    is not one the ledger has paid for, PackageError where the pipeline does not run any more.
    """
    from pellucid.packages.reproducing.verdict import DIFFERENT, IDENTICAL
    from pellucid.pipeline.record import Record

    _refuse_other_key(manifest, steward)
    record = Record(steward.home)
    try:
        about = record.find(manifest.run)
        recorded = {row.step: row for row in record.steps(about["run"]) if row.outputs}
    finally:
        record.close()
    kinds = {node["step"]: node["kind"] for node in about["graph"]}
    closed = [node["step"] for node in about["graph"] if node["label"] != "open" or node["kind"] == "release"]
    with tempfile.TemporaryDirectory(prefix="pellucid-steward-") as folder:
        home = Path(folder)
        _run(about, home, steward, closed)
        _refuse_unpaid(home, steward.home)
        again = Record(home)
        try:
            made = {row.step: row for row in again.steps(again.find("last")["run"]) if row.outputs}
        finally:
            again.close()
    stated = {name: value.digest for name, value in manifest.open.items()}
    promises = {entry.step: entry.guarantee for entry in manifest.trace if entry.guarantee is not None}
    found: list[Finding] = []
    for step in closed:
        for name, artifact in (recorded[step].outputs if step in recorded else {}).items():
            wanted = stated.get(name) if kinds[step] == "release" else artifact.digest
            given = made[step].outputs[name].digest if step in made and name in made[step].outputs else None
            detail = "" if given == wanted else "it came out otherwise than the package has it" if given else "it was not made"
            found.append((step, name, IDENTICAL if given == wanted else DIFFERENT, detail))
        if step in promises and step in recorded and promises[step] != _of_ledger(steward, step, recorded[step]):
            found.append((step, "", DIFFERENT, "the ledger has another guarantee than the package"))
    return found


def _of_ledger(steward: Steward, step: str, row: StepRecord) -> dict[str, Any]:
    """The guarantee that the steward's own ledger has of a release."""
    from pellucid.privacy.accounting import guarantee_of

    return guarantee_of(steward.home, row.key, next(iter(row.outputs.values())).digest, step)


def _refuse_other_key(manifest: Manifest, steward: Steward) -> None:
    from pellucid.pipeline.record import keys_folder
    from pellucid.privacy import KEY_FILE, commitment, steward_key

    folder = steward.keys or keys_folder()
    if not (folder / KEY_FILE).exists():
        raise PrivacyError("there is no steward's key", where=str(folder), fix="Name its folder: --steward-keys FOLDER")
    mine = commitment(steward_key(folder))
    for entry in manifest.trace:
        if entry.guarantee is not None and entry.guarantee["key_commitment"] != mine:
            raise PrivacyError(
                f'the release "{entry.step}" was made with another key',
                where=str(folder),
                fix="Name its folder: --steward-keys FOLDER",
            )


def _run(about: dict[str, Any], home: Path, steward: Steward, steps: list[str]) -> None:
    """Run the closed steps anew, in a throwaway state folder."""
    file = Path(about["file"])
    if not file.is_file():
        raise UsageError("the pipeline file of the run is no longer there", where=str(file), fix="Put it back")
    env = {**os.environ, **({"PELLUCID_KEYS": str(steward.keys)} if steward.keys else {})}
    command = [
        sys.executable,
        "-P",
        "-m",
        "pellucid",
        "run",
        str(file),
        "--home",
        str(home),
        "--seed",
        str(about["seed"]),
        "--json",
    ]
    command += list(_options("--set", [f"{name}={value}" for name, value in about["settings"].items()]))
    command += list(_options("--only", steps))
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, errors="replace")
    if done.returncode:
        try:
            why = json.loads(done.stdout)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            why = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PackageError("the private side does not run any more", where=str(file), why=why)


def _options(name: str, values: list[str]) -> Iterator[str]:
    for value in values:
        yield name
        yield value


def _refuse_unpaid(throwaway: Path, real: Path) -> None:
    """What was drawn in the throwaway folder must be what the steward's ledger has paid for: the same data, bounds and budget."""
    from pellucid.privacy.accounting import Ledger

    paid: set[str] = set()
    for place in (real, throwaway):
        ledger = Ledger(place)
        try:
            found = {spend["release"] for spend in ledger.spends()}
        finally:
            ledger.close()
        if place == throwaway and not found <= paid:
            raise PrivacyError(
                "this would be another release than the one that was paid for",
                where=str(real),
                why="its data, bounds, epsilon or delta changed since",
                fix="Nothing of it is shown. Put back what changed, or run and publish it as a release of its own",
            )
        paid |= found
