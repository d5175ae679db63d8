"""The steward's folder: the pipeline it is about, the evidence in it (private, mode 0600), and what is for everybody (card/)."""

from __future__ import annotations

import datetime
import json
import os
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.steward.proposed_pipeline import DataFile, Proposal, digest_of

FORMAT = "pellucid steward 1"
EVIDENCE = "pellucid steward evidence 1"
FILE, INVENTORY, REPORT, CARD = "steward.json", "inventory.json", "report.html", "card"
STEPS = ("inventory", "assess", "protect", "attack", "decide", "release")
DEFAULT = Path("steward")


@dataclass(frozen=True)
class Folder:
    """A steward's folder: `pipeline` is the file that says what is released, `home` the state folder with the ledger."""

    path: Path
    pipeline: Path
    home: Path

    @property
    def kept_home(self) -> Path | None:
        """The state folder, where it is not the one beside the pipeline."""
        from pellucid.store import home_for

        return None if self.home == home_for(self.pipeline) else self.home

    def command(self, action: str, rest: str = "") -> str:
        """The command for a step on this folder, as it is typed from here; the default folder need not be named."""
        place = "" if self.path.absolute() == DEFAULT.absolute() else f" {shlex.quote(os.path.relpath(self.path))}"
        return f"pellucid steward {action}{place}{' ' if rest else ''}{rest}"

    def file(self, step: str) -> Path:
        """Where a step's evidence is."""
        return self.path / (INVENTORY if step == "inventory" else f"{step}.json")

    def write(self, step: str, of: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
        """Keep what a step found about things as they stand (`of`); what was kept before is replaced."""
        body: dict[str, Any] = {"format": EVIDENCE, "step": step, "at": now(), "of": dict(of), **found}
        private(self.file(step), json.dumps(body, indent=1, ensure_ascii=False) + "\n")
        return body

    def read(self, step: str) -> dict[str, Any] | None:
        """What a step found; None where it has not been done. Raises UsageError for a file that is not evidence."""
        path = self.file(step)
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UsageError(
                "it cannot be read", where=str(path), why=str(error).splitlines()[0], fix=self._again(step)
            ) from error
        if step != "inventory" and not (isinstance(held, dict) and held.get("format") == EVIDENCE and "of" in held):
            raise UsageError("it is no evidence of a step", where=str(path), fix=self._again(step))
        return dict(held)

    def _again(self, step: str) -> str:
        return f"Remove it, and run: {self.command(step)}"


def private(path: Path, text: str) -> None:
    """Write a file that its owner alone can read; whole, or not at all."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def now() -> str:
    """The time, UTC, as ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def opened(path: Path, home: Path | None = None) -> Folder:
    """A folder that `begin` made. Raises UsageError where there is none."""
    from pellucid.store import home_for

    held = path / FILE
    try:
        found = json.loads(held.read_text(encoding="utf-8"))
        pipeline = (path / str(found["pipeline"])).absolute()
        kept = found.get("home")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "this is no steward's folder",
            where=str(path),
            why=f"it has no usable {FILE}",
            fix="Make one: pellucid steward init DATA, or name yours",
        ) from error
    if home is None:
        home = (path / kept).absolute() if kept else home_for(pipeline)
    return Folder(path, pipeline, Path(os.path.normpath(home.absolute())))


def proposed(folder: Folder) -> tuple[DataFile, Proposal, str] | None:
    """The data, what was asked for and the digest of the text of a proposed pipeline; None for one that was there already."""
    held = json.loads((folder.path / FILE).read_text(encoding="utf-8")).get("proposed")
    if held is None:
        return None
    try:
        data = DataFile(folder.path / held["data"], held["format"], held["options"])
        return data, Proposal(held["statistic"], held["epsilon"]), held["digest"]
    except (KeyError, TypeError) as error:
        said = "what it says of the proposed pipeline cannot be used"
        raise UsageError(said, where=str(folder.path / FILE), fix="Make a new folder: pellucid steward init DATA") from error


def made(path: Path, pipeline: Path, home: Path | None, proposed: tuple[DataFile, Proposal, str] | None = None) -> Folder:
    """Write down which pipeline a new folder is about, and where it was `proposed` from which data, how, and as which text."""
    told: dict[str, Any] = {"format": FORMAT, "pipeline": os.path.relpath(pipeline, path)}
    if proposed is not None:
        data, proposal, text = proposed
        told["proposed"] = {
            "data": os.path.relpath(data.path, path),
            "format": data.format,
            "options": dict(data.options),
            "statistic": proposal.statistic,
            "epsilon": proposal.epsilon,
            "digest": digest_of(text),
        }
    if home is not None:
        told["home"] = os.path.relpath(home, path)
    private(path / FILE, json.dumps(told, indent=1) + "\n")
    return opened(path)
